"""What all plots of attributions share: colours, axes, and the part of a result that one plot shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glia.core.errors import InputError, near

if TYPE_CHECKING:
    from glia.explain.attribution import AttributionResult

Floats = NDArray[np.float64]
SHOWN = 20
"""Most features in a plot."""
UP, DOWN, POINT, QUIET = "#E69F00", "#0072B2", "#0072B2", "#999999"
"""Shares that raise and lower the output, single series, and what is only context."""
INK = "#333333"
DIVERGING = LinearSegmentedColormap.from_list("blue_white_orange", [DOWN, "#FFFFFF", UP])
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class View:
    """One output of a result.

    Parameters
    ----------
    values, outputs : ndarray of shape (N, C) or (N, *shape), and (N,)
    base, error : ndarray or None
        Like ``outputs`` and like ``values``.
    names : tuple of str
        Of the C columns.
    unit, title : str
        Of the values, and the output's name where there are several.
    data : ndarray of shape (N, C) or None
    """

    values: Floats
    outputs: Floats
    base: Floats | None
    error: Floats | None
    names: tuple[str, ...]
    unit: str
    title: str
    data: NDArray[Any] | None

    @property
    def label(self) -> str:
        """What the axis of shares is called."""
        return f"share of the {self.unit if self.unit != 'target' else 'predicted value'}{self.title}"

    def order(self) -> NDArray[np.int64]:
        """Return the columns by mean size, at most ``SHOWN`` of them."""
        return np.argsort(-np.abs(self.values).mean(axis=0), kind="stable")[:SHOWN]


def view(result: AttributionResult, output: int | str = 0) -> View:
    """Return one output of a result.

    Raises
    ------
    InputError
        If it has no such output.
    """
    names = result.output_names
    if isinstance(output, str):
        if output not in names:
            raise InputError("output must be one of the explained ones", repr(output), near(output, names))
        place = names.index(output)
    else:
        place = int(output)
    count = result.outputs.shape[1] if result.several else 1
    if not -count <= place < count:
        raise InputError("output must be one of the explained ones", f"{output}", f"there are {count}")

    def one(array: Floats | None) -> Floats | None:
        return array if array is None or not result.several else np.asarray(array[..., place])

    title = f", {shorten(names[place], 24)}" if len(names) == count and (count > 1 or result.unit != "target") else ""
    values, outputs = one(result.values), one(result.outputs)
    if values is None or outputs is None:
        raise InputError("a result must have values and outputs", "none")
    return View(
        values,
        outputs,
        one(result.base),
        one(result.standard_error),
        result.feature_names,
        result.unit,
        title,
        result.data,
    )


def row_of(seen: View, row: int) -> int:
    """Return the position of a row, counted from the end where negative.

    Raises
    ------
    InputError
        If there is no such row.
    """
    if not -len(seen.values) <= row < len(seen.values):
        raise InputError("row must be one of the explained rows", f"row={row}", f"there are {len(seen.values)}")
    return row % len(seen.values)


def new_axes(ax: Axes | None, height: float, width: float = 7.0) -> Axes:
    """Return the axes to draw on: the given ones, or those of a new figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained").subplots() if ax is None else ax


def bare(ax: Axes, *, keep: tuple[str, ...] = ("bottom",)) -> Axes:
    """Take away the box, and set the grid behind the marks."""
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(side in keep)
    ax.grid(axis="x", color="#E9EBE8", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    return ax


def shorten(text: object, length: int = 28) -> str:
    """Return a text on one line, cut with an ellipsis."""
    line = " ".join(str(text).split()).replace("$", r"\$")  # dollars would begin mathematics
    return line if len(line) <= length else line[: length - 1] + "…"


def shown(value: Any) -> str:
    """Return a feature's value as a person reads it."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return shorten(value, 16)


def numbers(column: NDArray[Any]) -> Floats | None:
    """Return a column as numbers with NaN where it is missing, or ``None`` where it holds something else."""
    try:
        found = np.array([np.nan if v is None else v for v in column.tolist()], dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).any() else None


def signed(value: float) -> str:
    """Return a share with its sign."""
    return f"{value:+.3g}".replace("-", "−")
