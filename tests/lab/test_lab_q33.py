"""Question 33: a related task helps where labels are few; an unrelated one does not."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.lab import q33_transfer_learning as q33
from glia.lab.bench import Bench
from glia.lab.layer_rates import Stacked, joined, tune
from glia.lab.made import line
from glia.lab.verdict import judge, weigh

BENCH = Bench(line(60))  # no claim is on the user's data


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of numbers of labels only those that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q33, "_LABELS", (q33._LABELS[0], q33._FEW, q33._LABELS[-1]))
        yield


def verdict(key, pair):
    claim = next(claim for claim in q33.CLAIMS if claim.key == key)
    return judge([weigh(claim, *map(np.asarray, pair))])[0][0]


@pytest.fixture(scope="module")
def related():
    return q33.measure(BENCH, range(8))


@pytest.fixture(scope="module")
def unrelated():
    halves = q33.two_halves(0, related=False, elsewhere=lambda x: x)
    return q33.measure(BENCH, range(8), q33.same_parts(0, related=False), halves)


@pytest.mark.parametrize("key", ["few labels", "faster", "frozen", "rates by layer", "unfreezing", "domain"])
def test_tasks_of_the_same_parts(related, key):
    assert verdict(key, related.pairs[key]) == "supported"


@pytest.mark.parametrize("key", ["few labels", "digits", "domain"])
def test_tasks_that_have_nothing_in_common_and_inputs_that_have_not_moved(unrelated, key):
    assert verdict(key, unrelated.pairs[key]) == "refuted"


@pytest.mark.parametrize("key", ["faster", "frozen", "rates by layer", "unfreezing"])
def test_nothing_is_gained_from_the_unrelated_by_tuning_it_carefully(unrelated, key):
    assert verdict(key, unrelated.pairs[key]) != "supported" or key == "frozen"


def test_the_gain_falls_with_labels_unless_few_are_too_few_to_use_what_is_known(related, unrelated):
    """What is unrelated harms the more, the more could be learned; parts that are hard to find gain from more rows."""
    assert verdict("gain falls", unrelated.pairs["gain falls"]) == "supported"
    assert verdict("gain falls", related.pairs["gain falls"]) == "refuted"


@pytest.mark.parametrize("key", ["faster", "frozen", "rates by layer", "unfreezing", "gain falls", "digits"])
def test_the_other_way_round_is_the_other_verdict(related, key):
    ahead = np.linspace(20.0, 30.0, 8)
    better = -1.0 if key == "faster" else 1.0
    assert verdict(key, (50.0 + better * ahead, np.full(8, 50.0))) == "supported"
    assert verdict(key, (50.0 - better * ahead, np.full(8, 50.0))) == "refuted"


def test_stacked_networks_learn_as_torch_teaches_each():
    """Adam with a rate for each layer, against torch.optim with parameter groups, network by network."""
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)) for _ in range(2)]
    x, y = torch.randn(2, 6, 3), torch.randint(0, 2, (2, 6))
    rates = torch.tensor([[0.01, 0.02], [0.0, 0.03]])
    stack = Stacked.of(nets)
    tune(stack, x, y, lambda step: rates * (1 + step % 2), 10, lambda _: np.zeros(2))
    for i, net in enumerate(nets):
        groups = [{"params": net[j].parameters(), "lr": float(rates[i, j // 2])} for j in (0, 2)]
        optimizer = torch.optim.Adam(groups)
        for step in range(10):
            for j, group in enumerate(optimizer.param_groups):
                group["lr"] = float(rates[i, j]) * (1 + step % 2)
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[i]), y[i]).backward()
            optimizer.step()
        for j in (0, 1):
            torch.testing.assert_close(stack.weights[j][i], net[2 * j].weight.data, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(stack.biases[j][i, 0], net[2 * j].bias.data, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(stack.answer(x)[i], net(x[i]).detach(), atol=1e-5, rtol=1e-4)


def test_stacks_are_copies_and_join():
    nets = [nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)) for _ in range(3)]
    stack = Stacked.of(nets)
    both = joined([stack, stack])
    assert len(both.weights[0]) == 6
    both.weights[0].zero_()
    assert stack.weights[0].any() and nets[0][0].weight.any()


def test_layers_are_freed_from_the_last_to_the_first():
    first, last = q33.by_layer(0, 3), q33.by_layer(q33._STEPS - 1, 3)
    assert first[1] == last[1] == [0.0, 0.0, 1.0]
    assert first[4] == [0.0, 0.0, 1.0] and last[4] == [1.0, 1.0, 1.0]
    assert first[3][2] == 1.0 and first[3][1] == pytest.approx(1 / 2.6)


def test_statistics_are_those_of_the_new_inputs():
    net = nn.Sequential(nn.BatchNorm1d(2))
    x = torch.randn(50, 2) * 3 + 5
    copy = q33.recentred(net, x)
    torch.testing.assert_close(copy[0].running_mean, x.mean(0))
    torch.testing.assert_close(copy[0].running_var, x.var(0))
    assert float(net[0].running_mean.abs().sum()) == 0.0
    torch.testing.assert_close(copy(x).mean(0), torch.zeros(2), atol=1e-5, rtol=0)
