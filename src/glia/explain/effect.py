"""What a column does to the output on average: the result of partial dependence and accumulated local effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from glia.core.errors import InputError, near
from glia.core.results import Result, Table
from glia.explain.plots.look import POINT, QUIET, bare, new_axes, shorten
from glia.explain.subject import Floats

WORDS = {"pdp": "Partial dependence", "ale": "Accumulated local effect"}


@dataclass(frozen=True)
class EffectResult(Result):
    """How the output moves with one column.

    Parameters
    ----------
    method : {"pdp", "ale"}
        Partial dependence (mean outputs) or accumulated local effects (around 0).
    column : str
        The original column.
    numeric : bool
        Whether its values have an order.
    at : ndarray of shape (G,)
        Numbers; of categories their places.
    labels : tuple of str
        The values as people read them.
    values, low, high : ndarray of shape (G, O)
        The effect with its interval.
    output_names : tuple of str
        Of the O outputs.
    unit : str
        Of the values: "logit", "probability" or "target".
    lines : ndarray of shape (R, G, O), optional
        Outputs of single rows (individual conditional expectations).
    rows, members : int
        How many rows and networks the intervals speak of.
    level : float
        Of the intervals.
    checks : dict
        Measured signs of trustworthiness.
    warnings : tuple of str
        Why this should not be relied upon.
    """

    method: str
    column: str
    numeric: bool
    at: Floats
    labels: tuple[str, ...]
    values: Floats
    low: Floats
    high: Floats
    output_names: tuple[str, ...]
    unit: str
    lines: Floats | None
    rows: int
    members: int
    level: float
    checks: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def size(self) -> float:
        """Return the largest move over the column's values, over outputs."""
        return float(np.ptp(self.values, axis=0).max())

    def summary(self) -> str:
        """Return where the output is lowest and highest, and whether to rely on it."""
        which = int(np.ptp(self.values, axis=0).argmax())
        curve = self.values[:, which]
        least, most = int(curve.argmin()), int(curve.argmax())
        of = f" of {self.output_names[which]}" if len(self.output_names) > 1 or self.unit != "target" else ""
        half = float((self.high - self.low)[:, which].max()) / 2
        said = (
            f"{WORDS[self.method]} of {self.column!r}: the {_unit(self.unit)}{of} goes from {curve[least]:.3g} at "
            f"{self.labels[least]} to {curve[most]:.3g} at {self.labels[most]} (± {half:.2g} at most)."
        )
        return said + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return the curve, for every output, and what was checked."""
        found = []
        for o, name in enumerate(self.output_names):
            rows = tuple(
                (label, float(self.values[g, o]), float(self.low[g, o]), float(self.high[g, o]))
                for g, label in enumerate(self.labels)
            )
            heads = (self.column, f"{_unit(self.unit)}", "low", "high")
            found.append(Table(f"{WORDS[self.method]} of {self.column}, {name}", heads, rows))
        if self.checks:
            found.append(Table("How far to trust it", ("check", "figure"), tuple(self.checks.items())))
        return found

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``effect``: a curve in its interval, or points; it also takes ``output=``."""
        return {"effect": self.draw}

    def plot(self, name: str | None = None, *, ax: Axes | None = None, output: int | str = 0) -> Axes:
        """Draw the effect on one output.

        Raises
        ------
        ValueError
            If there is no such figure.
        """
        if name not in (None, "effect"):
            raise ValueError(f"EffectResult has the figure 'effect'; got {name!r}")
        return self.draw(ax=ax, output=output)

    def draw(self, *, ax: Axes | None = None, output: int | str = 0) -> Axes:
        """Draw a curve with its interval over numbers, points with intervals over categories."""
        o = self._output(output)
        ax = new_axes(ax, 3.8)
        value, low, high = self.values[:, o], self.low[:, o], self.high[:, o]
        if self.numeric:
            for line in () if self.lines is None else self.lines[:, :, o]:
                ax.plot(self.at, line, color=QUIET, linewidth=0.6, alpha=0.5)
            ax.fill_between(self.at, low, high, color=POINT, alpha=0.2, linewidth=0)
            ax.plot(self.at, value, color=POINT, linewidth=2, marker="o", markersize=3)
        else:
            ax.errorbar(self.at, value, yerr=np.stack([value - low, high - value]), fmt="o", color=POINT, linewidth=1.5)
            ax.set_xticks(self.at, [shorten(label, 14) for label in self.labels], rotation=30 * (len(self.at) > 5))
        if self.method == "ale":
            ax.axhline(0, color="#5A626B", linewidth=0.8)
        of = f", {shorten(self.output_names[o], 24)}" if len(self.output_names) > 1 or self.unit != "target" else ""
        ax.set_xlabel(shorten(self.column))
        ax.set_ylabel(f"{'effect on the ' if self.method == 'ale' else 'mean '}{_unit(self.unit)}{of}")
        ax.set_title(self.title(o), loc="left")
        bare(ax, keep=("bottom", "left"))
        ax.grid(axis="y", color="#E9EBE8", linewidth=0.8)
        return ax

    def title(self, output: int = 0) -> str:
        """Return what the curve says, in words."""
        value, name = self.values[:, output], shorten(self.column)
        steps, middle = np.diff(value), 0.0 if self.method == "ale" else float(value.mean())
        tiny = 1e-6 * max(1.0, float(np.abs(value).max()))
        if not (self.low[:, output] > middle + tiny).any() and not (self.high[:, output] < middle - tiny).any():
            return f"{name} has no effect that can be told from none"
        if not self.numeric:
            return f"{self.labels[int(value.argmax())]} gives the highest output, {name}"
        rises = steps[steps > 0].sum() / np.abs(steps).sum()
        if rises > 0.95 or rises < 0.05:
            return f"The more {name}, the {'higher' if rises > 0.5 else 'lower'} the output"
        return f"The output is highest at {name} {self.labels[int(value.argmax())]}"

    def _output(self, output: int | str) -> int:
        if isinstance(output, str):
            if output not in self.output_names:
                raise InputError(
                    "output must be one of the explained ones", repr(output), near(output, self.output_names)
                )
            return self.output_names.index(output)
        if not -len(self.output_names) <= int(output) < len(self.output_names):
            raise InputError(
                "output must be one of the explained ones", str(output), f"there are {len(self.output_names)}"
            )
        return int(output) % len(self.output_names)


def _unit(unit: str) -> str:
    return "predicted value" if unit == "target" else unit
