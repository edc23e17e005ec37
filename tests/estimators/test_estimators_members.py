"""``members=`` of the estimators: the mean of networks, its spread, files, checkpoints, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

import glia
from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.estimators import choices
from glia.estimators.classifier import Classifier
from glia.estimators.regressor import Regressor
from glia.nn import MLP

SMALL = {"network": MLP((16,)), "epochs": 4, "members": 3}


def test_probabilities_are_the_mean_of_the_members(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = Classifier(**SMALL).fit(X, y)
    own = model.predict_members(X)
    assert own.shape == (3, len(X), 2)
    np.testing.assert_allclose(model.predict_spread(X), own.std(axis=0))
    assert model.predict_spread(X).max() > 0.01
    model.temperature_ = 1.0  # which acts on the mean's scores
    np.testing.assert_allclose(model.predict_proba(X), model.predict_members(X).mean(axis=0), atol=1e-6)
    glia.save(model, tmp_path / "members.glia")
    again = glia.load(tmp_path / "members.glia")
    assert np.array_equal(again.predict_members(X), model.predict_members(X))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


def test_values_are_the_mean_of_the_members(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    model = Regressor(**SMALL, bootstrap=True).fit(X, y)
    np.testing.assert_allclose(model.predict(X), model.predict_members(X).mean(axis=0), rtol=1e-5)
    low, high = model.predict_interval(X)
    assert 0.8 < np.mean((low <= y) & (y <= high)) <= 1.0
    other = Regressor(**SMALL).fit(X, y)
    assert not np.allclose(other.predict(X), model.predict(X))
    glia.save(model, tmp_path / "members.glia")
    assert np.array_equal(glia.load(tmp_path / "members.glia").predict(X), model.predict(X))


def test_one_member_is_one_network() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = Regressor(network=MLP((16,)), epochs=2).fit(X, y)
    assert np.array_equal(model.predict_members(X)[0], model.predict(X))
    assert not model.predict_spread(X).any()


def test_checkpoints_of_members(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    first = Regressor(**SMALL, checkpoint=tmp_path).fit(X, y)
    again = Regressor(**SMALL, checkpoint=tmp_path).fit(X, y)
    assert np.array_equal(first.predict(X), again.predict(X))
    with pytest.raises(InputError):
        Regressor(**SMALL, bootstrap=True, checkpoint=tmp_path).fit(X, y)


def test_what_members_cannot_be() -> None:
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(InputError, match="members=0"):
        Regressor(members=0).fit(X, y)
    with pytest.raises(InputError, match="partial_fit needs one network"):
        Regressor(members=2).partial_fit(X, y)
    module = MLP((4,)).build(Layout((10,)), 1)
    with pytest.raises(InputError, match="bootstrap=True"):
        Regressor(network=module, members=2).fit(X, y)


def test_networks_that_only_get_worse_end_early_with_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 6)), rng.integers(0, 2, 600)  # nothing to learn: all is overfitting
    early = glia.Classifier(members=3, random_state=0).fit(x, y)
    monkeypatch.setattr(choices, "EXCESS", 1e9)
    whole = glia.Classifier(members=3, random_state=0).fit(x, y)
    losses, all_losses = ([e["members/valid/loss"] for e in model.history_.to_list()] for model in (early, whole))
    assert len(losses) < 0.7 * len(all_losses) and losses == all_losses[: len(losses)]
    np.testing.assert_array_equal(early.predict_proba(x), whole.predict_proba(x))
    assert "above its best" in early.stop_reason_ and "all got 10% worse" in early.choices_["early_stopping"]["why"]
