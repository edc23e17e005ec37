"""Members that hold out a fold each: who learns from which row, who judges it, and what the estimators make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes

import glia
from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.engine.rows import Rows
from glia.estimators.choices import bins_for, choose, choose_members
from glia.estimators.classifier import Classifier
from glia.estimators.folds import Folds
from glia.estimators.regressor import Regressor
from glia.nn import MLP
from glia.nn.ensemble import MeanNetwork


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return X[:300], y[:300]


@pytest.fixture(scope="module")
def fitted(cancer):
    return Classifier(epochs=6, random_state=1).fit(*cancer)


def test_every_row_judges_one_member_and_classes_keep_their_shares():
    strata = np.repeat([0, 1, 2, 3], [400, 81, 7, 1])
    folds = Folds.draw(len(strata), strata, 4, 3)
    assert np.array_equal(np.unique(folds.member), np.arange(4))
    counts = np.array([np.bincount(strata[folds.member == k], minlength=4) for k in range(4)])
    assert np.ptp(counts[:, :3], axis=0).max() <= 1
    assert counts.sum() == len(strata)
    assert np.array_equal(Folds.draw(len(strata), strata, 4, 3).member, folds.member)
    assert not np.array_equal(Folds.draw(len(strata), strata, 4, 4).member, folds.member)


def test_classes_too_small_for_folds_do_not_stop_it():
    folds = Folds.draw(6, np.arange(6), 4, 0)
    assert np.ptp(np.bincount(folds.member, minlength=4)) <= 1


def test_what_a_member_is_judged_by_it_did_not_learn_from():
    member = np.array([0, 1, 2, 1, 0, 2])
    weight = torch.tensor([1.0, 2.0, 0.5, 1.5, 0.5, 0.5])
    rows = Rows(torch.randn(6, 2), torch.randn(6, 1), weight)
    train, held = Folds(member, 3).parts(rows, np.array([1.0, 1.0, 3.0, 1.0, 1.0, 1.0]))
    assert not (train.weight * held.weight).any()
    assert ((train.weight > 0) | (held.weight > 0)).all()
    assert train.weight.mean(0) == pytest.approx(torch.ones(3))
    # Worked by hand: member 0 learns from the rows 1, 2, 3 and 5 with their own weights, 4.5 in all, over a mean of 1.
    assert train.weight[:, 0] == pytest.approx(torch.tensor([0.0, 2.0, 0.5, 1.5, 0.0, 0.5]) * 6 / 4.5)
    assert held.weight[:, 2] == pytest.approx(torch.tensor([0.0, 0.0, 3.0, 0.0, 0.0, 1.0]))


def test_unseen_outputs_are_those_of_the_member_that_did_not_see_the_row():
    networks = [MLP(()).build(Layout((2,), (Feature("a", "a"), Feature("b", "b"))), 1) for _ in range(3)]
    with torch.no_grad():
        for k, network in enumerate(networks):
            network.output.weight.zero_()
            network.output.bias.fill_(float(k))
    member = np.array([2, 0, 1, 1, 0, 2, 2])
    rows = Rows(torch.randn(7, 2), torch.arange(7.0).unsqueeze(1))
    outputs, y = Folds(member, 3).unseen(MeanNetwork(networks, "regression"), [0, 1, 2], rows)
    assert outputs[:, 0].tolist() == member.tolist()
    assert y[:, 0].tolist() == list(range(7))
    # A member that failed leaves its rows out.
    outputs, y = Folds(member, 3).unseen(MeanNetwork(networks[1:], "regression"), [1, 2], rows)
    assert outputs[:, 0].tolist() == [2, 1, 1, 2, 2]
    assert y[:, 0].tolist() == [0, 2, 3, 5, 6]


@pytest.mark.parametrize(
    ("settings", "rows", "members"),
    [
        ({}, 1000, 6),
        ({"effort": "quick"}, 1000, 1),
        ({"effort": "best"}, 1000, 9),
        ({"members": 3, "network": MLP()}, 50, 3),
        ({"network": MLP()}, 1000, 1),
        ({"warm_start": True}, 1000, 1),
        ({}, 99, 1),
        ({}, 50_001, 1),
    ],
)
def test_how_many_auto_means(settings, rows, members):
    params = Classifier(**settings).get_params(deep=False)
    assert choose_members(params, rows, classes=True) == members
    if "members" not in settings and members > 1:  # longer for quantities, hence fewer
        assert choose_members(params, rows, classes=False) < members
    layout = Layout((1,), (Feature("a", "a"),))
    why = choose(params, rows=rows, task="binary", layout=layout, members=members).why
    assert ("members" in why) == (params["members"] == "auto")


def test_bins_share_a_budget():
    assert [bins_for(columns) for columns in (0, 1, 8, 16, 64)] == [48, 48, 32, 16, 16]


def test_the_default_is_several_networks_whose_scores_are_averaged(cancer, fitted, tmp_path: Path):
    X, _ = cancer
    assert fitted.members_ == len(fitted.network_.networks) == 7
    assert fitted.predict_members(X).shape == (7, len(X), 2)
    assert fitted.predict_spread(X).max() > 0
    # Averaging scores is averaging log-odds.
    weights = fitted.network_.weights.numpy()
    own = np.log(fitted.predict_members(X)[..., 1]) - np.log(fitted.predict_members(X)[..., 0])
    odds = fitted.predict_proba(X)
    np.testing.assert_allclose(
        np.log(odds[:, 1]) - np.log(odds[:, 0]), np.tensordot(weights, own, 1), rtol=1e-4, atol=1e-4
    )
    glia.save(fitted, tmp_path / "several.glia")
    again = glia.load(tmp_path / "several.glia")
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.members_ == 7


def test_temperature_comes_from_rows_that_a_member_did_not_see(cancer):
    # Labels without any relation to the rows: of what members learned they seem sure, of the rest not.
    X = np.random.default_rng(0).normal(size=(240, 6))
    y = np.random.default_rng(1).integers(0, 2, 240)
    model = Classifier(epochs=60, early_stopping=60, random_state=0).fit(X, y)
    assert model.temperature_ > 1.2


def test_intervals_of_several_cover_new_rows():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(1600, 4))
    y = X[:, 0] + 0.5 * X[:, 1] ** 2 + rng.normal(size=1600)
    model = Regressor(epochs=12, random_state=0).fit(X[:500], y[:500])
    assert len(model.conformity_) == 500
    low, high = model.predict_interval(X[500:])
    assert 0.87 < ((low <= y[500:]) & (y[500:] <= high)).mean() < 0.94


def test_same_seed_same_bits_and_given_validation_rows_are_used(cancer, fitted):
    X, y = cancer
    assert np.array_equal(Classifier(epochs=6, random_state=1).fit(X, y).predict_proba(X), fitted.predict_proba(X))
    given = Classifier(epochs=3, random_state=1).fit(X[:200], y[:200], validation=(X[200:], y[200:]))
    assert given.members_ == 6
    assert "valid/loss" in given.history_[-1]


def test_weights_are_of_rows_in_every_fold(cancer):
    X, y = cancer
    weight = np.ones(len(y))
    weight[:150] = 0.0
    part = Classifier(epochs=3, random_state=1).fit(X, y, sample_weight=weight)
    alone = Classifier(epochs=3, random_state=1).fit(X[150:], y[150:])
    np.testing.assert_allclose(part.predict_proba(X), alone.predict_proba(X), atol=1e-6)


def test_several_outputs_and_labels(cancer):
    X, y = cancer
    labels = np.stack([y, X[:, 0] > np.median(X[:, 0])], axis=1).astype(int)
    assert Classifier(epochs=8).fit(X, labels).predict_proba(X).shape == (300, 2)
    X, y = load_diabetes(return_X_y=True)
    assert Regressor(epochs=2).fit(X, np.stack([y, -y], axis=1)).predict_members(X).shape == (5, len(X), 2)


def test_a_fit_in_folds_is_kept_and_goes_on_from_fitted_weights(cancer, fitted, tmp_path: Path):
    X, y = cancer
    settings = {"epochs": 6, "random_state": 1, "checkpoint": tmp_path}
    first, again = Classifier(**settings).fit(X, y), Classifier(**settings).fit(X, y)
    assert np.array_equal(first.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.temperature_ == fitted.temperature_
    first.set_params(warm_start=True, checkpoint=None).fit(X, y)
    assert first.members_ == len(first.network_.networks) == 6


def test_balanced_rows_are_not_divided_into_folds(cancer):
    X, y = cancer
    model = Classifier(epochs=3, balance="oversample", random_state=0).fit(X, y)
    assert model.members_ == 6
    assert len(model.history_) == 3


def test_one_network_goes_on_with_further_rows_several_do_not(cancer, fitted):
    X, y = cancer
    model = Classifier().partial_fit(X, y).partial_fit(X, y)
    assert model.members_ == 1
    assert len(model.history_) == 2
    with pytest.raises(InputError, match="partial_fit needs one network"):
        fitted.partial_fit(X, y)
