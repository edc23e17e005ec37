"""Sequences as rows that are laid out when they are asked for; those of an array on disk stay there."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.series.sequences import Floats, Sequences, as_sequences
from glia.data.stream.mapped import gather, is_mapped
from glia.data.stream.row_store import blocks


class MappedSequences:
    """N sequences in an array on disk, of which some at a time are read.

    Parameters
    ----------
    array : ndarray (M, T) or (M, T, C)
        A memory map; see ``as_sequences``.
    where : ndarray of int (N,), optional
        The rows in use; all by default.
    lengths : ndarray of int (N,), optional
        Of these; by default the array is read once, block by block, to find them.

    Raises
    ------
    InputError
        If a sequence has no step, or a value is infinite.
    """

    ids: tuple[Any, ...] = ()

    def __init__(
        self, array: NDArray[Any], where: NDArray[np.intp] | None = None, lengths: NDArray[np.intp] | None = None
    ) -> None:
        if array.ndim not in (2, 3) or not array.size:
            as_sequences(np.zeros(array.shape))  # which says what is wrong
        self.array = array
        self.where = np.arange(len(array)) if where is None else where
        self.channels = tuple(f"x{i}" for i in range(1 if array.ndim == 2 else array.shape[2]))
        self.lengths: NDArray[np.intp] = self._find_lengths() if lengths is None else lengths

    def __len__(self) -> int:
        return len(self.where)

    def __getitem__(self, index: Any) -> MappedSequences:
        """Return the sequences at ``index``, an array of row numbers or a slice."""
        where = np.arange(len(self))[index]
        return MappedSequences(self.array, self.where[where], self.lengths[where])

    def read(self) -> Sequences:
        """Return all sequences in memory."""
        return as_sequences(gather(self.array, self.where))

    def dense(self, steps: int) -> Floats:
        """Return an array (N, steps, C + 1): see ``Sequences.dense``."""
        return self.read().dense(steps)

    def _find_lengths(self) -> NDArray[np.intp]:
        found = []
        for part in blocks(self.array.shape):
            try:
                found.append(as_sequences(gather(self.array, self.where[part])).lengths)
            except InputError as error:
                got = f"{error.got}, counted from sequence {part.start}" if part.start else error.got
                raise InputError(error.must, got, error.do) from error
        return np.concatenate(found)


class SequenceRows:
    """N of some sequences, of which nothing is copied until they are laid out.

    Parameters
    ----------
    sequences : Sequences or MappedSequences
        M of them.
    steps : int
        Of which sequences are laid out where nothing else is said.
    where : ndarray of int (N,), optional
        The rows in use; all by default.

    Attributes
    ----------
    shape : tuple of int
        ``(N,)``: rows, as other kinds of rows tell them.
    """

    def __init__(
        self, sequences: Sequences | MappedSequences, steps: int, where: NDArray[np.intp] | None = None
    ) -> None:
        self.sequences, self.steps = sequences, steps
        self.where = np.arange(len(sequences)) if where is None else where
        self.shape = (len(self.where),)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> SequenceRows:
        """Return the sequences at ``index``, an array of row numbers or a slice."""
        return SequenceRows(self.sequences, self.steps, self.where[index])

    @property
    def width(self) -> int:
        """Channels and the mask, C + 1."""
        return len(self.sequences.channels) + 1

    def whole(self, steps: int) -> SequenceRows:
        """Return the same rows, laid out in so many steps."""
        return SequenceRows(self.sequences, steps, self.where)

    def dense(self, steps: int | None = None) -> Floats:
        """Return an array (N, steps, C + 1): see ``Sequences.dense``."""
        return self.sequences[self.where].dense(self.steps if steps is None else steps)

    def identity(self) -> pl.DataFrame:
        """Return columns in which equal sequences, and only those, have equal values."""
        return pl.from_numpy(self.dense().reshape(len(self), -1))


def sequences_in(X: Any) -> Sequences | MappedSequences:
    """Return what ``as_sequences`` does, but leave an array on disk where it is."""
    if isinstance(X, MappedSequences):
        return X
    if isinstance(X, np.ndarray) and is_mapped(X) and X.dtype.kind in "biuf":
        return MappedSequences(X)
    return as_sequences(X)


def rows_of_sequences(X: Any) -> SequenceRows:
    """Return what ``sequences_in`` takes as rows, laid out as long as the longest."""
    if isinstance(X, SequenceRows):
        return X
    sequences = sequences_in(X)
    return SequenceRows(sequences, int(sequences.lengths.max()))
