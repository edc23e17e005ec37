"""The classic model of texts against scikit-learn called directly, and negative controls."""

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from glia.estimators.baselines import fit_baselines
from glia.estimators.word_baseline import word_answers

RNG = np.random.default_rng(0)
COMMON = [f"word{i}" for i in range(300)]
"""More words than the hundred that the other classic models see."""


def texts(count, seed):
    rng = np.random.default_rng(seed)
    rows = [list(rng.choice(COMMON, 12)) for _ in range(count)]
    y = np.array(["no", "yes"])[rng.integers(0, 2, count)]
    for row, one in zip(rows, y, strict=True):
        row.insert(int(rng.integers(0, 12)), f"{one}{rng.integers(0, 40)}")
    return pl.DataFrame({"t": [" ".join(row) for row in rows]}), y


def test_it_is_a_linear_model_on_tfidf_with_the_better_of_two_penalties():
    train, y = texts(400, 0)
    test, truth = texts(200, 1)
    prediction, probability, _, notes = word_answers("binary", train, y, test, None, 0)
    terms = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    x = terms.fit_transform(train["t"].to_list())
    peers = [LogisticRegression(C=c, tol=1e-3, max_iter=100).fit(x, y) for c in (1, 10)]
    found = [peer.predict_proba(terms.transform(test["t"].to_list())) for peer in peers]
    assert any(np.allclose(probability, one, atol=1e-6) for one in found)
    assert (prediction == truth).mean() > 0.7 and notes == ["TF-IDF of words and pairs of words"]
    shuffled = np.random.default_rng(3).permutation(y)  # negative control
    assert (word_answers("binary", train, shuffled, test, None, 0)[0] == truth).mean() < 0.6


def test_quantities_labels_and_weights():
    train, y = texts(300, 0)
    test, truth = texts(100, 1)
    values, wanted = np.where(y == "yes", 3.0, -1.0), np.where(truth == "yes", 3.0, -1.0)
    prediction, none, _, _ = word_answers("regression", train, values, test, None, 0)
    terms = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    x = terms.fit_transform(train["t"].to_list())
    z = terms.transform(test["t"].to_list())
    peers = [Ridge(alpha).fit(x, values).predict(z) for alpha in (3.0, 1.0, 0.3)]
    assert none is None and any(np.allclose(prediction, peer, atol=0.02) for peer in peers)
    assert np.corrcoef(prediction, wanted)[0, 1] > 0.5
    both = np.column_stack([values, -values])
    assert word_answers("regression", train, both, test, None, 0)[0].shape == (100, 2)
    labels = np.column_stack([y == "yes", np.ones(300)]).astype(int)
    decided, probability, _, _ = word_answers("multilabel", train, labels, test, None, 0)
    assert (decided[:, 0] == (truth == "yes")).mean() > 0.7 and (probability[:, 1] == 1).all()
    only = np.where(y == "yes", 1.0, 1e-9)  # rows of no weight say nothing
    assert (word_answers("binary", train, y, test, only, 0)[0] == "yes").mean() > 0.95


def test_it_comes_last_where_there_are_texts_and_reads_more_words_than_the_others():
    train, y = texts(400, 0)
    test, truth = texts(200, 1)
    found = fit_baselines("binary", train, y, test, roles={"t": "text"})
    assert [one.name for one in found][-1] == "logistic on words" and len(found) == 5
    right = {one.name: (one.prediction == truth).mean() for one in found}
    assert right["logistic on words"] > max(right["logistic"], right["gradient boosting"]) + 0.1
    number = pl.DataFrame({"n": RNG.normal(size=400)})
    assert len(fit_baselines("binary", number, y, number[:10], roles={"n": "numeric"})) == 4


@pytest.mark.parametrize("given", [["..."] * 30, [None] * 30, ["a"] * 30])
def test_texts_without_words_leave_what_is_usual(given):
    frame = pl.DataFrame({"t": pl.Series(given, dtype=pl.String)})
    y = np.array([0, 1, 1] * 10)
    prediction, probability, _, _ = word_answers("binary", frame, y, frame, None, 0)
    assert (prediction == 1).all() and np.allclose(probability[:, 1], 2 / 3, atol=0.05)


def test_the_same_rows_give_the_same_bits():
    train, y = texts(200, 0)
    one, other = (word_answers("binary", train, y, train, None, 4)[1] for _ in range(2))
    assert np.array_equal(one, other)
