"""The search for small changes of one row that give another answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.explain.row_distance import RowDistance, rows_of
from glia.explain.subject import Floats

Ask = Callable[[pl.DataFrame], tuple[NDArray[np.bool_], Floats]]
"""Rows → whether the model gives the wanted answer, and how far it is from it (0 where it does)."""
Changes = dict[str, Any]
POINTS, BEAM, SEEDS = 24, 12, 10
"""Values of a column that are tried; partial changes that are gone on with; rows of the wanted answer to start from."""
SECTIONS, ROUNDS = 16, 4
"""Each round looks at so many points between the last two."""
MOST_CHOICES = 30


@dataclass(frozen=True)
class Column:
    """What a column may become.

    Parameters
    ----------
    name : str
    values : tuple
        Candidates, observed ones.
    kind : {"float", "integer", "choice"}
        Numbers may become anything between candidates; choices may not.
    direction : {"", "up", "down"}
        Where numbers may only rise or fall.
    """

    name: str
    values: tuple[Any, ...]
    kind: str
    direction: str = ""

    def allowed(self, before: Any) -> list[Any]:
        """Return the candidates for a row with this value."""
        kept = [value for value in self.values if value != before]
        if self.direction and before is not None:
            up = self.direction == "up"
            kept = [value for value in kept if (value > before if up else value < before)]
        return kept


def columns_of(background: pl.DataFrame, immutable: Iterable[str], ranges: Mapping[str, Any] | None) -> list[Column]:
    """Return the columns that may change, with what they may become.

    Parameters
    ----------
    background : polars.DataFrame
        Observed rows.
    immutable : iterable of str
        Columns that stay as they are.
    ranges : mapping, optional
        Column → (low, high) with ``None`` for an open end, "up" or "down" for numbers; a list of values for others.

    Raises
    ------
    InputError
        If a name is unknown, a range is none, or nothing may change.
    """
    fixed, limits = set(immutable), dict(ranges or {})
    for name in (*fixed, *limits):
        if name not in background.columns:
            raise InputError("immutable and ranges must name columns", repr(name), near(name, background.columns))
    found = []
    for name, dtype in background.schema.items():
        if name in fixed:
            continue
        series, limit = background.get_column(name).drop_nulls(), limits.get(name)
        if dtype.is_numeric():
            found.append(_number(name, series, limit))
        else:
            counts = series.value_counts(sort=True).get_column(name).to_list()[:MOST_CHOICES]
            if limit is not None and (isinstance(limit, str) or not isinstance(limit, Sequence)):
                raise InputError("the range of a column of words must be a list of values", f"{name}={limit!r}")
            found.append(Column(name, tuple(counts if limit is None else limit), "choice"))
    found = [column for column in found if column.values]
    if not found:
        raise InputError("a column must be free to change", "none", "leave out some of immutable and ranges")
    return found


def _number(name: str, series: pl.Series, limit: Any) -> Column:
    integer = series.dtype.is_integer()
    values = np.unique(series.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy())
    direction = ""
    if isinstance(limit, str):
        if limit not in ("up", "down"):
            raise InputError("the range of a number must be (low, high), 'up' or 'down'", f"{name}={limit!r}")
        direction = limit
    elif limit is not None:
        if len(limit) != 2 or all(end is None for end in limit):
            raise InputError(
                "the range of a number must be (low, high)", f"{name}={limit!r}", "None leaves an end open"
            )
        low = -np.inf if limit[0] is None else float(limit[0])
        high = np.inf if limit[1] is None else float(limit[1])
        if not low <= high:
            raise InputError("the range of a number must rise", f"{name}={limit!r}")
        ends = [end for end in (low, high) if np.isfinite(end)]
        if integer:
            ends = [end for end in (np.ceil(low), np.floor(high)) if np.isfinite(end)]
        values = np.unique(np.concatenate([values[(values >= low) & (values <= high)], ends]))
    if len(values) > POINTS:
        values = np.unique(values[np.linspace(0, len(values) - 1, POINTS).round().astype(int)])
    plain = tuple(int(v) if integer else float(v) for v in values)
    return Column(name, plain, "integer" if integer else "float", direction)


@dataclass
class Search:
    """The changes of one row.

    Parameters
    ----------
    row : polars.DataFrame (1, C)
    columns : sequence of Column
    ask : callable
    apart : RowDistance
    most : int
        Most columns that change.
    wanted : int
        How many are looked for.
    """

    row: pl.DataFrame
    columns: Sequence[Column]
    ask: Ask
    apart: RowDistance
    most: int
    wanted: int

    def run(self, examples: pl.DataFrame) -> list[Changes]:
        """Return changes that give the wanted answer, the smallest first.

        Parameters
        ----------
        examples : polars.DataFrame
            Rows for which the model gives the wanted answer; may be empty.
        """
        found = self._from_examples(examples)
        partial: list[Changes] = [{}]
        for size in range(1, self.most + 1):
            tried = self._grown(partial)
            if not tried:
                break
            valid, gap = self.ask(rows_of(self.row, tried))
            found += self._nearest([change for change, ok in zip(tried, valid, strict=True) if ok])
            enough = len({frozenset(change) for change in found}) >= 2 * self.wanted
            if size >= 2 and enough:
                break
            open_ = [(float(g), self.cost(c), c) for c, ok, g in zip(tried, valid, gap, strict=True) if not ok]
            partial = self._beam(open_)
        found = self._refined(_unique(found))
        return sorted(_unique(found), key=self.cost)

    def cost(self, changes: Changes) -> float:
        """Return the sum of the columns' moves."""
        return sum(self.apart.one(name, self._before(name), value) for name, value in changes.items())

    def _before(self, name: str) -> Any:
        return self.row.get_column(name)[0]

    def _grown(self, partial: Sequence[Changes]) -> list[Changes]:
        """Return every partial change with one more column."""
        grown = []
        for change in partial:
            for column in self.columns:
                if column.name not in change:
                    grown += [{**change, column.name: v} for v in column.allowed(self._before(column.name))]
        return grown

    def _beam(self, open_: list[tuple[float, float, Changes]]) -> list[Changes]:
        """Return partial changes that brought the answer nearest, no more than three of the same columns."""
        kept: list[Changes] = []
        for order in (lambda one: one[0], lambda one: one[0] * (1 + one[1])):  # near at any price, and near for little
            taken: dict[frozenset[str], int] = {}
            count = 0
            for _, _, change in sorted(open_, key=order):
                key = frozenset(change)
                if taken.get(key, 0) < 3 and count < BEAM // 2:
                    taken[key] = taken.get(key, 0) + 1
                    count += 1
                    kept.append(change)
        return _unique(kept)

    def _nearest(self, valid: Sequence[Changes]) -> list[Changes]:
        """Return for every set of columns the few smallest changes."""
        by_columns: dict[frozenset[str], list[Changes]] = {}
        for change in sorted(valid, key=self.cost):
            same = by_columns.setdefault(frozenset(change), [])
            if len(same) < 3:
                same.append(change)
        return sorted((c for same in by_columns.values() for c in same), key=self.cost)[: 6 * self.wanted]

    def _from_examples(self, examples: pl.DataFrame) -> list[Changes]:
        """Return what the nearest rows of the wanted answer have otherwise, with nothing that is not needed."""
        if not examples.height:
            return []
        order = np.argsort(self.apart.between(self.row, examples)[0], kind="stable")[:SEEDS]
        whole = []
        for i in order.tolist():
            change = {}
            for column in self.columns:
                value, before = examples.get_column(column.name)[i], self._before(column.name)
                if value is not None and value != before and _within(column, value, before):
                    change[column.name] = value
            whole.append(change)
        found = []
        for change in whole:
            if not change or not self.ask(rows_of(self.row, [change]))[0][0]:
                continue
            while len(change) > 1:  # take back one column after the other
                fewer = [{k: v for k, v in change.items() if k != name} for name in change]
                valid, _ = self.ask(rows_of(self.row, fewer))
                able = [one for one, ok in zip(fewer, valid, strict=True) if ok]
                if not able:
                    break
                change = min(able, key=self.cost)
            if len(change) <= self.most:
                found.append(change)
        return found

    def _refined(self, found: list[Changes]) -> list[Changes]:
        """Move every number back towards the row as far as the answer stays; all candidates at once."""
        found = [dict(change) for change in sorted(found, key=self.cost)[: 8 * self.wanted]]
        numbers = {column.name: column.kind for column in self.columns if column.kind != "choice"}
        for turn in range(self.most):
            moving = []
            for i, change in enumerate(found):
                names = [n for n in change if n in numbers and self._before(n) is not None]
                names.sort(key=lambda n, c=change: -self.apart.one(n, self._before(n), c[n]))  # type: ignore[misc]
                if turn < len(names):
                    moving.append((i, names[turn]))
            if moving:
                self._sections(found, moving, numbers)
        return self._pruned(found)

    def _pruned(self, found: list[Changes]) -> list[Changes]:
        """Take back columns that are not needed, one at a time."""
        for _ in range(self.most - 1):
            fewer = [
                (i, {k: v for k, v in change.items() if k != name})
                for i, change in enumerate(found)
                if len(change) > 1
                for name in change
            ]
            if not fewer:
                break
            valid, _ = self.ask(rows_of(self.row, [change for _, change in fewer]))
            able = [one for one, ok in zip(fewer, valid, strict=True) if ok]
            if not able:
                break
            for i, change in sorted(able, key=lambda one: -self.cost(one[1])):
                found[i] = change
        return found

    def _sections(self, found: list[Changes], moving: list[tuple[int, str]], numbers: dict[str, str]) -> None:
        bounds = [(0.0, 1.0)] * len(moving)  # the way from the row's value to the found one
        ends = [(float(self._before(name)), float(found[i][name])) for i, name in moving]
        for _ in range(ROUNDS):
            tried: list[Changes] = []
            steps = []
            for (i, name), (low, high), (start, end) in zip(moving, bounds, ends, strict=True):
                shares = low + (high - low) * np.arange(1, SECTIONS) / SECTIONS
                steps.append(shares)
                for share in shares.tolist():
                    value = start + share * (end - start)
                    tried.append({**found[i], name: round(value) if numbers[name] == "integer" else value})
            valid = self.ask(rows_of(self.row, tried))[0].reshape(len(moving), SECTIONS - 1)
            for place, ((i, name), shares) in enumerate(zip(moving, steps, strict=True)):
                hits = np.flatnonzero(valid[place])
                low, high = bounds[place]
                if len(hits):
                    found[i][name] = tried[place * (SECTIONS - 1) + int(hits[0])][name]
                    bounds[place] = (low if hits[0] == 0 else float(shares[hits[0] - 1]), float(shares[hits[0]]))
                else:
                    bounds[place] = (float(shares[-1]), high)


def _within(column: Column, value: Any, before: Any) -> bool:
    if column.kind == "choice":
        return value in column.values
    inside = column.values[0] <= value <= column.values[-1]
    if column.direction and before is not None:
        inside = inside and (value > before if column.direction == "up" else value < before)
    return bool(inside)


def _unique(found: Iterable[Changes]) -> list[Changes]:
    return list({tuple(sorted((k, repr(v)) for k, v in change.items())): change for change in found if change}.values())
