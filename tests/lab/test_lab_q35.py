"""Question 35: rankings name what a network leans on where that is little; blind ones, and of one column, do not."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from glia.explain import AttributionResult
from glia.lab import q35_interpretability as q35
from glia.lab.bench import Bench
from glia.lab.made import line, made
from glia.lab.verdict import judge, weigh

SEEDS, SMALL = range(4), {"rows": 300, "explained": 100, "epochs": 8}
RANKED = (*q35.LOCAL, *q35.GLOBAL, "insertion")


@pytest.fixture
def unread(monkeypatch):
    """Without trees and rules, where nothing is asked about them."""
    monkeypatch.setattr(q35, "_fidelity", lambda *_: np.nan)


def words(found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in q35.CLAIMS}


def columns(rule, width=10, rows=500, seed=0, task="binary"):
    x = np.random.default_rng(seed).normal(size=(rows, width))
    return made("columns", x, rule(x).astype(float), task)


def one_column():
    """A single column that says it all: there is nothing to rank."""
    return Bench(columns(lambda x: x[:, 0] > 0.2, width=1))


def test_few_columns_of_many_are_named_by_every_ranking_and_told_by_trees_and_rules():
    found = words(q35.measure(Bench(columns(lambda x: x[:, 2] > 0.2)), SEEDS, rows=300, explained=100, epochs=16))
    assert {found[key] for key in (*RANKED, "randomised", "maximisation", "tree", "rules")} == {"supported"}


def test_of_one_column_there_is_no_ranking(unread):
    found = words(q35.measure(one_column(), SEEDS, **SMALL))
    assert {found[key] for key in (*RANKED, "randomised", "maximisation")} == {"refuted"}


def test_ten_columns_that_count_alike_are_too_much_for_trees_and_rules():
    bench = Bench(columns(lambda x: x.sum(axis=1) > 0, 10))
    found = words(q35.measure(bench, SEEDS, local=BLIND, **SMALL))
    assert found["tree"] == found["rules"] == "refuted"


def blind(predictor, x, _):
    """Shares that never look at the network, and put the one column that counts last."""
    values = np.tile(np.linspace(2.0, 1.0, x.shape[1]), (len(x), 1))
    values[:, 2 % x.shape[1]] = 0.5
    outputs = predictor.forward(x).detach().numpy()
    if outputs.shape[1] > 1:
        return AttributionResult("blind", np.repeat(values[..., None], outputs.shape[1], axis=2), outputs)
    return AttributionResult("blind", values, outputs[:, 0])


BLIND = dict.fromkeys(q35.LOCAL, blind)


def test_explanations_that_never_look_at_the_network_are_seen_through(unread):
    bench = Bench(columns(lambda x: x[:, 2] > 0.2))
    found = words(q35.measure(bench, SEEDS, local=BLIND, **SMALL))
    assert {found[key] for key in (*q35.LOCAL, "insertion", "randomised")} == {"refuted"}
    assert {found[key] for key in q35.GLOBAL} == {"supported"}  # which were not touched


@dataclass(frozen=True)
class Loud(Bench):
    """A bench whose networks have a quarter of loud units in their last hidden layer, which alone count, or do not."""

    counts: bool = True

    def train(self, make, seeds, **options):
        runs = super().train(make, seeds, **options)
        with torch.no_grad():
            for network in runs.networks:
                last, seen = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-2], []
                last.weight[:8] *= 30
                last.bias[:8] = 30 * torch.rand(8)
                handle = network.output.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
                network.eval()(self.data.train.x)
                handle.remove()
                listens = slice(0, 8) if self.counts else slice(8, None)
                design = torch.cat([seen[0][:, listens], torch.ones(len(seen[0]), 1)], dim=1).double()
                fit = torch.linalg.lstsq(design, self.data.train.y.double(), driver="gelsd").solution[:, 0]
                network.output.weight.zero_()
                network.output.weight[0, listens], network.output.bias[0] = fit[:-1].float(), fit[-1].float()
        return runs


@pytest.mark.parametrize("counts, expected", [(True, "supported"), (False, "refuted")])
def test_loud_units_matter_where_something_listens_to_them(unread, counts, expected):
    bench = Loud(line(500), counts=counts)
    found = q35.measure(bench, SEEDS, local=BLIND, **SMALL)
    assert words(found)["activations"] == expected


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks(task):
    rule = (lambda x: np.digitize(x[:, 0], [-0.5, 0.5])) if task == "multiclass" else (lambda x: 2 * x[:, 0])
    found = q35.measure(Bench(columns(rule, 4, task=task)), range(2), **SMALL)
    assert all(np.isfinite(side).all() for pair in found.pairs.values() for side in pair)
    top, random = found.pairs["integrated gradients"]
    assert (top > random + 10).all()  # without its one column, it knows nothing


def test_removing_is_as_worked_out_by_hand():
    """y = 1 where x0 > 0; without x0 (mean 0) every logit is 0, which says class 0."""
    x = torch.tensor([[1.0, 5.0], [-1.0, 5.0], [2.0, -5.0], [3.0, -5.0]])
    data = columns(lambda x: x[:, 0] > 0, width=2)
    bench, network = Bench(data), torch.nn.Linear(2, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 0.0]]))
        network.bias.zero_()
    predictor, rows = q35.LabPredictor(network, data), q35.Rows(x, (x[:, 0] > 0).float())
    sizes = np.array([[1.0, 0.0]] * 4)
    assert q35._score(bench, predictor, rows, torch.zeros(1, 2), sizes, 1) == 100.0
    assert q35._score(bench, predictor, rows, torch.zeros(1, 2), sizes, 1, out=True) == 25.0
    assert q35._score(bench, predictor, rows, torch.zeros(1, 2), 1 - sizes, 1, out=True) == 100.0
