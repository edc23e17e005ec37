"""Question 23: claims are supported where the mechanism acts, and refuted where it does not."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from glia.lab import q23_deep_networks as q23
from glia.lab.bench import Bench
from glia.lab.made import line, made
from glia.lab.verdict import judge, weigh
from glia.nn import count_parameters

SEEDS = range(6)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q23, "_DEPTHS", (4, q23._DEPTHS[-1]))
        yield


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


@dataclass(frozen=True)
class Flat(Bench):
    """A bench whose networks all have one hidden layer and no remedies, however many layers are asked for."""

    def network(self, hidden=(64, 64), **settings):
        return super().network(tuple(hidden)[:1])


def planes(rows=900, columns=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    return made("planes", x, (x[:, 0] + x[:, 1] > 0).astype(float), "binary")


@pytest.fixture(scope="module")
def sigmoid():
    return words(q23.CLAIMS, q23.measure(Bench(planes()), SEEDS, activation="sigmoid"))


def test_depth_hurts_under_the_sigmoid_and_remedies_recover_it(sigmoid):
    assert sigmoid["depth hurts"] == sigmoid["skip connections"] == "supported"
    assert sigmoid["normalisation"] == sigmoid["cost"] == "supported"


def test_without_depth_it_does_not_hurt_and_there_is_nothing_to_recover():
    flat = words(q23.CLAIMS, q23.measure(Flat(planes(400)), SEEDS))
    for key in ("depth hurts", "skip connections", "normalisation"):
        assert flat[key] == "refuted"
    same = words(q23.CLAIMS, q23.measure(Flat(planes(60)), SEEDS, pruned=0.0, rank=64))
    assert same["which to prune"] == "refuted" and same["pruning"] == same["low rank"] == "supported"


def test_pruning_and_low_rank_cost_accuracy_where_too_much_is_taken():
    taken = words(q23.CLAIMS, q23.measure(Bench(line(300)), SEEDS, pruned=0.97, rank=1, deep=4))
    assert taken["pruning"] == taken["low rank"] == "refuted"
    gentle = words(q23.CLAIMS, q23.measure(Bench(planes(3000, columns=2)), SEEDS, pruned=0.3, rank=16, deep=4))
    assert gentle["pruning"] == gentle["low rank"] == "supported"
    assert words(q23.CLAIMS, q23.measure(Bench(line(600)), SEEDS, pruned=0.5, deep=4))["which to prune"] == "supported"


def test_cost_is_not_higher_for_equal_networks(monkeypatch):
    monkeypatch.setattr(q23, "_cost", lambda bench, make, seed: 0.1 * count_parameters(make()) ** 0)
    assert words(q23.CLAIMS, q23.measure(Flat(planes(60)), SEEDS))["cost"] == "refuted"


def test_shared_weights_cost_nothing_on_an_easy_task_and_much_where_they_cannot_learn(sigmoid, monkeypatch):
    assert words(q23.CLAIMS, q23.measure(Bench(planes(1500)), SEEDS, deep=4))["sharing"] == "supported"
    monkeypatch.setattr(q23.Shared, "forward", lambda self, x: self.output(torch.relu(self.first(0 * x))))
    assert words(q23.CLAIMS, q23.measure(Bench(planes(400)), SEEDS, deep=4))["sharing"] == "refuted"


def test_low_rank_is_the_best_approximation_and_pruning_takes_the_smallest():
    bench = Bench(line(100))
    network = bench.network((20, 20))
    weight = network.blocks[1].linear.weight.detach().clone().double()
    q23.lower_rank_(network, 3)
    left = (network.blocks[1].linear.weight.detach().double() - weight).norm()
    s = torch.linalg.svdvals(weight)
    assert float(left) == pytest.approx(float(s[3:].norm()), rel=1e-4)  # Eckart–Young
    pruned = q23.prune_(bench.network((20, 20)), 0.25).blocks[1].linear.weight.detach()
    assert int((pruned == 0).sum()) == 100 and float(pruned[pruned != 0].abs().min()) > 0
