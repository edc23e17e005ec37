"""The exact decompositions: squared error into members and ambiguity, entropy into noise and disagreement."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import brier_score_loss, mean_squared_error
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from glia.core.errors import InputError
from glia.ensemble import AdaBoost, Architectural, Bagging, Boosting, diversity, split_entropy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
VALUE = X[:, 0] + np.abs(X[:, 1]) + 0.3 * RNG.normal(size=200)
LABEL = np.array(["b", "a", "c"])[np.digitize(VALUE, [0.3, 1.3])]
WEIGHT = RNG.uniform(0.1, 3.0, size=200)
VALUES = [("plane", Ridge()), ("tree", DecisionTreeRegressor(max_depth=4))]
CLASSES = [("plane", LogisticRegression()), ("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))]


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(
    ("model", "y"),
    [
        (Bagging(DecisionTreeRegressor(), 6), VALUE),
        (Bagging(DecisionTreeRegressor(), 6), np.stack([VALUE, 50 * X[:, 2]], axis=1)),
        (Architectural(VALUES), VALUE),
        (Bagging(DecisionTreeClassifier(max_depth=3), 6), LABEL),
        (Architectural(CLASSES, start=3), LABEL),
        (AdaBoost(DecisionTreeClassifier(max_depth=1), 6), LABEL),
    ],
)
def test_ambiguity_is_exactly_what_averaging_gains(model, y, weight):
    found = model.fit(X[:120], y[:120]).diversity(X, y, weight)
    parts = found.decomposition
    assert abs(parts.ensemble - (parts.members - parts.ambiguity)) < 1e-10 * max(1, parts.members)
    assert parts.ambiguity > 0 and found.rows == 200
    if y is LABEL:
        truth = np.eye(3)[np.searchsorted(model.classes_, y)]
        brier = np.average(((model.predict_proba(X) - truth) ** 2).sum(axis=1), weights=weight)
        assert parts.ensemble == pytest.approx(brier, rel=1e-12)
        wrong = np.average(model.predict(X) != y, weights=weight)
        assert found.ensemble_error == pytest.approx(wrong) and found.metric == "error rate"
    else:
        error = mean_squared_error(y, model.predict(X), sample_weight=weight)
        assert parts.ensemble == pytest.approx(error, rel=1e-12) == pytest.approx(found.ensemble_error)


def test_without_a_weighted_mean_there_is_no_decomposition():
    model = Boosting(DecisionTreeRegressor(max_depth=2), n_estimators=4, patience=0).fit(X, VALUE)
    found = model.diversity(X, VALUE)
    assert found.decomposition is None and found.members[-1].error == found.ensemble_error
    assert [m.weight for m in found.members] == [None] * 4


def test_figures_by_hand():
    truth = np.array([0, 1, 1, 0])
    votes = np.eye(2)[np.array([[0, 1, 1, 1], [0, 1, 0, 0], [1, 1, 0, 0]])]  # wrong: row 3; row 2; rows 0 and 2
    found = diversity(votes, votes.mean(axis=0), truth, classes=True, weights=np.full(3, 1 / 3))
    assert [m.error for m in found.members] == [0.25, 0.25, 0.5] and found.ensemble_error == 0.25
    assert found.disagreement == pytest.approx((2 / 4 + 3 / 4 + 1 / 4) / 3)
    wrong = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 1, 0]])
    assert found.error_correlation == pytest.approx(np.corrcoef(wrong)[np.triu_indices(3, 1)].mean())
    two = brier_score_loss(truth, votes.mean(axis=0)[:, 1]) * 2
    assert found.decomposition.ensemble == pytest.approx(two)
    values = RNG.normal(size=(3, 50))
    by_values = diversity(values, values.mean(axis=0), np.zeros(50), classes=False)
    pairs = [np.sqrt(((values[i] - values[j]) ** 2).mean()) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert by_values.disagreement == pytest.approx(np.mean(pairs))
    assert by_values.error_correlation == pytest.approx(np.corrcoef(values)[np.triu_indices(3, 1)].mean())


def test_axes_are_told_apart_where_they_are_of_one_length():
    square = RNG.normal(size=(6, 6))
    truth = RNG.normal(size=6)
    found = diversity(square, square.mean(axis=0), truth, classes=False, weights=np.full(6, 1 / 6))
    np.testing.assert_allclose([m.error for m in found.members], ((square - truth) ** 2).mean(axis=1))
    cube, wanted = RNG.normal(size=(6, 6, 6)), RNG.normal(size=(6, 6))
    found = diversity(cube, cube.mean(axis=0), wanted, classes=False, sample_weight=np.arange(6.0))
    by_hand = np.average(((cube - wanted) ** 2).mean(axis=2), axis=1, weights=np.arange(6.0))
    np.testing.assert_allclose([m.error for m in found.members], by_hand)


def test_members_that_are_one_and_the_same():
    same = np.tile(RNG.normal(size=30), (4, 1))
    found = diversity(same, same[0], np.zeros(30), classes=False, weights=np.full(4, 0.25))
    assert found.decomposition.ambiguity == found.disagreement == 0 and found.error_correlation == pytest.approx(1)
    right = np.tile(np.eye(2), (3, 1, 1))
    assert diversity(right, right[0], np.array([0, 1]), classes=True).error_correlation is None
    with pytest.raises(InputError, match="same rows and outputs"):
        diversity(same, same[0, :5], np.zeros(30), classes=False)


def test_the_result_says_draws_and_stores_itself():
    model = Bagging(DecisionTreeClassifier(max_depth=3), 5).fit(X, LABEL)
    found = model.diversity(X, LABEL)
    assert "below" in found.summary() or "not below" in found.summary()
    members, figures = found.tables()
    assert len(members.rows) == 5 and "ambiguity" in [row[0] for row in figures.rows]
    assert found.plot().get_xlabel() == "error rate" and found.to_dict()["rows"] == 200
    assert str(found) == found.summary() and model.uncertainty(X).tables()[0].rows[0][0] == "total"


def test_entropy_splits_into_noise_and_disagreement():
    agree = np.tile([[0.5, 0.5], [0.9, 0.1]], (3, 1, 1))
    known = split_entropy(agree)
    np.testing.assert_allclose(known.total, known.expected, atol=1e-12)
    np.testing.assert_allclose(known.total, [np.log(2), -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))])
    disagree = split_entropy(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    np.testing.assert_allclose([disagree.total[0], disagree.expected[0]], [np.log(2), 0], atol=1e-12)
    assert disagree.mutual_information[0] == pytest.approx(np.log(2)) and "100 %" in disagree.summary()
    weighted = split_entropy(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), np.array([0.9, 0.1]))
    assert weighted.total[0] == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)))
    with pytest.raises(InputError, match="members, rows, classes"):
        split_entropy(agree[0])


def test_disagreement_grows_away_from_the_training_rows():
    """Members were taught within a ball: far outside of it they contradict each other, noise within it they share."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 2))
    y = (rng.uniform(size=400) < 1 / (1 + np.exp(-2 * rows[:, 0]))).astype(int)
    model = Bagging(LogisticRegression(), 20).fit(rows, y)
    line = np.array([[0.0, 0.0], [0.0, 12.0]])
    found = model.uncertainty(line)
    assert found.mutual_information[1] > 10 * found.mutual_information[0] and found.total[0] > 0.65
    assert (model.predict_spread(line)[1] > model.predict_spread(line)[0]).all()
