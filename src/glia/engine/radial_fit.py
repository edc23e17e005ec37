"""Radial networks in closed form: kernel ridge regression, in a metric that is learned from its own gradients.

With a unit at every row the output weights are α = (K + rI)⁻¹y, where K holds exp(−distance / length). The metric is
learned in rounds: the mean outer product of the gradients of what was found says which directions the target changes
in, and a root of it is the next round's metric (Radhakrishnan, Beaglehole, Pandit and Belkin, arXiv 2212.13881; the
root as in arXiv 2508.10053). Length and ridge are climbed to on rows that were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_ROUNDS = 2
"""Times the metric is learned; a third one changed errors by less than a thousandth."""
_ROOT = 0.25
"""Power of the gradients' outer product by which rows are multiplied."""
_SEARCHED, _LEARNED, _GRADIENTS = 1000, 2500, 1000
"""Rows that length and ridge are looked for on, that a metric is learned from, and whose gradients count."""
_LENGTHS = tuple(2.0**k for k in range(-2, 6))  # times the median distance
_RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_KEPT = 1e-6  # directions of the metric that hold less than this share of its squares are left out


@dataclass(frozen=True)
class RadialFit:
    """What a radial network is made of.

    Parameters
    ----------
    metric : Tensor (D, R)
        Rows times this lie where distances are taken.
    centres : Tensor (N, R)
        Where the rows that it was fitted to lie.
    length : float
        Above 0.
    weight : Tensor (N, O)
        Of the units, for each output.
    mean : Tensor (O,)
        Of the targets, to which the outputs are added.
    unseen : Tensor (N, O)
        What networks that were fitted without a row say of it.
    """

    metric: Tensor
    centres: Tensor
    length: float
    weight: Tensor
    mean: Tensor
    unseen: Tensor


@dataclass(frozen=True)
class _Step:
    """Length, in median distances, and ridge of a round."""

    length: float
    ridge: float


@torch.no_grad()
def fit_radial(x: Tensor, y: Tensor, weight: Tensor | None, folds: Sequence[Tensor], seed: int) -> RadialFit:
    """Fit a radial network with a unit at every row.

    Parameters
    ----------
    x : Tensor (N, D)
        Standardised numbers and columns of 0 and 1.
    y : Tensor (N, O)
        Targets.
    weight : Tensor (N,), optional
        Above 0, with mean 1.
    folds : sequence of Tensor
        Numbers of the rows of each part, at least two parts. What a part is told as unseen comes from the others,
        metric included; the metric of the whole is the mean of theirs.
    seed : int
        Of the draws of rows.

    Notes
    -----
    Time grows as N³ and memory as N²: about a second for 3,000 rows of 40 values on one core with AVX-512, and 800 MB
    for 7,900 rows.
    """
    rng = torch.Generator().manual_seed(seed)
    whole = _Part(x - x.mean(0), y, torch.ones(len(x), device=x.device) if weight is None else weight)
    index = torch.arange(len(x), device=x.device)
    others = [index[~torch.isin(index, fold)] for fold in folds]
    learn, judge = (whole.take(_some(rows, _SEARCHED, rng)) for rows in (others[0], folds[0]))
    plan = _plan(learn, judge, rng)
    unseen, metrics = torch.empty_like(y), []
    for fold, rest in zip(folds, others, strict=True):
        metrics.append(_learn_metric(whole.take(_some(rest, _LEARNED, rng)), plan, rng))
        found = _solve(whole.take(rest), metrics[-1], plan[-1])
        far = _distances(whole.x[fold] @ found.metric, found.centres)
        unseen[fold] = _units(far, found.length) @ found.weight + found.mean
    return replace(_solve(whole, _thin(torch.stack(metrics).mean(0)), plan[-1]), unseen=unseen)


def _plan(learn: _Part, judge: _Part, rng: torch.Generator) -> list[_Step]:
    """Return the lengths and ridges of each round; the last is of the number of rounds that the judges think best of.

    Judging by more parts than one, where rows are few, changed nothing (three tables, three splits, two seeds each).
    """
    metric = torch.eye(learn.x.shape[1], device=learn.x.device)
    place, steps, losses = (3, 4), [], []
    for number in range(_ROUNDS + 1):
        seen = _Seen.of(learn, judge, metric)
        place, loss = _climb(seen.loss, place)
        steps.append(_at(place))
        losses.append(loss)
        if number < _ROUNDS:
            metric = _next_metric(seen.z, learn, seen.within, steps[-1], metric, rng)
    return steps[: losses.index(min(losses)) + 1]


@dataclass(frozen=True)
class _Part:
    """Some of the rows, with targets and weights."""

    x: Tensor
    y: Tensor
    weight: Tensor

    def take(self, rows: Tensor) -> _Part:
        return _Part(self.x[rows], self.y[rows], self.weight[rows])

    def mean(self) -> Tensor:
        """Return the mean of the targets, (O,)."""
        return (self.weight.unsqueeze(1) * self.y).sum(0) / self.weight.sum()

    def ridge(self, kernel: Tensor, ridge: float) -> Tensor:
        """Return the weights (K + r diag(1/w))⁻¹ (y − mean); the kernel is overwritten.

        The ridge grows where rounding has left K no covariance.
        """
        diagonal = kernel.diagonal()
        diagonal += ridge / self.weight
        more = 1e-6 * float(diagonal.mean())
        while True:
            factor, failed = torch.linalg.cholesky_ex(kernel)
            if not failed:
                alpha: Tensor = torch.cholesky_solve(self.y - self.mean(), factor)
                return alpha
            diagonal += more
            more *= 4.0


@dataclass(frozen=True)
class _Seen:
    """Rows that teach and rows that judge, in a metric."""

    learn: _Part
    judge: _Part
    z: Tensor
    within: Tensor
    across: Tensor
    median: float

    @classmethod
    def of(cls, learn: _Part, judge: _Part, metric: Tensor) -> _Seen:
        z = learn.x @ metric
        within = _distances(z, z)
        return cls(learn, judge, z, within, _distances(judge.x @ metric, z), _median(within))

    def loss(self, step: _Step) -> float:
        length = step.length * self.median
        alpha = self.learn.ridge(_units(self.within, length), step.ridge)
        errors = (_units(self.across, length) @ alpha + self.learn.mean() - self.judge.y).square().sum(1)
        return float((errors * self.judge.weight).sum())


def _climb(loss: Callable[[_Step], float], place: tuple[int, int]) -> tuple[tuple[int, int], float]:
    """Return a place of the grid of lengths and ridges that no neighbour is better than, and its loss."""
    known: dict[tuple[int, int], float] = {}

    def of(at: tuple[int, int]) -> float:
        if not (0 <= at[0] < len(_LENGTHS) and 0 <= at[1] < len(_RIDGES)):
            return float("inf")
        if at not in known:
            known[at] = loss(_at(at))
        return known[at]

    while True:
        i, j = place
        best = min([place, (i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)], key=of)
        if best == place:
            return place, of(place)
        place = best


def _at(place: tuple[int, int]) -> _Step:
    return _Step(_LENGTHS[place[0]], _RIDGES[place[1]])


def _learn_metric(part: _Part, plan: Sequence[_Step], rng: torch.Generator) -> Tensor:
    """Return the metric after all rounds of a plan but the last, which only answers, (D, D)."""
    metric = torch.eye(part.x.shape[1], device=part.x.device)
    for step in plan[:-1]:
        z = part.x @ metric
        metric = _next_metric(z, part, _distances(z, z), step, metric, rng)
    return metric


def _next_metric(
    z: Tensor, part: _Part, distances: Tensor, step: _Step, metric: Tensor, rng: torch.Generator
) -> Tensor:
    """Return a root of the mean outer product of the gradients of the network that a metric leads to, (D, D)."""
    length = step.length * _median(distances)
    alpha = part.ridge(_units(distances, length), step.ridge)
    rows = _some(torch.arange(len(z)), _GRADIENTS, rng)
    far = distances[rows]
    slope = _units(far, length) / (length * far.clamp_min(1e-5))
    slope[far < 1e-4] = 0.0  # a row's own unit has no slope
    outer = torch.zeros_like(metric)
    for own in alpha.t():
        pull = slope * own
        gradient = (pull @ z - pull.sum(1, keepdim=True) * z[rows]) @ metric.t()
        outer += gradient.t() @ gradient
    values, vectors = torch.linalg.eigh(outer.double() / outer.trace().clamp_min(1e-30) * len(outer))
    root: Tensor = (vectors * values.clamp_min(0.0).pow(_ROOT)) @ vectors.t()
    return root.to(z.dtype)


def _thin(metric: Tensor) -> Tensor:
    """Return a metric with the same distances, turned so that directions that hardly count can be left out."""
    values, vectors = torch.linalg.eigh(metric.double())
    kept = values.square() > _KEPT * values.square().sum()
    kept[-1] = True
    turned: Tensor = vectors[:, kept] * values[kept]
    return turned.to(metric.dtype)


def _solve(part: _Part, metric: Tensor, step: _Step) -> RadialFit:
    """Return the network with a unit at every row of a part; what is unseen of it is for the caller to know."""
    z = part.x @ metric
    distances = _distances(z, z)
    length = step.length * _median(distances)
    alpha = part.ridge(distances.mul_(-1.0 / length).exp_(), step.ridge)  # in place: this is the largest of all
    return RadialFit(metric, z, length, alpha, part.mean(), part.y.new_empty(0))


def _distances(a: Tensor, b: Tensor) -> Tensor:
    found: Tensor = torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist")
    return found


def _units(distances: Tensor, length: float) -> Tensor:
    return torch.mul(distances, -1.0 / length).exp_()


def _median(distances: Tensor) -> float:
    return float(distances[:300].median()) + 1e-9


def _some(rows: Tensor, most: int, rng: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=rng)[:most]]
