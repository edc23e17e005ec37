"""Gradient boosting against scikit-learn's, against a loop by hand, and its losses against finite differences."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from glia import Regressor
from glia.ensemble import Boosting
from glia.ensemble.boosting_losses import LOSSES, find_loss
from glia.ensemble.line_search import best_step

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
VALUE = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + 0.3 * RNG.normal(size=150)
WEIGHT = RNG.uniform(0.1, 3.0, size=150)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("line_search", [False, True])
@pytest.mark.parametrize("depth", [1, 3])
def test_it_is_scikit_learns_for_the_squared_error(weight, line_search, depth):
    """A tree's leaves are means, so that the best step along its direction is 1: line search changes nothing."""
    tree = DecisionTreeRegressor(max_depth=depth)
    model = Boosting(tree, n_estimators=25, learning_rate=0.2, line_search=line_search, patience=0)
    theirs = GradientBoostingRegressor(n_estimators=25, learning_rate=0.2, max_depth=depth)
    model.fit(X, VALUE, weight), theirs.fit(X, VALUE, weight)
    staged = np.stack(list(theirs.staged_predict(X)))
    np.testing.assert_allclose(model.predict_members(X), staged, atol=1e-10)
    np.testing.assert_allclose(model.predict(X), theirs.predict(X), atol=1e-10)


def test_a_linear_learner_is_done_in_one_full_step():
    model = Boosting(LinearRegression(), n_estimators=5, learning_rate=1.0, patience=0).fit(X, VALUE)
    np.testing.assert_allclose(model.predict(X), LinearRegression().fit(X, VALUE).predict(X), atol=1e-10)
    shrunk = Boosting(LinearRegression(), n_estimators=3, learning_rate=0.5, patience=0).fit(X, VALUE)
    least = LinearRegression().fit(X, VALUE).predict(X)
    np.testing.assert_allclose(shrunk.predict(X), VALUE.mean() + (least - VALUE.mean()) * (1 - 0.5**3), atol=1e-10)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_by_hand(classes):
    y = np.digitize(VALUE, [0.8] if classes == 2 else [0.3, 1.3])
    tree = DecisionTreeRegressor(max_depth=2, random_state=0)
    model = Boosting(tree, "log_loss", n_estimators=6, learning_rate=0.4, patience=0).fit(X, np.array(list("abc"))[y])
    wanted = y[:, None] if classes == 2 else np.eye(3)[y]
    shares = wanted.mean(axis=0)
    score = np.tile(np.log(shares / (1 - shares)) if classes == 2 else np.log(shares), (150, 1))

    def loss(at):
        if classes == 2:
            return np.logaddexp(0, -np.where(y == 1, 1, -1) * at[:, 0]).mean()
        return -log_softmax(at, axis=1)[np.arange(150), y].mean()

    for k in range(6):
        p = expit(score) if classes == 2 else np.exp(log_softmax(score, axis=1))
        step = DecisionTreeRegressor(max_depth=2, random_state=0).fit(X, wanted - p).predict(X).reshape(150, -1)
        best = minimize_scalar(lambda rho, s=score, h=step: loss(s + rho * h), bounds=(0, 16), method="bounded",
                               options={"xatol": 1e-10})  # fmt: skip
        score = score + 0.4 * best.x * step
        assert model.train_loss_[k + 1] == pytest.approx(loss(score), abs=1e-6)
    np.testing.assert_allclose(model.decision_function(X).reshape(150, -1), score, atol=1e-4)
    proba = model.predict_proba(X)
    assert np.allclose(proba.sum(axis=1), 1) and model.classes_.tolist() == list("abc")[:classes]
    assert (model.predict(X) == model.classes_[proba.argmax(axis=1)]).all() and np.all(np.diff(model.train_loss_) < 0)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("outputs", [1, 3])
def test_losses_fall_along_the_residual_and_start_at_their_least(name, outputs):
    rng, loss = np.random.default_rng(3), find_loss(name)
    y = rng.normal(size=(40, outputs)) * 3
    if name == "log_loss":
        number = rng.integers(0, max(2, outputs), 40)
        y = number[:, None].astype(float) if outputs == 1 else np.eye(outputs)[number]
    score, weight, tiny = rng.normal(size=y.shape), rng.uniform(0.5, 2, 40), 1e-6
    scale = outputs if name != "log_loss" else 1  # rows are means over targets, residuals are not
    for o in range(outputs):
        moved = np.eye(outputs)[o] * tiny
        slope = (loss.rows(y, score + moved) - loss.rows(y, score - moved)) / (2 * tiny)
        np.testing.assert_allclose(-loss.residual(y, score)[:, o], slope * scale, atol=1e-6)

    def constant(at):
        return np.average(loss.rows(y, np.tile(at, (40, 1))), weights=weight)

    start = loss.start(y, weight)
    exact = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
    least = minimize(constant, start + 0.3, method="Nelder-Mead", options=exact)
    assert constant(start) <= least.fun + 1e-9


def test_line_search_finds_the_least_and_its_bounds():
    assert best_step(lambda t: 2 * (t - 3.7), np.inf) == pytest.approx(3.7, rel=1e-12)
    assert best_step(lambda t: 2 * (t - 1e-7), np.inf) == pytest.approx(1e-7, rel=1e-6)
    assert best_step(lambda t: np.sign(t - 700.5), np.inf) == pytest.approx(700.5)
    assert best_step(lambda t: t + 1, np.inf) == 0.0 and best_step(lambda t: -np.exp(-t), 16.0) == 16.0


def test_absolute_errors_do_not_follow_outliers():
    y = 1000 * X[:, 0]
    spoilt = y.copy()
    spoilt[:8] = 1e6
    tree = DecisionTreeRegressor(max_depth=3)
    errors = {
        loss: np.abs(Boosting(tree, loss, n_estimators=60, patience=0).fit(X, spoilt).predict(X) - y)[8:].mean()
        for loss in ("absolute", "squared")
    }
    assert errors["absolute"] < 100 < errors["squared"] / 2


def test_it_stops_early_and_keeps_the_best():
    rng = np.random.default_rng(1)
    rows, noise = rng.normal(size=(400, 3)), rng.normal(size=400)
    y = rows[:, 0] + 2 * noise
    model = Boosting(DecisionTreeRegressor(max_depth=6), n_estimators=60, patience=3).fit(rows, y)
    best = int(np.argmin(model.valid_loss_))
    assert len(model.members_) == best < 10 and len(model.valid_loss_) == best + 4
    assert "early stopping" in model.stop_reason_
    fixed = Boosting(DecisionTreeRegressor(max_depth=6), n_estimators=60, patience=0).fit(rows, y)
    new = rng.normal(size=(2000, 3))
    assert np.mean((model.predict(new) - new[:, 0]) ** 2) < np.mean((fixed.predict(new) - new[:, 0]) ** 2) / 2
    given = Boosting(DecisionTreeRegressor(max_depth=6), patience=3)
    given.fit(rows[:300], y[:300], validation=(rows[300:], y[300:]))
    held = np.mean((given.predict(rows[300:]) - y[300:]) ** 2) / 2
    assert min(given.valid_loss_) == given.valid_loss_[len(given.members_)] == pytest.approx(held)


def test_several_targets_are_boosted_each_as_alone():
    """With one learner per output and the squared error, targets do not touch each other."""
    tree = HistGradientBoostingRegressor(max_iter=1, learning_rate=1.0, max_depth=2, min_samples_leaf=5)
    both = np.stack([VALUE, X[:, 2] * 100], axis=1)
    model = Boosting(tree, n_estimators=4, patience=0).fit(X, both)
    for t in range(2):
        alone = Boosting(tree, n_estimators=4, patience=0).fit(X, both[:, t])
        np.testing.assert_allclose(model.predict(X)[:, t], alone.predict(X), atol=1e-9)
    assert model.predict_members(X).shape == (4, 150, 2) and len(model.members_[0].learners) == 2


class Moody(RegressorMixin, BaseEstimator):
    """A stump that in one of three seeds says the opposite."""

    def __init__(self, good=2, random_state=0):
        self.good, self.random_state = good, random_state

    def fit(self, X, y):
        self.sign_ = 1 if self.random_state % 3 < self.good else -1
        self.stump_ = DecisionTreeRegressor(max_depth=1).fit(X, y)
        return self

    def predict(self, X):
        return self.sign_ * self.stump_.predict(X)


def test_a_learner_that_points_uphill_is_replaced():
    model = Boosting(Moody(), n_estimators=8, patience=0).fit(X, VALUE)
    plain = Boosting(DecisionTreeRegressor(max_depth=1), n_estimators=8, patience=0).fit(X, VALUE)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), atol=1e-12)
    assert all(stage.learners[0].sign_ == 1 for stage in model.members_) and model.stop_reason_ == "all stages done"
    hopeless = Boosting(Moody(good=0), n_estimators=8, patience=0).fit(X, VALUE)
    assert hopeless.stop_reason_ == "no learner lowers the loss any further" and hopeless.members_ == []
    np.testing.assert_allclose(hopeless.predict(X), VALUE.mean())
    assert hopeless.predict_members(X).shape == (1, 150)


def test_small_networks_are_boosted():
    network = Regressor(epochs=4, validation_fraction=0.0)
    model = Boosting(network, n_estimators=4, learning_rate=0.8, patience=0).fit(X, VALUE)
    assert np.all(np.diff(model.train_loss_) < 0)
    seeds = {stage.learners[0].random_state for stage in model.members_}
    assert len(seeds) == 4
    classes = Boosting(network, "log_loss", n_estimators=2, learning_rate=0.8).fit(X, np.digitize(VALUE, [0.3, 1.3]))
    assert classes.predict_proba(X).shape == (150, 3) and len(classes.members_[0].learners) == 1
    again = Boosting(network, n_estimators=4, learning_rate=0.8, patience=0).fit(X, VALUE)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))


def test_its_spread_is_of_the_later_half_of_its_stages():
    model = Boosting(DecisionTreeRegressor(max_depth=2), n_estimators=10, patience=0).fit(X, VALUE)
    np.testing.assert_allclose(model.predict_spread(X), model.predict_members(X)[5:].std(axis=0))
    part = Boosting(DecisionTreeRegressor(max_depth=2), n_estimators=10, patience=0, subsample=0.5).fit(X, VALUE)
    assert (part.predict(X) != model.predict(X)).any() and part.score(X, VALUE) > 0.5
