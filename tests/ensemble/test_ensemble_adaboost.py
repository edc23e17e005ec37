"""SAMME against a worked example and against scikit-learn's."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from glia import Classifier
from glia.core.errors import InputError
from glia.ensemble import AdaBoost

X, Y = load_iris(return_X_y=True)
STUMP = DecisionTreeClassifier(max_depth=1)


def test_a_worked_example():
    """Ten points on a line, + + + − − − + + + −: three stumps at 2.5, 8.5 and 5.5 (Freund & Schapire's classic)."""
    x, y = np.arange(10.0)[:, None], np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 0])
    model = AdaBoost(STUMP, 3).fit(x, y)
    np.testing.assert_allclose(model.member_errors_, [0.3, 3 / 14, 2 / 11], rtol=1e-12)
    # α is twice the textbook's ½ log((1 − ε) / ε).
    np.testing.assert_allclose(model.member_weights_, [math.log(7 / 3), math.log(11 / 3), math.log(9 / 2)], rtol=1e-12)
    assert [m.tree_.threshold[0] for m in model.members_] == [2.5, 8.5, 5.5] and model.score(x, y) == 1.0


@pytest.mark.parametrize("rate", [1.0, 0.5])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weight", [None, np.linspace(0.2, 2, 150)])
def test_it_is_scikit_learns(rate, classes, weight):
    y = Y if classes == 3 else (Y == 1).astype(int)
    model = AdaBoost(STUMP, 12, learning_rate=rate).fit(X, y, weight)
    theirs = AdaBoostClassifier(STUMP, n_estimators=12, learning_rate=rate, random_state=0).fit(X, y, weight)
    np.testing.assert_allclose(model.member_weights_, theirs.estimator_weights_, rtol=1e-9)
    np.testing.assert_allclose(model.member_errors_, theirs.estimator_errors_, rtol=1e-9)
    np.testing.assert_allclose(model.decision_function(X), theirs.decision_function(X), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), theirs.predict(X))


def test_shares_of_the_vote():
    model = AdaBoost(STUMP, 8).fit(X, Y)
    votes = model.predict_members(X)
    assert set(np.unique(votes)) == {0.0, 1.0} and votes.shape == (8, 150, 3)
    by_hand = sum(a * v for a, v in zip(model.member_weights_, votes, strict=True)) / model.member_weights_.sum()
    np.testing.assert_allclose(model.predict_proba(X), by_hand, atol=1e-12)


def test_it_ends_where_nothing_is_left_to_learn():
    perfect = AdaBoost(DecisionTreeClassifier(), 5).fit(X, Y)
    assert len(perfect.members_) == 1 and "no errors" in perfect.stop_reason_ and perfect.score(X, Y) == 1.0
    rows = np.zeros((40, 1))
    with pytest.raises(InputError, match="better than chance"):
        AdaBoost(STUMP).fit(rows, np.arange(40) % 2)


def test_rows_are_drawn_where_weights_are_not_taken():
    model = AdaBoost(KNeighborsClassifier(20), 6).fit(X, Y)
    assert len(model.members_) > 1 and model.score(X, Y) > 0.93


def test_networks_are_boosted():
    model = AdaBoost(Classifier(epochs=3, members=1), 4).fit(X, Y)
    again = AdaBoost(Classifier(epochs=3, members=1), 4).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    assert len(model.members_) > 1 and model.score(X, Y) > 0.7
