"""Question 44: what is said of SHAP and LIME holds on a bent network, and is refuted on a straight or a wrong one."""

from dataclasses import replace

import numpy as np
import pytest

from glia.explain import input_x_gradient, lime, shap
from glia.lab import q44_shap_and_lime as q44
from glia.lab.bench import Bench
from glia.lab.data import load_data
from glia.lab.made import made
from glia.lab.verdict import judge, weigh

SEEDS = range(5)
AXIOMS = ("symmetry", "dummy")


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of numbers of coalitions only those that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q44, "_BUDGETS", (q44._BUDGETS[0], q44._BUDGETS[-1]))
        yield


def words(found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in q44.CLAIMS}


def bent(width=6, rows=400, task="regression"):
    x = np.random.default_rng(0).normal(size=(rows, width))
    y = 2 * x[:, 0] * x[:, -1] + 3 * x[:, 0]
    return made("bent", x, y if task == "regression" else (y > 0) + (y > 2.0), task)


def test_all_is_supported_on_the_census():
    assert set(words(q44.measure(Bench(load_data(rows=600)), SEEDS)).values()) == {"supported"}


def test_on_straight_networks_both_are_exact_at_once():
    found = words(q44.measure(Bench(bent()), SEEDS, hidden=()))
    differences = ("LIME sums", "kernel", "permutation", "LIME repeats", "LIME samples", "LIME dummy")
    assert {found[key] for key in differences} == {"refuted"}
    assert {found[key] for key in ("sums", "agree", *AXIOMS)} == {"supported"}  # Shapley values keep their promises


def test_columns_that_are_elsewhere_are_not_found_and_axioms_need_their_conditions(monkeypatch):
    monkeypatch.setattr(q44, "_on_yours", lambda *_: {})  # neither of the two is asked about here
    monkeypatch.setattr(q44, "_converging", lambda *_: dict.fromkeys(("kernel", "permutation"), np.zeros(2)))
    found = words(q44.measure(Bench(bent()), SEEDS, where=(0, 3, 8), tied=False))
    assert {found[key] for key in ("SHAP finds", "LIME finds", *AXIOMS)} == {"refuted"}


def test_wrong_explanations_are_seen_through():
    def wrong(predictor, x, *, background=None, **_):
        return replace(input_x_gradient(predictor, x), evaluations=1000)

    def turned(predictor, x, **options):
        found = lime(predictor, x, **options)
        return replace(found, values=100.0 - np.abs(found.values))

    bench = Bench(bent())
    runs = bench.train(lambda: bench.network((16,)), SEEDS, epochs=8, lr=1e-2)
    for key, options in (("sums", (wrong, lime)), ("agree", (shap, turned))):
        pairs = [q44._on_yours(bench, runs.networks[seed], seed, *options)[key] for seed in SEEDS]
        claim = next(claim for claim in q44.CLAIMS if claim.key == key)
        assert judge([weigh(claim, *np.array(pairs).T)])[0][0] == "refuted"


@pytest.mark.parametrize("width, task", [(1, "regression"), (4, "multiclass")])
def test_other_tasks_and_a_single_column(width, task):
    found = q44.measure(Bench(bent(width, task=task)), range(2), epochs=3)
    assert all(np.isfinite(side).all() for pair in found.pairs.values() for side in pair)
    gap, allowed = found.pairs["sums"]
    assert (gap < allowed).all()


def test_figures_are_as_worked_out_by_hand():
    assert q44._apart(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == pytest.approx(100 * 1 / 2)
    assert q44._rank(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(50.0)
    shares = np.zeros((4, 10))
    shares[:, [1, 6, 9]] = -1.0  # two of the three that are planted
    assert q44._hits(shares) == pytest.approx(200 / 3)
