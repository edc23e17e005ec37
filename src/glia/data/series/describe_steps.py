"""What a long table of steps holds: its sequences, and what is wrong with ids, times, targets and channels."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.errors import InputError, near
from glia.data.datetimes import find_formats, moment_expr
from glia.data.schema import Finding
from glia.data.series.describe_sequences import SequencesResult, Times, describe_sequences
from glia.data.series.sequences import from_parts
from glia.data.series.time_steps import find_step, said
from glia.data.targets import infer_task

_PLACE, _TIME = "__place", "__time"
FEW_VARY = 0.2
"""Where labels differ within a smaller share of the sequences than this, they may be slips: that is told."""


def describe_steps(
    frame: pl.DataFrame, *, id: str, time: str | None = None, target: str | None = None, name: str = "steps"
) -> SequencesResult:
    """Look at the sequences of a long table; what a fit would refuse is told as a grave finding.

    Parameters
    ----------
    frame : polars.DataFrame
        One row for each step.
    id : str
        Column that tells sequences apart.
    time, target : str, optional
        Columns of times, and of targets, which are the same in all steps of a sequence, or labels of its steps.
    name : str
        What the table is called.

    Raises
    ------
    InputError
        If a column is missing, there are no steps, or no column of numbers.
    """
    for what, column in (("id", id), ("time", time), ("target", target)):
        if column is not None and column not in frame.columns:
            raise InputError(f"the {what} must be a column", repr(column), near(column, frame.columns))
    found: list[Finding] = []
    loose = frame[id].null_count()
    if loose:
        found.append(
            Finding(
                "no-id",
                id,
                f"{counted(loose, 'step')} without a sequence that it belongs to; a fit refuses that.",
                "failure",
            )
        )
        frame = frame.filter(pl.col(id).is_not_null())
    if not frame.height:
        raise InputError("there must be steps", f"none with a value in {id!r}", "check the id")
    order = frame.select(pl.col(id).unique(maintain_order=True)).with_row_index(_PLACE)
    table = frame.join(order, on=id, how="left", maintain_order="left")
    times = None
    if time is not None:
        moments, kind = _moments(table[time])
        table = table.with_columns(moments.alias(_TIME)).sort(_PLACE, _TIME, maintain_order=True, nulls_last=True)
        times, told = _times(table, time, kind)
        found += told
    else:
        table = table.sort(_PLACE, maintain_order=True)
    y = None
    if target is not None:
        y, told = _targets(table, id, target)
        found += told
    channels, told = _channels(table, (id, time, target, _PLACE, _TIME))
    lengths = table[_PLACE].unique_counts().to_numpy().astype(np.intp)
    values = np.stack([column.to_numpy() for column in channels.values()], 1).astype(np.float64)
    sequences = from_parts(values, lengths, tuple(channels), tuple(order[id].to_list()))
    return describe_sequences(sequences, y, name=name, target=target or "label", times=times, findings=[*found, *told])


def _moments(column: pl.Series) -> tuple[pl.Series, str]:
    """Return times that can be ordered and subtracted, and of which kind: "number", "us" (microseconds), "words"."""
    if column.dtype.is_numeric():
        whole = column.dtype.is_integer() or not (column.drop_nulls() != column.drop_nulls().round()).any()
        return (column.cast(pl.Int64), "number") if whole else (column.cast(pl.Float64), "fraction")
    with suppress(InputError):  # words that are no dates
        read = column.to_frame().select(moment_expr(column.name, column.dtype, find_formats(column))).to_series()
        if read.null_count() == column.null_count():
            return read.cast(pl.Int64), "us"
    return column.cast(pl.String).rank("dense").cast(pl.Int64), "words"


def _times(table: pl.DataFrame, time: str, kind: str) -> tuple[Times, list[Finding]]:
    """Return what is known of the times of an ordered table, and what is wrong with them."""
    found, missing = [], table[_TIME].null_count()
    known = table.filter(pl.col(_TIME).is_not_null())
    single = known.unique([_PLACE, _TIME], maintain_order=True)
    twice = known.height - single.height
    if missing:
        found.append(
            Finding("no-time", time, f"{counted(missing, 'step')} without a time; a fit refuses that.", "failure")
        )
    if twice:
        repeated = known.filter(known.select(_PLACE, _TIME).is_duplicated())
        first = repeated[time][0]
        text = f"{counted(twice, 'step')} at a time that the sequence has already, {first} first; a fit refuses that."
        found.append(Finding("duplicate-times", time, text, "failure"))
    if kind == "words":
        text = f"Times such as {known[time][0]!r} are neither numbers nor dates: steps are ordered as words are."
        found.append(Finding("times-are-words", time, text))
    first, last = _ends(known, time, kind) if known.height else ("", "")
    places, moments = single[_PLACE].to_numpy(), single[_TIME].to_numpy()
    apart = np.diff(moments)[np.diff(places) == 0]
    step, irregular = _steps(apart, places, moments, kind)
    if irregular:
        share = irregular / len(apart)
        text = f"{irregular:,} of {len(apart):,} distances between steps ({share:.1%}) are not one {step}: networks "
        text += "see the order of steps, not how far they are apart."
        found.append(Finding("irregular-times", time, text, "warning" if share > 0.01 else "info"))
    return Times(time, first, last, step, len(apart), irregular, twice, missing), found


def _ends(known: pl.DataFrame, time: str, kind: str) -> tuple[str, str]:
    if kind == "us":
        return said(int(known[_TIME].min()), "us"), said(int(known[_TIME].max()), "us")  # type: ignore[arg-type]
    ordered = known.sort(_TIME)[time]
    return str(ordered[0]), str(ordered[-1])


def _steps(apart: NDArray[Any], places: NDArray[Any], moments: NDArray[Any], kind: str) -> tuple[str, int]:
    """Return the usual distance in words and how many others there are."""
    if not len(apart) or kind == "words":
        return "", 0
    if kind == "fraction":
        middle = float(np.median(apart))
        return f"{middle:.6g}", int((np.abs(apart - middle) > 1e-6 * max(middle, 1e-300)).sum())
    parts = np.split(moments, np.flatnonzero(np.diff(places)) + 1)
    step = find_step(parts, numbers=kind == "number")
    if step.unit != "month":
        return (f"step of {step.size}" if kind == "number" else step.words), int((apart != step.size).sum())
    odd = 0
    for part in parts:  # months differ in length: they are counted, not measured
        months = part.astype("M8[us]").astype("M8[M]").astype(np.int64)
        odd += int((np.diff(months) != step.size).sum())
    return step.words, odd


def _targets(table: pl.DataFrame, id: str, target: str) -> tuple[list[Any] | None, list[Finding]]:
    """Return the sequences' targets, ``None`` where steps have their own, and what is to be known of them."""
    own = table.group_by(_PLACE, maintain_order=True).agg(
        pl.col(id).first(), pl.col(target).drop_nulls().first().alias("y"),
        pl.col(target).drop_nulls().n_unique().alias("several"),
    )  # fmt: skip
    found = []
    several = own.filter(pl.col("several") > 1)
    if several.height:
        text = f"{counted(several.height, 'sequence')} with several values of {target!r}, {several[id][0]} first: "
        quantity = infer_task(table[target].drop_nulls()) == "regression"
        few = several.height < FEW_VARY * own.height
        text += "a fit refuses such quantities." if quantity else "a fit learns a label for every step."
        text += " If a sequence has one label, correct these rows." if few and not quantity else ""
        found.append(Finding("target-varies", target, text, "failure" if quantity else "warning" if few else "info"))
    unknown = own["y"].null_count()
    if unknown:
        found.append(
            Finding("target-missing", target, f"{counted(unknown, 'sequence')} without a target, left out of a fit.")
        )
    return None if several.height else own["y"].to_list(), found


def _channels(table: pl.DataFrame, taken: tuple[str | None, ...]) -> tuple[dict[str, pl.Series], list[Finding]]:
    """Return the columns of numbers, NaN where a value is missing, and what was left out."""
    kept: dict[str, pl.Series] = {}
    found = []
    for name in table.columns:
        if name in taken:
            continue
        column = table[name]
        if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
            text = f"{name!r} holds {column.dtype} and no numbers: a fit needs --drop {name}, or --group {name}."
            found.append(Finding("not-a-channel", name, text))
            continue
        values = column.cast(pl.Float64).fill_null(float("nan"))
        endless = int(values.is_infinite().sum())
        if endless:
            text = f"{counted(endless, 'infinite value')} in {name!r}; a fit refuses that."
            found.append(Finding("infinite", name, text, "failure"))
            values = pl.select(pl.when(values.is_infinite()).then(float("nan")).otherwise(values)).to_series()
        kept[name] = values
    if not kept:
        raise InputError("there must be a column of numbers", "none beside id, time and target", "add a channel")
    return kept, found
