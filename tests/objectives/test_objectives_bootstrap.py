"""Intervals: they cover at the stated rate, pairing narrows them, seeds repeat them, and they are quick."""

import math
import time

import numpy as np
import pytest

from glia.core.errors import InputError
from glia.core.results import Interval
from glia.objectives import evaluate, metrics, paired_difference
from glia.objectives.bootstrap import row_counts
from glia.objectives.probability_metrics import calibrated_errors
from glia.objectives.scored import scored


def test_counts_are_resamples():
    blocks = list(row_counts(7, 100_000, random_state=3))
    counts = np.concatenate(blocks)
    assert counts.shape == (100_000, 7) and len(blocks) > 1
    assert (counts.sum(axis=1) == 7).all()
    # multinomial: variance n·p·(1 − p), covariance −n·p²
    np.testing.assert_allclose(counts.var(axis=0), 7 * (1 / 7) * (6 / 7), atol=0.02)
    np.testing.assert_allclose(np.cov(counts.T)[0, 1:], -1 / 7, atol=0.02)


@pytest.mark.parametrize(("level", "slack"), [(0.9, 0.055), (0.5, 0.08)])
def test_intervals_cover_at_the_stated_rate(level, slack):
    rng = np.random.default_rng(0)
    truth = {"mae": math.sqrt(2 / math.pi), "rmse": 1.0}
    hits = dict.fromkeys(truth, 0)
    rounds = 300
    for i in range(rounds):
        y = rng.normal(size=120)
        result = evaluate("regression", y, np.zeros(120), names=list(truth), n_boot=200, level=level, random_state=i)
        for name, value in truth.items():
            hits[name] += result[name].low <= value <= result[name].high
    for name in truth:
        assert hits[name] / rounds == pytest.approx(level, abs=slack)


def test_ranking_intervals_cover_and_a_wrong_truth_is_found_out():
    rng = np.random.default_rng(1)
    auc = 0.5 * (1 + math.erf(0.5))  # two normals one standard deviation apart: Φ(1 / √2)
    rounds, hits, wrong = 200, 0, 0
    for i in range(rounds):
        y = (np.arange(150) < 60).astype(int)
        p = 1 / (1 + np.exp(-(rng.normal(size=150) + y)))
        found = evaluate("binary", y, (p > 0.5).astype(int), p, names=["roc_auc"], n_boot=200, random_state=i)[
            "roc_auc"
        ]
        hits += found.low <= auc <= found.high
        wrong += found.low <= auc + 0.12 <= found.high
    assert 0.89 <= hits / rounds <= 0.99
    assert wrong / rounds < 0.25


def test_the_calibration_error_of_a_calibrated_model_reaches_down_to_zero():
    """A percentile interval would exclude the truth nearly always: resampling makes calibration look worse."""
    rng = np.random.default_rng(2)
    at_zero = 0
    for i in range(60):
        p = rng.random(400)
        y = (rng.random(400) < p).astype(int)
        found = evaluate("binary", y, (p > 0.5).astype(int), p, names=["ece"], n_boot=100, random_state=i)["ece"]
        assert 0 <= found.low <= found.value <= found.high
        at_zero += found.low == 0.0
    assert at_zero >= 55
    p = rng.random(400)
    y = (rng.random(400) < p**3).astype(int)  # the control: far too sure
    assert evaluate("binary", y, y, p, names=["ece"], n_boot=100)["ece"].low > 0.1


def test_chance_errors_are_those_of_labels_drawn_from_the_claims():
    p = np.random.default_rng(5).random(200)
    data = scored("binary", np.zeros(200, dtype=int), None, p, np.arange(200) % 3 + 1.0, [0, 1])
    fast = calibrated_errors(data, np.random.default_rng(6), 2000)
    rng = np.random.default_rng(7)
    slow = []
    for _ in range(300):
        y = (rng.random(200) < p).astype(int)
        slow.append(metrics.get("ece").score(scored("binary", y, None, p, data.weight, [0, 1])))
    assert fast.mean() == pytest.approx(np.mean(slow), rel=0.05)
    assert fast.std() == pytest.approx(np.std(slow), rel=0.15)


def test_pairing_finds_what_separate_intervals_cannot():
    rng = np.random.default_rng(3)
    y = rng.normal(size=500) * 10
    shared = rng.normal(size=500) * 4
    a = y + shared
    b = y + 1.1 * shared + 0.2 * rng.normal(size=500)
    difference = paired_difference("regression", "rmse", y, a, b, random_state=1)
    alone = [evaluate("regression", y, side, names=["rmse"], random_state=1)["rmse"] for side in (a, b)]
    assert difference.high < 0  # a's error is lower
    assert alone[0].high > alone[1].low  # their own intervals overlap
    assert difference.value == pytest.approx(alone[0].value - alone[1].value)
    turned = paired_difference("regression", "rmse", y, b, a, random_state=1)
    assert (turned.value, turned.low, turned.high) == pytest.approx(
        (-difference.value, -difference.high, -difference.low)
    )


def test_a_model_does_not_differ_from_itself_nor_from_an_equal():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, 300)
    p = rng.dirichlet(np.ones(3), 300)
    same = paired_difference("multiclass", "log_loss", y, p, p, classes=[0, 1, 2])
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    excluded = 0
    for i in range(100):  # two models that guess: the interval excludes 0 in about one of twenty
        guesses = rng.integers(0, 3, (2, 300))
        found = paired_difference("multiclass", "accuracy", y, *guesses, n_boot=200, random_state=i)
        excluded += not found.low <= 0 <= found.high
    assert excluded <= 12


def test_same_seed_same_interval_and_the_value_does_not_move():
    y, guess = np.arange(30) % 2, (np.arange(30) // 2) % 2
    first, again, other = (evaluate("binary", y, guess, n_boot=50, random_state=s)["accuracy"] for s in (0, 0, 1))
    assert first == again and first.value == other.value and first != other


def test_weights_of_rows_shift_figure_and_interval():
    y, guess = np.array([0, 1] * 50), np.array([0] * 100)
    heavy = np.where(y == 0, 3.0, 1.0)
    found = evaluate("binary", y, guess, sample_weight=heavy, n_boot=200)["accuracy"]
    assert found.value == pytest.approx(0.75) and found.low < 0.75 < found.high


def test_one_row_and_a_rare_class_give_a_figure_without_a_made_up_interval():
    assert evaluate("regression", [1.0], [2.0], n_boot=10)["mae"] == Interval(1.0, 1.0, 1.0, 0.95)
    y = np.array([1] + [0] * 3)  # a resample misses the only positive row in a third of the cases
    found = evaluate("binary", y, y, [0.9, 0.1, 0.2, 0.3], n_boot=200)["roc_auc"]
    assert found.value == found.low == found.high == 1.0
    single = evaluate("binary", [0, 1], [0, 1], [0.2, 0.9], n_boot=400)["roc_auc"]
    assert single.value == 1.0 and (math.isnan(single.low) or single.low == 1.0)


def test_the_result_speaks():
    y, guess = np.arange(40) % 2, (np.arange(40) // 2) % 2
    result = evaluate("binary", y, guess, np.full(40, 0.5), n_boot=20)
    assert result.summary().startswith("roc_auc is 0.5 (95% interval 0.5 to 0.5) on 40 rows")
    (table,) = result.tables()
    assert len(table.rows) == len(result.metrics) and "lower" in {row[4] for row in table.rows}
    assert result.to_dict()["metrics"]["accuracy"]["value"] == 0.5
    with pytest.raises(InputError, match="n_boot"):
        evaluate("binary", y, guess, n_boot=0)
    with pytest.raises(InputError, match="level"):
        paired_difference("binary", "accuracy", y, guess, guess, level=1.0)
    with pytest.raises(InputError, match="'roc_auc' needs rows of two classes"):
        paired_difference("binary", "roc_auc", [0, 0], [0.1, 0.2], [0.1, 0.3], classes=[0, 1])


def test_ten_thousand_rows_take_at_most_three_seconds():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 10_000)
    p = 1 / (1 + np.exp(-(rng.normal(size=10_000) + y)))
    start = time.process_time()
    evaluate("binary", y, (p > 0.5).astype(int), p, n_boot=500)
    assert time.process_time() - start < 3.0
