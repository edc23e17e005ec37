"""Greedy weights against brute force, and what the ensemble keeps of its members."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from glia import Regressor
from glia.core.errors import InputError
from glia.ensemble import Architectural, greedy_weights

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
VALUE = X[:, 0] + np.abs(X[:, 1]) + 0.2 * RNG.normal(size=300)


@pytest.mark.parametrize("seed", range(5))
def test_every_pick_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=25)
    models = truth + rng.normal(size=(4, 25)) + rng.normal(size=(4, 1))

    def error(prediction):
        return float(((prediction - truth) ** 2).mean())

    found = greedy_weights(models, error, rounds=12)
    picked = []
    for k, least in zip(found.picked, found.errors, strict=True):
        tried = [error(np.mean([models[i] for i in [*picked, j]], axis=0)) for j in range(4)]
        assert k == int(np.argmin(tried)) and least == pytest.approx(min(tried), abs=1e-12)
        picked.append(k)
    assert error(np.tensordot(found.weights, models, axes=1)) == pytest.approx(found.errors[-1], abs=1e-12)
    assert found.weights.sum() == pytest.approx(1) and found.errors[-1] == min(found.errors)
    # All multisets of up to twelve models: greedy can be no better, and on a convex error it is hardly worse.
    listed = [c for size in range(1, 13) for c in combinations_with_replacement(range(4), size)]
    brute = min(error(np.bincount(c, minlength=4) / len(c) @ models) for c in listed)
    assert brute <= found.errors[-1] + 1e-12 and found.errors[-1] < 1.02 * brute


def test_opposite_errors_cancel_and_useless_models_stay_out():
    truth = np.linspace(-1, 1, 40)
    bias = np.cos(np.arange(40.0))
    models = np.stack([truth + 2 * bias, truth - bias, truth + 10.0])
    found = greedy_weights(models, lambda p: float(((p - truth) ** 2).mean()), rounds=9)
    np.testing.assert_allclose(found.weights, [1 / 3, 2 / 3, 0])
    assert found.errors[-1] == pytest.approx(0, abs=1e-25) and len(found.picked) == 3
    guarded = greedy_weights(models, lambda p: float(((p - truth) ** 2).mean()), rounds=9, start=3)
    assert guarded.picked[:3] == (1, 0, 2) and guarded.weights[2] > 0
    with pytest.raises(InputError, match="finite error"):
        greedy_weights(models * np.nan, lambda p: float(p.mean()), rounds=3)


def test_the_ensemble_is_the_weighted_mean():
    parts = [("plane", Ridge()), ("tree", DecisionTreeRegressor(max_depth=4)), ("near", KNeighborsRegressor())]
    model = Architectural(parts).fit(X, VALUE)
    held = model.validation_rows_
    members = model.predict_members(X)
    np.testing.assert_allclose(model.predict(X), np.tensordot(model.weights_, members, axes=1))
    for k, name in enumerate(model.names_):
        np.testing.assert_array_equal(model.validation_predictions_[name], members[k][held])
        wanted = ((members[k][held] - VALUE[held]) ** 2).mean() / VALUE[held].var()
        assert model.own_errors_[name] == pytest.approx(wanted)
    assert model.picked_errors_[-1] <= min(model.own_errors_.values())
    shares = {name: model.picked_.count(name) / len(model.picked_) for name in model.names_}
    assert list(shares.values()) == pytest.approx(model.weights_.tolist())
    train = np.setdiff1d(np.arange(300), held)
    np.testing.assert_allclose(members[0], Ridge().fit(X[train], VALUE[train]).predict(X))


def test_refitted_members_know_all_rows():
    parts = [("plane", Ridge()), ("mean", DummyRegressor())]
    model = Architectural(parts, refit=True).fit(X, X[:, 0] + 1.0)
    assert model.weights_.tolist() == [1.0, 0.0]
    np.testing.assert_allclose(model.members_[0].coef_, Ridge().fit(X, X[:, 0] + 1.0).coef_)
    assert len(model.validation_predictions_["mean"]) == 60


@pytest.mark.parametrize("metric", ["auto", "brier", "error", lambda truth, p: 1.0 * (p.argmax(1) != truth)])
def test_classes_and_metrics(metric):
    y = np.array(["b", "a", "c"])[np.digitize(VALUE, [0.3, 1.3])]
    parts = [
        ("plane", LogisticRegression()),
        ("tree", DecisionTreeClassifier(max_depth=3)),
        ("share", DummyClassifier()),
    ]
    model = Architectural(parts, metric=metric).fit(X, y)
    held = y[model.validation_rows_]
    proba = np.tensordot(model.weights_, np.stack(list(model.validation_predictions_.values())), axes=1)
    right = proba[np.arange(60), np.searchsorted(model.classes_, held)]
    wanted = {
        "auto": -np.log(right).mean(),
        "brier": ((proba - np.eye(3)[np.searchsorted(model.classes_, held)]) ** 2).sum(axis=1).mean(),
    }.get(metric if isinstance(metric, str) else "", (model.classes_[proba.argmax(axis=1)] != held).mean())
    assert model.picked_errors_[-1] == pytest.approx(wanted)


def test_validation_rows_can_be_given_and_weights_count():
    parts = [("plane", Ridge()), ("tree", DecisionTreeRegressor(max_depth=4))]
    given = Architectural(parts).fit(X[:200], VALUE[:200], validation=(X[200:], VALUE[200:]))
    assert not len(given.validation_rows_) and len(given.validation_predictions_["tree"]) == 100
    weight = np.where(X[:, 1] > 0, 1.0, 1e-9)  # where only the plane is needed
    one_sided = Architectural(parts).fit(X, VALUE, weight)
    assert one_sided.weights_[0] > 0.5


def test_networks_among_others():
    both = np.stack([VALUE, 100 * X[:, 2]], axis=1)
    model = Architectural([("network", Regressor(epochs=5)), ("plane", Ridge())]).fit(X, both)
    assert model.predict(X).shape == (300, 2) and model.predict_spread(X).shape == (300, 2)
    assert model.picked_errors_[-1] <= min(model.own_errors_.values())
