"""AdamW that learns a scale for each number of a table, against the same written with autograd."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.engine.optimizer_settings import Optimizer
from glia.engine.optimizers import FeatureScaledAdamW
from glia.engine.population import train_population
from glia.engine.rows import Rows
from glia.nn import MLP
from glia.nn.feature_columns import feature_columns

RATE = 3.0


def layout():
    bins = ((-1.0, 0.0, 1.0), (-2.0, -1.0, 1.0, 3.0))
    numbers = [Feature(f"n{i}", f"n{i}", "numeric", bins=b) for i, b in enumerate(bins)]
    code = Feature("c", "c", "code", 3)
    return Layout((4,), (Feature("i", "i", "indicator"), numbers[0], code, numbers[1]))


def network(seed=0):
    torch.manual_seed(seed)
    return MLP((6, 5), activation="silu", numeric_embedding="piecewise_linear").build(layout(), 1)


def batch(seed, rows=20):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 4, generator=generator)
    x[:, 2] = torch.randint(0, 3, (rows,), generator=generator).float()
    return x, torch.sin(3 * x[:, 1:2]) + x[:, :1]


def backward(model, seed):
    model.zero_grad()
    x, y = batch(seed)
    (model(x) - y).square().mean().backward()


def first_weight(model):
    return feature_columns(model)[0].weight


def test_which_columns_read_which_number():
    (found,) = feature_columns(network())
    assert found.weight.shape == (6, 1 + 2 + 3 + 2)
    assert found.start == 1 and found.feature.tolist() == [0, 0, 1, 1, 1]
    stage = network().input
    moved = batch(0)[0]
    base = stage(moved)
    moved[:, 3] += 0.5  # the second number alone
    changed = (stage(moved) != base).any(0).nonzero().flatten().tolist()
    assert changed == [1 + place for place, feature in enumerate(found.feature.tolist()) if feature == 1]


def test_equals_the_same_with_autograd():
    ours, theirs = network(), network()
    optimizer = Optimizer("adamw", weight_decay=0.1, feature_rate=RATE).make(ours, 0.01)
    assert type(optimizer) is FeatureScaledAdamW
    # The first layer's weight as a product of weights and scales, differentiated by torch, updated by torch.
    (columns,) = feature_columns(theirs)
    value = columns.weight.detach().clone().requires_grad_()
    exponent = torch.zeros(2, requires_grad=True)
    rest = [p for p in theirs.parameters() if p is not columns.weight]
    decayed = [
        value,
        *(
            p
            for name, p in theirs.named_parameters()
            if p.ndim == 2 and "input" not in name and p is not columns.weight
        ),
    ]
    spared = [p for p in rest if not any(p is one for one in decayed)]
    adamw = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": spared, "weight_decay": 0.0}], lr=0.01
    )
    adam = torch.optim.Adam([exponent], lr=0.01)
    name = next(name for name, p in theirs.named_parameters() if p is columns.weight)
    for step in range(6):
        backward(ours, step)
        optimizer.step()
        scales = torch.ones(value.shape[1])
        end = columns.start + len(columns.feature)
        scales = torch.cat([scales[: columns.start], (RATE * exponent).exp()[columns.feature], scales[end:]])
        x, y = batch(step)
        adamw.zero_grad()
        adam.zero_grad()
        out = torch.func.functional_call(theirs, {name: value * scales}, x)
        (out - y).square().mean().backward()
        adamw.step()
        if step:  # scales begin after the first step
            adam.step()
    assert exponent.abs().min() > 1e-3
    scales = torch.cat([torch.ones(columns.start), (RATE * exponent).exp()[columns.feature], torch.ones(2)])
    torch.testing.assert_close(first_weight(ours), value * scales, rtol=1e-5, atol=1e-6)
    for (_, a), (other, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        if other != name:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_state_continues_bit_by_bit():
    one = network()
    optimizer = Optimizer("adamw", feature_rate=RATE).make(one, 0.01)
    for step in range(3):
        backward(one, step)
        optimizer.step()
    other = copy.deepcopy(one)
    again = Optimizer("adamw", feature_rate=RATE).make(other, 0.01)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for model, rule in ((one, optimizer), (other, again)):
        for step in range(3, 6):
            for group in rule.param_groups:
                group["lr"] = 0.01 * step  # as schedules do
            backward(model, step)
            rule.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_members_equal_each_alone(decay):
    rule = Optimizer("adamw", weight_decay=decay, clip_norm=1.0, feature_rate=RATE)
    x, y = batch(0, 90)
    rows = Rows(x, y)
    loss = lambda output, target: (output - target).square().mean(1)  # noqa: E731
    options = {"epochs": 4, "batch_size": 32, "optimizer": rule, "lr": 0.01, "random_state": 0}
    together = train_population([network(seed) for seed in range(3)], loss, rows, None, **options)
    assert together.form == "batched"
    for seed, member in enumerate(together.networks):
        alone = train_population([network(seed)], loss, rows, None, **options).networks[0]
        for a, b in zip(member.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_what_has_no_bins_is_trained_as_ever():
    plain = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    made = Optimizer("adamw", feature_rate=RATE).make(plain, 0.01)
    assert type(made) is type(Optimizer("adamw").make(plain, 0.01))
    assert type(Optimizer("adamw").make(network(), 0.01)) is not FeatureScaledAdamW


def test_features_that_do_not_help_are_faded_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 20))
    y = np.sign(x[:, 0]) + 0.1 * rng.normal(size=600)

    def share(rate):
        rule = Optimizer("adamw", weight_decay=0.02, clip_norm=1.0, feature_rate=rate)
        model = glia.Regressor(optimizer=rule, lr=4e-3, epochs=15, members=1, random_state=0).fit(x, y)
        (columns,) = feature_columns(model.network_)
        own = columns.weight.detach()[:, columns.start : columns.start + len(columns.feature)].square().sum(0)
        by_feature = torch.zeros(20).index_add_(0, columns.feature, own)
        return float(by_feature[0] / by_feature.sum())

    assert share(3.0) > 1.5 * share(0.0)


def test_what_is_refused():
    with pytest.raises(InputError, match="learned by adamw"):
        Optimizer("sgd", feature_rate=1.0).make(network(), 0.1)
    for rate in (-1.0, np.nan, "much", True):
        with pytest.raises(InputError, match="feature_rate must be"):
            Optimizer("adamw", feature_rate=rate).make(network(), 0.1)
    optimizer = Optimizer("adamw", feature_rate=1.0).make(network(), 0.1)
    with pytest.raises(InputError, match="closure"):
        optimizer.step(lambda: 0.0)
