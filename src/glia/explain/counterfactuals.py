"""Counterfactuals: the smallest changes of a row for which the model gives another answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.explain.column_grid import number_words
from glia.explain.counterfactual_search import Changes, Search, columns_of
from glia.explain.global_methods import picture
from glia.explain.original_rows import OriginalRows, original_rows
from glia.explain.plots.look import POINT, bare, new_axes, shorten, shown
from glia.explain.row_distance import RowDistance, rows_of
from glia.explain.subject import Floats
from glia.nn.modes import evaluating

UNUSUAL = 0.05
"""Further from all known rows than all but this share of them are from their neighbours."""


@dataclass(frozen=True)
class Counterfactual:
    """One way to another answer.

    Parameters
    ----------
    changes : dict
        Column → (value before, value after).
    answer : Any
        What the model says of the changed row.
    cost : float
        Sum of the moves: numbers in mean absolute deviations, categories 1 each.
    typical : float
        Share of known rows that are further from their nearest neighbour than the changed row is from its own; near 0
        there is no row like it.
    """

    changes: dict[str, tuple[Any, Any]]
    answer: Any
    cost: float
    typical: float

    def __str__(self) -> str:
        said = [f"{name}: {_words(before)} → {_words(after)}" for name, (before, after) in self.changes.items()]
        return f"{', '.join(said)} gives {_words(self.answer)}"


@dataclass(frozen=True)
class Explained:
    """The ways found for one row: its position, its answer, the answer that was wanted, and the ways."""

    row: int
    answer: Any
    wanted: str
    found: tuple[Counterfactual, ...]


@dataclass(frozen=True)
class CounterfactualsResult(Result):
    """Ways to another answer, row by row.

    Parameters
    ----------
    rows : tuple of Explained
        In the order of the rows.
    columns, immutable : tuple of str
        Columns that were free to change, and those that were not.
    evaluations : int
        Rows that went through the model.
    warnings : tuple of str
        Where none was found, and where what was found is unlike all known rows.
    """

    rows: tuple[Explained, ...]
    columns: tuple[str, ...]
    immutable: tuple[str, ...]
    evaluations: int
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return for how many rows there is a way, and the first one."""
        able = [row for row in self.rows if row.found]
        said = f"Another answer was found for {len(able)} of {len(self.rows)} rows."
        if able:
            counts = [len(row.found[0].changes) for row in able]
            middle = float(np.median(counts))
            columns = f"{middle:g} column{'' if middle == 1 else 's'}"
            said += f" The nearest changes {columns} (median). Row {able[0].row}: {able[0].found[0]}."
        return said + (f" Beware: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return one line per way."""
        lines = tuple(
            (row.row, str(row.answer), str(one), one.cost, one.typical) for row in self.rows for one in row.found
        )
        return [Table("Ways to another answer", ("row", "answer", "change", "cost", "typical"), lines)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``columns``: which columns the nearest ways change."""
        return {"columns": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        counts = Counter(name for row in self.rows if row.found for name in row.found[0].changes)
        names = [name for name, _ in counts.most_common(20)]
        heights = np.arange(len(names))[::-1]
        ax = new_axes(ax, 1.2 + 0.3 * max(1, len(names)))
        ax.barh(heights, [counts[name] for name in names], color=POINT, height=0.7)
        ax.set_yticks(heights, [shorten(name) for name in names])
        ax.set_xlabel(f"rows whose nearest way changes it, of {len(self.rows)}")
        ax.set_title(f"{shorten(names[0])} is changed most often" if names else "No way found", loc="left")
        return bare(ax)


@picture("counterfactuals")
def counterfactuals(
    predictor: Predictor,
    X: Any,
    *,
    background: Any = None,
    target: Any = None,
    immutable: Iterable[str] = (),
    ranges: Mapping[str, Any] | None = None,
    number: int = 3,
    most_changed: int = 3,
) -> CounterfactualsResult:
    """Find small changes of original columns that give another answer.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``; for classes or one value.
    X : rows
        N rows of a table.
    background : rows, optional
        Known rows, best from training: what values columns take, how much they vary, and what rows there are. By
        default the explained rows.
    target : class or (low, high), optional
        The wanted answer. By default the other class, of several the second most likely; values need a range, of which
        one end may be ``None``.
    immutable : iterable of str
        Columns that never change.
    ranges : mapping, optional
        Column → (low, high), "up" or "down" for numbers, a list of values for others. By default what is known.
    number : int
        Ways for each row, at least 1, as different as possible in the columns that they change.
    most_changed : int
        Most columns that change, at least 1.

    Returns
    -------
    CounterfactualsResult

    Raises
    ------
    InputError
        If rows are no table, the target is none, or a column is unknown.

    Notes
    -----
    Wachter, Mittelstadt and Russell, arXiv 1711.00399; several that differ: arXiv 1905.07697. All changes are of
    original columns, and every way that is returned was put to the model itself. Changes of one column are tried at
    observed values, the most promising ones together with a second and third; rows with the wanted answer are
    copied column by column; then each number goes back towards the row as far as the answer stays. Nothing is drawn by
    chance. A way says what the model does, not what would happen in the world.
    """
    if number < 1 or most_changed < 1:
        raise InputError("number and most_changed must be at least 1", f"number={number}, most_changed={most_changed}")
    fixed = tuple(immutable)
    taken = original_rows(predictor, X)
    known = taken.frame if background is None else original_rows(predictor, background).frame
    names = [str(n) for n in predictor.feature_names if str(n) in known.columns] or known.columns
    frame, known = taken.frame.select(names), known.select(names)
    columns = columns_of(known, fixed, ranges)
    apart = RowDistance.of(known[:2000])
    with evaluating(predictor.network_):
        model = _Model(predictor, taken)
        said = model.answers(frame)
        told = model.answers(known)
        usual = apart.usual()
        rows = []
        for i in range(frame.height):
            wanted = _wanted(model, frame[i], said[i], target)
            ask = wanted.ask
            able = known.filter(pl.Series(wanted.met(told)))[:500]
            search = Search(frame[i], columns, ask, apart, most_changed, number)
            ways = [] if ask(frame[i])[0][0] else _diverse(search.run(able), search, number)
            rows.append(Explained(i, _plain(said[i]), wanted.words, _described(ways, search, model, usual)))
    return CounterfactualsResult(
        tuple(rows), tuple(c.name for c in columns), fixed, model.evaluations, _warnings(rows, frame.height)
    )


class _Model:
    """Answers and scores of rows in a frame."""

    def __init__(self, predictor: Predictor, taken: OriginalRows) -> None:
        if predictor.task_ == "multilabel":
            raise InputError("counterfactuals need one answer a row", "several labels", "explain one label's network")
        self.predictor, self.taken, self.evaluations = predictor, taken, 0

    def answers(self, frame: pl.DataFrame) -> NDArray[Any]:
        """Return what the model says, (N,)."""
        self.evaluations += frame.height
        said = np.asarray(self.predictor.predict(self.taken.given(frame)))
        if said.ndim > 1 and said.shape[1] > 1:
            raise InputError("counterfactuals need one answer a row", f"{said.shape[1]} values")
        return said.reshape(len(said))

    @torch.no_grad()
    def scores(self, frame: pl.DataFrame) -> Floats:
        """Return a score per class, (N, C)."""
        raw = self.predictor.forward(self.predictor.prepare(self.taken.given(frame))).double().cpu().numpy()
        return np.asarray(np.hstack([np.zeros_like(raw), raw]) if self.predictor.task_ == "binary" else raw)


@dataclass(frozen=True)
class _Wanted:
    """The answer that is looked for: a class by its place, or a range."""

    model: _Model
    low: float
    high: float
    label: Any
    place: int

    @property
    def words(self) -> str:
        if self.place >= 0:
            return str(self.label)
        return f"{self.low:.4g} to {self.high:.4g}"

    def met(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers are wanted ones."""
        if self.place >= 0:
            return np.asarray(answers == self.label)
        values = answers.astype(np.float64)
        return np.asarray((values >= self.low) & (values <= self.high))

    def ask(self, frame: pl.DataFrame) -> tuple[NDArray[np.bool_], Floats]:
        """Return which rows have the wanted answer, and how far the others are from it."""
        answers = self.model.answers(frame)
        met = self.met(answers)
        if self.place >= 0:
            scores = self.model.scores(frame)
            gap = np.delete(scores, self.place, axis=1).max(axis=1) - scores[:, self.place]
            gap = gap - gap.min(initial=0.0)  # a decision may be taken elsewhere than at equal scores
        else:
            values = answers.astype(np.float64)
            gap = np.maximum(np.maximum(self.low - values, values - self.high), 0.0)
        return met, np.where(met, 0.0, np.maximum(gap, 1e-12))


def _wanted(model: _Model, row: pl.DataFrame, said: Any, target: Any) -> _Wanted:
    if model.predictor.task_ == "regression":
        if not isinstance(target, (tuple, list)) or len(target) != 2 or all(end is None for end in target):
            raise InputError("the target of a value must be a range (low, high)", f"target={target!r}")
        low, high = (-np.inf if target[0] is None else target[0], np.inf if target[1] is None else target[1])
        if not low <= high:
            raise InputError("the range must rise", f"target={target!r}")
        return _Wanted(model, float(low), float(high), None, -1)
    classes = list(getattr(model.predictor, "classes_", []))
    if target is None:
        order = np.argsort(-model.scores(row)[0], kind="stable").tolist()
        place = next(i for i in order if classes[i] != said)
    else:
        places = [i for i, label in enumerate(classes) if label == target or str(label) == str(target)]
        if not places:
            raise InputError("the target must be a class", repr(target), f"choose from {', '.join(map(str, classes))}")
        place = places[0]
    return _Wanted(model, 0.0, 0.0, classes[place], place)


def _diverse(found: list[Changes], search: Search, number: int) -> list[Changes]:
    """Return the smallest, then those that are small and change other columns than those taken before."""
    valid = [c for c, ok in zip(found, search.ask(rows_of(search.row, found))[0], strict=True) if ok] if found else []
    taken: list[Changes] = []
    while valid and len(taken) < number:
        near = [max((_alike(change, other) for other in taken), default=0.0) for change in valid]
        cost = [search.cost(change) * (1 + 2 * alike) for change, alike in zip(valid, near, strict=True)]
        taken.append(valid.pop(int(np.argmin(cost))))
        last = taken[-1]  # with more columns than these nothing would be gained
        valid = [c for c in valid if not last.keys() < c.keys() and _way(search, c) != _way(search, last)]
    return taken


def _way(search: Search, change: Changes) -> frozenset[tuple[str, Any]]:
    """Return the columns with the direction of numbers, and what others become."""
    found: set[tuple[str, Any]] = set()
    for name, value in change.items():
        before = search.row.get_column(name)[0]
        number = name in search.apart.scales and before is not None
        found.add((name, value > before if number else value))
    return frozenset(found)


def _alike(one: Changes, other: Changes) -> float:
    return len(one.keys() & other.keys()) / len(one.keys() | other.keys())


def _described(ways: list[Changes], search: Search, model: _Model, usual: Floats) -> tuple[Counterfactual, ...]:
    if not ways:
        return ()
    rows = rows_of(search.row, ways)
    answers, apart = model.answers(rows), search.apart.nearest(rows)
    return tuple(
        Counterfactual(
            {name: (search.row.get_column(name)[0], rows.get_column(name)[i]) for name in change},
            _plain(answers[i]),
            search.cost(change),
            float((usual >= apart[i] - 1e-9).mean()),
        )
        for i, change in enumerate(ways)
    )


def _words(value: Any) -> str:
    return number_words(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else shown(value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _warnings(rows: list[Explained], count: int) -> tuple[str, ...]:
    none = sum(not row.found for row in rows)
    odd = sum(bool(row.found) and row.found[0].typical < UNUSUAL for row in rows)
    said = [f"none was found for {none} of {count} rows (some may have the wanted answer already)"] if none else []
    if odd:
        said.append(f"the nearest way of {odd} rows leads to a row unlike all that are known")
    return tuple(said)
