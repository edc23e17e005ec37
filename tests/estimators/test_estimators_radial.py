"""The radial network that joins the default's mean: where it does, what it brings, files, and leaving it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import roc_auc_score

import glia
from glia.core.errors import ModelFileError
from glia.core.modelfile import read_archive, write_archive
from glia.estimators import choices
from glia.estimators.radial_member import _best_share
from glia.explain.first_layer import first_layer
from glia.nn import RadialNetwork
from glia.objectives import Objective


def waves(rows: int = 1200):
    """Rows on which nearness tells what few smooth functions of single columns do."""
    rng = np.random.default_rng(0)
    X = pl.DataFrame(
        {
            "a": rng.normal(size=rows),
            "b": rng.normal(size=rows),
            "noise": rng.normal(size=rows),
            "kind": rng.choice([f"k{i}" for i in range(12)], rows),
        }
    )
    turn = np.array([int(k[1:]) for k in X["kind"].to_list()]) / 4.0
    return X, np.sin(2.0 * X["a"].to_numpy() * X["b"].to_numpy() + turn)


@pytest.fixture(scope="module")
def table():
    X, value = waves()
    return X, (value + 0.3 * np.random.default_rng(1).normal(size=len(value)) > 0).astype(int)


@pytest.fixture(scope="module")
def fitted(table):
    X, y = table
    return glia.Classifier(random_state=0).fit(X[:800], y[:800])


def radial(model) -> bool:
    networks = getattr(model.network_, "networks", [model.network_])
    return isinstance(networks[-1], RadialNetwork)


def test_it_joins_and_makes_answers_better(fitted, table):
    X, y = table
    assert radial(fitted) and len(fitted.network_.networks) == fitted.members_ == len(fitted.specs_) == 7
    share = float(fitted.network_.weights[-1])
    assert 0.05 < share <= 0.9 and fitted.choices_["radial"]["value"] == f"{share:.0%} of the mean"
    torch.testing.assert_close(fitted.network_.weights.sum(), torch.tensor(1.0))
    without = glia.Classifier(random_state=0, radial=False).fit(X[:800], y[:800])
    assert not radial(without) and without.network_.weights is None and "radial" not in without.choices_
    ours, theirs = (roc_auc_score(y[800:], model.predict_proba(X[800:])[:, 1]) for model in (fitted, without))
    assert 1 - ours < 0.95 * (1 - theirs)
    for one, other in zip(fitted.network_.networks, without.network_.networks, strict=False):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_the_mean_is_weighted_and_rows_keep_their_bits(fitted, table):
    X, _ = table
    own = fitted._member_outputs(X)
    weights = fitted.network_.weights.numpy()
    np.testing.assert_allclose(fitted._outputs(X), np.tensordot(weights, own, 1), atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(fitted._outputs(X), fitted.network_(fitted.prepare(X)).numpy(), atol=1e-4)
    whole = fitted.predict_proba(X)
    for count in (1, 15, 16, 100):
        assert np.array_equal(fitted.predict_proba(X[:count]), whole[:count])
    assert fitted.predict_members(X[:5]).shape == (7, 5, 2)


def test_files_hold_it_and_small_ones_cannot_ask_for_a_large_one(fitted, table, tmp_path: Path):
    X, _ = table
    glia.save(fitted, tmp_path / "m.glia")
    back = glia.load(tmp_path / "m.glia")
    assert radial(back) and np.array_equal(back.predict_proba(X), fitted.predict_proba(X))
    glia.save(back, tmp_path / "again.glia")
    assert (tmp_path / "again.glia").read_bytes() == (tmp_path / "m.glia").read_bytes()
    archive = read_archive(tmp_path / "m.glia")
    archive.parts["fitted.json"]["networks"][-1]["centres"] = 10**9
    write_archive(tmp_path / "huge.glia", archive.manifest, archive.tensors, parts=archive.parts)
    with pytest.raises(ModelFileError, match="parts of a model file must fit together"):
        glia.load(tmp_path / "huge.glia")


def test_quantities_several_at_once_and_weights_too():
    X, value = waves(900)
    both = np.stack([value, value**2], 1)
    model = glia.Regressor(random_state=0).fit(X[:600], both[:600], np.linspace(0.5, 1.5, 600))
    assert radial(model) and model.predict(X).shape == (900, 2)
    without = glia.Regressor(random_state=0, radial=False).fit(X[:600], both[:600], np.linspace(0.5, 1.5, 600))
    errors = [((one.predict(X[600:]) - both[600:]) ** 2).mean() for one in (model, without)]
    assert errors[0] < 0.97 * errors[1]
    low, high = model.predict_interval(X[600:], 0.9)
    assert 0.84 < ((low <= both[600:]) & (both[600:] <= high)).mean() < 0.96


@pytest.mark.parametrize(
    "settings",
    [
        {"members": 3},
        {"effort": "quick"},
        {"class_weight": "balanced"},
        {"objective": "focal"},
        {"objective": Objective(label_smoothing=0.1)},
        {"balance": "batches"},
        {"early_stopping": False},
        {"network": "mlp"},
    ],
    ids=str,
)
def test_not_where_something_else_is_asked_for(table, settings):
    X, y = table
    assert not radial(glia.Classifier(epochs=2, random_state=0, **settings).fit(X[:400], y[:400]))


def test_an_objective_that_says_nothing_of_the_loss_is_the_usual_one(table):
    X, y = table
    assert radial(glia.Classifier(epochs=2, random_state=0, objective=Objective(l2=1e-4)).fit(X[:400], y[:400]))


def test_not_with_many_rows_or_wide_ones(table, monkeypatch):
    X, y = table
    monkeypatch.setattr(choices, "RADIAL_ROWS", 399)
    assert not radial(glia.Classifier(epochs=2, random_state=0).fit(X[:400], y[:400]))
    monkeypatch.undo()
    monkeypatch.setattr(choices, "RADIAL_VALUES", 10)  # the twelve kinds alone are more
    assert not radial(glia.Classifier(epochs=2, random_state=0).fit(X[:400], y[:400]))


def test_it_stays_away_where_it_would_hardly_count(table, monkeypatch):
    X, y = table
    monkeypatch.setattr("glia.estimators.radial_member._best_share", lambda *_: 0.04)
    model = glia.Classifier(epochs=2, random_state=0).fit(X[:400], y[:400])
    assert not radial(model) and model.network_.weights is None and "radial" not in model.choices_
    assert model.members_ == len(model.network_.networks) == len(model.specs_) == 6


def test_warm_starts_go_on_without_it(table):
    X, y = table
    model = glia.Classifier(epochs=2, random_state=0).fit(X[:400], y[:400])
    assert radial(model)
    model.set_params(warm_start=True).fit(X[:400], y[:400])
    assert not radial(model) and len(model.network_.networks) == len(model.specs_) == 6
    assert model.network_.weights is None and len(model.predict_members(X)) == 6


def test_radial_members_of_ones_own_stay_in_warm_starts(table):
    X, y = table
    model = glia.Classifier(network="radial", members=2, epochs=2, random_state=0, warm_start=True)
    assert len(model.fit(X[:400], y[:400]).fit(X[:400], y[:400]).network_.networks) == 2


def test_a_fit_leaves_the_callers_random_state_alone(table):
    X, y = table
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert radial(glia.Classifier(epochs=1, random_state=0).fit(X[:300], y[:300]))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_column_that_never_changed_is_no_distance(table):
    X, y = table
    still = X.with_columns(z=pl.lit(3.0))
    model = glia.Classifier(epochs=1, random_state=0).fit(still[:300], y[:300])
    assert radial(model)
    moved = model._member_outputs(still.with_columns(z=pl.lit(3.001)))[-1]
    np.testing.assert_allclose(moved, model._member_outputs(still)[-1], atol=0.05)


def test_answers_are_explained_with_it():
    X, y = load_diabetes(return_X_y=True)
    model = glia.Regressor(random_state=0).fit(X[:300], y[:300])
    assert radial(model)
    x = model.prepare(X[300:304]).requires_grad_()
    (gradient,) = torch.autograd.grad(model.forward(x).sum(), x)
    assert torch.isfinite(gradient).all() and (gradient != 0).any()
    with torch.no_grad():  # its way into explanations: sums of parts that depend on one column each
        parts = first_layer(model.network_)
        assert parts is not None
        torch.testing.assert_close(parts.tail(parts.sums(x)), model.network_(x), atol=1e-4, rtol=1e-4)


def test_the_share_is_the_best_one():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, 1))
    one, other = truth + rng.normal(size=truth.shape), truth + 2.0 * rng.normal(size=truth.shape)
    assert _best_share(one, other, truth, None, "regression") == pytest.approx(0.2, abs=0.03)  # 1/4 of 5/4
    score = 2.0 * rng.normal(size=(20_000, 1))
    y = (rng.random(20_000) < 1 / (1 + np.exp(-score[:, 0]))).astype(np.float32)
    noise = rng.normal(size=score.shape)
    assert _best_share(score, noise, y, None, "binary") < 0.05
    assert _best_share(noise, score, y, None, "binary") > 0.9
    half = np.where(np.arange(20_000) < 10_000, 1.0, 1e-9)
    mixed = np.where(half[:, None] == 1.0, score, noise)
    assert _best_share(noise, mixed, y, half, "binary") > 0.9
