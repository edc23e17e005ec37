"""Bagging against a loop by hand, against resampled rows, and against a population trained in one fit."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from glia import Classifier, Regressor
from glia.ensemble import Bagging

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
VALUE = X @ [1.0, -2.0, 0.5, 0.0] + RNG.normal(size=120)
LABEL = np.array(["low", "mid", "high"])[np.digitize(VALUE, [-1, 1])]
WEIGHT = RNG.uniform(0.1, 3.0, size=120)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_it_is_the_loop_by_hand(weight):
    model = Bagging(Ridge(alpha=0.3), 7, random_state=5).fit(X, VALUE, weight)
    own = np.ones(120) if weight is None else weight
    alone = [Ridge(alpha=0.3).fit(X, VALUE, sample_weight=counts * own) for counts in model.in_bag_]
    np.testing.assert_allclose(model.predict(X), np.mean([one.predict(X) for one in alone], axis=0), rtol=1e-13)
    np.testing.assert_allclose(model.predict_spread(X), np.std([one.predict(X) for one in alone], axis=0), rtol=1e-10)
    assert model.in_bag_.shape == (7, 120) and (model.in_bag_.sum(axis=1) == 120).all()


def test_counts_as_weights_are_the_rows_so_often():
    """Ridge and logistic regression treat weight 2 as the row twice: both ways are one bagging."""
    for estimator, y in ((Ridge(), VALUE), (LogisticRegression(tol=1e-10, max_iter=2000), LABEL)):
        one, other = (Bagging(estimator, 4, sampling=way).fit(X, y) for way in ("weights", "rows"))
        np.testing.assert_array_equal(one.in_bag_, other.in_bag_)
        np.testing.assert_allclose(one.predict_members(X), other.predict_members(X), atol=1e-5)


def test_a_bootstrap_sample_leaves_out_a_share_of_1_over_e():
    counts = Bagging(DecisionTreeRegressor(max_depth=1), 60).fit(X, VALUE).in_bag_
    assert (counts == 0).mean() == pytest.approx(np.exp(-1), abs=0.01)
    pasted = Bagging(DecisionTreeRegressor(max_depth=1), 5, max_samples=0.5, bootstrap=False).fit(X, VALUE).in_bag_
    assert pasted.max() == 1 and (pasted.sum(axis=1) == 60).all()


@pytest.mark.parametrize(("estimator", "y"), [(DecisionTreeClassifier(), LABEL), (DecisionTreeRegressor(), VALUE)])
def test_out_of_bag_by_hand(estimator, y):
    model = Bagging(estimator, 12, oob_score=True).fit(X, y)
    members = model.predict_members(X)
    wanted = [members[model.in_bag_[:, i] == 0, i].mean(axis=0) if (model.in_bag_[:, i] == 0).any() else np.nan
              for i in range(120)]  # fmt: skip
    for found, by_hand in zip(model.oob_prediction_, wanted, strict=True):
        np.testing.assert_allclose(found, by_hand)
    known = (model.in_bag_ == 0).any(axis=0)
    if y is LABEL:
        said = model.classes_[model.oob_prediction_[known].argmax(axis=1)]
        assert model.oob_score_ == accuracy_score(y[known], said) < model.score(X, y)
    else:
        assert model.oob_score_ == r2_score(y[known], model.oob_prediction_[known]) < model.score(X, y)


def test_out_of_bag_tells_what_training_rows_hide():
    """Labels of noise: the members know their rows by heart, out of bag they know nothing."""
    rng = np.random.default_rng(1)
    rows, noise = rng.normal(size=(600, 3)), rng.integers(0, 2, 600)
    model = Bagging(DecisionTreeClassifier(), 25, oob_score=True).fit(rows, noise)
    assert model.score(rows, noise) > 0.97 and abs(model.oob_score_ - 0.5) < 0.07


def test_rows_of_weight_0_are_as_good_as_absent():
    weight = np.where(np.arange(120) % 3, 1.0, 0.0)
    model = Bagging(DecisionTreeRegressor(), 4, oob_score=True).fit(X, VALUE, weight)
    without = Bagging(DecisionTreeRegressor(), 4).fit(X[weight > 0], VALUE[weight > 0])
    np.testing.assert_array_equal(model.predict(X), without.predict(X))
    assert len(model.oob_prediction_) == 120 and np.isnan(model.oob_prediction_[weight == 0]).all()


def test_classes_a_sample_lacks_get_0():
    y = np.array([0] * 60 + [1] * 59 + [2])
    model = Bagging(KNeighborsClassifier(1), 8).fit(X, y)
    members = model.predict_members(X)
    lacking = model.in_bag_[:, -1] == 0
    assert model.sampling == "auto" and lacking.any() and members.shape == (8, 120, 3)
    assert (members[lacking][:, :, 2] == 0).all() and np.allclose(members.sum(axis=2), 1)
    assert model.predict_proba(X)[-1, 2] != 0


@pytest.mark.parametrize("several", [False, True])
def test_glia_networks_are_trained_as_a_population(several):
    y = np.stack([VALUE, X[:, 0]], axis=1) if several else VALUE
    network = Regressor(epochs=6, members="auto" if several else 1)
    model = Bagging(network, 3, random_state=4).fit(X, y)
    assert model.population_ and len(model.members_) == 1
    seed = model.members_[0].random_state
    alone = Regressor(epochs=6, members=3, bootstrap=True, random_state=seed).fit(X, y)
    np.testing.assert_array_equal(model.predict_members(X), alone.predict_members(X))
    np.testing.assert_allclose(model.predict(X), alone.predict(X), rtol=1e-5)
    assert model.predict_members(X).shape == ((3, 120, 2) if several else (3, 120))
    assert (model.predict_spread(X) > 0).all()


def test_glia_networks_one_after_the_other():
    model = Bagging(Classifier(epochs=5), 3, population=False, oob_score=True).fit(X, LABEL)
    assert not model.population_ and len(model.members_) == 3 and 0 <= model.oob_score_ <= 1
    assert len({member.random_state for member in model.members_}) == 3
    again = Bagging(Classifier(epochs=5), 3, population=False, oob_score=True).fit(X, LABEL)
    other = Bagging(Classifier(epochs=5), 3, population=False, random_state=1).fit(X, LABEL)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    assert (model.predict_proba(X) != other.predict_proba(X)).any()
