"""Partial dependence and accumulated local effects of known functions, and against scikit-learn."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import torch
from explain_functions import Prepared, assert_untouched, known, untouched
from sklearn.inspection import partial_dependence as sklearn_dependence
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import accumulated_local_effects, partial_dependence
from glia.explain.category_order import category_order
from glia.explain.column_grid import column_grid
from glia.explain.related_columns import groups_of, relation
from glia.nn.ensemble import MeanNetwork

BOTH = pytest.mark.parametrize("method", [partial_dependence, accumulated_local_effects])


def rows(count=400, columns=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


@BOTH
def test_an_additive_effect_is_the_function_itself(method):
    X = rows()
    found = method(known(lambda x: torch.sin(x[:, 0]) + x[:, 1] ** 2), X, 0)
    gap = found.values[:, 0] - np.sin(found.at)
    np.testing.assert_allclose(gap - gap.mean(), 0, atol=1e-6)
    flat = method(known(lambda x: torch.sin(x[:, 0])), X, "x2")
    np.testing.assert_allclose(flat.values - flat.values.mean(), 0, atol=1e-6)
    assert flat.column == "x2" and "no effect" in flat.title()
    assert found.at[0] == X[:, 0].min() and found.at[-1] == X[:, 0].max()


def test_ale_of_a_centred_curve_is_zero_on_average():
    X = rows()
    found = accumulated_local_effects(known(lambda x: 3 * x[:, 0]), X, 0, points=401)
    # every observed value is a point: centring is by steps' midpoints, which for a line is half a step at most
    np.testing.assert_allclose(found.values[:, 0], 3 * (found.at - X[:, 0].mean()), atol=0.05)


def test_correlated_columns_mislead_partial_dependence_but_not_ale():
    rng = np.random.default_rng(0)
    a = rng.normal(size=2000)
    X = np.stack([a, a + 0.1 * rng.normal(size=2000)], axis=1).astype(np.float32)
    # where there are rows the output is the first column; far from them the network was never taught
    model = known(lambda x: x[:, 0] + 20 * torch.relu(x[:, 0] - x[:, 1] - 0.5) ** 2)
    wrong = partial_dependence(model, X, 0, points=21)
    right = accumulated_local_effects(model, X, 0)
    at = np.abs(right.at) < 1.5
    np.testing.assert_allclose(np.diff(right.values[at, 0]), np.diff(right.at[at]), atol=1e-3)
    assert np.abs(np.diff(wrong.values[at, 0]) - np.diff(wrong.at[at])).max() > 0.5
    assert "rows are made that do not exist" in wrong.summary() and not right.warnings
    assert wrong.checks["closest other column"] == "x1"
    # x₀·x₁ with x₁ = x₀: locally ∂/∂x₀ = x₀, so that the effect is x₀² / 2; partial dependence says 0
    product = known(lambda x: x[:, 0] * x[:, 1])
    X[:, 1] = X[:, 0]
    local = accumulated_local_effects(product, X, 0, points=101)
    want = local.at**2 / 2
    near = np.abs(local.at) < 2  # steps at the ends are wide
    gap = local.values[:, 0] - want
    np.testing.assert_allclose(gap[near] - gap[50], 0, atol=0.03)


def test_partial_dependence_is_scikit_learns():
    X = rows(150)
    y = np.sin(2 * X[:, 0]) + X[:, 1]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    model = glia.wrap(network)
    found = partial_dependence(model, X.astype(np.float64), 1, points=7)

    from sklearn.base import BaseEstimator, RegressorMixin

    class Same(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            self.fitted_ = True
            return self

        def predict(self, X):
            return model.predict(X)

    want = sklearn_dependence(
        Same().fit(X, y), X.astype(np.float64), [1], custom_values={1: found.at}, kind="both", method="brute"
    )
    np.testing.assert_allclose(found.values[:, 0], want["average"][0], atol=1e-9)
    np.testing.assert_allclose(found.lines[:, :, 0], want["individual"][0][:50], atol=1e-9)


def test_intervals_over_rows_and_members_have_their_closed_form():
    X = rows(300)
    found = partial_dependence(known(lambda x: x[:, 0] * x[:, 1]), X, 0, points=5)
    want = 1.96 * np.abs(found.at) * X[:, 1].std(ddof=1) / np.sqrt(300)
    np.testing.assert_allclose((found.high - found.low)[:, 0] / 2, want, rtol=0.2)
    members = []
    for slope in (1.0, 2.0, 4.0):
        layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(layer.weight, slope)
        members.append(layer)
    several = glia.wrap(MeanNetwork(members, "regression"))
    for method in (partial_dependence, accumulated_local_effects):
        found = method(several, X[:, :1], 0, points=5)
        assert found.members == 3
        centre = 0.0 if method is partial_dependence else found.at[np.abs(found.values[:, 0]).argmin()]
        half = (found.high - found.low)[:, 0] / 2
        want = 4.302653 * np.std([1, 2, 4], ddof=1) / np.sqrt(3) * np.abs(found.at - centre)
        assert np.abs(half - want)[[0, -1]].max() < 0.4 * want.max()


def test_categories_and_missing_values():
    rng = np.random.default_rng(0)
    size = np.sort(rng.normal(size=600))
    kind = np.array(["low", "mid", "high"], dtype=object)[np.digitize(size, [-0.5, 0.5])]
    frame = pl.DataFrame({"kind": kind, "size": size})[rng.permutation(600)]
    effect = torch.tensor([3.0, -1.0, 2.0])
    model = Prepared(lambda x: x[:, :3] @ effect + x[:, 3], {"kind": ["low", "mid", "high"]}, ["size"])
    dependence = partial_dependence(model, frame, "kind")
    want = dict(zip(["low", "mid", "high"], effect.tolist(), strict=True))
    got = dict(zip(dependence.labels, dependence.values[:, 0], strict=True))
    assert got["low"] - got["mid"] == pytest.approx(want["low"] - want["mid"], abs=1e-5)
    local = accumulated_local_effects(model, frame, "kind")
    assert local.labels in (("low", "mid", "high"), ("high", "mid", "low"))  # the order in which sizes are alike
    got = dict(zip(local.labels, local.values[:, 0], strict=True))
    assert got["high"] - got["mid"] == pytest.approx(3.0, abs=1e-5)
    share = {k: (kind == k).mean() for k in want}
    assert sum(share[k] * got[k] for k in want) == pytest.approx(0, abs=1e-6)
    days = [date(2020, 1, 1) + timedelta(days=int(i)) for i in range(40)]
    grid = column_grid(np.array([*days, None], dtype=object), 5)
    assert grid.numeric and grid.labels[0] == "2020-01-01" and np.isnan(grid.codes[-1]) and grid.at[0] == 18262


def test_a_fitted_estimator_keeps_its_state_and_answers_for_each_class():
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.choice(["u", "v"], 300)})
    label = np.where(frame["a"].to_numpy() > 0.3, "yes", "no")
    model = glia.Classifier(network=glia.nn.MLP((8,)), epochs=12, members=2, random_state=0).fit(frame, label)
    model.network_.train()
    before = untouched(model.network_)
    found = partial_dependence(model, frame, "a", space="probability")
    local = accumulated_local_effects(model, frame, "b")
    assert_untouched(model.network_, before)
    assert found.values.min() >= 0 and found.values.max() <= 1 and found.unit == "probability"
    assert found.values[-1, 0] > found.values[0, 0] + 0.15 and found.output_names == ("yes",)
    assert set(local.labels) == {"u", "v"} and found.members == 2
    assert json.loads(json.dumps(found.to_dict()))["column"] == "a"
    mean = np.mean(model.predict_proba(frame.with_columns(a=pl.lit(float(found.at[3]))))[:, 1])
    assert found.values[3, 0] == pytest.approx(mean, abs=1e-5)
    for one in (found, local):
        ax = one.plot()
        assert ax.get_title("left") and one.tables() and one._repr_html_()


def test_mistakes_are_named():
    X = rows(30)
    model = known(lambda x: x[:, 0], ["age", "pay", "size"])
    with pytest.raises(InputError, match="did you mean 'pay'"):
        partial_dependence(model, X, "pays")
    with pytest.raises(InputError, match="there are 3"):
        accumulated_local_effects(model, X, 3)
    with pytest.raises(InputError, match="two different values"):
        partial_dependence(model, np.ones((30, 3), dtype=np.float32), 0)
    with pytest.raises(InputError, match="between 0 and 1"):
        partial_dependence(model, X, 0, level=95)
    with pytest.raises(InputError, match="must have columns"):
        partial_dependence(known(lambda x: x.sum((1, 2, 3))), np.zeros((4, 1, 2, 2), dtype=np.float32))


def test_relations_between_columns_of_every_kind():
    rng = np.random.default_rng(0)
    a = rng.normal(size=1000)
    kind = np.array(["x", "y", "z"], dtype=object)[np.digitize(a, [-0.5, 0.5])]
    columns = [a, np.exp(a) + 0, rng.normal(size=1000), kind, rng.choice(["p", "q"], 1000).astype(object)]
    found = relation([np.asarray(c).astype(object) for c in columns])
    assert found[0, 1] == pytest.approx(1) and found[0, 3] > 0.8
    assert found[2, [0, 1, 3, 4]].max() < 0.12 and found[4, :4].max() < 0.12
    groups = groups_of(list("abcde"), found)
    assert groups == {"a + b + d": ["a", "b", "d"]}
    assert groups_of(list("abcde"), found, 0.999) == {"a + b": ["a", "b"]}


def test_categories_are_ordered_by_their_rows():
    codes = np.repeat([0, 1, 2, 3], 50)
    other = np.repeat([2.0, 0.0, 3.0, 1.0], 50) + np.linspace(0, 0.5, 50).tolist() * 4
    order = category_order(codes, 4, [other.astype(object)])
    assert order.tolist() in ([1, 3, 0, 2], [2, 0, 3, 1])
