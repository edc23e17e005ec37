"""Where accuracy misleads: planted cases and healthy controls."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from glia.core.results import jsonable
from glia.objectives import imbalance, metrics, metrics_for
from glia.objectives.scored import scored


def decisions(common, found, missed, alarms):
    """Return true and predicted classes with so many rows of each kind."""
    y = ["no"] * common + ["yes"] * (found + missed)
    guess = ["yes"] * alarms + ["no"] * (common - alarms) + ["yes"] * found + ["no"] * missed
    return y, guess


def test_always_the_common_class_is_called_what_it_is():
    result = imbalance(*decisions(950, 0, 50, 0))
    assert result.finding == "no better" and result.misleads
    assert (result.common, result.common_share, result.accuracy.value) == ("no", 0.95, 0.95)
    assert result.message.startswith(
        "Accuracy misleads: 95 % of the rows are right, but so would be 95 % by always answering 'no'; of the 50 rows "
        "of 'yes', 0 are found (0 %, 95 % interval 0 to 7.1)."
    )


def test_a_high_accuracy_may_hide_a_missed_class():
    result = imbalance(*decisions(1800, 60, 140, 5))  # accuracy 92.75 %, clearly above 90 %, recall 30 %
    assert result.finding == "hidden"
    assert "because 'no' is common (90 %), yet of the 200 rows of 'yes', 60 are found (30 %" in result.message
    assert result.classes[1].precision == 60 / 65


def test_a_low_accuracy_by_choice_is_no_fault():
    result = imbalance(*decisions(950, 45, 5, 150))
    assert result.finding == "by choice"
    assert "this network is set to find the rare ones: of the 50 rows of 'yes', 45 are found (90 %" in result.message
    assert "and of 195 rows called so, 45 are." in result.message


@pytest.mark.parametrize(
    "case",
    [
        decisions(500, 450, 50, 60),  # even classes
        decisions(1900, 90, 10, 8),  # rare, and found
        (["a", "b", "c"] * 50, ["a", "b", "a"] * 50),  # a class is missed, but none is rare
        (["a"] * 9, ["a"] * 9),  # one class
    ],
)
def test_healthy_models_are_left_in_peace(case):
    result = imbalance(*case)
    assert not result.misleads and result.message == "" and "no wrong picture" in result.summary()


def test_a_rare_class_among_several():
    y = ["a"] * 500 + ["b"] * 450 + ["c"] * 50
    guess = ["a"] * 500 + ["b"] * 450 + ["a"] * 45 + ["c"] * 5
    result = imbalance(y, guess)
    assert result.finding == "hidden" and "of the 50 rows of 'c', 5 are found" in result.message


def test_figures_and_weights():
    y, guess = decisions(300, 12, 30, 7)
    weight = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    result = imbalance(y, guess, ["no", "yes"], weight)
    for one, name in zip(result.classes, ("no", "yes"), strict=True):
        assert one.recall.value == pytest.approx(
            sk.recall_score(y, guess, labels=[name], average="macro", sample_weight=weight)
        )
        assert one.precision == pytest.approx(
            sk.precision_score(y, guess, labels=[name], average="macro", sample_weight=weight)
        )
    plain = imbalance(y, guess).classes[1].recall
    wilson = binomtest(12, 42).proportion_ci(method="wilson")
    assert (plain.low, plain.high) == (pytest.approx(wilson.low), pytest.approx(wilson.high))
    doubled = imbalance(y + y, guess + guess)
    assert doubled.common_share == imbalance(y, guess).common_share
    assert jsonable(result)["finding"] == result.finding and len(result.tables()[0].rows) == 2


def test_the_metrics_for_rare_classes_are_there_and_are_scikit_learns():
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.1).astype(int)
    p = np.clip(0.1 + 0.3 * y + 0.15 * rng.normal(size=400), 0.001, 0.999)
    guess = (p > 0.25).astype(int)
    data = scored("binary", y, guess, np.column_stack([1 - p, p]))
    wanted = {
        "precision": sk.precision_score(y, guess), "recall": sk.recall_score(y, guess), "f1": sk.f1_score(y, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess), "mcc": sk.matthews_corrcoef(y, guess),
        "roc_auc": sk.roc_auc_score(y, p), "average_precision": sk.average_precision_score(y, p),
    }  # fmt: skip
    assert set(wanted) <= {m.name for m in metrics_for("binary")}
    for name, value in wanted.items():
        assert metrics.get(name).score(data) == pytest.approx(value), name
    several = {m.name for m in metrics_for("multiclass")}
    assert {"balanced_accuracy", "mcc", "roc_auc", "average_precision", "macro_f1", "macro_recall"} <= several
