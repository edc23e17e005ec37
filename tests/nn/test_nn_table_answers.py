"""Looked-up answers are those of the networks, whatever a row holds; where they cannot be, there are none."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.hardware import threads
from glia.core.layout import Feature, Layout
from glia.estimators.inference import _outputs, member_outputs, network_outputs
from glia.nn import MLP
from glia.nn.ensemble import MeanNetwork
from glia.nn.table_answers import table_answers


def layout(numbers=3, codes=(4, 2, 30), plain=2, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, numbers)  # bins of different number, one of them alone
    features = [Feature("one hot", "c", "onehot") for _ in range(plain)]
    features += [Feature(f"c{i}", f"c{i}", "code", n) for i, n in enumerate(codes)]
    for i, size in enumerate(sizes):
        edges = tuple(np.sort(rng.normal(size=size + 1)).tolist())
        features.append(Feature(f"n{i}", f"n{i}", "numeric", 0, edges))
    order = rng.permutation(len(features))
    return Layout((len(features),), tuple(features[i] for i in order))


def rows(layout, count=200, seed=1):
    rng = np.random.default_rng(seed)
    columns = []
    for feature in layout.features:
        if feature.kind == "code":
            columns.append(rng.integers(-1, feature.cardinality + 2, count).astype(float))  # clamped codes too
        elif feature.kind == "onehot":
            columns.append(rng.integers(0, 2, count).astype(float))
        else:
            inside = rng.choice(feature.bins, count)  # edges themselves
            columns.append(np.where(rng.random(count) < 0.5, inside, 3 * rng.normal(size=count)))
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def networks(layout, count=3, outputs=2, **settings):
    torch.manual_seed(0)
    spec = MLP(hidden=(16, 8), numeric_embedding="piecewise_linear", **settings)
    made = [spec.build(layout, outputs).eval() for _ in range(count)]
    for one in made:
        for parameter in one.parameters():
            parameter.data.normal_(0, 0.5)
    return made


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [{}, {"codes": ()}, {"numbers": 0}, {"plain": 0}, {"codes": (), "plain": 0}])
def test_answers_are_the_networks(seed, shape):
    table = layout(seed=seed, **shape)
    members = networks(table)
    x = rows(table)
    with torch.no_grad():
        wanted = torch.stack([network(x) for network in members])
    torch.testing.assert_close(table_answers(members)(x), wanted, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"activation": "silu"}, {"activation": "tanh"}, {"bias": False}, {"dropout": 0.5}]
)
def test_of_every_plain_kind(settings):
    table = layout()
    members, x = networks(table, **settings), rows(table)
    with torch.no_grad():
        wanted = torch.stack([network(x) for network in members])
    torch.testing.assert_close(table_answers(members)(x), wanted, atol=2e-5, rtol=1e-5)


def test_they_leave_the_networks_as_they_are():
    table = layout()
    members = networks(table)
    before = [p.clone() for network in members for p in network.parameters()]
    answers, x = table_answers(members), rows(table)
    first = answers(x).clone()
    torch.testing.assert_close(answers(x), first, atol=0, rtol=0)  # nothing is written over
    assert all(torch.equal(a, p) for a, p in zip(before, (p for n in members for p in n.parameters()), strict=True))


def test_where_there_are_none():
    table = layout()
    members = networks(table)
    assert table_answers([nn.Linear(8, 2)]) is None
    assert table_answers(networks(table, norm="batch")) is None
    assert table_answers([*members, *networks(table, activation="tanh", count=1)]) is None
    assert table_answers(networks(layout(numbers=2, codes=()), activation="relu")) is not None
    handle = members[1].output.register_forward_hook(lambda module, inputs, output: output * 2)
    assert table_answers(members) is None
    handle.remove()
    assert table_answers([network.double() for network in members]) is None


def test_an_estimators_outputs_see_hooks_and_new_weights_at_once():
    table = layout()
    mean, x = MeanNetwork(networks(table), "regression"), rows(table, 40)
    first = network_outputs(mean, x)
    np.testing.assert_allclose(first, member_outputs(mean, x).mean(axis=0), atol=1e-6)
    mean.networks[0].output.weight.data.zero_()
    assert np.abs(network_outputs(mean, x) - first).max() > 1e-3
    handle = mean.register_forward_hook(lambda module, inputs, output: output * 0)
    assert not network_outputs(mean, x).any()
    handle.remove()


def test_a_row_has_the_same_bits_in_any_company():
    table = layout()
    mean, x = MeanNetwork(networks(table), "regression"), rows(table, 5000)
    whole = network_outputs(mean, x)
    for part in (slice(0, 1), slice(7, 24), slice(4990, 5000), slice(100, 2300)):
        np.testing.assert_array_equal(network_outputs(mean, x[part]), whole[part])


def test_batches_shared_among_threads_have_the_same_bits_and_leave_the_number_of_threads():
    table = layout()
    mean, x = MeanNetwork(networks(table), "regression"), rows(table, 9000)
    names = set()
    handed = table_answers(mean.networks)

    def answer(part):
        names.add((threading.current_thread().name, torch.get_num_threads(), torch.is_grad_enabled()))
        return handed(part)[0]

    with threads(2):
        shared, members = network_outputs(mean, x), member_outputs(mean, x)
        _outputs(answer, x, 2048, 2)
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as pool:  # what torch gives to threads that come later
            assert pool.submit(torch.get_num_threads).result() == 2
    with threads(1):
        np.testing.assert_array_equal(network_outputs(mean, x), shared)
        np.testing.assert_array_equal(member_outputs(mean, x), members)
    assert threading.current_thread().name not in {name for name, _, _ in names}
    assert {(count, grad) for _, count, grad in names} == {(1, False)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [{}, {"codes": ()}, {"plain": 0}, {"codes": (), "plain": 0}])
@pytest.mark.parametrize("companion", ["bin_place", "none", "periodic"])
def test_answers_of_networks_that_take_numbers_in_two_ways(seed, shape, companion):
    table = layout(seed=seed, **shape)
    torch.manual_seed(3)
    others = [MLP(hidden=(16, 8), numeric_embedding=companion).build(table, 2).eval() for _ in range(2)]
    members = [*networks(table), *others]
    x = rows(table)
    answers = table_answers(members)
    assert answers is not None
    with torch.no_grad():
        expected = torch.stack([network(x) for network in members])
    torch.testing.assert_close(answers(x), expected, rtol=1e-4, atol=1e-4)
