"""Permutation importance against its closed form, against scikit-learn, and its intervals against simulation."""

from __future__ import annotations

import json

import matplotlib.figure
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score

from glia.core.errors import InputError
from glia.core.results import Result
from glia.explain.permutation import permutation_importance

BETA = np.array([3.0, -1.0, 0.0])
NAMES = ["a", "b", "c"]


def mse(y, prediction):
    return float(((y - prediction) ** 2).mean())


def linear(frame):
    return frame.select(NAMES).to_numpy() @ BETA


def table(rows, seed):
    return pl.DataFrame(np.random.default_rng(seed).normal(size=(rows, 3)) * [1.0, 2.0, 5.0], schema=NAMES)


def by_name(result):
    return {one.name: one for one in result.columns}


def importance(X, y, **options):
    options = {"score": mse, "metric": "mean squared error", "greater_is_better": False} | options
    return permutation_importance(linear, X, y, **options)


def test_a_linear_model_gives_the_closed_form():
    # An exact linear model under squared error loses 2 β² Var(x) when x is shuffled.
    X = table(500, 0)
    before = X.clone()
    result = importance(X, linear(X), repeats=200)
    want = 2 * BETA**2 * X.to_numpy().var(axis=0)
    found = by_name(result)
    np.testing.assert_allclose([found[name].importance for name in NAMES], want, rtol=0.02)
    assert found["c"].importance == found["c"].standard_error == 0.0
    assert [one.name for one in result.columns] == ["a", "b", "c"] and result.base == 0.0
    assert_frame_equal(X, before)  # the caller's rows stay as they are


def test_a_group_is_shuffled_together():
    # x and its copy: shuffled alone each shows a quarter, together the whole; the rest keeps its figure exactly.
    X = table(400, 1).with_columns(copy=pl.col("a"))

    def half_each(frame):
        return linear(frame.with_columns(a=(pl.col("a") + pl.col("copy")) / 2))

    options = {"score": mse, "greater_is_better": False, "repeats": 30}
    alone = by_name(permutation_importance(half_each, X, half_each(X), **options))
    both = by_name(permutation_importance(half_each, X, half_each(X), groups={"size": ["a", "copy"]}, **options))
    whole = 2 * BETA[0] ** 2 * X["a"].var()
    assert both["size"].importance == pytest.approx(whole, rel=0.05)
    assert alone["a"].importance == pytest.approx(whole / 4, rel=0.05)
    assert set(both) == {"size", "b", "c"} and both["b"] == alone["b"]


def test_agrees_with_sklearn_within_the_noise_of_shuffles():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 4))
    y = (X @ [2.0, 1.0, 0.3, 0.0] + rng.logistic(size=400) > 0).astype(int)
    model = LogisticRegression().fit(X, y)
    peer = sklearn_importance(model, X, y, scoring="accuracy", n_repeats=40, random_state=0)
    frame = pl.DataFrame(X, schema=list("wxyz"))
    ours = by_name(
        permutation_importance(lambda f: model.predict(f.to_numpy()), frame, y, score=accuracy_score, repeats=40)
    )
    for i, name in enumerate("wxyz"):
        noise = peer.importances_std[i] * np.sqrt(2 / 40)
        assert abs(ours[name].importance - peer.importances_mean[i]) < 4 * noise + 1e-12


def test_intervals_cover_as_stated_and_shuffles_alone_would_not():
    # Truth is 2 β² Var(x) over the population: 200 samples of rows, 95 % intervals. The negative control takes the
    # spread over shuffles only, as is usual; it does not see that other rows would give another answer.
    covered, naive, samples = 0, 0, 200
    for seed in range(samples):
        X = table(100, seed)
        y = linear(X) + np.random.default_rng(seed + 1000).normal(size=100)
        result = importance(X, y, columns=["a"], random_state=seed)
        one, want = result.columns[0], 2 * BETA[0] ** 2
        covered += one.interval.low <= want <= one.interval.high
        drops = [importance(X, y, columns=["a"], random_state=seed + 7 * k, repeats=2) for k in range(3)]
        spread = np.std([d.columns[0].importance for d in drops], ddof=1) / np.sqrt(3)
        naive += abs(one.importance - want) < 4.3 * spread  # Student's 97.5 % point, two degrees of freedom
    assert 0.90 <= covered / samples <= 0.99
    assert naive / samples < 0.85


def test_a_model_that_learned_nothing_has_nothing_important():
    rng = np.random.default_rng(3)
    X, y = table(600, 3), rng.normal(size=600)
    model = LinearRegression().fit(X[:300].to_numpy(), y[:300])
    result = permutation_importance(
        lambda f: model.predict(f.to_numpy()), X[300:], y[300:], score=mse, metric="mse", greater_is_better=False
    )
    assert result.summary() == "Of 3 columns none has an effect on mse that can be told from zero."


def test_probabilities_and_any_kind_of_column():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 300)
    X = pl.DataFrame(
        {
            "word": [("no", "yes", None)[k if rng.random() < 0.9 else 2] for k in y],
            "day": pl.Series(rng.integers(0, 9, 300)).cast(pl.Date),
            "x": np.where(rng.random(300) < 0.2, np.nan, 1.0),
        }
    )

    def probabilities(frame):
        assert frame.schema == X.schema
        p = frame["word"].replace_strict({"no": 0.1, "yes": 0.9}, default=0.5).to_numpy()
        return np.column_stack([1 - p, p])

    result = permutation_importance(
        probabilities, X, y, score=lambda y, p: roc_auc_score(y, p[:, 1]), metric="ROC area", repeats=20
    )
    word = result.columns[0]
    assert word.name == "word" and word.importance == pytest.approx(result.base - 0.5, abs=0.03)
    assert word.interval.low > 0
    assert result.summary().startswith("Shuffling 'word' costs most: ROC area falls by 0.4")
    assert result.summary().endswith("; 2 of 3 columns cannot be told from zero.")


def test_seeds_batches_and_choice_of_columns_do_not_change_figures():
    X = table(50, 5)
    y = linear(X)
    first = importance(X, y, random_state=1)
    assert importance(X, y, random_state=1) == first
    assert importance(X, y, random_state=1, batch_rows=1) == first
    assert importance(X, y, random_state=2) != first
    assert by_name(importance(X, y, random_state=1, columns=["b"]))["b"] == by_name(first)["b"]


def test_batches_are_bounded():
    X, seen = table(50, 6), []

    def watched(frame):
        seen.append(frame.height)
        return linear(frame)

    permutation_importance(watched, X, linear(X), score=mse, repeats=5, batch_rows=120)
    assert seen == [50] + [100, 100, 50] * 3


def test_a_score_that_needs_every_class_still_gives_shuffles_uncertainty():
    X = table(40, 7)
    y = np.zeros(40, dtype=int)
    y[3] = 1

    def strict(y, prediction):
        if len(np.unique(y)) < 2:
            raise ValueError("only one class")
        return roc_auc_score(y, prediction)

    result = permutation_importance(linear, X, y, score=strict)
    assert all(np.isfinite([one.importance, one.standard_error, one.interval.low]).all() for one in result.columns)


def test_result_tells_tabulates_and_draws():
    X = table(60, 8)
    result = importance(X, linear(X))
    assert isinstance(result, Result) and json.loads(json.dumps(result.to_dict()))["rows"] == 60
    rows = result.tables()[0].rows
    assert [row[0] for row in rows] == NAMES
    assert all(low <= value <= high for _, value, _, low, high in rows)
    axes = result.plot()
    assert isinstance(axes.figure, matplotlib.figure.Figure)
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    assert axes.get_title(loc="left") == "a matters most"
    mine = matplotlib.figure.Figure().subplots()
    assert result.plot("importance", ax=mine) is mine
    nothing = importance(X, linear(X), columns=[])
    assert nothing.summary() == "There is no column to shuffle." and nothing.plot() is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["A"]}, r"columns must name columns or groups of the rows · got 'A' · did you mean 'a'\?"),
        ({"groups": {"g": ["bb"]}}, r"grouped columns must be columns .* did you mean 'b'\?"),
        ({"groups": {"g": ["a", "b"], "h": ["b"]}}, r"in one group at most · got \['b'\] in several"),
        ({"repeats": 1}, r"repeats must be at least 2 · got repeats=1"),
        ({"level": 95}, r"level must lie between 0 and 1 · got level=95"),
        ({"y": np.zeros(9)}, r"as many targets as rows, and at least two · got 10 rows, 9 targets"),
    ],
)
def test_bad_arguments(options, message):
    X = table(10, 9)
    with pytest.raises(InputError, match=message):
        importance(X, **({"y": linear(X)} | options))
