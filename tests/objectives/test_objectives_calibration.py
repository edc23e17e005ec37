"""Temperatures that are known, reliability by hand, and conformal intervals that cover by simulation."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss

from glia.core.errors import InputError
from glia.objectives import (
    conformal_margin,
    conformal_normalised,
    conformal_radius,
    coverage,
    evaluate,
    fit_temperature,
    reliability,
)


def drawn(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw classes whose probabilities are exactly softmax(z): Gumbel's trick."""
    return (z + rng.gumbel(size=z.shape)).argmax(axis=1)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_known_temperature_is_recovered(task, true):
    rng = np.random.default_rng(0)
    if task == "multiclass":
        z = 2 * rng.normal(size=(8000, 4))
        y = drawn(z, rng)
    else:
        z = 2 * rng.normal(size=(8000, 1 if task == "binary" else 3))
        y = (rng.random(z.shape) < 1 / (1 + np.exp(-z))).astype(int)
        y = y[:, 0] if task == "binary" else y
    assert fit_temperature(torch.tensor(true * z), torch.tensor(y), task) == pytest.approx(true, rel=0.08)


def test_it_is_the_minimum_that_a_general_minimiser_finds_and_calibrates():
    rng = np.random.default_rng(1)
    z = 1.5 * rng.normal(size=(1500, 3))
    y, sharp = drawn(z, rng), 2.5 * z
    found = fit_temperature(sharp, y, "multiclass")
    best = minimize_scalar(
        lambda t: log_loss(y, softmax(sharp / t, axis=1)), bounds=(0.1, 20), method="bounded", options={"xatol": 1e-8}
    )
    assert found == pytest.approx(best.x, rel=1e-4)
    before, after = (
        evaluate("multiclass", y, sharp.argmax(1), softmax(sharp / t, axis=1), names=["ece"], n_boot=2)["ece"].value
        for t in (1.0, found)
    )
    assert after < 0.3 * before


def test_weights_repeat_rows_and_hopeless_scores_stop_at_the_bounds():
    rng = np.random.default_rng(2)
    z = rng.normal(size=200)
    y = (rng.random(200) < 1 / (1 + np.exp(-0.5 * z))).astype(int)
    times = rng.integers(0, 3, 200)
    weighted = fit_temperature(z, y, "binary", times)
    assert weighted == pytest.approx(fit_temperature(np.repeat(z, times), np.repeat(y, times), "binary"), rel=1e-6)
    assert fit_temperature(z, (z > 0).astype(int), "binary") == 0.05  # separated: as sharp as allowed
    assert fit_temperature(z, (z < 0).astype(int), "binary") == 100.0  # upside down: as flat as allowed
    with pytest.raises(InputError, match="classes or labels"):
        fit_temperature(z, y, "regression")
    with pytest.raises(InputError, match="row per row"):
        fit_temperature(z[:5], y, "binary")


def test_few_rows_without_a_fault_do_not_make_it_certain():
    """60 rows whose classes are parted say little of the next row; 6,000 such rows say more."""
    rng = np.random.default_rng(4)
    z = 3 * rng.normal(size=60)
    y = (z > 0).astype(int)
    assert fit_temperature(z, y, "binary") == 0.05
    few = fit_temperature(z, y, "binary", spread=0.5)
    many = fit_temperature(np.tile(z, 100), np.tile(y, 100), "binary", spread=0.5)
    assert 0.2 < few < 0.6 and 0.05 <= many < 0.7 * few
    # by a general minimiser of loss and prior together
    best = minimize_scalar(
        lambda u: float(np.logaddexp(0, -np.abs(z) / math.exp(u)).sum()) + u**2 / (2 * 0.5**2),
        bounds=(-3, 3),
        method="bounded",
    )
    assert math.log(few) == pytest.approx(best.x, abs=1e-4)


def test_reliability_by_hand():
    y, p = [1, 0, 0, 1, 1, 0], [0.05, 0.05, 0.3, 0.95, 1.0, 0.0]
    found = reliability(y, p, bins=10)
    low, third, high = found.bins
    assert (low.low, low.high, low.count) == (0.0, 0.1, 3)
    assert low.claimed == pytest.approx(0.1 / 3) and low.observed == pytest.approx(1 / 3)
    assert (third.low, third.high, third.count, third.observed) == (0.2, pytest.approx(0.3), 1, 0.0)
    assert high.count == 2 and high.observed == 1.0 and high.claimed == pytest.approx(0.975)
    assert found.ece == pytest.approx((3 * (1 / 3 - 0.1 / 3) + 0.3 + 2 * 0.025) / 6)
    # Wilson's interval of one success in three, by its quadratic: |p̂ − p| = z·√(p(1 − p)/n) at both ends
    for end in (low.observed_low, low.observed_high):
        assert abs(1 / 3 - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / 3), rel=1e-6)
    assert found.tables()[0].rows[0][2] == 3 and "0.208" in found.summary()


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_reliability_agrees_with_the_metric(task):
    rng = np.random.default_rng(3)
    if task == "multilabel":
        p = rng.random((200, 3))
        y = (rng.random(p.shape) < p).astype(int)
    else:
        z = rng.normal(size=(200, 2 if task == "binary" else 4))
        p, y = softmax(z, axis=1), drawn(z, rng)
    w = rng.gamma(2.0, 1.0, 200)
    guess = (p > 0.5).astype(int) if task == "multilabel" else p.argmax(1)
    metric = evaluate(task, y, guess, p, w, None if task == "multilabel" else range(p.shape[1]), ["ece"], n_boot=2)
    if task == "multilabel":  # the metric averages labels, the diagram pools them
        assert reliability(y, p, 15, w).ece <= metric["ece"].value
    else:
        assert reliability(y, p, 15, w).ece == pytest.approx(metric["ece"].value)


def test_the_radius_is_the_finite_sample_quantile():
    residuals = np.array([-9, 1, -2, 3, 4, 5, 6, -7, 8])  # n = 9
    assert conformal_radius(residuals, 0.9) == 9.0  # ⌈10 · 0.9⌉ = 9th
    assert conformal_radius(residuals, 0.5) == 5.0
    assert conformal_radius(residuals, 0.91) == math.inf  # nine rows cannot promise more than 90 %
    with pytest.raises(InputError, match="coverage"):
        conformal_radius(residuals, 1.0)
    with pytest.raises(InputError, match="finite vector"):
        conformal_radius(np.zeros((3, 2)), 0.5)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_conformal_intervals_cover_at_the_stated_rate(level):
    """With n = 19 both levels are exact: the expected coverage is ⌈20·level⌉ / 20, for any distribution."""
    rng = np.random.default_rng(4)
    covered = {"radius": [], "scaled": [], "margin": [], "naive": []}
    for _ in range(1500):
        scale = rng.gamma(2.0, 1.0, 39)
        y = scale * rng.standard_t(2, 39)
        low, high = -0.3 * scale, 1.5 * scale  # poor bounds, to be corrected
        a, b = slice(0, 19), slice(19, None)
        r, k = conformal_radius(y[a], level), conformal_normalised(y[a], scale[a], level)
        m = conformal_margin(y[a], low[a], high[a], level)
        naive = np.quantile(np.abs(y[a]), level)
        covered["radius"].append(coverage(y[b], np.full(20, -r), np.full(20, r)))
        covered["scaled"].append(coverage(y[b], -k * scale[b], k * scale[b]))
        covered["margin"].append(coverage(y[b], low[b] - m, high[b] + m))
        covered["naive"].append(coverage(y[b], np.full(20, -naive), np.full(20, naive)))
    for name in ("radius", "scaled", "margin"):
        assert np.mean(covered[name]) == pytest.approx(level, abs=0.01)
    if level == 0.9:
        assert np.mean(covered["naive"]) < 0.88  # the control: the plain quantile falls short


def test_coverage_counts_bounds_in_and_weighs_rows():
    assert coverage([0.0, 1.0, 2.0, 3.0], [0, 0, 0, 0], [1, 1, 1, 1]) == 0.5
    assert coverage([0.0, 2.0], [0, 0], [1, 1], [3.0, 1.0]) == 0.75
    with pytest.raises(InputError, match="bounds"):
        coverage([0.0], [0, 0], [1, 1])
