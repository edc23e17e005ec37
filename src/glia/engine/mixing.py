"""Rows mixed with each other: mix-up (arXiv 1710.09412) and cut-mix (arXiv 1905.04899)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glia.core.errors import InputError, near

RowLoss = Callable[[Tensor, Tensor], Tensor]
KINDS = ("mixup", "cutmix", "both")


@dataclass(frozen=True)
class MixedTargets:
    """Targets of rows that were made of two.

    Parameters
    ----------
    first, second : Tensor (B,) or (B, T)
        Targets of the row itself and of its partner.
    share, rest : Tensor (B,) or (B, K)
        How much each counts: their parts in the mixed row, times the weights of the rows.
    """

    first: Tensor
    second: Tensor
    share: Tensor
    rest: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: slice) -> MixedTargets:
        """Return the targets of some of the rows."""
        return MixedTargets(self.first[rows], self.second[rows], self.share[rows], self.rest[rows])


@dataclass(frozen=True)
class MixedLoss:
    """A loss of mixed rows: share · l(output, first) + rest · l(output, second); of plain targets the loss itself.

    For cross-entropy that is the loss of the mixed (soft) target; other losses need no soft form of their own.
    """

    loss: RowLoss

    def __call__(self, output: Tensor, target: Tensor | MixedTargets) -> Tensor:
        """Return the losses of the rows, (B,)."""
        if not isinstance(target, MixedTargets):
            return self.loss(output, target)
        return target.share * self.loss(output, target.first) + target.rest * self.loss(output, target.second)


@dataclass(frozen=True)
class Mixing:
    """Mixes every row of a mini-batch with another one of it.

    Parameters
    ----------
    kind : {"mixup", "cutmix", "both"}
        "mixup": λ·x + (1 − λ)·x'; "cutmix": a box of the partner's picture, of share 1 − λ, replaces the row's own;
        "both": one of them at random for each batch.
    alpha : float
        λ ~ Beta(alpha, alpha), one for a batch; above 0. Small values mix little.
    chance : float
        Share of the batches that are mixed, in (0, 1].
    """

    kind: str = "mixup"
    alpha: float = 0.4
    chance: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError("mixing must be mixup, cutmix or both", f"{self.kind!r}", near(str(self.kind), KINDS))
        if not 0 < self.alpha < math.inf:
            raise InputError("alpha of a mixing must be a finite number above 0", f"alpha={self.alpha!r}")
        if not 0 < self.chance <= 1:
            raise InputError("the share of mixed batches must be in (0, 1]", f"chance={self.chance!r}")

    def loss(self, loss: RowLoss) -> MixedLoss:
        """Return the loss for rows that may be mixed."""
        return MixedLoss(loss)

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | MixedTargets, Tensor | None]:
        """Return inputs, targets and weights of a batch, (B, …)."""
        drawn = self.draw(len(x), generator)
        if drawn is None:
            return x, y, weight
        partner, lam = drawn[0].to(x.device), drawn[1]
        cut = self.kind == "cutmix" or (self.kind == "both" and bool(torch.rand((), generator=generator) < 0.5))
        if cut and x.dim() > 2:
            x, lam = _cut(x, partner, lam, generator)
        else:
            x = torch.lerp(x[partner], x, lam)
        return x, mixed_targets(y, weight, partner, lam), None

    def draw(self, rows: int, generator: torch.Generator) -> tuple[Tensor, float] | None:
        """Return the partner of each row of a batch, (B,), and the rows' own share λ; ``None`` where none is mixed."""
        if rows < 2 or float(torch.rand((), generator=generator)) >= self.chance:
            return None
        lam = _beta(self.alpha, generator)
        return torch.randperm(rows, generator=generator), lam


def mixed_targets(y: Tensor, weight: Tensor | None, partner: Tensor, lam: float) -> MixedTargets:
    """Return the targets of rows of which λ is their own and the rest their partners'.

    Parameters
    ----------
    y : Tensor
        (B,) or (B, T).
    weight : Tensor, optional
        (B,), or (B, K) with a column for each member of a population: both parts count as their own rows do.
    partner : Tensor
        (B,).
    lam : float
        In [0, 1].
    """
    own = torch.ones(len(y), device=y.device) if weight is None else weight
    return MixedTargets(y, y[partner], own * lam, own[partner] * (1.0 - lam))


def _beta(alpha: float, generator: torch.Generator) -> float:
    """Return a draw of Beta(alpha, alpha) from two of Gamma(alpha, 1) (Marsaglia and Tsang 2000)."""
    one, other = _log_gamma_draw(alpha, generator), _log_gamma_draw(alpha, generator)
    return 1.0 / (1.0 + math.exp(min(other - one, 700.0)))


def _log_gamma_draw(alpha: float, generator: torch.Generator) -> float:
    """Return the logarithm of a draw of Gamma(alpha, 1): small shapes give values that no float holds."""
    boost = 0.0
    if alpha < 1:  # Gamma(a) = Gamma(a + 1) · U^(1/a)
        uniform = max(float(torch.rand((), generator=generator, dtype=torch.float64)), 1e-300)
        boost, alpha = math.log(uniform) / alpha, alpha + 1
    d = alpha - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        normal = float(torch.randn((), generator=generator, dtype=torch.float64))
        v = (1 + c * normal) ** 3
        uniform = max(float(torch.rand((), generator=generator, dtype=torch.float64)), 1e-300)
        if v > 0 and math.log(uniform) < 0.5 * normal**2 + d - d * v + d * math.log(v):
            return math.log(d * v) + boost


def _cut(x: Tensor, partner: Tensor, lam: float, generator: torch.Generator) -> tuple[Tensor, float]:
    """Return pictures with a box of their partners', and the share of their own that is left."""
    height, width = x.shape[-2:]
    side = math.sqrt(1.0 - lam)
    tall, wide = round(height * side), round(width * side)
    middle = [int(torch.randint(length, (), generator=generator)) for length in (height, width)]
    top, left = max(middle[0] - tall // 2, 0), max(middle[1] - wide // 2, 0)
    bottom, right = min(middle[0] - tall // 2 + tall, height), min(middle[1] - wide // 2 + wide, width)
    box = (..., slice(top, bottom), slice(left, right))
    mixed = x.clone()
    mixed[box] = x[partner][box]
    return mixed, 1.0 - (bottom - top) * (right - left) / (height * width)
