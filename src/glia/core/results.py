"""What operations return: frozen records that summarise, tabulate and draw themselves."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def jsonable(value: Any) -> Any:
    """Turn dataclasses, arrays, tuples and NumPy scalars into plain JSON data; non-finite floats become ``None``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


@dataclass(frozen=True)
class Table:
    """A small table for people: a title, column heads and rows of plain values."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def to_html(self) -> str:
        """Return an HTML table; numbers are right-aligned."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in self.rows)
        return (
            f"<table><caption>{html.escape(self.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _cell(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        return f'<td style="text-align:right;font-variant-numeric:tabular-nums">{shown}</td>'
    return f"<td>{html.escape(str(value))}</td>"


@dataclass(frozen=True)
class Result:
    """Base of all results: subclasses are frozen dataclasses that fill in ``summary``, ``tables`` and ``figures``."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = jsonable(self)
        return dict(data)

    def summary(self) -> str:
        """Return the answer in one sentence."""
        return type(self).__name__

    def tables(self) -> list[Table]:
        """Return the numbers as tables."""
        return []

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return name → function that draws on ``ax=`` and returns the axes."""
        return {}

    def plot(self, name: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw one of ``figures()`` (the first when no name is given).

        Raises
        ------
        ValueError
            If there is no such figure.
        """
        drawn = self.figures()
        key = next(iter(drawn), None) if name is None else name
        if key is None or key not in drawn:
            raise ValueError(f"{type(self).__name__} has the figures {sorted(drawn)}; got {name!r}")
        return drawn[key](ax=ax)

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.summary())}</p>" + "".join(table.to_html() for table in self.tables())


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.level:.0%} interval {self.low:.4g} to {self.high:.4g})"
