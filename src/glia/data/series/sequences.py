"""Sequences as users have them: arrays, lists of different lengths, or a long table; in one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.data.frames import to_frame

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sequences:
    """N sequences of C channels, whose lengths may differ.

    Parameters
    ----------
    values : ndarray (S, C)
        The steps of all sequences, one after the other; NaN where a value is missing.
    lengths : ndarray of int (N,)
        At least 1 each; they add up to S.
    channels : tuple of str
        Names of the C channels.
    ids : tuple
        Of the sequences, where they came from a table; else empty.
    """

    values: Floats
    lengths: NDArray[np.intp]
    channels: tuple[str, ...]
    ids: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> Sequences:
        """Return the sequences at ``index``, an array of row numbers or a slice."""
        where = np.arange(len(self))[index]
        ends = np.cumsum(self.lengths)
        kept = self.lengths[where]
        source = np.repeat(ends[where] - np.cumsum(kept), kept) + np.arange(int(kept.sum()))
        ids = tuple(self.ids[i] for i in where) if self.ids else ()
        return Sequences(self.values[source], kept, self.channels, ids)

    def dense(self, steps: int) -> Floats:
        """Return an array (N, steps, C + 1) whose last channel is the mask: 1 at real steps, which come first.

        Of longer sequences the last ``steps`` are kept; padding is 0.
        """
        n, c = len(self), self.values.shape[1]
        kept = np.minimum(self.lengths, steps)
        out = np.zeros((n, steps, c + 1))
        ends = np.cumsum(self.lengths)
        where = np.arange(steps)[None, :] < kept[:, None]  # (N, T)
        source = (ends - kept)[:, None] + np.arange(steps)[None, :]
        out[where, :c] = self.values[source[where]]
        out[..., c] = where
        return out


def as_sequences(X: Any) -> Sequences:
    """Return what users hand in as ``Sequences``.

    Parameters
    ----------
    X : Sequences, array (N, T) or (N, T, C), or list of arrays (T,) or (T, C)
        Numbers; NaN where a value is missing. In an array, steps at a sequence's end at which all channels are missing
        are padding.

    Raises
    ------
    InputError
        If it is none of these, a sequence has no step, the channels differ, or a value is infinite.
    """
    if isinstance(X, Sequences):
        return X
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf":
        return _from_array(X)
    if isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
        return _from_list(list(X))
    got = f"{type(X).__name__}" + (f" of dtype {X.dtype}" if isinstance(X, np.ndarray) else "")
    do = "for a long table call glia.data.series.sequences_of(frame, id=..., time=...)"
    raise InputError("sequences must be an array (N, T) or (N, T, C) of numbers, or a list of arrays", got, do)


def _from_array(X: NDArray[Any]) -> Sequences:
    if X.ndim not in (2, 3):
        do = "one sequence alone is X[None]"
        raise InputError("an array of sequences must be (N, T) or (N, T, C)", f"shape {X.shape}", do)
    cube = np.asarray(X[..., None] if X.ndim == 2 else X, dtype=np.float64)
    n, steps, c = cube.shape
    if n == 0:
        raise InputError("there must be rows", f"0 sample(s) (shape={X.shape}) while a minimum of 1 is required")
    if steps == 0 or c == 0:
        raise InputError("sequences must have at least one step and one channel", f"shape {X.shape}")
    there = np.asarray(~np.isnan(cube).all(axis=2))
    lengths = steps - there[:, ::-1].argmax(axis=1)
    _check_lengths(np.where(there.any(axis=1), lengths, 0), "of which some value is known")
    kept = np.arange(steps)[None, :] < lengths[:, None]
    whole = cube.reshape(-1, c) if kept.all() else cube[kept]  # the former copies nothing
    return _checked(whole, lengths.astype(np.intp), _names(c))


def _from_list(parts: list[Any]) -> Sequences:
    if not parts:
        raise InputError("there must be rows", "0 sample(s) while a minimum of 1 is required")
    arrays = []
    for number, part in enumerate(parts):
        try:
            array = np.asarray(part, dtype=np.float64)
        except (TypeError, ValueError) as error:
            got = f"sequence {number}: {str(error).splitlines()[0]}"
            raise InputError("every sequence must be an array (T,) or (T, C) of numbers", got) from error
        if array.ndim not in (1, 2):
            got = f"sequence {number} of shape {array.shape}"
            raise InputError("every sequence must be an array (T,) or (T, C)", got)
        arrays.append(array[:, None] if array.ndim == 1 else array)
    lengths = np.array([len(array) for array in arrays], dtype=np.intp)
    _check_lengths(lengths)
    widths = [array.shape[1] for array in arrays]
    odd = next((i for i, width in enumerate(widths) if width != widths[0]), None)
    if odd is not None or widths[0] == 0:
        got = f"{widths[0]} in the first" + ("" if odd is None else f" and {widths[odd]} in sequence {odd}")
        raise InputError("all sequences must have the same channels, at least one", got)
    return _checked(np.concatenate(arrays), lengths, _names(widths[0]))


def sequences_of(frame: Any, *, id: str, time: str | None = None, channels: Sequence[str] | None = None) -> Sequences:
    """Return the sequences of a long table: one row for each step.

    Parameters
    ----------
    frame : frame
        Polars, pandas, Arrow, ….
    id : str
        Column that tells sequences apart; they come in the order in which their ids first appear (``Sequences.ids``).
    time : str, optional
        Column by which the steps of a sequence are ordered; by default they stand in order.
    channels : sequence of str, optional
        Columns of numbers; by default all others.

    Raises
    ------
    InputError
        If a column is missing, a time is missing or there twice in a sequence, or a channel holds no numbers.
    """
    table = to_frame(frame)
    known = table.columns
    names = [name for name in known if name not in (id, time)] if channels is None else list(channels)
    for name in (id, *([] if time is None else [time]), *names):
        if name not in known:
            raise InputError("the table must have the column", repr(name), near(name, known))
    if not table.height or not names:
        raise InputError("there must be steps and channels", f"{table.height} rows, channels {names}")
    if table[id].null_count():
        raise InputError("every step must say which sequence it is of", f"{table[id].null_count()} without {id!r}")
    order = table.select(pl.col(id).unique(maintain_order=True)).with_row_index("__place")
    table = table.join(order, on=id, how="left", maintain_order="left")
    if time is not None:
        missing = table[time].null_count()
        twice = table.height - table.select(pl.struct(id, time).n_unique()).item()
        if missing or twice:
            got = f"{missing} missing" if missing else f"{twice} times that a sequence has twice"
            raise InputError(f"the times in {time!r} must be there, once in each sequence", got, "correct the rows")
        table = table.sort("__place", time, maintain_order=True)
    else:
        table = table.sort("__place", maintain_order=True)
    columns = []
    for name in names:
        column = table[name].cast(pl.Float64, strict=False)
        if column.null_count() > table[name].null_count():
            bad = table[name].filter(column.is_null() & table[name].is_not_null())[0]
            raise InputError("channels must be numbers", f"{bad!r} in {name!r}", "leave the column out with channels=")
        columns.append(column.fill_null(float("nan")).to_numpy())
    lengths = table["__place"].unique_counts().to_numpy().astype(np.intp)
    return _checked(np.stack(columns, 1).astype(np.float64), lengths, tuple(names), tuple(order[id].to_list()))


def from_parts(
    values: Floats, lengths: NDArray[np.intp], names: tuple[str, ...], ids: tuple[Any, ...] = ()
) -> Sequences:
    """Return sequences whose steps (S, C) stand one after the other, checked.

    Raises
    ------
    InputError
        If a sequence has no step, or a value is infinite.
    """
    _check_lengths(lengths)
    return _checked(values, lengths, names, ids)


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(count))


def _check_lengths(lengths: NDArray[Any], of: str = "") -> None:
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        got = f"sequence {int(empty[0])} of length 0" + (f" ({len(empty)} of them)" if len(empty) > 1 else "")
        raise InputError(f"every sequence must have at least one step{f' {of}' if of else ''}", got, "leave it out")


def _checked(values: Floats, lengths: NDArray[np.intp], names: tuple[str, ...], ids: tuple[Any, ...] = ()) -> Sequences:
    if np.isinf(values).any():
        step, channel = np.argwhere(np.isinf(values))[0]
        number = int(np.searchsorted(np.cumsum(lengths), step, side="right"))
        got = f"infinity in sequence {number}, channel {names[channel]!r}"
        raise InputError("values must be finite, or NaN where they are missing", got, "correct the value")
    return Sequences(values, lengths, names, ids)
