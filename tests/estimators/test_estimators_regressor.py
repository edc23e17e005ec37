"""Regression: recovered coefficients, intervals that cover what they say, several targets, quantiles and weights."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.model_selection import cross_val_score

from glia import Objective, Regressor
from glia.core.errors import InputError
from glia.nn import MLP
from glia.objectives import losses

SMALL = {"network": MLP(hidden=(16,)), "epochs": 20, "lr": 0.02, "random_state": 0}
LINEAR = {
    "network": "linear", "preparation": "none", "optimizer": "nesterov", "lr": 0.1, "epochs": 200, "batch_size": 4096,
    "validation_fraction": 0,
}  # fmt: skip


def noisy(count=1200, seed=0, spread=lambda x: 0.3 + 0 * x):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(count, 2))
    return X, np.sin(X[:, 0]) * 3 + X[:, 1] + spread(X[:, 0]) * rng.normal(size=count) + 50


def test_a_linear_network_is_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = X @ [2.0, -3.0, 0.5] + 7.0 + 0.1 * rng.normal(size=300)
    model = Regressor(**LINEAR).fit(X, y)
    reference = LinearRegression().fit(X, y)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), atol=1e-3)
    corners = np.vstack([np.zeros(3), np.eye(3)])
    found = model.predict(corners)
    np.testing.assert_allclose(found[0], reference.intercept_, atol=1e-3)
    np.testing.assert_allclose(found[1:] - found[0], reference.coef_, atol=1e-3)
    assert np.abs(found[1:] - found[0] - [2.0, -3.0, 0.5]).max() < 0.03


def test_a_poisson_network_is_scikit_learns():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 2))
    y = rng.poisson(np.exp(0.5 * X[:, 0] - 0.3 * X[:, 1] + 1))
    model = Regressor(**{**LINEAR, "lr": 0.05}, objective="poisson").fit(X, y)
    reference = PoissonRegressor(alpha=0, tol=1e-9, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), rtol=2e-3)


def test_the_median_bears_outliers():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 1))
    y = 2 * X[:, 0]
    y[:40] += 100
    mean, median = (Regressor(**LINEAR, objective=name).fit(X, y) for name in ("mse", "mae"))
    error = [np.abs(model.predict(X)[40:] - y[40:]).mean() for model in (mean, median)]
    assert error[1] < 0.1 * error[0]


def test_on_real_rows_it_is_as_good_as_least_squares():
    X, y = load_diabetes(return_X_y=True)
    linear = cross_val_score(LinearRegression(), X, y, cv=3).mean()
    assert cross_val_score(Regressor(effort="quick"), X, y, cv=3).mean() > linear - 0.08


@pytest.mark.parametrize("coverage", [0.5, 0.9])
@pytest.mark.parametrize("objective", ["auto", "quantile", "gaussian_nll"])
def test_intervals_cover_what_they_say(objective, coverage):
    X, y = noisy(2500)
    model = Regressor(**SMALL, objective=objective, validation_fraction=0.4).fit(X[:1000], y[:1000])
    low, high = model.predict_interval(X[1000:], coverage)
    inside = (low <= y[1000:]) & (y[1000:] <= high)
    # 400 validation rows: the coverage's own spread is about √(c(1 − c)/400), and that of 1500 tests less.
    assert abs(inside.mean() - coverage) < 4 * np.sqrt(coverage * (1 - coverage) * (1 / 400 + 1 / 1500))
    assert (low <= model.predict(X[1000:])).all() and (model.predict(X[1000:]) <= high).all()


def test_intervals_cover_on_real_rows():
    X, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:300], order[300:]
    model = Regressor(**SMALL, validation_fraction=0.4).fit(X[train], y[train])
    low, high = model.predict_interval(X[test], 0.8)
    assert 0.68 < ((low <= y[test]) & (y[test] <= high)).mean() < 0.92


@pytest.mark.parametrize("objective", ["quantile", "gaussian_nll"])
def test_intervals_are_wide_where_rows_are_noisy(objective):
    X, y = noisy(1000, spread=lambda x: np.where(x > 0, 2.0, 0.1))
    settings = {**SMALL, "epochs": 30}
    adaptive, constant = (Regressor(**settings, objective=name).fit(X, y) for name in (objective, "auto"))
    calm, wild = np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0]])

    def width(model, rows):
        low, high = model.predict_interval(rows)
        return (high - low)[0]

    assert width(adaptive, wild) > 4 * width(adaptive, calm)
    assert width(constant, wild) == pytest.approx(width(constant, calm))


def test_quantile_heads_predict_the_median():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(2000, 1))
    y = 5 + rng.exponential(2.0, size=2000)
    model = Regressor(**SMALL, objective=losses.get("quantile")((0.1, 0.5, 0.9))).fit(X, y)
    assert model.predict(X).mean() == pytest.approx(5 + 2 * np.log(2), abs=0.25)  # the mean would be 7
    assert Regressor(**SMALL).fit(X, y).predict(X).mean() == pytest.approx(7, abs=0.25)


def test_intervals_need_validation_rows():
    X, y = noisy(200)
    with pytest.raises(InputError, match="prediction intervals need validation rows"):
        Regressor(**SMALL).fit(X[:60], y[:60]).predict_interval(X)
    with pytest.raises(InputError, match="prediction intervals need validation rows"):
        Regressor(**SMALL, validation_fraction=0).fit(X, y).predict_interval(X)
    with pytest.raises(InputError, match="at least 99 validation rows"):
        Regressor(**SMALL).fit(X, y).predict_interval(X, 0.99)
    with pytest.raises(InputError, match="coverage must lie between 0 and 1"):
        Regressor(**SMALL).fit(X, y).predict_interval(X, 1.5)


def test_several_targets():
    X, y = noisy(800)
    Y = np.stack([y, -1000 * X[:, 1]], axis=1)
    for objective in ("auto", "quantile"):
        model = Regressor(**SMALL, objective=objective).fit(X, Y)
        assert model.predict(X).shape == Y.shape and model.conformity_.shape[1] == 2
        assert model.score(X, Y) > 0.9
        low, high = model.predict_interval(X)
        inside = (low <= Y) & (high >= Y)
        assert low.shape == Y.shape and (inside.mean(axis=0) > 0.82).all()
    assert model.predict_frame(X).columns == ["prediction_0", "prediction_1"]


def test_units_do_not_matter():
    X, y = noisy(300)
    one, other = Regressor(**SMALL).fit(X, y), Regressor(**SMALL).fit(1024 * X, 4096 * y)
    np.testing.assert_allclose(4096 * one.predict(X), other.predict(1024 * X), rtol=1e-4)
    assert Regressor(**SMALL).fit(X, np.full(300, 5.0)).predict(X) == pytest.approx(5, abs=0.2)


def test_the_seed_fixes_all_bits_and_company_does_not_matter():
    X, y = noisy(300)
    one = Regressor(**SMALL).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), Regressor(**SMALL).fit(X, y).predict(X))
    np.testing.assert_array_equal(one.predict(X), clone(one).fit(pl.DataFrame(X).to_numpy(), list(y)).predict(X))
    assert (one.predict(X) != Regressor(**{**SMALL, "random_state": 1}).fit(X, y).predict(X)).any()
    for row in (0, 100, 299):
        assert one.predict(X[row : row + 1])[0] == one.predict(X)[row]


def test_a_weight_of_zero_is_absence_and_weights_matter():
    X, y = noisy(400)
    weight = np.where(np.arange(400) % 2, 1.0, 0.0)
    spoilt = np.where(weight > 0, y, 1e9)
    one = Regressor(**SMALL).fit(X, spoilt, sample_weight=weight)
    np.testing.assert_array_equal(one.predict(X), Regressor(**SMALL).fit(X[1::2], y[1::2]).predict(X))
    low = np.where(y < np.median(y), 10.0, 1.0)
    flat = {**LINEAR, "objective": Objective("mse")}
    weighted = Regressor(**flat).fit(X, y, sample_weight=low).predict(X)
    np.testing.assert_allclose(weighted, LinearRegression().fit(X, y, low).predict(X), atol=5e-3)


def test_partial_fit_goes_on():
    X, y = noisy(300)
    model = Regressor(network=MLP(hidden=(16,)), lr=0.02, batch_size=32)
    first = model.partial_fit(X, y).history_[0]["train/loss"]
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.history_[-1]["train/loss"] < 0.2 * first and model.n_iter_ == 21
    assert model.score(X, y) > 0.9


def test_evaluate_and_predict_frame():
    X, y = noisy(400)
    model = Regressor(**SMALL).fit(X, y)
    frame = model.predict_frame(X)
    assert frame.columns == ["prediction", "low", "high"]
    np.testing.assert_array_equal(frame["low"].to_numpy(), model.predict_interval(X)[0])
    assert model.evaluate(X, y, n_boot=20)["r2"].value == pytest.approx(model.score(X, y))


def test_wrong_targets_are_refused():
    X, y = noisy(150)
    with pytest.raises(InputError, match=r"must be numbers .* use Classifier"):
        Regressor(**SMALL).fit(X, np.array(["a", "b", "c"] * 50))
    y[3] = np.nan
    with pytest.raises(InputError, match="a value in every row"):
        Regressor(**SMALL).fit(X, y)
