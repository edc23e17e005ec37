"""Sequences longer than a network reads, cut into windows that overlap by half, of which each step counts in one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.data.series import Sequences


def cut_evenly(
    sequences: Sequences, labels: list[NDArray[Any]], steps: int
) -> tuple[Sequences, list[NDArray[Any]], NDArray[np.intp]]:
    """Return sequences and their labels in parts of at most ``steps`` steps, and of which sequence each part is.

    A sequence is cut into parts of equal length, to a step; none overlap.
    """
    counts = -(-sequences.lengths // steps)
    lengths = [len(part) for whole, count in zip(sequences.lengths, counts, strict=True)
               for part in np.array_split(np.empty(whole, dtype=bool), count)]  # fmt: skip
    row = np.repeat(np.arange(len(sequences)), counts)
    ids = tuple(sequences.ids[i] for i in row) if sequences.ids else ()
    cut = Sequences(sequences.values, np.asarray(lengths, dtype=np.intp), sequences.channels, ids)
    parts = [part for whole, count in zip(labels, counts, strict=True) for part in np.array_split(whole, count)]
    return cut, parts, row.astype(np.intp)


@dataclass(frozen=True, eq=False)
class StepWindows:
    """Windows over sequences, and which of their steps count.

    Parameters
    ----------
    sequences : Sequences
        The windows, one after the other.
    row : ndarray of int (W,)
        Of which sequence each is.
    start : ndarray of int (W,)
        At which of its steps it begins.
    kept : ndarray of bool (S',)
        Which steps of the windows, one after the other, are the sequences' own, each once and in order.
    """

    sequences: Sequences
    row: NDArray[np.intp]
    start: NDArray[np.intp]
    kept: NDArray[np.bool_]


def windows_of(sequences: Sequences, steps: int) -> StepWindows:
    """Return windows of at most ``steps`` steps that cover all sequences; a sequence that is no longer is one window.

    Of two windows that overlap, the first one counts up to the middle of what they share, the second one from there.
    """
    row, start, length, kept = [], [], [], []
    for number, whole in enumerate(sequences.lengths.tolist()):
        hop = max(1, steps // 2)
        first = [0] if whole <= steps else [*range(0, whole - steps, hop), whole - steps]
        size = min(whole, steps)
        middle = [(a + size + b) // 2 for a, b in pairwise(first)]
        for begin, low, high in zip(first, [0, *middle], [*middle, whole], strict=True):
            row.append(number)
            start.append(begin)
            length.append(size)
            place = np.arange(begin, begin + size)
            kept.append((place >= low) & (place < high))
    rows, starts, lengths = (np.asarray(one, dtype=np.intp) for one in (row, start, length))
    offset = (np.cumsum(sequences.lengths) - sequences.lengths)[rows] + starts
    source = np.repeat(offset - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))
    ids = tuple(sequences.ids[i] for i in row) if sequences.ids else ()
    cut = Sequences(sequences.values[source], lengths, sequences.channels, ids)
    return StepWindows(cut, rows, starts, np.concatenate(kept))
