"""From sequences to one float32 tensor (N, T, C + 1): scaled, gaps filled in and marked, padded and masked."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Layout
from glia.data.series.sequence_rows import MappedSequences, SequenceRows, rows_of_sequences
from glia.data.series.sequences import Floats, Sequences
from glia.data.stream.moments import Moments
from glia.data.stream.prepared_rows import PreparedRows, check_keep
from glia.data.stream.row_store import MadeRows, blocks, kept

SCALES = ("standard", "per_series", "none")
LONGEST = 2048
"""Steps of a sequence that "auto" keeps at most: the last ones."""
VERSION = 1
_FAR = 1e4


class SequencePreparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """How sequences become tensors.

    Parameters
    ----------
    max_length : "auto" or int
        Steps T of a prepared sequence. "auto" is the longest of the training sequences, at most 2,048. Shorter ones are
        padded, of longer ones the last steps are kept.
    scale : {"standard", "per_series", "none"}
        "standard": by mean and deviation of each channel over the real steps of the training sequences; "per_series":
        each sequence by its own, which leaves its form; "none".
    keep : {"auto", "memory", "disk", "none"}
        Where prepared training sequences are kept. "auto" is memory where they take no more than a quarter of it; else
        the disk, where it has room; else nowhere: they are prepared again in every epoch. The result is the same.

    Attributes
    ----------
    layout_ : Layout
        Of shape (T, C + I + 1): channels, indicators (1 where a value is missing) of those channels that have gaps in
        training, and the mask (1 at real steps, 0 at padding, which comes last).
    length_ : int
        T.
    channels_ : tuple of str

    Notes
    -----
    A missing value takes the last known one of its sequence, and the channel's mean before there is any: what comes
    later is not used.
    """

    layout_: Layout
    length_: int
    channels_: tuple[str, ...]
    _mean: Floats
    _std: Floats
    _gaps: NDArray[np.intp]

    def __init__(self, max_length: int | str = "auto", scale: str = "standard", keep: str = "auto") -> None:
        self.max_length, self.scale, self.keep = max_length, scale, keep

    def fit(self, X: Any, y: Any = None) -> SequencePreparation:
        """Learn length, means and deviations from training sequences (what ``as_sequences`` takes).

        Raises
        ------
        InputError
            If a setting or the sequences cannot be used.
        """
        rows = rows_of_sequences(X)
        return self._fit(rows.whole(self.steps_for(rows.sequences)))

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return sequences as a contiguous float32 array (N, T, C + I + 1); always finite.

        Raises
        ------
        InputError
            If the channels are not as many as in training.
        """
        check_is_fitted(self, "layout_")
        rows = rows_of_sequences(X)
        self.check(rows.sequences)
        return self.transform_rows(rows)

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:
        """Learn from training sequences and return them prepared."""
        return self.fit(X).transform(X)

    def fit_rows(
        self, rows: SequenceRows, folder: str | os.PathLike[str] | None = None
    ) -> NDArray[np.float32] | PreparedRows:
        """Learn from training sequences; return them prepared: an array, or what fetches them from where they are kept.

        Parameters
        ----------
        rows : SequenceRows
        folder : path-like, optional
            On whose disk they are kept, if on disk; by default that of temporary files.
        """
        stored = kept(self._fit(rows)._made(rows), self.keep, folder)
        return stored if isinstance(stored, np.ndarray) else PreparedRows(stored, _as_it_is, stored.shape)

    def transform_rows(self, rows: SequenceRows) -> NDArray[np.float32]:
        """Return what ``transform`` does, for rows with the channels of training."""
        return np.asarray(kept(self._made(rows), "memory"))

    def _made(self, rows: SequenceRows) -> MadeRows:
        """Return rows that are prepared as they are asked for."""
        shape = (len(rows), *self.layout_.shape)
        return MadeRows(lambda index: self.transform_dense(rows[index].dense(self.length_)), shape, np.float32)

    def steps_for(self, sequences: Sequences | MappedSequences) -> int:
        """Return T for training sequences.

        Raises
        ------
        InputError
            If ``max_length`` is not "auto" or a whole number of at least 1.
        """
        wanted = self.max_length
        if wanted == "auto":
            return int(min(sequences.lengths.max(), LONGEST))
        if isinstance(wanted, bool) or not isinstance(wanted, (int, np.integer)) or wanted < 1:
            got = f"max_length={wanted!r}"
            raise InputError("max_length must be 'auto' or a whole number of at least 1", got)
        return int(wanted)

    def check(self, sequences: Sequences | MappedSequences) -> Sequences | MappedSequences:
        """Return the sequences, or raise an ``InputError`` unless they have the channels of training."""
        if len(sequences.channels) != len(self.channels_):
            got = f"{len(sequences.channels)} channels instead of {len(self.channels_)}"
            raise InputError("sequences must have the channels that were fitted", got)
        return sequences

    def fit_dense(self, dense: Floats, channels: tuple[str, ...] | None = None) -> SequencePreparation:
        """Learn from an array (N, T, C + 1) with the mask as last channel and NaN for missing values."""
        channels = channels or tuple(f"x{i}" for i in range(dense.shape[2] - 1))
        return self._learn((dense[part] for part in blocks(dense.shape)), dense.shape[1], channels)

    def _fit(self, rows: SequenceRows) -> SequencePreparation:
        parts = (rows[part].dense(rows.steps) for part in blocks((len(rows), rows.steps, rows.width)))
        return self._learn(parts, rows.steps, rows.sequences.channels)

    def _learn(self, parts: Iterable[Floats], steps: int, channels: tuple[str, ...]) -> SequencePreparation:
        """Learn from arrays as of ``fit_dense``, one after the other."""
        if self.scale not in SCALES:
            raise InputError(f"scale must be one of {', '.join(SCALES)}", f"scale={self.scale!r}")
        check_keep(self.keep)
        count = len(channels)
        self.length_, self.channels_ = steps, channels
        moments, whole = Moments(count), np.ones(count, dtype=bool)
        for dense in parts:
            values = dense[dense[..., -1] > 0.5][:, :count]  # (S, C)
            known = np.isfinite(values)
            whole &= known.all(axis=0)
            moments.add(values, known)
        self._gaps = np.flatnonzero(~whole)
        self._mean, self._std = moments.mean, _real(moments.deviation, moments.mean)
        if self.scale == "none":
            self._mean, self._std = np.zeros(count), np.ones(count)
        self.layout_ = Layout((self.length_, count + len(self._gaps) + 1))
        return self

    def transform_dense(self, dense: Floats) -> NDArray[np.float32]:
        """Return what ``transform`` does for an array as ``fit_dense`` takes it."""
        real = dense[..., -1] > 0.5
        values = np.where(real[..., None], dense[..., :-1], np.nan)  # padding is not known either
        known = np.isfinite(values)
        if self.scale == "per_series":
            mean, std = _own_moments(values, known)
        else:
            mean, std = self._mean, self._std
        scaled = np.clip((values - mean) / std, -_FAR, _FAR)
        scaled = _carried(scaled, known)
        gaps = (~known[..., self._gaps]) & real[..., None]
        parts = (np.where(real[..., None], scaled, 0.0), gaps, real[..., None])
        return np.ascontiguousarray(np.concatenate(parts, axis=2, dtype=np.float32))

    @property
    def owners_(self) -> tuple[int, ...]:
        """Of which channel each prepared one tells, (C + I + 1,); −1 for the mask, which is not to be moved."""
        check_is_fitted(self, "layout_")
        return (*range(len(self.channels_)), *(int(place) for place in self._gaps), -1)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return all that was learned as plain JSON data and named arrays; neither holds code."""
        check_is_fitted(self, "layout_")
        length = self.max_length if self.max_length == "auto" else int(self.max_length)
        state = {
            "version": VERSION,
            "params": {"max_length": length, "scale": self.scale, "keep": self.keep},
            "length": self.length_,
            "channels": list(self.channels_),
        }
        return state, {"mean": self._mean, "std": self._std, "gaps": self._gaps.astype(np.int64)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SequencePreparation:
        """Rebuild what ``to_state`` gave: its ``transform`` gives the same bits.

        Raises
        ------
        ModelFileError
            If the state is of another version, incomplete or contradicts itself.
        """
        if state.get("version") != VERSION:
            must = f"the preparation must have the format version {VERSION}"
            raise ModelFileError(must, f"version={state.get('version')!r}", "use the release of Glia that wrote it")
        made = cls(**state["params"])
        made.length_, made.channels_ = int(state["length"]), tuple(map(str, state["channels"]))
        count = len(made.channels_)
        made._mean, made._std = (np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "std"))
        made._gaps = np.asarray(arrays["gaps"], dtype=np.intp)
        fits = made._mean.shape == made._std.shape == (count,) and made._gaps.ndim == 1
        sound = np.isfinite(made._mean).all() and (made._std > 0).all() and np.isfinite(made._std).all()
        if not (fits and sound and set(made._gaps.tolist()) <= set(range(count)) and made.length_ >= 1):
            raise ModelFileError("the parts of a preparation must fit together", f"{count} channels")
        made.layout_ = Layout((made.length_, count + len(made._gaps) + 1))
        return made


def _own_moments(values: Floats, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return mean and deviation of each sequence over known values, (N, 1, C); 0 and 1 where there are none or one."""
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    std = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    return mean, _real(std, mean)


def _real(std: Floats, mean: Floats) -> Floats:
    """Return deviations, 1 where they are nothing but rounding."""
    return np.where(std > 1e-12 * np.maximum(np.abs(mean), math.sqrt(np.finfo(np.float64).tiny)), std, 1.0)


def _carried(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Return values (N, T, C) in which an unknown one is the last known before it, and 0 where there is none."""
    if known.all():
        return values
    place = np.where(known, np.arange(values.shape[1])[None, :, None], -1)
    last = np.maximum.accumulate(place, axis=1)
    carried = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, carried, 0.0)


def _as_it_is(rows: NDArray[Any]) -> NDArray[np.float32]:
    return rows
