"""Iterative imputation: every column with gaps is regressed on the others, in turn, until nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glia.data.impute.base import Array, Block, MatrixImputer, State, imputers, whole
from glia.data.impute.regression import ALPHAS, apply_ridge, choose_predictors, fit_ridge

_SETTLED = 1e-7


class ChainBase(MatrixImputer):
    """What chains of regressions share: a start, an order of blocks, predictors, and bounds.

    Attributes
    ----------
    start, low, high : ndarray of shape (D,)
        Where a gap begins, and between what it stays: half a range beyond the training values.
    order : tuple of int
        Blocks from the one with the fewest gaps to the one with the most.
    inputs : list of ndarray
        Columns that each block is regressed on.
    """

    start: Array
    low: Array
    high: Array
    order: tuple[int, ...]
    inputs: list[NDArray[np.intp]]

    def _begin(self, z: Array, predictors: int) -> Array:
        """Learn start, order, predictors and bounds; return the rows with the start filled in."""
        known = ~np.isnan(z)
        count = np.maximum(known.sum(axis=0), 1)
        self.start = np.where(known, z, 0.0).sum(axis=0) / count
        low, high = np.where(known, z, np.inf).min(axis=0), np.where(known, z, -np.inf).max(axis=0)
        empty = ~known.any(axis=0)
        low[empty] = high[empty] = 0.0
        room = np.zeros(z.shape[1])
        for block in self.blocks:
            if block.kind == "numeric":
                room[block.start] = 0.5 * (high - low)[block.start]
        self.low, self.high = low - room, high + room
        gaps = [int((~known[:, block.start]).sum()) for block in self.blocks]
        full = [b for b, block in enumerate(self.blocks) if known[:, block.start].any()]
        self.order = tuple(sorted(full, key=lambda b: gaps[b]))
        x = np.where(known, z, self.start)
        self.inputs = choose_predictors(x, self.blocks, predictors)
        return x

    def _inside(self, values: Array, block: Block) -> Array:
        """Return predictions held within the bounds; shares of categories sum to what one category counts."""
        values = np.clip(values, self.low[block.where], self.high[block.where])
        if block.kind == "category" and block.stop - block.start > 1:
            one = float(self.high[block.where].max()) or 1.0
            total = values.sum(axis=1, keepdims=True)
            values = np.where(total > 0, values / np.where(total > 0, total, 1.0) * one, self.start[block.where])
        return np.asarray(values)

    def _learned(self) -> State:
        arrays: dict[str, NDArray[Any]] = {"start": self.start, "low": self.low, "high": self.high}
        arrays["inputs"] = np.concatenate([np.zeros(0, np.int64), *self.inputs]).astype(np.int64)
        return {"order": list(self.order), "widths": [len(one) for one in self.inputs]}, arrays

    def _restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        width = len(self.standard.center)
        self.start, self.low, self.high = (np.array(arrays[n], dtype=np.float64) for n in ("start", "low", "high"))
        self.order = tuple(int(b) for b in plain["order"])
        ends = np.cumsum([int(n) for n in plain["widths"]])
        flat = np.array(arrays["inputs"], dtype=np.intp)
        sizes = {self.start.shape, self.low.shape, self.high.shape} == {(width,)}
        placed = not len(flat) or (flat.min() >= 0 and flat.max() < width)
        blocks = all(0 <= b < len(self.blocks) for b in self.order) and len(ends) == len(self.blocks)
        if not (sizes and placed and blocks) or (len(ends) and ends[-1] != len(flat)):
            raise ValueError("the regressions do not fit the columns")
        self.inputs = [part.astype(np.intp) for part in np.split(flat, ends[:-1])] if len(ends) else []


@imputers.register("iterative", "chained")
class Chained(ChainBase):
    """Every column regressed on the others in turn, ten rounds long (chained ridge regressions).

    Parameters
    ----------
    rounds : int
        Most rounds in training, and the number of rounds for rows to be completed.
    predictors : int
        Most columns that one is regressed on: the most correlated ones.

    Notes
    -----
    Fully conditional specification (van Buuren, 2018, *Flexible Imputation of Missing Data*, chapter 4) without noise:
    the best guess of each value. Categories are shares, regressed as linear probabilities. Columns without gaps in
    training get a regression too, for rows that have one there.
    """

    name: ClassVar[str] = "iterative"
    coef: list[Array]
    intercept: list[Array]

    def __init__(self, *, rounds: int = 10, predictors: int = 60) -> None:
        self.rounds, self.predictors = whole("rounds", rounds), whole("predictors", predictors)

    def _learn(self, z: Array, position: Array | None) -> None:
        x = self._begin(z, self.predictors)
        missing = np.isnan(z)
        widths = [block.stop - block.start for block in self.blocks]
        self.coef = [np.zeros((len(i), w)) for i, w in zip(self.inputs, widths, strict=True)]
        self.intercept = [self.start[block.where].copy() for block in self.blocks]
        gappy = [b for b in self.order if missing[:, self.blocks[b].start].any()]
        for number in range(self.rounds if gappy else 0):
            before = x.copy()
            for b in gappy:
                self._fit_block(b, x, missing, number)
                block, gaps = self.blocks[b], np.flatnonzero(missing[:, self.blocks[b].start])
                x[gaps, block.where] = self._predict(b, x[gaps])
            if np.abs(x - before).max() < _SETTLED:
                break
        for b in self.order:
            self._fit_block(b, x, missing, self.rounds)

    def _fit_block(self, b: int, x: Array, missing: NDArray[np.bool_], number: int) -> None:
        block, inputs = self.blocks[b], self.inputs[b]
        if len(inputs):
            known = ~missing[:, block.start]
            # Predictors that are guesses themselves must not be trusted to the last digit, least of all in the
            # beginning: where columns depend on each other exactly, the chain would confirm its own guesses.
            weakest = 10.0 ** -min(4.0, 2.0 + number / 4) if missing[:, inputs].any() else 0.0
            found = fit_ridge(x[known][:, inputs], x[known, block.where], ALPHAS[0.99 * weakest <= ALPHAS])
            self.coef[b], self.intercept[b] = found.coef, found.intercept

    def _predict(self, b: int, x: Array) -> Array:
        return self._inside(apply_ridge(x[:, self.inputs[b]], self.coef[b], self.intercept[b]), self.blocks[b])

    def _complete(self, z: Array, position: Array | None) -> Array:
        missing = np.isnan(z)
        x = np.where(missing, self.start, z)
        gaps = {b: np.flatnonzero(missing[:, self.blocks[b].start]) for b in self.order}
        for _ in range(self.rounds):
            for b, rows in gaps.items():
                if len(rows):
                    x[rows, self.blocks[b].where] = self._predict(b, x[rows])
        return x

    def _learned(self) -> State:
        plain, arrays = super()._learned()
        for b in range(len(self.blocks)):
            arrays |= {f"coef.{b}": self.coef[b], f"intercept.{b}": self.intercept[b]}
        return plain, arrays

    def _restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        super()._restore(plain, arrays)
        self.coef, self.intercept = [], []
        for b, block in enumerate(self.blocks):
            coef = np.array(arrays[f"coef.{b}"], dtype=np.float64)
            intercept = np.array(arrays[f"intercept.{b}"], dtype=np.float64)
            width = block.stop - block.start
            if coef.shape != (len(self.inputs[b]), width) or intercept.shape != (width,):
                raise ValueError("the coefficients do not fit the columns")
            self.coef.append(coef)
            self.intercept.append(intercept)
