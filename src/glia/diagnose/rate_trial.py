"""Fresh networks trained for a short while at rates around the one in question, all at once as a population."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.errors import TrainingError
from glia.diagnose.layers import RowLoss, outputs_of
from glia.diagnose.skill import relative
from glia.engine.optimizer_settings import Optimizer
from glia.engine.population import train_population
from glia.engine.rows import Rows
from glia.nn.modes import evaluating

FACTORS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
SEEDS, STEPS = 2, 200


@dataclass(frozen=True)
class RateTrial:
    """Where short trainings at several rates ended.

    Parameters
    ----------
    lr : float
        The rate in question.
    rates : tuple of float
        Rates that were tried, from low to high.
    relative : tuple of float
        Training loss at the end over that of the best constant, the median over networks; infinite where it ran away.
    steps : int
        Steps that each took.
    """

    lr: float
    rates: tuple[float, ...]
    relative: tuple[float, ...]
    steps: int

    @property
    def own(self) -> float:
        """Relative loss at the rate in question."""
        return self.relative[self.rates.index(self.lr)]

    def best(self, low: float = 0.0, high: float = math.inf) -> tuple[float, float]:
        """Return the rate in [low, high] with the least relative loss, and that loss."""
        inside = [(loss, rate) for rate, loss in zip(self.rates, self.relative, strict=True) if low <= rate <= high]
        loss, rate = min(inside, default=(math.inf, self.lr))
        return rate, loss


def rate_trial(
    fresh: Callable[[int], nn.Module],
    loss: RowLoss,
    x: Tensor,
    y: Tensor,
    constant: float,
    *,
    optimizer: Optimizer,
    lr: float,
    batch_size: int,
    steps: int = STEPS,
    seeds: int = SEEDS,
    random_state: int = 0,
) -> RateTrial:
    """Train fresh networks at rates from a thousandth to a thousand times ``lr``, and at the rule's usual rate.

    Parameters
    ----------
    fresh : callable
        Seed → a network as it is before training.
    loss, x, y
        As ``run_layers`` takes them.
    constant : float
        Mean loss of the best constant output.
    optimizer, lr, batch_size
        How the network was trained.
    steps, seeds : int
        Steps of each, and networks to each rate.
    """
    usual = float(optimizer.make(fresh(random_state), None).param_groups[0]["lr"])
    far = [rate for rate in (usual, 10 * usual) if not lr * FACTORS[0] / 2 < rate < lr * FACTORS[-1] * 2]
    rates = tuple(sorted([*(lr * factor for factor in FACTORS), *far]))
    each = [rate for rate in rates for _ in range(seeds)]
    networks = [fresh(random_state + seed) for _ in rates for seed in range(seeds)]
    size = min(batch_size, len(x))
    epochs = max(1, round(steps / math.ceil(len(x) / size)))
    ends = train_apart(networks, loss, Rows(x, y), optimizer, each, epochs, size, random_state)
    ends = [relative(end, constant) for end in ends]
    middle = [sorted(ends[i * seeds : (i + 1) * seeds])[seeds // 2] for i in range(len(rates))]
    return RateTrial(lr, rates, tuple(middle), epochs * math.ceil(len(x) / size))


def train_apart(
    networks: list[nn.Module],
    loss: RowLoss,
    rows: Rows,
    optimizer: Optimizer,
    rates: list[float],
    epochs: int,
    batch_size: int,
    random_state: int,
) -> list[float]:
    """Train the networks at their rates; return each one's mean training loss, infinite where it ran away."""
    try:
        fit = train_population(
            networks, loss, rows, epochs=epochs, batch_size=batch_size, optimizer=optimizer, lr=rates,
            random_state=random_state,
        )  # fmt: skip
    except TrainingError:  # all of them failed
        return [math.inf] * len(networks)
    return [
        math.inf if failed else mean_loss(n, loss, rows) for n, failed in zip(fit.networks, fit.failed, strict=True)
    ]


@torch.no_grad()
def mean_loss(network: nn.Module, loss: RowLoss, rows: Rows) -> float:
    """Return the mean loss in evaluation mode; infinite where it is not finite."""
    with evaluating(network):
        value = float(loss(outputs_of(network, rows.x), rows.y).double().mean())
    return value if math.isfinite(value) else math.inf
