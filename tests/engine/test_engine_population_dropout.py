"""With dropout a member equals its network alone in distribution; samples and folds are what they say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.engine.gradients import Autograd
from glia.engine.population import train_population
from glia.engine.population_dense import StackedFused, stacked_gradient
from glia.engine.population_gradient import StackedAutograd
from glia.engine.population_weights import bootstrap_weights, fold_weights
from glia.engine.rows import Rows
from glia.nn import MLP
from glia.nn.population import StackedPopulation, stack
from glia.objectives import MSE


@pytest.mark.parametrize(
    ("activation", "shares"),
    [("relu", [0.4] * 200), ("silu", [0.4] * 200), ("relu", [0.2, 0.6] * 100), ("tanh", [0.2, 0.6] * 100)],
)
def test_gradients_under_dropout_have_the_moments_of_torchs(activation: str, shares: list[float]) -> None:
    """200 members with the same weights, one batch: mean and variance of every gradient over masks.

    The reference is the plain network by autograd, 500 times; the limit is 5 standard errors.
    """
    torch.manual_seed(0)
    x, y, loss = torch.randn(5, 3), torch.randn(5, 1), MSE()
    start = MLP((6, 4), activation, dropout=0.4).build(Layout((3,)), 1).state_dict()
    networks = [MLP((6, 4), activation, dropout=p).build(Layout((3,)), 1) for p in shares]
    for network in networks:
        network.load_state_dict(start)
    population = stack(networks, "batched").train()
    assert isinstance(population, StackedPopulation)
    gradient = stacked_gradient(population, loss, bfloat16=False)
    assert isinstance(gradient, StackedFused)
    found = []
    for _ in range(6):
        gradient(x, y, None)
        found.append(torch.cat([p.grad.flatten(1) for p in population.parameters() if p.grad is not None], dim=1))
    for p in sorted(set(shares)):
        members = [k for k, share in enumerate(shares) if share == p]
        mine = torch.cat([one[members] for one in found])
        single = next(network for network, share in zip(networks, shares, strict=True) if share == p).train()
        alone, theirs = Autograd(single, loss), []
        for _ in range(500):
            alone(x, y, None)
            theirs.append(torch.cat([q.grad.flatten() for q in single.parameters() if q.grad is not None]))
        other = torch.stack(theirs)
        for power in (1, 2):
            a, b = mine**power, other**power
            error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt() + 1e-7
            assert float(((a.mean(0) - b.mean(0)) / error).abs().max()) < 5.0


def test_masks_hold_for_both_ways() -> None:
    """Forward and backward use the same mask: the gradient of an output by its bias is 1 for kept units only."""
    torch.manual_seed(0)
    networks = [MLP((8,), "tanh", dropout=0.5).build(Layout((3,)), 1) for _ in range(4)]
    population = stack(networks, "batched").train()
    assert isinstance(population, StackedPopulation)
    x, y = torch.randn(1, 3), torch.zeros(1, 1)
    gradient = stacked_gradient(population, MSE(), bfloat16=False)
    assert isinstance(gradient, StackedFused)
    gradient(x, y, None)
    state = dict(population.network.named_parameters())
    dropped = state["output.weight"].grad == 0  # (K, 1, 8): inputs of the last layer that were 0
    assert 0 < int(dropped.sum()) < dropped.numel()
    assert torch.equal(state["blocks.0.linear.bias"].grad == 0, dropped.squeeze(1))


def test_own_probabilities_train_and_stay() -> None:
    torch.manual_seed(0)
    networks: list[nn.Module] = [MLP((16,), dropout=0.5).build(Layout((3,)), 1) for _ in range(3)]
    train = Rows(torch.randn(60, 3), torch.randn(60, 1))
    fit = train_population(networks, MSE(), train, epochs=2, batch_size=20, dropout=[0.0, 0.1, 0.7])
    assert fit.form == "batched"
    assert [m.p for network in networks for m in network.modules() if isinstance(m, nn.Dropout)] == [0.0, 0.1, 0.7]


def test_fused_and_autograd_agree_in_one_step() -> None:
    torch.manual_seed(0)
    networks = [MLP((7, 5), "silu", output="sigmoid").build(Layout((3,)), 2) for _ in range(3)]
    population = stack(networks, "batched").train()
    assert isinstance(population, StackedPopulation)
    x, y, weight = torch.randn(9, 3), torch.rand(9, 2), torch.rand(9, 3)
    ways = [StackedAutograd(population, MSE()), stacked_gradient(population, MSE(), bfloat16=False)]
    found = []
    for way in ways:
        means = way(x, y, weight)
        found.append([means, *(p.grad.clone() for p in population.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) == 7
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_bootstrap_counts_are_poisson() -> None:
    weight = bootstrap_weights(20_000, 3, 7)
    counts = torch.stack([column / column[column > 0].min() for column in weight.t()], dim=1)
    assert counts.round().allclose(counts, atol=1e-3)
    torch.testing.assert_close(weight.mean(0), torch.ones(3))
    for k, probability in enumerate([0.3679, 0.3679, 0.1839, 0.0613]):  # e⁻¹/k!
        share = (counts.round() == k).float().mean(0)
        torch.testing.assert_close(share, torch.full((3,), probability), atol=0.017, rtol=0.0)
    assert abs(float(torch.corrcoef(counts.t())[0, 1])) < 0.035
    torch.testing.assert_close(bootstrap_weights(20_000, 2, 7), weight[:, :2])  # members' columns are their own
    own = torch.zeros(20_000)
    own[:5000] = 4.0
    assert not bootstrap_weights(20_000, 2, 7, own)[5000:].any()
    assert bootstrap_weights(1, 50, 0).min() == 1.0


def test_folds_part_the_rows() -> None:
    fold = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    train, held = fold_weights(fold, 3)
    assert torch.equal(train > 0, held == 0)
    assert torch.equal((held > 0).sum(1), torch.ones(7, dtype=torch.long))
    torch.testing.assert_close(train.mean(0), torch.ones(3))
    torch.testing.assert_close(held.mean(0), torch.ones(3))
    with pytest.raises(InputError, match=r"\[3, 2, 2, 0\]"):
        fold_weights(fold, 4)
