"""One draw of a multiple imputation: chained regressions whose coefficients and noise are drawn, not estimated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from glia.core.seeds import derive, numpy_rng
from glia.data.impute.base import Array, State, imputers, whole
from glia.data.impute.chained import ChainBase
from glia.data.impute.matching import match
from glia.data.impute.regression import apply_ridge, choose_predictors, fit_ridge

_FEW_VALUES, _SKEW, _TAILS = 20, 1.0, 2.0
_WEAK = np.array([1e-5])
Uniform = Callable[[NDArray[np.intp], int], Array]
"""(rows, width) → numbers in (0, 1), (rows, width)."""


@imputers.register("stochastic")
class Stochastic(ChainBase):
    """One plausible completion: chained Bayesian regressions, or predictive mean matching where values are not normal.

    Parameters
    ----------
    rounds : int
        Rounds of the chain.
    predictors : int
        Most columns that one is regressed on.
    donors : int
        Most training rows that are kept to be matched with.
    neighbours : int
        Among how many nearest ones a match is drawn.
    seed : int
        Another seed gives another completion.

    Notes
    -----
    Multivariate imputation by chained equations (van Buuren and Groothuis-Oudshoorn, 2011, *J. Stat. Softw.* 45(3)).
    Coefficients are drawn from their posterior in every round. A column is drawn from a normal distribution around its
    prediction where its values look normal; else (few distinct values, |skewness| > 1, excess kurtosis > 2, categories)
    a gap takes the value of a training row with a near prediction, so that only values occur that were seen.
    ``fit_transform`` draws for training rows from one random stream. ``transform`` keeps the coefficients of the last
    round and draws noise from a hash of what is observed in the row: company does not matter, equal rows get equal
    values.
    """

    name: ClassVar[str] = "stochastic"
    coef: list[Array]
    intercept: list[Array]
    noise: list[Array]
    predicted: list[Array]
    given: list[Array]
    _completed: Array

    def __init__(
        self, *, rounds: int = 5, predictors: int = 60, donors: int = 1000, neighbours: int = 5, seed: int = 0
    ) -> None:
        self.rounds, self.predictors = whole("rounds", rounds), whole("predictors", predictors)
        self.donors, self.neighbours = whole("donors", donors), whole("neighbours", neighbours)
        self.seed = seed

    def fit(self, x: Array, blocks: Any = None, position: Array | None = None) -> Self:
        """Learn from training rows."""
        super().fit(x, blocks, position)
        del self._completed
        return self

    def fit_transform(self, x: Array, blocks: Any = None, position: Array | None = None) -> Array:
        """Learn from training rows and return them complete: the last state of the chain."""
        super().fit(x, blocks, position)
        out = np.array(x, dtype=np.float64)
        return self._put(out, np.arange(len(out)), np.isnan(out), self.__dict__.pop("_completed"))

    def _learn(self, z: Array, position: Array | None) -> None:
        rng = numpy_rng(self.seed, "multiple imputation")
        x = self._begin(z, self.predictors)
        missing = np.isnan(z)
        for b in self.order:  # a gap begins as a value drawn from its column
            block = self.blocks[b]
            gaps, known = np.flatnonzero(missing[:, block.start]), np.flatnonzero(~missing[:, block.start])
            x[gaps, block.where] = x[rng.choice(known, len(gaps)), block.where]
        self.inputs = choose_predictors(x, self.blocks, self.predictors)
        matched = [not _looks_normal(z[~missing[:, k.start], k.start]) or k.kind == "category" for k in self.blocks]
        widths = [block.stop - block.start for block in self.blocks]  # what stands for a column without values:
        self.coef = [np.zeros((len(i), w)) for i, w in zip(self.inputs, widths, strict=True)]
        self.intercept = [self.start[block.where].copy() for block in self.blocks]
        self.noise = [np.zeros(width) for width in widths]
        self.predicted, self.given = ([np.zeros((0, width)) for width in widths] for _ in range(2))
        gappy = [b for b in self.order if missing[:, self.blocks[b].start].any()]
        for _ in range(self.rounds if gappy else 0):
            for b in gappy:
                self._draw_block(b, x, missing, matched[b], rng)
                gaps = np.flatnonzero(missing[:, self.blocks[b].start])
                x[gaps, self.blocks[b].where] = self._values(b, x[gaps], lambda rows, w: rng.random((len(rows), w)))
        for b in self.order:
            if b not in gappy:  # for rows to come with a gap where training had none
                self._draw_block(b, x, missing, matched[b], rng)
        self._completed = x

    def _draw_block(
        self, b: int, x: Array, missing: NDArray[np.bool_], matched: bool, rng: np.random.Generator
    ) -> None:
        block, inputs = self.blocks[b], self.inputs[b]
        known = np.flatnonzero(~missing[:, block.start])
        rows, values = x[known][:, inputs], x[known, block.where]
        found = fit_ridge(rows, values, _WEAK)
        self.coef[b], self.intercept[b], self.noise[b] = found.draw(rng)
        if matched:
            kept = np.arange(len(known))
            if len(known) > self.donors:
                kept = np.sort(rng.choice(len(known), self.donors, replace=False))
            self.noise[b] = np.zeros(block.stop - block.start)
            self.predicted[b], self.given[b] = apply_ridge(rows[kept], found.coef, found.intercept), values[kept]

    def _values(self, b: int, x: Array, uniform: Uniform) -> Array:
        """Return values of a block for rows that lack it; ``uniform`` gives each row its own random numbers."""
        block = self.blocks[b]
        mean = apply_ridge(x[:, self.inputs[b]], self.coef[b], self.intercept[b])
        rows = np.arange(len(x))
        if len(self.given[b]):
            return match(mean, self.predicted[b], self.given[b], self.neighbours, uniform(rows, 1)[:, 0])
        width = block.stop - block.start
        drawn = mean + self.noise[b] * ndtri(np.clip(uniform(rows, width), 1e-12, 1 - 1e-12))
        return self._inside(drawn, block)

    def _complete(self, z: Array, position: Array | None) -> Array:
        missing = np.isnan(z)
        keys = row_keys(z, self.seed)
        x = np.where(missing, self.start, z)
        for number in range(self.rounds):
            for b in self.order:
                gaps = np.flatnonzero(missing[:, self.blocks[b].start])
                if not len(gaps):
                    continue
                own = keys[gaps]
                x[gaps, self.blocks[b].where] = self._values(
                    b,
                    x[gaps],
                    lambda rows, w, own=own, n=number, b=b: _uniform(own, w, n, b),  # type: ignore[misc]
                )
        return x

    def _learned(self) -> State:
        plain, arrays = super()._learned()
        for b in range(len(self.blocks)):
            arrays |= {f"{name}.{b}": getattr(self, name)[b] for name in _NAMES}
        return plain, arrays

    def _restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        super()._restore(plain, arrays)
        for name in _NAMES:
            setattr(self, name, [np.array(arrays[f"{name}.{b}"], dtype=np.float64) for b in range(len(self.blocks))])
        for b, block in enumerate(self.blocks):
            width, n = block.stop - block.start, len(self.given[b])
            found = [getattr(self, name)[b].shape for name in _NAMES]
            if found != [(len(self.inputs[b]), width), (width,), (width,), (n, width), (n, width)]:
                raise ValueError("the draws do not fit the columns")


_NAMES = ("coef", "intercept", "noise", "predicted", "given")


def _looks_normal(values: Array) -> bool:
    if len(np.unique(values[:5000])) <= _FEW_VALUES:
        return False
    z = (values - values.mean()) / (values.std() or 1.0)
    return bool(abs((z**3).mean()) <= _SKEW and (z**4).mean() - 3.0 <= _TAILS)


def row_keys(x: Array, seed: int) -> NDArray[np.uint64]:
    """Return a hash of each row's observed values, (N,): equal rows have equal keys, whatever stands beside them."""
    keys = np.full(len(x), np.uint64(derive(seed, "row")), dtype=np.uint64)
    for j in range(x.shape[1]):
        column = np.where(np.isnan(x[:, j]), np.inf, x[:, j] + 0.0)  # 0.0 and -0.0 are one value
        keys = _mix(keys ^ np.ascontiguousarray(column).view(np.uint64))
    return keys


def _mix(h: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return scrambled bits (the finaliser of SplitMix64, Steele, Lea and Flood, 2014)."""
    h = h + np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(h ^ (h >> np.uint64(31)))


def _uniform(keys: NDArray[np.uint64], width: int, number: int, block: int) -> Array:
    place = np.uint64(derive(number, "draw", block) & (2**63 - 1))
    columns = [_mix(_mix(keys ^ place) + np.uint64(c)) for c in range(width)]
    return np.stack([(c >> np.uint64(11)).astype(np.float64) * 2.0**-53 for c in columns], axis=1)
