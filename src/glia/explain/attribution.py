"""What every method that gives shares of an output to inputs returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glia.core.results import Result, Table
from glia.explain.plots import (
    draw_bars,
    draw_beeswarm,
    draw_dependence,
    draw_force,
    draw_heatmap,
    draw_waterfall,
)

Floats = NDArray[np.float64]
SHOWN = 20
"""Most features in a figure or table."""


@dataclass(frozen=True)
class AttributionResult(Result):
    """Shares of outputs that belong to inputs.

    Parameters
    ----------
    method : str
        Name of the method, as in ``glia.explain``.
    values : ndarray of shape (N, C) or (N, *shape), with an axis (…, O) at the end where several outputs are explained
        For tables C original columns: what was prepared from a column is summed back.
    outputs : ndarray of shape (N,) or (N, O)
        What is explained, in ``unit``.
    base : ndarray of shape (N,) or (N, O), optional
        The output that the shares start from, for methods whose shares add up.
    feature_names, output_names : tuple of str
        Names of the C columns (empty for images) and of the explained outputs.
    unit : str
        Of values and outputs: "logit", "probability" or "target".
    standard_error : ndarray like ``values``, optional
        Of methods that draw samples.
    residual : ndarray like ``outputs``, optional
        outputs − base − Σ values: 0 where the shares add up exactly.
    data : ndarray of shape (N, C), optional
        The rows as people read them, for figures.
    checks : dict
        Measured signs of trustworthiness, name → figure.
    warnings : tuple of str
        Why this explanation should not be relied upon; empty where nothing speaks against it.
    settings : dict
        What the method was called with.
    evaluations : int
        Rows that went forward through the network.
    seconds : float
        Time taken.
    """

    method: str
    values: Floats
    outputs: Floats
    base: Floats | None = None
    feature_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    unit: str = "logit"
    standard_error: Floats | None = None
    residual: Floats | None = None
    data: NDArray[Any] | None = None
    checks: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def several(self) -> bool:
        """Whether the last axis of ``values`` counts outputs."""
        return self.outputs.ndim == 2

    def importance(self) -> Floats:
        """Return the mean size of each feature's share, (C,) or (*shape,); over rows and outputs."""
        sizes = np.abs(self.values)
        return np.asarray(sizes.mean(axis=(0, sizes.ndim - 1) if self.several else 0))

    def summary(self) -> str:
        """Return what matters most, how well shares add up, and whether to rely on them."""
        count = f"{len(self.values):,} row{'s' * (len(self.values) != 1)}"
        if self.feature_names:
            sizes = self.importance()
            first = int(sizes.argmax())
            share = sizes[first] / sizes.sum() if sizes.sum() else 0.0
            lead = (
                f"{self.method}, {count}: {self.feature_names[first]!r} matters most "
                f"(mean size {sizes[first]:.3g} {self.unit}, {share:.0%} of all)"
            )
        else:
            lead = f"{self.method}, {count} of shape {self.values.shape[1:]}"
        if self.residual is not None:
            lead += f"; shares add up to the output within {np.abs(self.residual).max():.2g}"
        if self.standard_error is not None:
            lead += f"; largest standard error {np.nanmax(self.standard_error):.2g}"
        lead += "."
        return lead + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return the features by mean size, and what was checked."""
        found = []
        if self.feature_names:
            sizes = self.importance()
            order = np.argsort(-sizes, kind="stable")[:SHOWN]
            heads: tuple[str, ...] = ("feature", f"mean size ({self.unit})", "mean share")
            means = self.values.mean(axis=(0, -1) if self.several else 0)
            rows = [(self.feature_names[i], float(sizes[i]), float(means[i])) for i in order]
            if self.standard_error is not None:
                heads = (*heads, "mean standard error")
                errors = self.standard_error.mean(axis=(0, -1) if self.several else 0)
                rows = [(*row, float(errors[i])) for row, i in zip(rows, order, strict=True)]  # type: ignore[misc]
            found.append(Table(f"{self.method}: shares by feature", heads, tuple(rows)))
        if self.checks:
            found.append(Table("How far to trust it", ("check", "figure"), tuple(self.checks.items())))
        return found

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return name → function that draws it; besides ``ax=`` they take ``row=``, ``output=`` or ``feature=``."""
        if not self.feature_names:
            return {"heatmap": partial(draw_heatmap, self)} if self.values[0].ndim - self.several in (2, 3) else {}
        drawn: dict[str, Callable[..., Axes]] = {"bars": partial(draw_bars, self)}
        if len(self.values) > 1:
            drawn["beeswarm"] = partial(draw_beeswarm, self)
        drawn |= {"waterfall": partial(draw_waterfall, self), "force": partial(draw_force, self)}
        if len(self.values) > 1 and self.data is not None:
            drawn["dependence"] = partial(draw_dependence, self)
        return drawn

    def plot(self, name: str | None = None, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw one of ``figures()``, the first when no name is given.

        Parameters
        ----------
        name : {"bars", "beeswarm", "waterfall", "force", "dependence", "heatmap"}, optional
        ax : Axes, optional
        **options
            ``row`` of waterfall, force and heat map; ``feature`` of dependence; ``output`` of all but bars.

        Raises
        ------
        ValueError
            If there is no such figure.
        """
        drawn = self.figures()
        key = next(iter(drawn), None) if name is None else name
        if key is None or key not in drawn:
            raise ValueError(f"{type(self).__name__} has the figures {sorted(drawn)}; got {name!r}")
        return drawn[key](ax=ax, **options)
