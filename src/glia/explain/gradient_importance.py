"""Gradient importance: how far the output would move, to first order, if a column took other rows' values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.core.seeds import torch_rng
from glia.explain.entry import opened
from glia.explain.global_methods import picture
from glia.explain.plots.look import INK, POINT, SHOWN, bare, new_axes, shorten
from glia.explain.saliency import times_input
from glia.explain.subject import Floats

_Z = 1.959964


@dataclass(frozen=True)
class GradientImportanceResult(Result):
    """Sizes of first-order effects, the largest first.

    Parameters
    ----------
    names : tuple of str
        Of the C columns.
    values, standard_error : ndarray of shape (C,)
        Mean sizes over rows and outputs, in ``unit``; the error is over rows.
    unit : str
        "logit" or "target".
    rows, repeats : int
        Rows, and how many others each was compared with.
    curvature : float
        How far first-order effects are off: root mean square of the error of predicting the whole move to the other
        row, over that of the moves. 0 for linear networks.
    warnings : tuple of str
        Why this should not be relied upon.
    """

    names: tuple[str, ...]
    values: Floats
    standard_error: Floats
    unit: str
    rows: int
    repeats: int
    curvature: float
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return which column matters most, and whether to rely on it."""
        said = (
            f"Gradients say that {self.names[0]!r} matters most: another row's value would move the output by "
            f"{self.values[0]:.3g} (± {_Z * self.standard_error[0]:.2g}, {self.unit})."
        )
        return said + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return one row per column, and how far straight lines are off."""
        rows = tuple(
            (n, float(v), float(e)) for n, v, e in zip(self.names, self.values, self.standard_error, strict=True)
        )
        heads = ("column", f"mean size ({self.unit})", "standard error")
        trust = Table("How far to trust it", ("check", "figure"), (("curvature (0 is linear)", self.curvature),))
        return [Table(f"Gradient importance, {self.rows:,} rows", heads, rows), trust]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``importance``: bars from zero with intervals."""
        return {"importance": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        values, error = self.values[:SHOWN], _Z * self.standard_error[:SHOWN]
        heights = np.arange(len(values))[::-1]
        ax = new_axes(ax, 1.2 + 0.3 * len(values))
        ax.barh(heights, values, color=POINT, height=0.7)
        ax.errorbar(values, heights, xerr=error, fmt="none", ecolor=INK, capsize=2.5, lw=1)
        ax.set_yticks(heights, [shorten(name) for name in self.names[:SHOWN]])
        ax.set_xlabel(f"mean size of the first-order effect ({self.unit}, 95 % interval)")
        ax.set_title(f"{shorten(self.names[0])} matters most", loc="left")
        return bare(ax)


@picture("gradients", "gradient_importance")
def gradient_importance(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    repeats: int = 8,
    rows: int = 1000,
    random_state: int = 0,
) -> GradientImportanceResult:
    r"""Return E |∇f(x) · (x' − x)| for each column's part of the rows, x and x' being rows of the data.

    Parameters
    ----------
    predictor, output
        As in ``glia.explain.saliency``.
    X : rows
        N rows of a table.
    repeats : int
        Other rows that each row is compared with, at least 1.
    rows : int
        The first so many rows are used, at least 2.
    random_state : int
        Seed of who is compared with whom.

    Returns
    -------
    GradientImportanceResult

    Raises
    ------
    InputError
        If rows are no table, or the network cannot be differentiated.

    Notes
    -----
    One backward pass, however many columns. Sizes do not depend on the units of a column, and columns of one-hot parts
    or embedded categories have one figure. It is a first-order view: where the network bends between rows, the result
    says how far it is off, and above 0.75 that it should not be relied upon.
    """
    if repeats < 1 or rows < 2:
        raise InputError("repeats must be at least 1 and rows at least 2", f"repeats={repeats}, rows={rows}")
    with opened(predictor, X, output) as entry:
        if not entry.subject.groups:
            raise InputError("rows must have columns", f"rows of shape {tuple(entry.subject.x.shape[1:])}")
        points = [point for point, _ in zip(entry.parts_of(256), range(-(-rows // 256)), strict=False)]
        tensors = [torch.cat(parts)[:rows] for parts in zip(*(p.tensors for p in points), strict=True)]
        count = len(tensors[0])
        if count < 2:
            raise InputError("there must be at least two rows", f"{count}")
        outputs, slopes = _slopes(entry, points)
        outputs = outputs[:count]
        slopes = [[part[:count] for part in parts] for parts in slopes]
        rng = torch_rng(random_state, "gradient importance")
        sizes, missed, moved = [], 0.0, 0.0
        for _ in range(repeats):
            other = _derangement(count, rng)
            effects = times_input(entry, [t[other] - t for t in tensors], slopes)  # (N, C, O)
            whole = (outputs[other] - outputs).cpu().numpy()
            sizes.append(np.abs(effects).mean(axis=2))
            missed += float(((effects.sum(axis=1) - whole) ** 2).sum())
            moved += float((whole**2).sum())
        names, unit = entry.subject.feature_names, entry.subject.unit
    by_row = np.mean(sizes, axis=0)  # (N, C)
    mean, error = by_row.mean(axis=0), by_row.std(axis=0, ddof=1) / np.sqrt(count)
    order = np.argsort(-mean, kind="stable")
    bent = float(np.sqrt(missed / moved)) if moved > 0 else 0.0
    said = f"straight lines miss {bent:.0%} of how the output differs between rows"
    return GradientImportanceResult(
        tuple(names[i] for i in order), mean[order], error[order], unit, count, repeats, bent, (said,) * (bent > 0.75)
    )


def _slopes(entry: Any, points: Sequence[Any]) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    found = [entry.slopes(point) for point in points]
    outputs = torch.cat([one for one, _ in found])
    slopes = [
        [torch.cat(parts) for parts in zip(*(own[o] for _, own in found), strict=True)] for o in range(outputs.shape[1])
    ]
    return outputs, slopes


def _derangement(count: int, rng: torch.Generator) -> torch.Tensor:
    """Return another row for every row: a shuffled circle, moved on by one."""
    order = torch.randperm(count, generator=rng)
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other
