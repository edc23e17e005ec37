"""Thresholds against brute force, costs against Elkan's formula, priors against known Gaussians."""

import itertools
import time

import numpy as np
import pytest
from sklearn import metrics as sk

from glia.core.decision_rule import as_cost, as_rule
from glia.core.errors import InputError
from glia.objectives import (
    Decision,
    choose_threshold,
    cost_threshold,
    estimate_prior,
    fit_temperature,
    least_cost,
    mean_cost,
    shift_prior,
)

COST = [[0.0, 1.0], [5.0, 0.5]]
RULES = ["f1", "balanced", "mcc", {"cost": COST}, {"recall_at_precision": 0.6}, {"precision_at_recall": 0.7}]


def sample(seed, n=40, levels=12):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    y[:2] = 0, 1
    score = rng.integers(0, levels, n) / levels + 0.3 * y  # many ties
    return y, score, rng.integers(0, 4, n).astype(float) + (np.arange(n) < 2)


def figure(rule, y, decided, weight):
    """Return what a rule makes largest, by scikit-learn, for one way to decide."""
    precision = sk.precision_score(y, decided, sample_weight=weight, zero_division=0)
    recall = sk.recall_score(y, decided, sample_weight=weight)
    if rule == "f1":
        return sk.f1_score(y, decided, sample_weight=weight)
    if rule == "balanced":
        return sk.balanced_accuracy_score(y, decided, sample_weight=weight)
    if rule == "mcc":
        return sk.matthews_corrcoef(y, decided, sample_weight=weight)
    if "cost" in rule:
        return -np.average(np.asarray(COST)[y, decided], weights=weight)
    if "recall_at_precision" in rule:
        return recall if precision >= 0.6 - 1e-12 else -1.0
    return precision if recall >= 0.7 - 1e-12 else -1.0


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_of_all_thresholds_is_found(rule, weighted):
    for seed in range(5):
        y, score, weight = sample(seed)
        weight = weight if weighted else None
        found = choose_threshold(y, score, rule, weight)
        every = [*np.unique(score), np.inf]
        best = max(figure(rule, y, (score >= t).astype(int), weight) for t in every)
        decided = (score >= found.threshold).astype(int)
        np.testing.assert_allclose(figure(rule, y, decided, weight), best, atol=1e-7)
        if best == -1.0:
            assert not found.reached
            continue
        assert found.reached
        np.testing.assert_allclose(abs(found.value), abs(best), atol=1e-7)
        np.testing.assert_allclose(found.recall, sk.recall_score(y, decided, sample_weight=weight))
        np.testing.assert_allclose(found.accuracy, sk.accuracy_score(y, decided, sample_weight=weight))
        np.testing.assert_allclose(found.f1, sk.f1_score(y, decided, sample_weight=weight))


def test_a_worked_example_and_its_words():
    found = choose_threshold([0, 0, 1, 0, 1], [0.1, 0.2, 0.4, 0.6, 0.9], "f1")
    # From 0.4 on 3 rows are called positive, 2 of them rightly and none missed: F1 = 4/5. The cut is half way to 0.2.
    assert (found.threshold, found.value, found.precision, found.recall) == (pytest.approx(0.3), 0.8, 2 / 3, 1.0)
    assert found.summary().startswith("From 0.3 on a row counts as positive: F1 is greatest there, 0.8, with precision")
    out_of_reach = choose_threshold([1, 0, 1, 0], [0.1, 0.9, 0.5, 0.6], {"recall_at_precision": 0.9})
    assert not out_of_reach.reached and out_of_reach.precision == 0.5 and "out of reach" in out_of_reach.summary()


def test_neighbouring_floats_are_told_apart():
    low = 0.5
    high = np.nextafter(low, 1)
    found = choose_threshold([0, 1], [low, high], "f1")
    assert low < found.threshold <= high and found.value == 1.0


def test_a_million_rows_take_a_moment():
    rng = np.random.default_rng(0)
    score, start = rng.random(1_000_000), time.perf_counter()
    choose_threshold((rng.random(1_000_000) < score).astype(int), score, "mcc")
    assert time.perf_counter() - start < 5  # brute force would take hours


@pytest.mark.parametrize(
    ("y", "score", "rule"),
    [([0, 0], [1, 2], "f1"), ([0, 1], [1], "f1"), ([0, 2], [1, 2], "f1"), ([0, 1], [0, np.nan], "f1"),
     ([0, 1], [1, 2], "auto"), ([0, 1], [1, 2], "f2"), ([0, 1], [1, 2], {"recall_at_precision": 1.5}),
     ([0, 1], [1, 2], {"cost": [[0, 1]]}), ([0, 1], [1, 2], {"cost": [[3, 1], [1, 0]]}), ([0, 1], [1, 2], 0.3)],
)  # fmt: skip
def test_bad_questions_are_refused(y, score, rule):
    with pytest.raises(InputError):
        choose_threshold(y, score, rule)


@pytest.mark.parametrize(
    ("typed", "text", "value"),
    [
        ("f1", "f1", "f1"),
        ("0.25", "0.25", 0.25),
        (0, "0", 0.0),
        ("recall_at_precision=0.9", "recall_at_precision=0.9", {"recall_at_precision": 0.9}),
        ("cost=0 1;5 0", "cost=0 1; 5 0", {"cost": [[0.0, 1.0], [5.0, 0.0]]}),
    ],
)
def test_rules_as_they_are_typed(typed, text, value):
    rule = as_rule(typed)
    assert (rule.text, rule.value) == (text, value)
    assert as_rule(rule.text) == as_rule(rule.value) == as_rule(rule) == rule


@pytest.mark.parametrize(
    "wrong", ["f2", 1.5, -0.1, True, None, {}, {"f1": 1, "mcc": 2}, "recall_at_precision=x", "nan"]
)
def test_rules_that_are_none(wrong):
    with pytest.raises(InputError, match="threshold must be a number from 0 to 1"):
        as_rule(wrong)


def test_the_cheapest_decision_is_the_cheapest_of_all():
    rng = np.random.default_rng(0)
    probability = rng.dirichlet(np.ones(3), 60)
    cost = as_cost("0 2 7; 1 0 1; 20 4 -1")
    for p, chosen in zip(probability, least_cost(probability, cost), strict=True):
        expected = [sum(p[j] * cost[j, k] for j in range(3)) for k in range(3)]
        assert expected[chosen] == min(expected)


def test_two_classes_have_elkans_threshold():
    assert cost_threshold("0 1; 5 0") == 1 / 6
    assert cost_threshold("-1 3; 9 1") == 4 / 12
    p = np.linspace(0.001, 0.999, 999)
    cost = [[-1, 3], [9, 1]]
    np.testing.assert_array_equal(least_cost(np.column_stack([1 - p, p]), cost), p > 4 / 12)
    assert mean_cost([0, 0, 1], [0, 1, 0], "0 1; 5 0") == 2.0
    assert mean_cost([0, 0, 1], [0, 1, 0], "0 1; 5 0", [1, 0, 1]) == 2.5
    # On many rows with true probabilities, the search over thresholds comes to the same place.
    rng = np.random.default_rng(1)
    p = rng.random(200_000)
    y = (rng.random(len(p)) < p).astype(int)
    assert abs(choose_threshold(y, p, {"cost": "0 1; 5 0"}).threshold - 1 / 6) < 0.02


def test_every_decision_survives_its_file():
    made = [
        (Decision(), "binary", 2), (Decision("f1", 0.3, why="so"), "binary", 2),
        (Decision("auto", factors=(1.0, 2.0, 3.0)), "multiclass", 3), (Decision("f1", (0.1, 0.9)), "multilabel", 2),
        (Decision("cost", cost=((0.0, 1.0), (5.0, 0.0))), "binary", 2),
    ]  # fmt: skip
    for decision, task, classes in made:
        assert Decision.from_dict(decision.to_dict(), task, classes) == decision
    wrong = [
        ({"rule": "f1", "threshold": [0.1]}, "binary"), ({"rule": "f1", "threshold": [0.1]}, "multilabel"),
        ({"rule": "f1", "threshold": "x"}, "binary"), ({"rule": "x", "factors": [1.0]}, "binary"),
        ({"rule": "x", "threshold": float("nan")}, "binary"), ({"rule": "x", "cost": [[0]]}, "binary"),
    ]  # fmt: skip
    for data, task in wrong:
        with pytest.raises((ValueError, InputError)):
            Decision.from_dict(data, task, 2)


def gaussians(n, share, seed=0):
    """Two classes, N(0, 1) and N(1.5, 1), with the true probability of the second."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    x = rng.normal(1.5 * y)
    return x, y


def posterior(x, share):
    odds = np.exp(1.5 * x - 1.125) * share / (1 - share)
    return np.column_stack([1 / (1 + odds), odds / (1 + odds)])


def test_shifted_probabilities_are_the_true_ones():
    x, _ = gaussians(500, 0.5)
    np.testing.assert_allclose(shift_prior(posterior(x, 0.5), [1, 1], [96, 4]), posterior(x, 0.04), rtol=1e-12)
    np.testing.assert_allclose(shift_prior(posterior(x, 0.3), [0.7, 0.3], [0.7, 0.3]), posterior(x, 0.3), rtol=1e-12)
    assert np.abs(posterior(x, 0.5) - posterior(x, 0.04)).max() > 0.3  # the control: without it they are far off


def test_shares_are_found_without_labels():
    for share in (0.03, 0.4):
        x, y = gaussians(40_000, share, seed=3)
        found = estimate_prior(posterior(x, 0.5), [0.5, 0.5])
        assert abs(found[1] - y.mean()) < 0.01
        assert abs(posterior(x, 0.5)[:, 1].mean() - y.mean()) > 0.05  # the plain mean is off: the control
    with pytest.raises(InputError):
        estimate_prior(np.zeros((0, 2)), [0.5, 0.5])


@pytest.mark.parametrize("classes", [2, 3])
def test_a_temperature_is_found_behind_an_offset(classes):
    rng = np.random.default_rng(0)
    offset = np.array([0.0, -2.0, 1.0])[:classes]
    z = 2.0 * rng.normal(size=(30_000, classes))
    true = np.exp(z / 1.7 + offset)
    true /= true.sum(1, keepdims=True)
    y = (rng.random((len(z), 1)) > true.cumsum(1)).sum(1)
    if classes == 2:
        scores, given, task = z[:, 1:] - z[:, :1], offset[1] - offset[0], "binary"
    else:
        scores, given, task = z, offset, "multiclass"
    assert fit_temperature(scores, y, task, offset=given) == pytest.approx(1.7, rel=0.05)
    assert abs(fit_temperature(scores, y, task) - 1.7) > 0.1  # without the offset it is another one: the control


@pytest.mark.parametrize(("old", "new"), [([0, 1], [1, 1]), ([1, 1], [-1, 2]), ([1], [1]), ([1, 1], [0, 0])])
def test_bad_shares_are_refused(old, new):
    with pytest.raises(InputError):
        shift_prior([[0.5, 0.5]], old, new)


def test_decisions_by_factors_are_those_at_the_shifted_prior():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([9, 1, 1], 300)
    factors = (1.0, 4.0, 9.0)
    decided = Decision(factors=factors).codes(p, "multiclass")
    np.testing.assert_array_equal(decided, shift_prior(p, np.ones(3), factors).argmax(1))
    both = itertools.product((0.2, 0.7), repeat=2)
    np.testing.assert_array_equal(
        Decision("f1", (0.1, 0.7)).codes(np.array(list(both)), "multilabel"), [[1, 0], [1, 1], [1, 0], [1, 1]]
    )
