"""Question 19: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest
import torch

from glia.lab import q19_l1_and_l2 as q19
from glia.lab.bench import Bench
from glia.lab.judging import constant_loss
from glia.lab.made import line, made, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q19, "_LEVELS", q19._LEVELS[:1])
        yield


def by_heart(rows, columns=15, wrong=0.2, shares=(0.6, 0.2)):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    return made("noise", x, ((x[:, 0] > 0) ^ (rng.uniform(size=rows) < wrong)).astype(float), "binary", shares=shares)


def three_classes(rows=300):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    return made("three", x, np.digitize(x[:, 0] + 0.1 * rng.normal(size=rows), [-0.5, 0.5]).astype(float), "multiclass")


def test_penalties_do_what_is_said_of_them():
    found = q19.measure(Bench(by_heart(400)), SEEDS, l1=0.3)
    verdicts = words(q19.CLAIMS, found)
    assert set(verdicts.values()) <= {"supported", "undecided"}
    decided = {"L1 zeros", "L2 no zeros", "L2 shrinks", "selects", "L2 keeps all", "L2 spreads", "elastic net",
               "proximal step"}  # fmt: skip
    assert {key for key, verdict in verdicts.items() if verdict == "supported"} >= decided


def test_without_penalties_nothing_is_found():
    verdicts = words(q19.CLAIMS, q19.measure(Bench(three_classes()), SEEDS, l1=0.0, l2=0.0))
    assert {key for key, verdict in verdicts.items() if verdict == "refuted"} == {
        "L1 zeros", "L2 shrinks", "selects", "L2 spreads", "elastic net", "proximal step",
    }  # fmt: skip


def test_l1_selects_nothing_where_all_columns_are_useful():
    assert words(q19.CLAIMS, q19.measure(Bench(line(200)), SEEDS, useful_noise=True))["selects"] == "refuted"


def test_so_strong_a_penalty_costs_accuracy(monkeypatch):
    monkeypatch.setattr(q19, "_selection", lambda *_: [0.0] * 9)  # which is not asked for here
    assert words(q19.CLAIMS, q19.measure(Bench(waves(1000)), SEEDS, l1=20.0))["no cost"] == "refuted"


def test_an_l2_penalty_that_only_l1_could_fulfil_is_seen_to_leave_no_zeros(monkeypatch):
    """With the proximal step in L2's place weights are cut, and the claims about L2 fall."""
    fit = q19._fit
    monkeypatch.setattr(q19, "_fit", lambda x, y, l1, l2, **more: fit(x, y, max(l1, l2), 0.0, **more))
    monkeypatch.setattr(q19, "_zeros", lambda network: 3.0 + torch.rand(1).item())
    found = q19.measure(Bench(line(200)), SEEDS)
    assert words(q19.CLAIMS, found)["L2 keeps all"] == "refuted"
    found.pairs["L2 no zeros"][1][:] = 0.0  # of no penalty
    assert words(q19.CLAIMS, found)["L2 no zeros"] == "refuted"


def test_the_linear_fits_fulfil_the_conditions_of_an_optimum():
    """Of ½·mse + l1·|w|₁ + ½·l2·|w|²: the slope is −l1·sign(w) at weights that are not 0, and within ±l1 at others."""
    rng = np.random.default_rng(0)
    x, l1, l2 = rng.normal(size=(300, 8)), 0.2, 0.1
    y = x @ np.array([2.0, -1.0, 0.1, 0, 0, 0, 0, 0.5]) + rng.normal(size=300)
    w = q19._fit(x, y, l1, l2)
    slope = x.T @ (x @ w - y) / 300 + l2 * w
    assert 0 < (w == 0).sum() < 8
    np.testing.assert_allclose(slope[w != 0], -l1 * np.sign(w[w != 0]), atol=1e-9)
    assert (np.abs(slope[w == 0]) <= l1).all()


@pytest.mark.parametrize("data", [by_heart(200), three_classes(), line(200)], ids=["binary", "multiclass", "values"])
def test_the_constant_answer_has_the_least_loss_of_all_constants(data):
    least = constant_loss(data.train, data.task)
    if data.task == "regression":
        assert least == pytest.approx(float(data.train.y.var(correction=0)), rel=1e-5)
    else:
        shares = np.bincount(data.train.y.numpy().astype(int)) / len(data.train)
        assert least == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)
