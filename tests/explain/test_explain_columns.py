"""Shares of original columns: the same however a column was prepared, for estimators of every kind."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glia
from glia.core.layout import Feature, Layout
from glia.explain.first_layer import first_layer
from glia.explain.lime import lime
from glia.explain.shap import shap
from glia.nn import MLP
from glia.nn.missing_inputs import AsTheyAre

KINDS = ["red", "green", "blue"]


class Prepared:
    """A predictor over columns "colour" (three kinds) and "size", prepared in one of several ways."""

    task_ = "regression"
    feature_names = ("colour", "size")

    def __init__(self, how):
        self.how = how
        named = {
            "onehot": [*(Feature(f"colour={k}", "colour", "onehot") for k in KINDS)],
            "code": [Feature("colour", "colour", "code", cardinality=3)],
            "dummies": [*(Feature(f"colour={k}", "colour", "onehot") for k in KINDS[1:])],
        }[how]
        self.layout_ = Layout((len(named) + 1,), (*named, Feature("size", "size")))
        self.network_ = Colours(how)

    def prepare(self, X):
        colour = X["colour"].to_numpy()
        parts = {
            "onehot": [colour == k for k in KINDS],
            "code": [np.array([KINDS.index(c) for c in colour])],
            "dummies": [colour == k for k in KINDS[1:]],
        }[self.how]
        return torch.from_numpy(np.stack([*parts, X["size"].to_numpy()], axis=1).astype(np.float32))

    def forward(self, batch):
        return self.network_(batch)

    def predict(self, X):
        return self.forward(self.prepare(X))[:, 0].numpy()


class Colours(nn.Module):
    """effect[colour] · tanh(size) + effect[colour], whatever the coding."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.register_buffer("effect", torch.tensor([1.0, -2.0, 0.5]))

    def forward(self, x):
        if self.how == "onehot":
            effect = x[:, :3] @ self.effect
        elif self.how == "code":
            effect = self.effect[x[:, 0].long()]
        else:
            effect = 1.0 + x[:, 0] * (-3.0) + x[:, 1] * (-0.5)
        return (effect * torch.tanh(x[:, -1]) + effect).unsqueeze(1)


def colours(count, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"colour": rng.choice(KINDS, count), "size": rng.normal(size=count)})


@pytest.mark.parametrize("method", ["exact", "permutation", "kernel"])
def test_a_category_has_the_same_value_however_it_is_coded(method):
    X, B = colours(6), colours(20, 1)
    found = [shap(Prepared(how), X, background=B, method=method) for how in ("onehot", "code", "dummies")]
    assert all(one.feature_names == ("colour", "size") and one.values.shape == (6, 2) for one in found)
    np.testing.assert_allclose(found[1].values, found[0].values, atol=1e-6)
    np.testing.assert_allclose(found[2].values, found[0].values, atol=1e-6)
    assert found[0].data[0, 0] == X["colour"][0]
    # The closed form of a game of two players.
    effect = {"red": 1.0, "green": -2.0, "blue": 0.5}
    e, b = (np.array([effect[c] for c in frame["colour"]]) for frame in (X, B))
    s, t = (np.tanh(frame["size"].to_numpy()) + 1 for frame in (X, B))
    first = ((e[:, None] * t - b * t).mean(1) + (e * s - (b[None] * s[:, None]).mean(1))) / 2
    np.testing.assert_allclose(found[0].values[:, 0], first, atol=1e-5)


def test_lime_gives_a_category_one_share_too():
    X, B = colours(4), colours(50, 1)
    found = [lime(Prepared(how), X, background=B) for how in ("onehot", "code")]
    assert found[0].values.shape == (4, 2)
    np.testing.assert_allclose(found[0].values, found[1].values, atol=1e-5)


def people(rows, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "age": rng.integers(18, 90, rows),
            "job": rng.choice(["clerk", "smith", "baker"], rows),
            "town": [f"town {i}" for i in rng.integers(0, 30, rows)],
            "seen": [f"20{10 + i % 12:02d}-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in rng.integers(0, 400, rows)],
            "pay": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
        }
    )
    score = (frame["age"].to_numpy() - 50) / 20 + (frame["job"] == "smith").to_numpy() * 2.0
    return frame.with_columns(seen=pl.col("seen").str.to_date(), pay=pl.col("pay").fill_nan(None)), score


@pytest.fixture(scope="module")
def table():
    frame, score = people(240)
    return frame, score, np.where(score + np.random.default_rng(1).normal(size=240) > 1, "yes", "no")


def fitted(kind, table):
    frame, score, label = table
    small = {"epochs": 6, "random_state": 0}
    if kind == "members":
        return glia.Classifier(network=MLP((16,), numeric_embedding="piecewise_linear"), members=3, **small).fit(
            frame, label
        )
    if kind == "residual":
        return glia.Classifier(network=MLP((16, 16), residual=True, norm="layer"), **small).fit(frame, label)
    if kind == "native":
        preparation = glia.Preparation(impute="native")
        return glia.Classifier(network=AsTheyAre(MLP((16,))), preparation=preparation, **small).fit(frame, label)
    if kind == "linear":
        return glia.Regressor(network=MLP(()), **small).fit(frame, score)
    return glia.Regressor(network=MLP((16,)), **small).fit(frame, np.stack([score * 1e4, -score], axis=1))


@pytest.mark.parametrize("kind", ["members", "residual", "native", "linear", "two targets"])
def test_estimators_take_the_short_way_and_add_up(kind, table):
    model = fitted(kind, table)
    X, B = table[0][:5], table[0][100:120]
    result = shap(model, X, background=B)
    assert result.settings == {**result.settings, "method": "exact", "way through the network": "sums by column"}
    assert result.feature_names == tuple(table[0].columns)
    with torch.no_grad():
        outputs = model.forward(model.prepare(X)).double().numpy()
    if kind in ("linear", "two targets"):
        np.testing.assert_allclose(result.outputs, model.predict(X), rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_allclose(result.outputs, outputs[:, 0], atol=1e-5)
    gap = result.outputs - result.base - result.values.sum(axis=1)
    assert np.abs(gap).max() < 1e-5

    class Watched:  # the same model, seen from outside
        def __getattr__(self, name):
            return getattr(model, name)

    hook = model.network_.register_forward_hook(lambda *_: None)
    whole = shap(Watched(), X, background=B)
    hook.remove()
    assert whole.settings["way through the network"] == "whole"
    scale = np.abs(result.outputs).max()
    np.testing.assert_allclose(whole.values / scale, result.values / scale, atol=1e-5)
    estimated = shap(model, X, background=B, method="permutation")
    slack = 6 * estimated.standard_error + 1e-5 * scale
    assert (np.abs(estimated.values - result.values) < slack).all()


def test_probabilities_are_those_that_the_model_reports(table):
    model = fitted("members", table)
    model.temperature_ = 1.7
    X = table[0][:6]
    result = shap(model, X, background=table[0][50:70], space="probability")
    np.testing.assert_allclose(result.outputs, model.predict_proba(X)[:, 1], atol=1e-6)
    assert result.unit == "probability" and result.output_names == ("yes",)
    weighted = glia.Classifier(network=MLP((8,)), epochs=3, class_weight="balanced").fit(table[0], table[2])
    result = shap(weighted, X, background=table[0][50:70], space="probability")
    np.testing.assert_allclose(result.outputs, weighted.predict_proba(X)[:, 1], atol=1e-6)


def test_an_estimator_keeps_its_modes(table):
    model = fitted("residual", table)
    model.network_.train()
    shap(model, table[0][:2], background=table[0][5:9])
    lime(model, table[0][:2], background=table[0][5:9], samples=20, repeats=2)
    assert all(part.training for part in model.network_.modules())


def test_planted_columns_are_found(table):
    model = glia.Regressor(network=MLP((32,)), epochs=40, random_state=0).fit(table[0], table[1])
    for result in (shap(model, table[0][:40]), lime(model, table[0][:40], samples=200)):
        order = [result.feature_names[i] for i in np.argsort(-result.importance())]
        assert set(order[:2]) == {"age", "job"}


def test_networks_without_a_linear_start_are_not_taken_apart():
    assert first_layer(nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 1))) is None
    assert first_layer(nn.Linear(3, 1)) is None
    assert first_layer(MLP((4,)).build(Layout((2, 3)), 1)) is None  # flattened images
    found = first_layer(MLP((4, 4), norm="layer").build(Layout((3,)), 2))
    assert found is not None and found.width == 4
