"""Work is bounded for long sequences: plans by arithmetic, and what a diagnosis really runs."""

import numpy as np
import pytest
import torch

from glia import SequenceClassifier, diagnose
from glia.diagnose import budget as bounds
from glia.diagnose.budget import Budget, budget_of
from glia.diagnose.case import make_case
from glia.nn import GRU


def test_rows_are_what_the_work_pays_for():
    assert Budget(10.0).rows(512, 3000.0, passes=3.0) == 100
    assert Budget(10.0).rows(50, 3000.0, passes=3.0) == 50 and Budget(1e9).rows(512, 3000.0, least=16) == 16


def test_plans_stay_within_the_work_or_are_none():
    cheap = Budget(1.0).training(1e9, steps=200, batch_size=64, networks=9, seeds=2, least=100)
    assert (cheap.steps, cheap.batch_size, cheap.seeds) == (200, 64, 2)  # as before: nothing is cut
    found = []
    for row in np.geomspace(1, 1e9, 60):
        plan = Budget(row).training(1e10, steps=200, batch_size=64, networks=9, seeds=2, least=100)
        if plan is None:
            assert 3 * row * 9 * 100 * bounds.LEAST_BATCH > bounds.SMALL * 1e10  # not even the least fits
            continue
        assert 3 * row * 9 * plan.steps * plan.batch_size * plan.seeds <= 1e10
        assert plan.steps >= 100 and plan.batch_size >= bounds.LEAST_BATCH
        found.append((plan.seeds, plan.batch_size, plan.steps))
    assert found == sorted(found, reverse=True)  # dearer rows are never given more


def rows(steps, count=60, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(count, steps)), np.arange(count) % 2
    X[y == 1, steps // 2 :] += 1.0
    return X, y


def fitted(steps):
    return SequenceClassifier(network=GRU(hidden=4), epochs=1, batch_size=16).fit(*rows(steps))


@pytest.mark.parametrize("steps", [10, 400])
def test_a_row_costs_its_steps(steps):
    case = make_case(fitted(steps), *rows(steps))
    gates = 3 * (4 * 1 + 4 * 4)
    assert budget_of(case).row == steps * gates + 4  # torch's cell at each step, and a head of one output


class Counted:
    """Counts the steps of sequences that go through a network; gradients triple them."""

    def __init__(self, monkeypatch):
        self.cells = 0.0
        forward = torch.nn.GRU.forward

        def counting(module, x, *args):
            self.cells += x.shape[0] * x.shape[1] * (3.0 if torch.is_grad_enabled() else 1.0)
            return forward(module, x, *args)

        monkeypatch.setattr(torch.nn.GRU, "forward", counting)


def test_long_sequences_are_looked_at_with_no_more_work_than_is_allowed(monkeypatch):
    scale = 2.5e-4  # the bounds made small, so that sequences that fit a test are long
    for module in ("glia.diagnose.measures", "glia.diagnose.budget", "glia.diagnose.prove"):
        for name in ("LOOK", "JUDGE", "SWEEP", "TRIALS", "PROOF"):
            if hasattr(__import__(module, fromlist=["x"]), name):
                monkeypatch.setattr(f"{module}.{name}", getattr(bounds, name) * scale)
    model, (X, y) = fitted(300), rows(300)
    counted = Counted(monkeypatch)
    long = diagnose(model, X, y, held_out=rows(300, 30, 1))
    spent = counted.cells * 60
    allowed = bounds.LOOK + 2 * bounds.JUDGE + bounds.SWEEP + bounds.TRIALS  # already made small
    floor = 300 * 60 * (32 * 3 + 26 * 16 + 90 + 3 * 20 * 4 + 60 * 4)  # the least rows that anything is measured on
    assert spent < allowed * 2 + floor
    assert long.measures.trial is None and any("too long" in one for one in long.measures.left_out)
    assert long.measures.train.relative > 0 and long.measures.gradients
    short = diagnose(fitted(10), *rows(10), held_out=rows(10, 30, 1))
    assert short.measures.trial is not None and short.measures.trial.steps == pytest.approx(200, abs=4)
