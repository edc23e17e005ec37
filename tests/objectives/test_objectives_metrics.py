"""Every metric: its value is scikit-learn's, and its fast resampled form is its value on the resampled rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as sk

from glia.core.errors import InputError
from glia.objectives import as_metric, evaluate, metrics, metrics_for, primary_metric
from glia.objectives.metric import Draws
from glia.objectives.scored import scored

TASKS = ("binary", "multiclass", "multilabel", "regression")
PAIRS = [(task, metric.name) for task in TASKS for metric in metrics_for(task)]


def rows(task: str, n: int = 60, seed: int = 0, ties: bool = True):
    """Return y, prediction, probability, with ties among the scores."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.gamma(3.0, 2.0, (n, 2)) + 0.5
        return y, np.abs(y + rng.normal(size=(n, 2))), None
    if task == "multilabel":
        z = rng.normal(size=(n, 3))
        y = (rng.random((n, 3)) < 1 / (1 + np.exp(-z))).astype(int)
        p = 1 / (1 + np.exp(-z))
        p = np.round(p, 1) if ties else p
        return y, (p > 0.5).astype(int), p
    size = 2 if task == "binary" else 4
    y = rng.integers(0, size, n)
    z = rng.normal(size=(n, size))
    z[np.arange(n), y] += 1.0
    z = np.round(z) if ties else z
    p = softmax(z, axis=1)
    return y, p.argmax(1), p


def made(task, y, prediction, probability, weight=None):
    classes = None if task in ("multilabel", "regression") else np.arange({"binary": 2, "multiclass": 4}[task])
    return scored(task, y, prediction, probability, weight, classes)


def resampled(metric, data):
    return float(metric.resample(Draws(data, data.weight[None, :]))[0])


@pytest.mark.parametrize(("task", "name"), PAIRS)
@pytest.mark.parametrize("ties", [True, False])
def test_the_resampled_form_equals_the_score(task, name, ties):
    metric = metrics.get(name)
    y, prediction, probability = rows(task, ties=ties)
    weight = np.random.default_rng(5).gamma(2.0, 1.0, len(y))
    for w in (None, weight):
        data = made(task, y, prediction, probability, w)
        assert metric.score(data) == pytest.approx(resampled(metric, data), rel=1e-9, abs=1e-12)
    assert metric.score(made(task, y, prediction, probability)) != pytest.approx(metric.score(data), rel=1e-9)


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_counts_equal_explicit_resamples(task, name):
    """What the bootstrap computes is what a loop over resampled rows would compute."""
    metric = metrics.get(name)
    y, prediction, probability = rows(task)
    rng = np.random.default_rng(2)
    chosen = rng.integers(0, len(y), (5, len(y)))
    counts = np.stack([np.bincount(c, minlength=len(y)) for c in chosen]).astype(float)
    fast = metric.resample(Draws(made(task, y, prediction, probability), counts))
    slow = [
        metric.score(made(task, y[c], prediction[c], None if probability is None else probability[c])) for c in chosen
    ]
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("task", "name"), PAIRS)
@hypothesis_settings(max_examples=6, deadline=None, derandomize=True)
@given(drawn=st.data())
def test_whole_weights_equal_repeated_rows(task, name, drawn):
    metric = metrics.get(name)
    y, prediction, probability = rows(task, 12, seed=drawn.draw(st.integers(0, 1000)))
    times = np.array(drawn.draw(st.lists(st.integers(0, 3), min_size=12, max_size=12).filter(any)))
    weighted = made(task, y, prediction, probability, times)
    repeated = made(
        task, *(None if part is None else np.repeat(part, times, axis=0) for part in (y, prediction, probability))
    )
    assert metric.why_undefined(weighted) == metric.why_undefined(repeated)
    if not metric.why_undefined(weighted):
        assert metric.score(weighted) == pytest.approx(metric.score(repeated), rel=1e-9, abs=1e-9)
        assert resampled(metric, weighted) == pytest.approx(metric.score(repeated), rel=1e-9, abs=1e-9)


def test_values_are_scikit_learns():
    y, guess, p = rows("multiclass")
    found = evaluate("multiclass", y, guess, p, classes=range(4), n_boot=2).metrics
    expected = {
        "roc_auc": sk.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(np.eye(4)[y], p, average="macro"),
        "accuracy": sk.accuracy_score(y, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
        "macro_f1": sk.f1_score(y, guess, average="macro"),
        "macro_precision": sk.precision_score(y, guess, average="macro"),
        "macro_recall": sk.recall_score(y, guess, average="macro"),
        "mcc": sk.matthews_corrcoef(y, guess),
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p, labels=range(4)),
    }
    assert {k: v.value for k, v in found.items() if k != "ece"} == pytest.approx(expected)
    y, guess, p = rows("multilabel")
    found = evaluate("multilabel", y, guess, p, n_boot=2).metrics
    expected = {
        "roc_auc": sk.roc_auc_score(y, p, average="macro"),
        "average_precision": sk.average_precision_score(y, p, average="macro"),
        "label_macro_f1": sk.f1_score(y, guess, average="macro"),
        "hamming_loss": sk.hamming_loss(y, guess),
        "subset_accuracy": sk.accuracy_score(y, guess),
        "log_loss": np.mean([sk.log_loss(y[:, j], p[:, j].clip(1e-16, 1 - 1e-16)) for j in range(3)]),
        "brier": np.mean([sk.brier_score_loss(y[:, j], p[:, j]) for j in range(3)]),
    }
    assert {k: v.value for k, v in found.items() if k != "ece"} == pytest.approx(expected)


def test_the_positive_class_is_the_second_whatever_it_is_called():
    y = np.array(["no", "yes", "yes", "no", "yes"])
    guess = np.array(["no", "yes", "no", "yes", "yes"])
    p = np.array([0.2, 0.9, 0.4, 0.6, 0.7])
    found = evaluate("binary", y, guess, p, n_boot=20).metrics
    assert found["precision"].value == pytest.approx(sk.precision_score(y, guess, pos_label="yes"))
    assert found["roc_auc"].value == pytest.approx(sk.roc_auc_score(y == "yes", p))
    turned = evaluate("binary", y, guess, np.column_stack([p, 1 - p]), classes=["yes", "no"], n_boot=20).metrics
    assert turned["precision"].value == pytest.approx(sk.precision_score(y, guess, pos_label="no"))
    assert turned["roc_auc"].value == pytest.approx(found["roc_auc"].value)


def test_calibration_error_by_hand():
    # two bins of the fifteen: (1/15, 2/15] holds 0.1 three times with one yes, (11/15, 12/15] holds 0.8 twice, all yes
    y, p = np.array([1, 0, 0, 1, 1]), np.array([0.1, 0.1, 0.1, 0.8, 0.8])
    found = evaluate("binary", y, (p > 0.5).astype(int), p, names=["ece"], n_boot=2)["ece"].value
    assert found == pytest.approx((3 * abs(1 / 3 - 0.1) + 2 * abs(1.0 - 0.8)) / 5)


def test_what_cannot_be_measured_is_left_out_with_its_reason():
    result = evaluate("regression", [0.0, 1.0, -2.0], [0.5, 1.0, -1.0], n_boot=5)
    assert result.left_out == {
        "mape": "needs a target that stays away from 0",
        "rmsle": "needs a target of at least 0",
    }
    assert evaluate("regression", [1.0, 1.0], [1.0, 2.0], n_boot=5).left_out["r2"] == "needs a target that varies"
    result = evaluate("binary", [0, 0, 0], [0, 1, 0], [0.1, 0.7, 0.2], classes=[0, 1], n_boot=5)
    assert result.left_out["roc_auc"] == "needs rows of two classes"
    assert result["accuracy"].value == pytest.approx(2 / 3)
    assert "roc_auc" in evaluate("binary", [0, 1], [0, 1], n_boot=5).left_out
    with pytest.raises(InputError, match="'roc_auc' needs probability"):
        evaluate("binary", [0, 1], [0, 1], names=["roc_auc"])


def test_a_class_without_rows_does_not_spoil_the_others():
    y, guess, p = rows("multiclass")
    kept = y != 3
    found = evaluate("multiclass", y[kept], guess[kept], p[kept], classes=range(4), n_boot=20)
    expected = np.mean([sk.roc_auc_score(y[kept] == c, p[kept][:, c]) for c in range(3)])
    assert found["roc_auc"].value == pytest.approx(expected)
    assert found["balanced_accuracy"].value == pytest.approx(np.mean([(guess == y)[y == c].mean() for c in range(3)]))


def test_names_tasks_and_first_metrics():
    assert primary_metric("binary").name == "roc_auc" and primary_metric("regression").name == "rmse"
    for task in TASKS:
        assert metrics_for(task)[0] == primary_metric(task)
        assert all(task in metric.tasks for metric in metrics_for(task))
    assert metrics.describe()["rmse"].startswith("Root of the mean squared error")
    with pytest.raises(InputError, match="did you mean 'accuracy'"):
        as_metric("acuracy", "binary")
    with pytest.raises(InputError, match="must fit the task 'binary'"):
        as_metric("rmse", "binary")


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("binary", {"y": [0, 2, 1]}, "every label of y"),
        ("binary", {"classes": [0, 1, 2]}, "two classes"),
        ("binary", {"prediction": [0, 1]}, "same shape"),
        ("binary", {"probability": [0.1, 0.2]}, "one row per row"),
        ("binary", {"probability": [0.1, 0.2, 1.4]}, "between 0 and 1"),
        ("binary", {"probability": [[0.1, 0.1]] * 3}, "add up to 1"),
        ("binary", {"probability": [0.1, float("nan"), 0.2]}, "finite"),
        ("binary", {"sample_weight": [1, -1, 1]}, "at least 0"),
        ("binary", {"sample_weight": [0, 0, 0]}, "at least one row"),
        ("regression", {"y": [1.0, float("inf"), 2.0]}, "values must be finite"),
        ("regression", {"probability": [0.1, 0.2, 0.3]}, "for classes and labels"),
        ("multilabel", {"y": [0, 1, 1]}, "labels must be 0 or 1"),
        ("multiclass", {"probability": [[0.5, 0.5]] * 3, "classes": [0, 1, 2]}, "one column per class"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(task, changes, words):
    good = {"y": [0, 1, 1], "prediction": [0, 1, 0], "classes": None if task == "regression" else [0, 1]}
    with pytest.raises(InputError, match=words):
        evaluate(task, **{**good, **changes}, n_boot=2)
