"""The cheap checks of an explanation: those of the full check, and a negative control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from explain_functions import assert_untouched, untouched
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import check, input_x_gradient, quick_check, saliency, shap


def network(outputs=1):
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, outputs))
    with torch.no_grad():
        made[0].weight[:, 4:] = 0  # two columns do nothing
    return made


def rows(count=30):
    return np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)


def test_figures_are_those_of_the_full_check():
    X, model = rows(), glia.wrap(network())
    before = untouched(model.network_)
    quick = quick_check(model, X, input_x_gradient(model, X), background=X, rows=30)
    assert_untouched(model.network_, before)
    whole = check(model, X, "input_x_gradient", background=X, rows=30)
    for name in ("deletion gain", "insertion gain", "infidelity", "agreement"):
        assert quick.checks[name] == pytest.approx(whole.checks[name], abs=1e-6), name
    assert "sensitivity" not in quick.checks and quick.values.shape == (30, 6)


def test_shares_that_belong_to_other_columns_are_not_to_be_relied_upon():
    X, model = rows(), glia.wrap(network(3), "multiclass")
    good = shap(model, X, background=X)
    fine = quick_check(model, X, good, background=X)
    assert not fine.warnings and fine.checks["deletion gain"] > 0.2 and fine.checks["agreement"] > 0.5
    wrong = replace(good, values=np.roll(good.values, 3, axis=1))
    bad = quick_check(model, X, wrong, background=X)
    assert any("chance" in said for said in bad.warnings) and "Do not rely on it" in bad.summary()
    assert bad.checks["agreement"] < fine.checks["agreement"] - 0.3


def test_what_cannot_be_checked_comes_back_as_it_is():
    X = rows()
    model = glia.wrap(network(), "binary")
    share = shap(model, X[:5], background=X, space="probability")
    assert quick_check(model, X[:5], share) is share
    one = saliency(model, X[:1])
    assert "deletion gain" in quick_check(model, X[:1], one).checks
    with pytest.raises(InputError, match="at least 1"):
        quick_check(model, X, one, rows=0)
