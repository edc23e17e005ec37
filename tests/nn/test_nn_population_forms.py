"""Populations compute what their members would, in every form, and keep them apart."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.nn import MLP
from glia.nn.population import SeparatePopulation, StackedPopulation, stack, unstack
from glia.nn.population.cost import pays, step_flops

K, B, D = 4, 12, 6


class Tied(nn.Module):
    """Encoder and decoder share a weight; a buffer counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(D, D, bias=False), nn.Linear(D, D)
        self.last.weight = self.first.weight
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.last(torch.tanh(self.first(x)))


class Branching(nn.Module):
    """Looks at its values, which no map over members can do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out if float(out.detach().sum()) > 0 else -out


def made(make: Any) -> list[nn.Module]:
    networks = []
    for k in range(K):
        torch.manual_seed(k)
        networks.append(make())
    return networks


def dense(**options: Any) -> list[nn.Module]:
    return made(lambda: MLP((10, 8), **options).build(Layout((D,)), 3))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(B, D, generator=torch.Generator().manual_seed(0))


SEQUENTIAL = {
    "plain": lambda: nn.Sequential(nn.Linear(D, 7), nn.Tanh(), nn.LayerNorm(7), nn.Linear(7, 2)),
    "normed input": lambda: nn.Sequential(nn.BatchNorm1d(D), nn.Linear(D, 7), nn.PReLU(7), nn.Linear(7, 2)),
    "nested": lambda: nn.Sequential(
        nn.Flatten(), nn.Sequential(nn.Linear(D, 7, bias=False), nn.Mish()), nn.Linear(7, 2)
    ),
    "running mean of all": lambda: nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5, momentum=None), nn.Linear(5, 2)),
    "no running mean": lambda: nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5, track_running_stats=False)),
}


@pytest.mark.parametrize("form", ["batched", "vmap", "separate"])
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_one_member_alone_answers_what_it_answers_with_the_others(name: str, form: str, x: Tensor) -> None:
    if (name, form) == ("running mean of all", "vmap"):
        pytest.skip("torch's layer reads a counter back, which vmap cannot")
    population = stack(made(SEQUENTIAL[name]), form, rows=x)
    population.train()(x)
    before = [{n: value.clone() for n, value in state.items()} for state in population.member_states()]
    with torch.no_grad():
        for k in reversed(range(K)):
            torch.testing.assert_close(population.answer(k, x), population.eval()(x)[k])
    for state, kept in zip(population.member_states(), before, strict=True):
        assert all(torch.equal(state[n], value) for n, value in kept.items())


@pytest.mark.parametrize("form", ["batched", "vmap", "separate"])
def test_one_member_answers_where_the_population_is(form: str) -> None:
    """On another device, also with what no state holds, such as the edges of bins."""
    layout = Layout((1,), (Feature("x", "x", "numeric", bins=(0.0, 0.5, 1.0)),))
    networks = made(lambda: MLP((4,), numeric_embedding="piecewise_linear").build(layout, 2))
    population = stack(networks, form).to("meta")
    assert population.answer(1, torch.zeros(3, 1, device="meta")).shape == (3, 2)


@pytest.mark.parametrize("form", ["batched", "vmap", "separate"])
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_outputs_gradients_and_statistics_are_the_members_own(name: str, form: str, x: Tensor) -> None:
    if (name, form) == ("running mean of all", "vmap"):
        pytest.skip("torch's layer reads a counter back, which vmap cannot")
    networks = made(SEQUENTIAL[name])
    population = stack(copy.deepcopy(networks), form)
    for _ in range(3):
        out = population.train()(x)
        expected = torch.stack([network.train()(x) for network in networks])
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    out.sin().sum().backward()
    expected.sin().sum().backward()
    back = copy.deepcopy(networks)
    unstack(population, back)
    for network, other in zip(networks, back, strict=True):
        for name_, value in network.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name_], value, rtol=1e-5, atol=1e-6)
    if isinstance(population, StackedPopulation):
        for name_, p in population.network.named_parameters():
            own = torch.stack([dict(n.named_parameters())[name_].grad for n in networks])  # type: ignore[misc]
            torch.testing.assert_close(p.grad, own, rtol=1e-4, atol=1e-5)
    population.eval()
    expected = torch.stack([network.eval()(x) for network in networks])
    torch.testing.assert_close(population(x), expected, rtol=1e-5, atol=1e-5)


def test_shared_weights_stay_one(x: Tensor) -> None:
    networks = made(Tied)
    population = stack(copy.deepcopy(networks), "vmap", rows=x)
    assert len(list(population.parameters())) == len(list(networks[0].parameters()))
    torch.testing.assert_close(population(x), torch.stack([n(x) for n in networks]))
    assert population.member_state(1)["calls"] == 1  # what the form tried out beforehand left no trace


def test_code_that_cannot_be_mapped_runs_in_turn(x: Tensor) -> None:
    networks = made(Branching)
    population = stack(networks, rows=x)
    assert isinstance(population, SeparatePopulation)
    torch.testing.assert_close(population(x), torch.stack([n(x) for n in networks]))
    with pytest.raises(InputError, match=r"torch\.func\.vmap · got \w+Error"):
        stack(networks, "vmap", rows=x)


def test_networks_that_are_watched_run_in_turn(x: Tensor) -> None:
    networks, seen = dense(), []
    networks[2].register_forward_hook(lambda *_: seen.append(1))
    assert stack(networks, rows=x).form == "separate"
    with pytest.raises(InputError, match="hooks"):
        stack(networks, "vmap", rows=x)


@pytest.mark.parametrize("form", ["batched", "vmap"])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_masks_of_dropout_differ_between_members(form: str, norm: str, x: Tensor) -> None:
    networks = [copy.deepcopy(dense(dropout=0.5, norm=norm)[0]) for _ in range(K)]
    torch.manual_seed(0)
    out = stack(networks, form).train()(x)
    assert all(not torch.equal(out[0], other) for other in out[1:])
    assert torch.equal(*stack(networks, form).eval()(x)[:2])


def test_members_may_have_their_own_probabilities() -> None:
    shares = [0.0, 0.2, 0.5, 0.8]
    networks = [nn.Sequential(nn.Linear(D, 4000), nn.Dropout(p), nn.Identity()) for p in shares]
    torch.manual_seed(0)
    population = stack(networks, "batched").train()
    out = population(torch.ones(1, D))
    dropped = (out == 0).float().mean((1, 2))
    torch.testing.assert_close(dropped, torch.tensor(shares), atol=0.04, rtol=0.0)  # 5 standard deviations
    kept = out[3][out[3] != 0] * 0.2
    assert set(kept.round(decimals=4).tolist()) <= set(
        population.eval()(torch.ones(1, D))[3].round(decimals=4)[0].tolist()
    )
    # A probability of 0 leaves the layer out of a network, which makes it no other architecture.
    mixed = [MLP((8,), dropout=p).build(Layout((D,)), 2) for p in (0.0, 0.3)]
    assert stack(mixed, "batched").form == "batched"


def test_forms_that_cannot_be_had(x: Tensor) -> None:
    with pytest.raises(InputError, match=r"member 2 differs in 'blocks\.0\.linear'"):
        stack([*dense()[:2], MLP((9, 8)).build(Layout((D,)), 3)])
    with pytest.raises(InputError, match=r"blocks\.0\.activation"):
        stack([*dense(), MLP((10, 8), "tanh").build(Layout((D,)), 3)])
    with pytest.raises(InputError, match="batched"):
        stack(dense(), "bached")
    with pytest.raises(InputError, match="every part must have a batched form"):
        stack(made(Branching), "batched")
    with pytest.raises(InputError, match="must have members"):
        stack([])
    with pytest.raises(InputError, match="3 for 4"):
        unstack(stack(dense(), "batched"), dense()[:3])


def test_size_decides_what_is_computed_together(x: Tensor) -> None:
    """Operations are counted: three passes of 2·rows·weights for a linear layer."""
    network = dense()[0]
    assert step_flops(network, x, 64) == 3 * 2 * 64 * (D * 10 + 10 * 8 + 8 * 3)
    assert step_flops(network, None, 64) == 6 * 64 * sum(p.numel() for p in network.parameters())
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert not pays(1, "batched", 1e6, cpu)
    assert pays(8, "batched", 1e6, cpu)
    assert not pays(8, "vmap", 1e9, cpu)
    assert pays(8, "vmap", 1e9, gpu)
    assert stack(dense(), rows=x, batch_size=64).form == "batched"
    assert stack(dense(), rows=x, batch_size=10**7).form == "separate"
