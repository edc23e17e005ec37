"""Checks of a table whose columns have their roles: gaps, copies, tails, the target, leaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import polars as pl

from glia.data.find_leaks import FIRST_ROWS, find_leaks
from glia.data.findings import (
    cardinality_findings,
    count_copies,
    duplicate_findings,
    missing_findings,
    row_hashes,
    tail_findings,
    target_findings,
)
from glia.data.roles_overview import LONG, Overview, take
from glia.data.schema import INPUT_ROLES, Column, Finding
from glia.data.targets import MOST_CLASSES

_RARE, _TOPPED_UP = 1_000, 5_000  # rows of a class in the sample: with fewer than the one it gets the other more


def check_columns(frame: pl.DataFrame, columns: Sequence[Column], view: Overview) -> list[Finding]:
    """Return findings on a table in its final types.

    Parameters
    ----------
    frame : polars.DataFrame
        All rows (N, D).
    columns : sequence of Column
        Its columns with their roles.
    view : Overview
        What was known before the types were settled.

    Notes
    -----
    From 100,000 rows on, tails and leaks are looked for in a sample of rows to which rows of rare classes of the target
    are added, and the checks run side by side.
    """
    long = frame.height >= LONG
    sample = _final_sample(frame, view) if long else take(frame, view.where)
    candidates = [column.name for column in columns if column.role in INPUT_ROLES and column.role != "text"]
    checks: list[Callable[[], list[Finding]]] = [
        lambda: _duplicates(frame, columns) if long else duplicate_findings(frame, columns),
        lambda: tail_findings(sample, columns),
    ]
    for column in columns:
        if column.role == "target":
            checks.append(partial(_target_gaps, column, frame.height))
            if column.unique > 1:
                checks.append(partial(target_findings, frame, column.name))
                checks.append(partial(_leaks, frame, sample, column, candidates, view))
    found = [*missing_findings(columns, frame.height), *cardinality_findings(columns, frame.height)]
    if not long:
        return found + [finding for check in checks for finding in check()]
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        running = [pool.submit(check) for check in checks]
        return found + [finding for check in running for finding in check.result()]


def _target_gaps(column: Column, rows: int) -> list[Finding]:
    if not column.missing:
        return []
    message = f"The target {column.name!r} is missing in {column.missing:,} of {rows:,} rows."
    return [Finding("target-missing", column.name, message)]


def _leaks(
    frame: pl.DataFrame, sample: pl.DataFrame, target: Column, candidates: Sequence[str], view: Overview
) -> list[Finding]:
    if frame.height < LONG:
        return find_leaks(frame, target.name, candidates)
    return find_leaks(_with_rare(frame, sample, target, view), target.name, candidates, first=FIRST_ROWS)


def _final_sample(frame: pl.DataFrame, view: Overview) -> pl.DataFrame:
    """Return the sample in the final types; columns whose type has not changed are taken as they are."""
    before = view.frame.schema
    changed = [name for name, dtype in frame.schema.items() if dtype != before[name]]
    return view.sample.with_columns(take(frame.select(changed), view.where).get_columns()) if changed else view.sample


def _duplicates(frame: pl.DataFrame, columns: Sequence[Column]) -> list[Finding]:
    """Do what ``duplicate_findings`` does, unless the rows differ already in a few columns."""
    key = _key(frame, [column for column in columns if column.role in (*INPUT_ROLES, "target", "group")])
    hashes = row_hashes(frame.select(key)) if key else None
    if hashes is None:
        return duplicate_findings(frame, columns)
    ordered = np.sort(hashes.to_numpy())
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(again):
        return []
    alike = [column.name for column in columns if column.role in (*INPUT_ROLES, "target", "group")]
    if len(again) < 0.001 * frame.height and not count_copies(frame.select(alike).filter(hashes.is_in(again))):
        return []
    return duplicate_findings(frame, columns)


def _key(frame: pl.DataFrame, columns: Sequence[Column]) -> list[str]:
    """Return columns by which any two rows probably differ, those with the most values first; none if all are few."""
    key, alike = [], 0.5 * frame.height**2
    for column in sorted(columns, key=lambda column: -column.unique):
        dtype = frame.schema[column.name]
        if not column.unique or dtype.is_nested() or dtype == pl.Object:
            continue
        key.append(column.name)
        alike *= (column.missing / frame.height) ** 2 + 1 / column.unique
        if alike < 0.1:
            return key
    return []


def _with_rare(frame: pl.DataFrame, sample: pl.DataFrame, target: Column, view: Overview) -> pl.DataFrame:
    """Return the sample with further rows of those classes of the target of which it holds few."""
    values = frame.get_column(target.name)
    if target.unique > MOST_CLASSES:
        return sample
    known = view.distinct.get(target.name)
    labels = values.drop_nulls().unique() if known is None or known.dtype != values.dtype else known
    counts = dict(sample.get_column(target.name).value_counts().rows())
    rng = np.random.default_rng(0)
    extra = []
    for label in labels.sort():
        if counts.get(label, 0) < _RARE:
            places = np.setdiff1d((values == label).arg_true().to_numpy(), view.where)
            extra.append(rng.choice(places, min(len(places), _TOPPED_UP), replace=False))
    return pl.concat([sample, take(frame, np.concatenate(extra))]) if any(map(len, extra)) else sample
