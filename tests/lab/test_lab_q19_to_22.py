"""Questions 19 to 22: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest
import torch

from glia.lab import q19_l1_and_l2 as q19
from glia.lab import q20_early_stopping as q20
from glia.lab import q21_dropout as q21
from glia.lab import q22_learning_rate as q22
from glia.lab.bench import Bench
from glia.lab.judging import constant_loss
from glia.lab.made import line, made, rings, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


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


def test_so_strong_a_penalty_costs_accuracy():
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


def test_early_stopping_where_noise_is_learned_by_heart():
    verdicts = words(q20.CLAIMS, q20.measure(Bench(by_heart(700)), SEEDS, lr=3e-3, folds=2))
    assert {key for key, verdict in verdicts.items() if verdict == "supported"} >= {
        "near the optimum", "lower test loss", "noise", "best weights", "saves",
    }  # fmt: skip


def test_early_stopping_where_a_network_is_still_learning():
    """Nothing is learned by heart from a smooth function; stopping at the first bad epoch comes much too early."""
    clean = waves(900, noise=0.0)
    verdicts = words(q20.CLAIMS, q20.measure(Bench(clean), SEEDS, lr=1e-2, patience=1, noisy=clean, folds=2))
    assert {key for key, verdict in verdicts.items() if verdict == "refuted"} >= {
        "near the optimum", "no worse", "lower test loss", "noise",
    }  # fmt: skip
    calm = words(q20.CLAIMS, q20.measure(Bench(clean), SEEDS, lr=1e-4, folds=2))
    assert calm["saves"] == calm["best weights"] == "refuted"  # the last epoch is always the best one so far


def test_epochs_at_which_training_stops():
    valid = np.array([[5, 4, 3, 4, 4, 4, 2], [5, 4, 3, 2, 1, 0.5, 0.2], [1, 2, 3, 4, 5, 6, 7]])
    assert q20.stopping_epochs(valid, 3).tolist() == [6, 7, 4]
    assert q20.stopping_epochs(valid, 0).tolist() == [7, 7, 7]


def test_the_engine_stops_where_the_curves_say():
    """Best weights come from the engine, epochs from the curves: losses of the two must agree."""
    bench = Bench(by_heart(500))
    found = q20._both(bench, SEEDS, 3, 1e-2)
    assert (found["epochs"] < 30).all()
    at = [np.argmin(curve[: int(e)]) for curve, e in zip(found["valid curve"], found["epochs"], strict=True)]
    np.testing.assert_allclose(found["test stopped"], found["test curve"][np.arange(6), at], rtol=1e-4)


def test_dropout_narrows_the_gap_where_noise_is_learned_and_not_at_rate_0():
    verdicts = words(q21.CLAIMS, q21.measure(Bench(by_heart(500)), SEEDS))
    assert {key for key, verdict in verdicts.items() if verdict == "supported"} >= {
        "gap made", "gap", "expectation", "one for many",
    }  # fmt: skip
    without = words(q21.CLAIMS, q21.measure(Bench(by_heart(300)), SEEDS, rate=1e-6, divide=False))
    assert {key for key, verdict in without.items() if verdict == "refuted"} >= {
        "gap made", "gap", "expectation", "one for many", "thinned are worse",
    }  # fmt: skip
    assert without["as good"] == "supported"


def test_dropout_of_one_half_hurts_a_network_that_has_to_follow_a_function():
    verdicts = words(q21.CLAIMS, q21.measure(Bench(waves(1000, noise=0.0)), SEEDS))
    assert verdicts["better"] == "refuted" and verdicts["thinned are worse"] == "supported"


def test_dropout_is_better_where_most_columns_are_noise():
    data = by_heart(6000, columns=20, wrong=0.25, shares=(0.1, 0.05))
    assert words(q21.CLAIMS, q21.measure(Bench(data), SEEDS))["better"] == "supported"


def test_rates_that_are_too_high_or_too_low():
    verdicts = words(q22.CLAIMS, q22.measure(Bench(waves(500)), SEEDS))
    assert verdicts["too high"] == verdicts["too low"] == "supported"
    narrow = words(q22.CLAIMS, q22.measure(Bench(rings(400)), SEEDS, rates=(5e-3, 6e-3, 7e-3)))
    assert narrow["too high"] == narrow["too low"] == "refuted"


def test_the_range_test_is_believed_only_while_its_rate_works():
    assert words(q22.CLAIMS, q22.measure(Bench(rings(600)), SEEDS))["range test"] != "refuted"
    lost = q22.measure(Bench(rings(600)), SEEDS, find=lambda bench, seed: 1e-6)
    verdicts = words(q22.CLAIMS, lost)
    assert verdicts["range test"] == "refuted" and lost.suggestion == {"lr": 1e-6}


def test_schedules_help_at_a_rate_that_is_high_and_not_where_every_rate_is_too_low():
    hot = words(q22.CLAIMS, q22.measure(Bench(line(2500)), range(10), find=lambda bench, seed: 3e-2))
    assert hot["warm-up"] == "supported"
    wild = words(q22.CLAIMS, q22.measure(Bench(waves(1500, noise=0.3)), range(10), find=lambda bench, seed: 2e-2))
    assert wild["one cycle"] == "supported"
    cold = words(q22.CLAIMS, q22.measure(Bench(waves(700, noise=0.0)), SEEDS, find=lambda bench, seed: 1e-4))
    assert cold["decay"] == cold["one cycle"] == cold["warm-up"] == "refuted"


def test_decay_ends_better_where_a_constant_rate_keeps_jumping():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2500, 20))
    data = made("noisy line", x, x @ rng.normal(size=20) + 3 * rng.normal(size=2500), "regression")
    hot = words(q22.CLAIMS, q22.measure(Bench(data), SEEDS, find=lambda bench, seed: 1e-2))
    assert hot["decay"] == "supported"


@pytest.mark.parametrize("data", [by_heart(200), three_classes(), line(200)], ids=["binary", "multiclass", "values"])
def test_the_constant_answer_has_the_least_loss_of_all_constants(data):
    least = constant_loss(data.train, data.task)
    if data.task == "regression":
        assert least == pytest.approx(float(data.train.y.var(correction=0)), rel=1e-5)
    else:
        shares = np.bincount(data.train.y.numpy().astype(int)) / len(data.train)
        assert least == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)
