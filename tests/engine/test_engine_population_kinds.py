"""Members of several architectures in one fit equal the same networks trained alone; mixed rows have the mixed loss."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.engine.loop import Trainer
from glia.engine.mixing import Mixing, mixed_targets
from glia.engine.optimizer_settings import Optimizer
from glia.engine.population import finish, population_trainer
from glia.engine.population_dense import StackedFused, stacked_gradient
from glia.engine.population_gradient import StackedAutograd
from glia.engine.population_kinds import population_gradient
from glia.engine.rows import Rows
from glia.nn import MLP
from glia.nn.population import SeparatePopulation, stack, unstack
from glia.objectives import MSE, BinaryCrossEntropy, CrossEntropy, Huber

TABLE = Layout(
    (4,),
    (
        Feature("a", "a", "code", 7),
        Feature("b", "b", "numeric", bins=(-2.0, -0.5, 0.0, 0.7, 2.0)),
        Feature("c", "c", "numeric", bins=(-1.0, 0.0, 1.0)),
        Feature("d", "d", "onehot"),
    ),
)
NUMBERS = Layout((3,), tuple(Feature(n, n, "numeric", bins=(-1.0, 0.0, 1.0)) for n in "abc"))


def networks(
    layout: Layout, outputs: int, companion: str = "bin_place", kinds: tuple[int, ...] = (4, 2)
) -> list[nn.Module]:
    torch.manual_seed(1)
    ways = ("piecewise_linear", companion)
    return [
        MLP((9, 5), "silu", numeric_embedding=way).build(layout, outputs)
        for way, count in zip(ways, kinds, strict=True)
        for _ in range(count)
    ]


def rows(layout: Layout, target: str, count: int = 70, members: int = 6) -> Rows:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, layout.in_features, generator=generator)
    if layout is TABLE:
        x[:, 0] = torch.randint(0, 7, (count,), generator=generator)
    y: Tensor = x[:, 1] * x[:, 2]
    if target == "classes":
        y = (y > 0).long() + (y > 1).long()
    elif target == "binary":
        y = (y > 0).float()
    fold = torch.arange(count) % members
    weight = (fold.unsqueeze(1) != torch.arange(members)).float()
    return Rows(x, y, weight / weight.mean(0))


@pytest.mark.parametrize("layout", [TABLE, NUMBERS], ids=["codes", "numbers"])
@pytest.mark.parametrize(("feature_rate", "companion"), [(0.0, "none"), (3.0, "bin_place"), (3.0, "periodic")])
def test_every_member_equals_the_network_trained_alone(layout: Layout, feature_rate: float, companion: str) -> None:
    data = rows(layout, "classes")
    made = networks(layout, 3, companion)
    plain = [copy.deepcopy(network) for network in made]
    rule = Optimizer("adamw", 0.02, clip_norm=0.3, feature_rate=feature_rate)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 16, "random_state": 5}
    trainer = population_trainer(made, CrossEntropy(), data, optimizer=rule, lr=4e-3, kinds=(4, 2), **options)
    assert [s.form for s in trainer.population.stacks] == ["batched", "batched"]
    trainer.fit(data, None)
    finish(trainer, made)
    for k, (network, own) in enumerate(zip(made, plain, strict=True)):
        alone = data.with_weight(data.weight[:, k])  # type: ignore[index]  # they have weights
        Trainer(own, CrossEntropy(), rule.make(own, 4e-3), clip=rule.clip(), **options).fit(alone, None)
        for name, value in own.state_dict().items():
            assert torch.allclose(network.state_dict()[name], value, atol=1e-5), (k, name)


def test_rates_and_penalties_of_its_own_reach_every_member_of_every_kind() -> None:
    data = rows(TABLE, "binary")
    made = networks(TABLE, 1)
    plain = [copy.deepcopy(network) for network in made]
    options: dict[str, Any] = {"epochs": 2, "batch_size": 20, "random_state": 5}
    lr, l2, decay = [1e-3 * (k + 1) for k in range(6)], [0.01 * k for k in range(6)], [0.1 * (6 - k) for k in range(6)]
    trainer = population_trainer(
        made, BinaryCrossEntropy(), data, lr=lr, l2=l2, weight_decay=decay, optimizer="adamw", kinds=(4, 2), **options
    )
    trainer.fit(data, None)
    finish(trainer, made)
    for k, (network, own) in enumerate(zip(made, plain, strict=True)):
        alone = data.with_weight(data.weight[:, k])  # type: ignore[index]  # they have weights
        single = population_trainer(
            [own], BinaryCrossEntropy(), alone, lr=lr[k], l2=l2[k], weight_decay=decay[k], optimizer="adamw", **options
        )
        single.fit(alone, None)
        finish(single, [own])
        for name, value in own.state_dict().items():
            assert torch.allclose(network.state_dict()[name], value, atol=1e-5), (k, name)


def test_forward_answers_and_states_are_those_of_the_networks() -> None:
    made = networks(TABLE, 3)
    population = stack(made, kinds=(4, 2)).eval()
    x = rows(TABLE, "classes").x
    expected = torch.stack([network.eval()(x) for network in made])
    assert torch.allclose(population(x), expected, atol=1e-6)
    assert torch.allclose(torch.stack([population.answer(k, x) for k in range(6)]), expected, atol=1e-6)
    copies = networks(TABLE, 3)
    for network in copies:
        for p in network.parameters():
            p.data.zero_()
    unstack(population, copies)
    assert all(
        torch.equal(a, b)
        for one, other in zip(made, copies, strict=True)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_kinds_must_divide_the_members_and_be_alike_within() -> None:
    made = networks(TABLE, 3)
    with pytest.raises(InputError, match="kinds must divide the members"):
        stack(made, kinds=(4, 3))
    with pytest.raises(InputError, match="one architecture"):
        stack(made, kinds=(3, 3))
    assert isinstance(stack(made, "separate", kinds=(4, 2)), SeparatePopulation)
    with pytest.raises(InputError, match="one architecture"):
        stack(made, "separate", kinds=(3, 3))


@pytest.mark.parametrize(
    ("loss", "target", "outputs"),
    [(CrossEntropy(), "classes", 3), (BinaryCrossEntropy(), "binary", 1), (MSE(), "value", 1), (Huber(), "value", 1)],
    ids=["classes", "binary", "squared", "huber"],
)
@pytest.mark.parametrize(("layout", "companion"), [(TABLE, "bin_place"), (NUMBERS, "none")], ids=["codes", "numbers"])
def test_mixed_rows_have_the_mixed_loss_behind_the_first_stage(
    loss: Any, target: str, outputs: int, layout: Layout, companion: str
) -> None:
    """The hand-written pass, autograd, and each plain network on its own mixed first stage give the same gradients."""
    made = networks(layout, outputs, companion)
    data = rows(layout, target)
    weight = data.weight
    assert weight is not None
    mixing = Mixing("mixup", alpha=0.5, chance=1.0)
    population = stack(made, kinds=(4, 2)).train()
    fused = population_gradient(population, loss, bfloat16=False, mixing=mixing)
    torch.manual_seed(11)
    means = fused(data.x, data.y, weight)
    found = [{name: p.grad.clone() for name, p in s.network.named_parameters()} for s in population.stacks]  # type: ignore[union-attr]  # just made

    torch.manual_seed(11)
    start = 0
    for own, stacked in zip(found, population.stacks, strict=True):
        members = slice(start, start + stacked.members)
        way = stacked_gradient(stacked, loss, bfloat16=False, mixing=mixing)
        assert isinstance(way, StackedFused)
        state = torch.get_rng_state()
        slow = StackedAutograd(stacked, loss, mixing=mixing)(data.x, data.y, weight[:, members])
        assert torch.allclose(slow, means[members], atol=1e-6)
        for name, p in stacked.network.named_parameters():
            assert torch.allclose(own[name], p.grad, atol=1e-5), name  # type: ignore[arg-type]  # just made
        after = torch.get_rng_state()

        torch.set_rng_state(state)
        drawn = mixing.draw(len(data), torch.default_generator)
        assert drawn is not None
        partner, lam = drawn
        for k in range(stacked.members):
            network = made[start + k]
            network.zero_grad()
            inner = data.x if network.input is None else network.input(data.x)  # type: ignore[operator]
            h = lam * inner + (1 - lam) * inner[partner]
            for name, part in network.stages():  # type: ignore[operator]
                h = h if name == "input" else part(h)
            w = weight[:, start + k]
            total = (lam * w * loss(h, data.y) + (1 - lam) * w[partner] * loss(h, data.y[partner])).mean()
            total.backward()
            assert float(total.detach()) == pytest.approx(float(means[start + k]), abs=1e-5)
            for name, p in network.named_parameters():
                assert torch.allclose(own[name][k], p.grad, atol=1e-5), (k, name)  # type: ignore[arg-type]
        torch.set_rng_state(after)
        start += stacked.members


def test_nothing_is_mixed_while_a_network_is_only_asked() -> None:
    data = rows(NUMBERS, "classes")
    population = stack(networks(NUMBERS, 3), kinds=(4, 2)).eval()
    way = population_gradient(population, CrossEntropy(), bfloat16=False, mixing=Mixing(chance=1.0))
    plain = population_gradient(population, CrossEntropy(), bfloat16=False)
    assert torch.equal(way(data.x, data.y, data.weight), plain(data.x, data.y, data.weight))


def test_a_held_out_rows_target_teaches_nobody_who_is_judged_by_it() -> None:
    """Member 0's weight of a row is 0: whatever its target, no gradient of member 0 changes, mixed or not."""
    data = rows(NUMBERS, "binary")
    weight = data.weight
    assert weight is not None
    held = weight[:, 0] == 0
    other = torch.where(held, 1 - data.y, data.y)
    gradients = []
    for y in (data.y, other):
        population = stack(networks(NUMBERS, 1), kinds=(4, 2)).train()
        torch.manual_seed(2)
        population_gradient(population, BinaryCrossEntropy(), bfloat16=False, mixing=Mixing(chance=1.0))(
            data.x, y, weight
        )
        gradients.append([p.grad[0].clone() for p in population.stacks[0].network.parameters()])  # type: ignore[index]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_targets_of_mixed_rows_count_as_their_own_rows_do() -> None:
    y, weight = torch.tensor([0.0, 1.0, 1.0]), torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
    found = mixed_targets(y, weight, torch.tensor([2, 0, 1]), 0.75)
    assert torch.equal(found.second, torch.tensor([1.0, 0.0, 1.0]))
    assert torch.allclose(found.share, 0.75 * weight)
    assert torch.allclose(found.rest, 0.25 * weight[[2, 0, 1]])
