"""From a table with gaps to an account of them, a recommendation, and the table without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.core.seeds import derive, numpy_rng
from glia.data.column_roles import ColumnRole
from glia.data.missing import (
    MECHANISMS,
    LittleTest,
    Predictability,
    TableEncoding,
    columns_missing,
    little_test,
    pairs_missing,
    patterns,
    predictability,
)
from glia.data.preparation_rows import positions
from glia.data.read import read
from glia.data.table import Table
from glia.data.targets import check_target, infer_task
from glia.repair.compare import compare_remedies
from glia.repair.downstream import DownstreamError, compare_downstream
from glia.repair.recommend import recommend
from glia.repair.remedies import REMEDIES, Remedy, draws, find_remedy, guess
from glia.repair.result import RepairResult

MOST_TESTED = 40
"""Columns of the matrix that Little's test looks at: of wide tables those with the most gaps."""
DEFAULT_RATE = 0.1
ALPHA = 0.05


def repair(
    source: Any,
    *,
    target: str | None = None,
    roles: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    time: str | None = None,
    max_rows: int = 1500,
    repeats: int = 5,
    rate: float | None = None,
    remedies: Sequence[str] | None = None,
    random_state: int = 0,
    tell: Callable[[str], None] = lambda what: None,
) -> RepairResult:
    """Look at what is missing in a table, and compare the remedies on its own values.

    Parameters
    ----------
    source : str, Path, frame, array or Table
        What ``glia.read`` takes.
    target : str, optional
        Column to be predicted: never filled in, never used to fill in others, and used to judge the remedies.
    roles : mapping of str to str, optional
        Column → role, instead of the inferred one.
    drop : sequence of str
        Columns to leave out.
    time : str, optional
        Column along which rows are interpolated; their order by default.
    max_rows : int
        Most rows that remedies are compared on, a random sample in the table's order.
    repeats : int
        Masks per mechanism, at least 1; two or more give intervals.
    rate : float, optional
        Share of the observed values that a mask takes away; by default the share that is missing in the columns with
        gaps, between 2 and 50 %, and 10 % where nothing is missing.
    remedies : sequence of str, optional
        Which are compared; all by default.
    random_state : int
        Seed of samples, masks and remedies.
    tell : callable
        Told what is done next; ``steps`` says how often.

    Raises
    ------
    InputError
        If the table or a setting cannot be used.
    """
    table = source if isinstance(source, Table) else read(source, roles=roles, drop=drop)
    encoding = encode_inputs(table, target)
    if not encoding.columns:
        raise InputError("the table must have a column that can be filled in", table.name, "check glia describe")
    if repeats < 1 or max_rows < 20:
        raise InputError("a comparison needs at least 1 repeat and 20 rows", f"repeats={repeats}, max_rows={max_rows}")
    chosen = chosen_remedies(remedies)
    frame = table.frame
    missing = encoding.missing(frame)
    gappy = columns_missing(missing, encoding.names)
    sample = _sample(len(frame), max_rows, random_state)
    part = frame[sample]
    x, codes = encoding.encode(part), encoding.codes(part)
    tell("what the gaps depend on")
    little, predictable = _dependence(x, encoding, random_state)
    seen = float(np.mean([one.share for one in gappy])) if gappy else DEFAULT_RATE
    used = float(np.clip(seen, 0.02, 0.5)) if rate is None else rate
    place = None if time is None else row_positions(part, time, table)
    mechanisms = MECHANISMS if len(encoding.columns) > 1 else ("mcar", "mnar")
    filling = [remedy for remedy in chosen if remedy.fills]
    errors = compare_remedies(
        x, codes, encoding, filling, mechanisms,
        rate=used, repeats=repeats, position=place, random_state=random_state, tell=tell,
    )  # fmt: skip
    task, downstream = _judge(part, x, target, encoding, chosen, place, random_state, tell)
    recommended, reason = recommend(errors, downstream)
    return RepairResult(
        table.name, len(frame), missing.size, int((~missing.any(axis=1)).sum()), int(missing.sum()), gappy,
        patterns(missing, encoding.names), pairs_missing(missing, encoding.names), _left_alone(table, encoding),
        little, predictable, _verdict(gappy, little, predictable), used, len(part), repeats, errors, task, downstream,
        recommended, reason,
    )  # fmt: skip


def _judge(
    part: pl.DataFrame,
    x: NDArray[np.float64],
    target: str | None,
    encoding: TableEncoding,
    remedies: Sequence[Remedy],
    position: NDArray[np.float64] | None,
    seed: int,
    tell: Callable[[str], None],
) -> tuple[str, tuple[DownstreamError, ...]]:
    """Return the task and what the remedies are worth for it, where there is a target and something is missing."""
    if target is None:
        return "", ()
    task = infer_task(part[target])
    known = part[target].is_not_null().to_numpy()
    if not np.isnan(x[known]).any():
        return task, ()
    y = part[target].drop_nulls()
    values = y.to_numpy().astype(np.float64) if task == "regression" else np.asarray(y.cast(pl.String).to_list())
    place = None if position is None else position[known]
    found = compare_downstream(
        x[known], values, encoding.blocks, remedies, task, position=place, random_state=seed, tell=tell
    )
    return task, found


def steps(table: Table, target: str | None, repeats: int, remedies: Sequence[str] | None = None) -> int:
    """Return how often ``repair`` tells what it does next, for a progress line."""
    chosen = chosen_remedies(remedies)
    encoding = encode_inputs(table, target)
    mechanisms = 3 if len(encoding.columns) > 1 else 2
    judged = len(chosen) if target is not None and encoding.missing(table.frame).any() else 0
    return 1 + mechanisms * repeats * sum(remedy.fills for remedy in chosen) + judged


def complete(
    table: Table,
    remedy: str,
    *,
    target: str | None = None,
    time: str | None = None,
    random_state: int = 0,
) -> list[pl.DataFrame]:
    """Return the table without gaps: one frame, and of a multiple imputation each of its completed sets.

    ``delete`` leaves incomplete rows out; ``native`` leaves everything as it is. Columns that cannot be filled in keep
    their gaps, and so does the target.

    Raises
    ------
    InputError
        If the remedy, the target or the time column is unknown.
    """
    chosen, encoding, frame = find_remedy(remedy), encode_inputs(table, target), table.frame
    if chosen.name == "native":
        return [frame]
    if chosen.name == "delete":
        return [frame.filter(pl.Series(~encoding.missing(frame).any(axis=1)))]
    position = None if time is None else row_positions(frame, time, table)
    x = encoding.encode(frame)
    sets = [own for own, _ in draws(chosen, x, None, encoding.blocks, position=position, random_state=random_state)]
    if chosen.sets > 1:
        return [encoding.fill(frame, own) for own in sets]
    return [encoding.fill(frame, guess(encoding, sets)[0])]


def encode_inputs(table: Table, target: str | None) -> TableEncoding:
    """Return the encoding of the columns that can be filled in; the target is none of them.

    Raises
    ------
    InputError
        If there is no such target, or nothing can be learned from it.
    """
    if target is not None:
        if target not in table.frame.columns:
            raise InputError(
                "the target must be a column of the table", f"target={target!r}", near(target, table.columns)
            )
        check_target(table.frame, target)
    roles = {column.name: column.role for column in table.schema.columns if column.name != target}
    frame = table.frame.select([name for name in table.frame.columns if name in roles])
    return TableEncoding.fit(frame.select([n for n in frame.columns if roles[n] not in ("id", "ignored")]), roles)


def chosen_remedies(names: Sequence[str] | None) -> list[Remedy]:
    """Return the remedies of these names, all by default."""
    return list(REMEDIES) if names is None else [find_remedy(name) for name in names]


def row_positions(frame: pl.DataFrame, time: str, table: Table) -> NDArray[np.float64]:
    """Return where rows lie along a column of numbers or dates, (N,).

    Raises
    ------
    InputError
        If there is no such column, or it holds neither.
    """
    if time not in frame.columns:
        raise InputError("time must name a column of the table", f"time={time!r}", near(time, frame.columns))
    column = table.schema.column(time)
    dated = column.role == "datetime" or frame.schema[time].is_temporal()
    found = positions(frame, time, ColumnRole("datetime" if dated else "numeric", (), column.format))
    if not np.isfinite(found).any():
        raise InputError("time must name a column of numbers or dates", f"time={time!r} ({frame.schema[time]})")
    return found


def _sample(rows: int, most: int, seed: int) -> NDArray[np.intp]:
    if rows <= most:
        return np.arange(rows)
    return np.sort(numpy_rng(seed, "repair", "rows").choice(rows, most, replace=False))


def _dependence(
    x: NDArray[np.float64], encoding: TableEncoding, seed: int
) -> tuple[LittleTest | None, tuple[Predictability, ...]]:
    """Return Little's test, and how well the gaps of each column are told from the others."""
    if not np.isnan(x).any():
        return None, ()
    columns: list[int] = []
    for block in sorted(encoding.blocks, key=lambda b: -int(np.isnan(x[:, b.start]).sum())):
        own = list(
            range(block.start, max(block.start + 1, block.stop - 1))
        )  # the last one-hot column follows from the rest
        columns += own if len(columns) + len(own) <= MOST_TESTED else []
    seed = derive(seed, "repair", "folds") % 2**31
    return little_test(x[:, sorted(columns)]), predictability(x, encoding.blocks, encoding.names, random_state=seed)


def _verdict(gappy: Sequence[Any], little: LittleTest | None, predictable: Sequence[Predictability]) -> str:
    if not gappy:
        return "complete"
    if any(one.depends for one in predictable) or (little is not None and little.p_value < ALPHA):
        return "mar"
    return "mcar" if predictable or little is not None else "unknown"


def _left_alone(table: Table, encoding: TableEncoding) -> tuple[str, ...]:
    known = set(encoding.names)
    gaps = table.frame.null_count().row(0)
    return tuple(name for name, count in zip(table.frame.columns, gaps, strict=True) if count and name not in known)
