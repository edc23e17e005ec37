"""What an explanation looks at: a predictor's rows as tensors, the score to explain, and the way back to columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.protocols import Predictor
from glia.data.frames import to_frame
from glia.explain.spaces import link

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """Rows of a predictor that are to be explained.

    Parameters
    ----------
    x : Tensor of shape (N, *shape)
        Prepared rows.
    score : callable
        (B, *shape) → (B, O): the explained outputs, differentiable; logits of classifiers, and of regressions values in
        the target's units.
    layout : Layout
        Of the prepared rows.
    feature_names : tuple of str
        Original columns; empty where rows are no vectors.
    groups : tuple of tuple of int
        For each original column the positions that were prepared from it; empty where rows are no vectors.
    output_names : tuple of str
        Of the O outputs.
    unit : {"logit", "probability", "target"}
        Of the outputs.
    data : ndarray of shape (N, C), optional
        The rows as people read them.
    finish : callable
        (B, all outputs) → (B, O): explained outputs for the network's own; ``score`` is the forward pass, then this.
    owners : tuple of int
        Of sequences, rows (T, P): which of the C original channels each of the P prepared ones tells of; −1 for the
        mask, which says what is there and is never moved. Empty for all other rows.
    """

    x: Tensor
    score: Callable[[Tensor], Tensor]
    layout: Layout
    feature_names: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    output_names: tuple[str, ...]
    unit: str
    data: NDArray[Any] | None
    finish: Callable[[Tensor], Tensor]
    owners: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """Original channels of sequences; 0 for all other rows."""
        return max(self.owners, default=-1) + 1

    def fold(self, values: Floats) -> Floats:
        """Sum values of prepared features, (N, D, …), back to the original columns, (N, C, …).

        Of sequences (N, T, P, …) they are summed to the original channels, (N, T, C, …).
        """
        if self.owners:
            places = [[i for i, owner in enumerate(self.owners) if owner == c] for c in range(self.channels)]
            return np.stack([values[:, :, own].sum(axis=2) for own in places], axis=2)
        if not self.groups or all(len(where) == 1 for where in self.groups):
            return values if not self.groups else np.asarray(values[:, [where[0] for where in self.groups]])
        return np.stack([values[:, list(where)].sum(axis=1) for where in self.groups], axis=1)

    def shaped(self, values: Floats) -> Floats:
        """Drop the last axis, which counts outputs, where there is one output only."""
        return values[..., 0] if len(self.output_names) == 1 else values


def subject(
    predictor: Predictor, X: Any, *, output: int | str | Sequence[int | str] | None = None, space: str = "logit"
) -> Subject:
    """Prepare rows and choose what is explained.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    output : int, str or sequence of them, optional
        The outputs to explain, by position or by name (class or target); all of them by default. A classifier for two
        classes has one score, which speaks for the second class.

    Raises
    ------
    InputError
        If there is no such output.
    """
    x = predictor.prepare(X)
    layout = getattr(predictor, "layout_", Layout(tuple(x.shape[1:])))
    with torch.no_grad():
        count = predictor.forward(x[:1]).shape[1]
    names = _output_names(predictor, count)
    chosen = _chosen(output, names)
    scale, mean = _units(predictor, count, x)
    linked = link(predictor, space)

    def finish(raw: Tensor) -> Tensor:
        if scale is not None and mean is not None:
            raw = raw * scale + mean
        return linked(raw)[:, chosen]

    def score(batch: Tensor) -> Tensor:
        return finish(predictor.forward(batch))

    groups: dict[str, tuple[int, ...]] = layout.groups() if layout.features else {}
    if not groups and x.ndim == 2:
        groups = {name: (i,) for i, name in enumerate(predictor.feature_names)}
    columns = tuple(name for name in predictor.feature_names if name in groups) or tuple(groups)
    return Subject(
        x,
        score,
        layout,
        columns,
        tuple(groups[name] for name in columns),
        tuple(names[i] for i in chosen),
        "target" if predictor.task_ == "regression" else space,
        _readable(X, columns, len(x)),
        finish,
        _owners(predictor, x),
    )


def _owners(predictor: Any, x: Tensor) -> tuple[int, ...]:
    """Return what the preparation of sequences says of its channels; empty where rows are of another kind."""
    owners = tuple(getattr(getattr(predictor, "preparation_", None), "owners_", ()))
    return owners if x.ndim == 3 and len(owners) == x.shape[2] else ()


def _output_names(predictor: Any, count: int) -> tuple[str, ...]:
    classes = None if predictor.task_ == "regression" else getattr(predictor, "classes_", None)
    if predictor.task_ == "binary" and classes is not None and count == 1:
        return (str(classes[-1]),)
    if classes is not None and len(classes) == count and not isinstance(classes, list):
        return tuple(str(label) for label in classes)
    named = getattr(predictor, "target_name_", None)
    if isinstance(named, list) and len(named) == count:
        return tuple(str(name) for name in named)
    return (str(named) if isinstance(named, str) else "output",) if count == 1 else tuple(map(str, range(count)))


def _chosen(output: int | str | Sequence[int | str] | None, names: tuple[str, ...]) -> list[int]:
    if output is None:
        return list(range(len(names)))
    wanted = [output] if isinstance(output, (int, str, np.integer)) else list(output)
    chosen = []
    for one in wanted:
        if isinstance(one, str) and one in names:
            chosen.append(names.index(one))
        elif not isinstance(one, str) and -len(names) <= int(one) < len(names):
            chosen.append(int(one) % len(names))
        else:
            raise InputError("output must be a position or a name", repr(one), f"choose from {', '.join(names[:20])}")
    return chosen


def _units(predictor: Any, count: int, x: Tensor) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Return scale and mean of a regression's target, which Glia's estimators standardise."""
    target = getattr(predictor, "target_", None)
    scale, mean = getattr(target, "scale", None), getattr(target, "mean", None)
    if predictor.task_ != "regression" or scale is None or mean is None or np.size(scale) != count:
        return None, None
    return torch.as_tensor(scale).float().to(x.device), torch.as_tensor(mean).float().to(x.device)


def _readable(X: Any, columns: tuple[str, ...], rows: int) -> NDArray[Any] | None:
    if not columns:
        return None
    try:
        frame = to_frame(X)
    except InputError:
        return None
    if frame.height != rows or not set(columns) <= set(frame.columns):
        array = np.asarray(X) if not hasattr(X, "columns") else None
        return array if array is not None and array.shape == (rows, len(columns)) else None
    return np.stack([frame.get_column(name).to_numpy().astype(object) for name in columns], axis=1)
