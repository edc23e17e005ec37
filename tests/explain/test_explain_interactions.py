"""Interactions, grouped and gradient importance: known functions, closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from explain_functions import Prepared, assert_untouched, known, untouched
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LinearRegression
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import correlated_columns, gradient_importance, importance, interactions, pictures


def rows(count=200, columns=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


def by_name(found):
    return {(pair.first, pair.second): pair for pair in found.pairs}


def test_sums_of_single_columns_do_not_interact():
    X = rows()
    found = interactions(known(lambda x: torch.sin(2 * x[:, 0]) + x[:, 1] ** 3 + x[:, 2].exp()), X)
    assert max(pair.strength for pair in found.pairs) < 1e-4
    assert not any(pair.clear for pair in found.pairs) and "None of 6 pairs" in found.summary()


def test_a_product_is_all_interaction_and_the_others_none():
    X = rows()
    found = interactions(known(lambda x: x[:, 0] * x[:, 1] + x[:, 2]), X, rows=100)
    pair = by_name(found)["x0", "x1"]
    assert found.pairs[0] == pair and pair.clear and pair.strength > 0.95 and pair.null < 0.6
    assert pair.size == pytest.approx(1.0, rel=0.25)  # E (x₀ x₁)² = 1
    assert not any(p.clear for key, p in by_name(found).items() if key != ("x0", "x1"))


def test_strength_has_its_closed_form():
    # x₀ + c x₀ x₁ with independent standard columns: Var of the interaction c², of all 1 + c².
    X = rows(400, 2)
    for c in (0.25, 1.0):
        found = interactions(known(lambda x, c=c: x[:, 0] + c * x[:, 0] * x[:, 1]), X, rows=200)
        assert found.pairs[0].strength == pytest.approx(np.sqrt(c**2 / (1 + c**2)), abs=0.06)


def test_what_only_three_columns_do_is_no_clear_pair():
    # x₀ x₁ s with a sign s of either kind equally often: averaged over rows, hardly anything of it is left.
    clear = 0
    for seed in range(6):
        X = rows(300, 3, seed)
        X[:, 2] = np.sign(X[:, 2])
        found = interactions(known(lambda x: x[:, 0] * x[:, 1] * x[:, 2]), X, columns=[0, 1], random_state=seed)
        clear += found.pairs[0].clear
    assert clear <= 3  # H itself is near 1 each time: the joint effect is nothing but its noise
    assert found.pairs[0].strength > 0.8


def test_members_and_categories_and_choice_of_columns():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"kind": rng.choice(["u", "v"], 200), "a": rng.normal(size=200), "b": rng.normal(size=200)})
    model = Prepared(lambda x: x[:, 0] * x[:, 2] + x[:, 3], {"kind": ["u", "v"]}, ["a", "b"])
    before = untouched(model.network_)
    found = interactions(model, frame)
    assert_untouched(model.network_, before)
    assert (found.pairs[0].first, found.pairs[0].second) == ("kind", "a") and found.pairs[0].clear
    assert [p.first + p.second for p in interactions(model, frame, ["b", "a"]).pairs] == ["ba"]
    wide = interactions(known(lambda x: (x * torch.arange(10)).sum(1)), rows(60, 10))
    assert wide.columns == tuple(f"x{i}" for i in range(2, 10)) and "8 columns" in wide.warnings[0]
    assert found.plot().get_title("left").startswith("kind and a interact")
    with pytest.raises(InputError, match="two columns"):
        interactions(known(lambda x: x[:, 0]), rows(50, 1))


def test_importance_of_a_predictor_is_scikit_learns():
    X = rows(2000, 3)
    beta = np.array([3.0, -1.0, 0.0], dtype=np.float32)
    layer = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(beta)[None])
    y = X @ beta
    found = importance(
        glia.wrap(layer), X, y, repeats=10, score=lambda a, b: float(((a - b) ** 2).mean()), metric="mse",
        greater_is_better=False,
    )  # fmt: skip
    model = LinearRegression(fit_intercept=False).fit(X, y)
    want = sklearn_importance(model, X, y, scoring="neg_mean_squared_error", n_repeats=10, random_state=0)
    got = {one.name: one.importance for one in found.columns}
    np.testing.assert_allclose([got[f"x{i}"] for i in range(3)], want.importances_mean, rtol=0.05, atol=1e-6)


def test_correlated_columns_are_shuffled_together():
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=(2, 500)).astype(np.float32)
    frame = pl.DataFrame({"a": a, "twin": a + 0.01 * rng.normal(size=500).astype(np.float32), "c": c})
    label = np.where(a + 0.3 * c > 0, "yes", "no")
    model = known(lambda x: 5 * (0.5 * x[:, 0] + 0.5 * x[:, 1] + 0.3 * x[:, 2]), ["a", "twin", "c"], "binary")
    model = glia.wrap(model.network_, "binary", feature_names=["a", "twin", "c"], classes=["no", "yes"])
    assert correlated_columns(frame) == {"a + twin": ["a", "twin"]}
    found = importance(model, frame, label)
    assert [one.name for one in found.columns] == ["a + twin", "c"] and found.metric == "roc_auc"
    assert found.base == pytest.approx(1.0, abs=1e-3) and found.columns[0].interval.low > 0.3
    alone = importance(model, frame, label, groups=None)
    assert {one.name for one in alone.columns} == {"a", "twin", "c"}
    single = max(one.importance for one in alone.columns if one.name in ("a", "twin"))
    assert single < 0.7 * found.columns[0].importance  # each stands in for the other
    with pytest.raises(InputError, match="as many targets"):
        importance(model, frame, label[:-1])
    with pytest.raises(InputError, match="'correlated'"):
        importance(model, frame, label, groups="corelated")


def test_gradient_importance_of_a_linear_network_is_its_closed_form():
    X = rows(800, 3) * np.float32([1.0, 2.0, 1.0])
    model = known(lambda x: x @ torch.tensor([1.0, -1.0, 0.0]))
    found = gradient_importance(model, X, repeats=20)
    # E |β (x' − x)| = |β| σ 2 / √π for independent normal rows
    want = np.array([2.0, 1.0, 0.0]) * 2 / np.sqrt(np.pi)
    assert found.names == ("x1", "x0", "x2")
    np.testing.assert_allclose(found.values, want, rtol=0.06)
    assert found.curvature < 1e-5 and not found.warnings and found.values[2] == 0
    bent = gradient_importance(known(lambda x: torch.sin(8 * x[:, 0])), X)
    assert bent.curvature > 1 and "Do not rely on it" in bent.summary()


def test_gradient_importance_of_embedded_categories():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"kind": rng.choice(list("abcd"), 300), "noise": rng.normal(size=300)})
    y = frame["kind"].replace_strict({"a": 0.0, "b": 1.0, "c": 3.0, "d": -2.0}).to_numpy()
    preparation = glia.Preparation(encode="embedding")
    model = glia.Regressor(network=glia.nn.MLP((16,)), preparation=preparation, epochs=60, lr=0.02, random_state=0)
    model.fit(frame, y)
    before = untouched(model.network_)
    found = gradient_importance(model, frame)
    assert_untouched(model.network_, before)
    assert found.names[0] == "kind" and found.values[0] > 3 * found.values[1]
    assert found.plot().patches and found.tables()


def test_pictures_are_known_by_name():
    assert {"ale", "gradients", "importance", "interactions", "pdp"} <= set(pictures.names())
    assert pictures.get("partial_dependence") is pictures.get("pdp")
