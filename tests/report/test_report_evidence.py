import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import auc, average_precision_score, confusion_matrix, roc_auc_score

from glia.core.errors import InputError
from glia.report.evidence import curves, data_profile, hardest_rows, weak_groups


def scored(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    p = 1 / (1 + np.exp(-(rng.normal(size=n) + 2 * y - 1)))
    return y.astype(int), p


def test_binary_curves_agree_with_scikit_learn():
    y, p = scored()
    found = curves("binary", y, p > 0.5, p, ["no", "yes"])
    roc, pr = found["roc"][0], found["pr"][0]
    assert len(roc["fpr"]) <= 200 and len(pr["recall"]) <= 200
    assert roc["auc"] == roc_auc_score(y, p) and pr["ap"] == average_precision_score(y, p)
    # what is left after thinning still encloses the same area
    assert auc(roc["fpr"], roc["tpr"]) == pytest.approx(roc["auc"], abs=2e-3)
    assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    assert auc(pr["recall"], pr["precision"]) == pytest.approx(pr["ap"], abs=5e-3)
    assert found["confusion"] == {"labels": ["no", "yes"], "counts": confusion_matrix(y, p > 0.5).tolist()}
    json.dumps(found, allow_nan=False)


def test_labels_indices_and_two_columns_mean_the_same():
    y, p = scored(300)
    names = np.array(["no", "yes"])
    one = curves("binary", y, (p > 0.5).astype(int), p, ["no", "yes"])
    two = curves("binary", names[y], names[(p > 0.5).astype(int)], np.column_stack([1 - p, p]), ["no", "yes"])
    assert one == two


def test_numeric_classes_are_not_taken_for_indices():
    found = curves("multiclass", [1, 2, 3, 3], [1, 2, 3, 1], None, [1, 2, 3])
    assert found["confusion"]["counts"] == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_unknown_class_is_named():
    with pytest.raises(InputError, match="'maybe'"):
        curves("binary", ["no", "maybe"], ["no", "yes"], None, ["no", "yes"])


def test_many_classes_are_joined_without_losing_rows():
    rng = np.random.default_rng(0)
    y, guess = rng.integers(0, 30, 2000), rng.integers(0, 30, 2000)
    found = curves("multiclass", y, guess, rng.dirichlet(np.ones(30), 2000), [f"c{i}" for i in range(30)])
    assert found["confusion"]["labels"][-1] == "other (11)" and len(found["confusion"]["labels"]) == 20
    assert np.sum(found["confusion"]["counts"]) == 2000 and len(found["roc"]) == 20


def test_multilabel_counts():
    y, guess = np.array([[1, 0], [1, 1], [0, 0]]), np.array([[1, 1], [0, 1], [0, 0]])
    found = curves("multilabel", y, guess, guess * 0.9, ["a", "b"])
    assert found["label_confusion"][0] == {"label": "a", "tp": 1, "fp": 0, "fn": 1, "tn": 1}
    assert found["label_confusion"][1] == {"label": "b", "tp": 1, "fp": 1, "fn": 0, "tn": 1}


def test_regression_samples_and_counts_every_residual():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(5000, 2))
    guess = y + rng.standard_t(2, size=y.shape) + [0, 3]
    found = curves("regression", y, guess, None, ["u", "v"])
    assert [len(t["true"]) for t in found["predicted_vs_true"]] == [2000, 2000]
    pairs = set(zip(y[:, 0].tolist(), guess[:, 0].tolist(), strict=True))
    assert (
        set(zip(found["predicted_vs_true"][0]["true"], found["predicted_vs_true"][0]["predicted"], strict=True))
        <= pairs
    )
    assert all(sum(r["counts"]) == 5000 for r in found["residuals"])
    assert found["residuals"][1]["mean"] == pytest.approx((guess - y)[:, 1].mean())


def test_hardest_rows_are_the_largest_losses_in_order():
    frame = pl.DataFrame({"a": [1, 2, 3, 4], "b": ["x", None, "z", "w"]})
    found = hardest_rows(
        frame, ["n", "y", "n", "y"], ["n", "n", "y", "y"], [0.1, 0.3, 0.8, 0.9], [0.1, 1.2, 1.6, 0.1], 2
    )
    assert [row["row"] for row in found] == [2, 1]
    assert found[0] == {
        "row": 2, "truth": "n", "prediction": "y", "confidence": 0.8, "loss": 1.6, "values": {"a": 3, "b": "z"}
    }  # fmt: skip
    assert found[1]["confidence"] == pytest.approx(0.7)
    assert hardest_rows(frame, range(4), range(4), None, [0, 1, 2, 3], 1, rows=[9, 8, 7, 6])[0]["row"] == 6
    with pytest.raises(InputError):
        hardest_rows(frame, [1], [1], None, [1.0])


def table(rng, n=1500):
    return pl.DataFrame(
        {
            "town": rng.choice(["Aix", "Bern", "Cork", "Delft", "Erfurt"], n),
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(size=n),
            "note": [f"text {i}" for i in range(n)],
        }
    )


def test_planted_weak_group_is_found_in_categories_and_ranges(global_seed=3):
    rng = np.random.default_rng(global_seed)
    frame = table(rng)
    weak = (frame["town"] == "Cork").to_numpy()
    correct = rng.random(frame.height) > np.where(weak, 0.4, 0.1)
    found = weak_groups(frame, correct, {"note": "text"})
    assert [g["text"] for g in found] == ["town = Cork"]
    group = found[0]
    assert group["rows"] == weak.sum() and group["measure"] == "error rate"
    assert group["difference"]["low"] < 0.3 < group["difference"]["high"] and group["p"] < 0.05
    old = (frame["age"] > 76).to_numpy()
    losses = rng.exponential(size=frame.height) * np.where(old, 3, 1)
    found = weak_groups(frame, losses, {"columns": [{"name": "note", "role": "text"}]})
    assert found[0]["column"] == "age" and found[0]["group"].startswith("above 7") and found[0]["measure"] == "loss"


def test_dates_and_missing_values_are_groups_too():
    rng = np.random.default_rng(5)
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2022, 9, 26), eager=True)
    n = len(days)
    gap = rng.random(n) < 0.2
    frame = pl.DataFrame(
        {"day": days, "x": [None if g else float(v) for g, v in zip(gap, rng.normal(size=n), strict=True)]}
    )
    late = np.arange(n) > 0.8 * n
    found = weak_groups(frame, rng.random(n) > np.where(late, 0.6, 0.1))
    assert found[0]["text"].startswith("day above 2022-0")
    assert weak_groups(frame, rng.random(n) > np.where(gap, 0.6, 0.1))[0]["text"] == "x missing"


@pytest.mark.parametrize("kind", ["rate", "skewed"])
def test_no_group_is_found_where_there_is_none(kind):
    """Negative control: at most about one run in twenty may raise a false alarm (9 of 60 has p < 0.002)."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        frame = table(rng, 500).drop("note")
        losses = rng.random(500) > 0.2 if kind == "rate" else rng.lognormal(sigma=1.5, size=500)
        alarms += bool(weak_groups(frame, losses))
    assert alarms <= 8


def test_groups_with_the_same_rows_are_told_once():
    rng = np.random.default_rng(0)
    frame = table(rng).select("town", pl.col("town").alias("city"))
    correct = rng.random(frame.height) > np.where((frame["town"] == "Aix").to_numpy(), 0.5, 0.1)
    assert len(weak_groups(frame, correct)) == 1


def test_losses_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="finite"):
        weak_groups(pl.DataFrame({"a": [1, 2]}), [1.0, float("nan")])


def test_profile_counts_what_is_there():
    frame = pl.DataFrame(
        {
            "n": [1.0, 2.0, None, 4.0],
            "c": ["a", "b", "a", None],
            "d": pl.Series(["2020-01-01", "2021-01-01", None, "2022-01-01"]).str.to_date(),
            "l": [[1], [2], [3], [4]],
            "e": pl.Series([None] * 4, dtype=pl.Float64),
        }
    )
    n, c, d, nested, empty = data_profile(frame, {"n": "numeric", "c": "categorical"})
    assert (n["missing"], n["unique"], sum(n["histogram"]["counts"])) == (0.25, 3, 3)
    assert n["numbers"] == {"min": 1.0, "median": 2.0, "max": 4.0, "mean": pytest.approx(7 / 3)}
    assert (
        c["top"]
        == [
            {"value": "a", "count": 2, "share": pytest.approx(2 / 3)},
            {"value": "b", "count": 1, "share": pytest.approx(1 / 3)},
        ]
        and c["other"] == 0
    )
    assert d["numbers"]["min"] == "2020-01-01" and sum(d["histogram"]["counts"]) == 3
    assert "histogram" not in nested and "histogram" not in empty and empty["missing"] == 1.0
    json.dumps([n, c, d, nested, empty], allow_nan=False)
