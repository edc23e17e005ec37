"""From gradients' values to a result: the parts that all methods which open a network share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glia.core.errors import InputError
from glia.explain.attribution import AttributionResult
from glia.explain.entry import Entry
from glia.explain.subject import Floats


@dataclass
class Parts:
    """What a method found, batch by batch.

    Parameters
    ----------
    values, outputs, base, error : list of ndarray
        (B, …, O), (B, O), (B, O) and (B, …, O); the last two only where a method has them.
    started : float
        When it began.
    """

    values: list[Floats] = field(default_factory=list)
    outputs: list[Floats] = field(default_factory=list)
    base: list[Floats] = field(default_factory=list)
    error: list[Floats] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)


def finish(
    entry: Entry,
    method: str,
    found: Parts,
    settings: Mapping[str, Any],
    *,
    adds_up: bool = False,
    checks: Mapping[str, float] | None = None,
    warnings: tuple[str, ...] = (),
) -> AttributionResult:
    """Put batches together into the result of a method; with ``adds_up`` it carries its residual.

    Raises
    ------
    InputError
        If values are not finite.
    """
    what = entry.subject
    values, outputs = np.concatenate(found.values), np.concatenate(found.outputs)
    if not np.isfinite(values).all():
        raise InputError("gradients must be finite", f"NaN or infinity in {method}", "look at the network's outputs")
    base = np.concatenate(found.base) if found.base else None
    residual = None
    if adds_up:
        start = 0.0 if base is None else base
        residual = what.shaped(outputs - start - values.sum(axis=tuple(range(1, values.ndim - 1))))
    return AttributionResult(
        method=method,
        values=what.shaped(values),
        outputs=what.shaped(outputs),
        base=None if base is None else what.shaped(base),
        feature_names=what.feature_names,
        output_names=what.output_names,
        unit=what.unit,
        standard_error=what.shaped(np.concatenate(found.error)) if found.error else None,
        residual=residual,
        data=what.data,
        checks=dict(checks or {}),
        warnings=warnings,
        settings=dict(settings),
        evaluations=entry.evaluations,
        seconds=time.perf_counter() - found.started,
    )
