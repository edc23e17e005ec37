"""Taken apart and put together again, through glia.save for the members, every ensemble predicts the same."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeRegressor

from glia import Classifier, Regressor, load, save
from glia.core.errors import InputError
from glia.core.results import jsonable
from glia.ensemble import (
    AdaBoost,
    Architectural,
    Bagging,
    BalancedBagging,
    Boosting,
    EnsembleParts,
    Snapshot,
    Stacking,
    from_members,
    to_members,
)
from glia.ensemble.frozen_linear import FrozenLinear

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
VALUE = X[:, 0] + np.abs(X[:, 1])
LABEL = np.array(["b", "a", "c"])[np.digitize(VALUE, [0.3, 1.3])]
ONE, MORE = Classifier(epochs=2), Classifier(epochs=4, members=1)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (Bagging(ONE, 2), LABEL),
        (Bagging(Regressor(epochs=2), 2, population=False), VALUE),
        (BalancedBagging(ONE, 2), LABEL),
        (AdaBoost(Classifier(epochs=6), 3), LABEL),
        (Boosting(Regressor(epochs=2), n_estimators=2, patience=0), np.stack([VALUE, X[:, 2]], axis=1)),
        (Boosting(Regressor(epochs=2), "log_loss", n_estimators=2, patience=0), LABEL),
        (Stacking([("one", ONE), ("more", MORE)], cv=2), LABEL),
        (Stacking([("one", Regressor(epochs=2))], cv=2), VALUE),
        (Architectural([("one", ONE), ("more", MORE)]), LABEL),
        (Snapshot(Regressor(), n_cycles=2, cycle_epochs=2), VALUE),
    ],
)
def test_through_files(model, y, tmp_path):
    parts = to_members(model.fit(X, y))
    stored = {name: tmp_path / f"{k}.glia" for k, name in enumerate(parts.members)}
    for name, path in stored.items():
        save(parts.members[name], path)
    plain = json.loads(json.dumps(jsonable({"settings": parts.settings, "state": parts.state})))
    assert plain == {"settings": parts.settings, "state": parts.state}  # JSON holds all of it
    members = {name: load(path) for name, path in stored.items()}
    again = from_members(
        EnsembleParts(parts.kind, plain["settings"], plain["state"], parts.arrays, parts.target, members)
    )
    np.testing.assert_allclose(again.predict_members(X), model.predict_members(X), atol=1e-6)
    if model._classifies():
        np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-6)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    else:
        np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-5, atol=1e-6)
    own, other = model.get_params(deep=False), again.get_params(deep=False)
    assert {k: v for k, v in own.items() if "estimator" not in k} == {
        k: v for k, v in other.items() if "estimator" not in k
    }
    assert again.diversity(X, y).summary() == model.diversity(X, y).summary() and repr(again)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_meta_model_as_numbers(classes):
    y = np.array(list("xyz"))[np.digitize(VALUE, [0.8] if classes == 2 else [0.3, 1.3])]
    fitted = LogisticRegression().fit(X, y)
    frozen = FrozenLinear.of(fitted)
    np.testing.assert_allclose(frozen.predict_proba(X), fitted.predict_proba(X), atol=1e-12)
    np.testing.assert_array_equal(frozen.predict(X), fitted.predict(X))
    plane = Ridge().fit(X, VALUE)
    np.testing.assert_allclose(FrozenLinear.of(plane).predict(X)[:, 0], plane.predict(X), atol=1e-12)
    assert FrozenLinear.of(frozen) is frozen


def test_what_cannot_be_stored_or_does_not_fit_is_refused():
    for meta in (GaussianNB(), KNeighborsClassifier()):
        model = Stacking([("plane", LogisticRegression())], meta).fit(X, LABEL)
        with pytest.raises(InputError, match="linear"):
            to_members(model)
    with pytest.raises(InputError, match="only Glia's ensembles"):
        to_members(Ridge())
    parts = to_members(Architectural([("a", Ridge()), ("b", DecisionTreeRegressor())]).fit(X, VALUE))
    with pytest.raises(InputError, match="one weight per member"):
        from_members(
            EnsembleParts("Architectural", {}, parts.state, {"weights_": np.ones(3)}, parts.target, parts.members)
        )
    with pytest.raises(InputError, match="did you mean 'Bagging'"):
        from_members(EnsembleParts("Baging", {}, parts.state, {}, parts.target, parts.members))
    with pytest.raises(InputError, match="known settings"):
        from_members(EnsembleParts("Bagging", {"size": 3}, parts.state, {}, parts.target, parts.members))
    with pytest.raises(InputError, match="must have members"):
        from_members(EnsembleParts("Bagging", {}, parts.state, {}, parts.target, {}))
    with pytest.raises(InputError, match="weights, offsets and classes must fit"):
        FrozenLinear(np.ones((2, 3)), np.ones(2), np.array([0, 1]))
