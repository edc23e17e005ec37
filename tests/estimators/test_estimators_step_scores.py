"""Scores of labelled steps: scikit-learn's figures, intervals of an independent loop over drawn sequences."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from glia.core.seeds import numpy_rng
from glia.estimators.step_scores import evaluate_steps, steps_difference
from glia.objectives import evaluate, primary_metric
from glia.objectives.metrics import as_metric

CLASSES = np.array(["a", "b", "c"])


def made(sequences=12, seed=0, steps=9):
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(sequences), rng.integers(1, steps, sequences))
    y = CLASSES[rng.integers(0, 3, len(row))]
    skill = rng.uniform(-1, 2, sequences)  # which all steps of a sequence share
    scores = rng.normal(size=(len(row), 3)) + skill[row, None] * (y[:, None] == CLASSES)
    probability = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return y, CLASSES[probability.argmax(1)], probability, row


def test_the_figures_are_those_of_scikit_learn():
    y, said, probability, row = made()
    found = evaluate_steps("multiclass", y, said, probability, row, classes=CLASSES, n_boot=20)
    assert found["accuracy"].value == pytest.approx(accuracy_score(y, said))
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(y, said))
    assert found["log_loss"].value == pytest.approx(log_loss(y, probability, labels=CLASSES))
    assert found.n_rows == len(y) and "steps of 12 sequences, drawn whole" in found.caution and "few" in found.caution


def test_intervals_are_those_of_sequences_drawn_whole():
    y, said, probability, row = made()
    found = evaluate_steps("multiclass", y, said, probability, row, classes=CLASSES, n_boot=80, random_state=3)
    drawn = numpy_rng(3, "bootstrap").integers(0, 12, (80, 12))
    figures = []
    for one in drawn:
        steps = np.concatenate([np.flatnonzero(row == sequence) for sequence in one])
        figures.append([accuracy_score(y[steps], said[steps]), log_loss(y[steps], probability[steps], labels=CLASSES)])
    low, high = np.quantile(figures, [0.025, 0.975], axis=0)
    for place, name in enumerate(("accuracy", "log_loss")):
        assert (found[name].low, found[name].high) == pytest.approx((low[place], high[place]))


def test_steps_of_one_sequence_are_no_further_evidence():
    y, said, probability, row = made(40, steps=3)
    many = [np.repeat(one, 25, axis=0) for one in (y, said, probability, row)]
    once = evaluate_steps("multiclass", y, said, probability, row, classes=CLASSES, n_boot=300)["accuracy"]
    whole = evaluate_steps("multiclass", *many, classes=CLASSES, n_boot=300)["accuracy"]
    assert (whole.low, whole.high) == pytest.approx((once.low, once.high))
    naive = evaluate("multiclass", *many[:3], classes=CLASSES, n_boot=300)["accuracy"]  # which takes each as new
    assert naive.high - naive.low < 0.4 * (whole.high - whole.low)


def test_the_order_of_steps_and_the_names_of_sequences_are_nothing():
    y, said, probability, row = made()
    order = np.argsort(row, kind="stable")
    named = np.array([f"s{i:02d}" for i in row])
    one = evaluate_steps("multiclass", y, said, probability, row, classes=CLASSES, n_boot=50)
    other = evaluate_steps(
        "multiclass", y[order], said[order], probability[order], named[order], classes=CLASSES, n_boot=50
    )
    assert one["accuracy"].low == pytest.approx(other["accuracy"].low)


def test_weights_and_the_steps_that_have_none():
    y, said, probability, row = made()
    weight = np.where(row == 2, 0.0, 1.0 + row)
    kept = weight > 0
    one = evaluate_steps("multiclass", y, said, probability, row, classes=CLASSES, sample_weight=weight, n_boot=60)
    other = evaluate_steps(
        "multiclass", y[kept], said[kept], probability[kept], row[kept], classes=CLASSES, sample_weight=weight[kept],
        n_boot=60,
    )  # fmt: skip
    assert one["accuracy"] == other["accuracy"]
    assert one["accuracy"].value == pytest.approx(accuracy_score(y, said, sample_weight=weight))


def test_one_sequence_has_no_interval():
    y, said, probability, _ = made()
    found = evaluate_steps("multiclass", y, said, probability, np.zeros(len(y)), classes=CLASSES)
    assert np.isnan(found["accuracy"].low) and found["accuracy"].value == accuracy_score(y, said)
    assert "no interval" in found.caution
    gap = steps_difference("multiclass", primary_metric("multiclass"), y, (said, probability), (said, probability),
                           np.zeros(len(y)), classes=CLASSES)  # fmt: skip
    assert gap.value == 0 and np.isnan(gap.low)


def test_the_difference_is_of_the_same_draws():
    y, said, probability, row = made(30)
    worse = np.roll(probability, 1, axis=0)
    pair = (said, probability), (CLASSES[worse.argmax(1)], worse)
    metric = as_metric("log_loss", "multiclass")
    gap = steps_difference("multiclass", metric, y, *pair, row, classes=CLASSES, n_boot=100)
    drawn = numpy_rng(0, "bootstrap").integers(0, 30, (100, 30))
    loss = -np.log(probability[np.arange(len(y)), np.searchsorted(CLASSES, y)])
    other = -np.log(worse[np.arange(len(y)), np.searchsorted(CLASSES, y)])
    gaps = [np.mean(np.concatenate([(loss - other)[row == s] for s in one])) for one in drawn]
    assert (gap.low, gap.high) == pytest.approx(tuple(np.quantile(gaps, [0.025, 0.975])))
    assert gap.value == pytest.approx((loss - other).mean()) and gap.high < 0
