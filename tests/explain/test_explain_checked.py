"""Every result of the public methods carries the checks that need no second explanation."""

import inspect

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glia
from glia.explain.attribution import AttributionResult
from glia.explain.checked import carrying

CARRIED = {"deletion gain", "insertion gain", "infidelity", "agreement"}
SIZES = {"guided_backprop", "saliency", "smoothgrad", "grad_cam"}  # sizes without a sign add up to nothing


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    return glia.wrap(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)), task="regression")


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)


@pytest.mark.parametrize(
    "name", [name for name in glia.explain.methods.names() if name not in ("grad_cam", "lime_text")]
)
def test_results_carry_their_checks(predictor, rows, name):
    method = getattr(glia.explain, name)
    found = method(predictor, rows)
    wanted = CARRIED - {"infidelity"} if name in SIZES else CARRIED
    assert wanted <= set(found.checks)
    assert all(np.isfinite(figure) for figure in found.checks.values())
    plain = method(predictor, rows, checks=False)
    np.testing.assert_array_equal(found.values, plain.values)
    assert not CARRIED & set(plain.checks)
    assert inspect.signature(method).parameters["checks"].default is True
    assert "checks : bool" in method.__doc__


def test_maps_over_pictures_carry_them_too():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    found = glia.explain.grad_cam(glia.wrap(net), torch.randn(3, 1, 8, 8))
    assert {"deletion gain", "insertion gain", "agreement"} <= set(found.checks)


def test_an_explanation_that_never_looked_says_so(predictor, rows):
    def guess(predictor, X, *, background=None):
        rng = np.random.default_rng(3)
        outputs = predictor.predict(X)
        return AttributionResult(
            "guess", rng.normal(size=X.shape), outputs, base=np.zeros(len(X)), unit="target",
            feature_names=tuple(map(str, range(6))), output_names=("output",), residual=np.zeros(len(X)),
        )  # fmt: skip

    found = carrying(guess)(predictor, rows)
    assert found.warnings
    assert "Do not rely on it" in found.summary()
    assert "Do not rely on it" not in glia.explain.shap(predictor, rows).summary()


def test_rows_of_any_kind_are_taken(predictor, rows):
    names = [f"x{i}" for i in range(6)]
    model = glia.Regressor(network=glia.nn.MLP(hidden=(8,)), epochs=2, random_state=0)
    frame = pl.DataFrame(rows, schema=names)
    model.fit(frame, rows[:, 0])
    for X in (frame, frame.to_pandas(), frame.to_arrow()):
        assert set(glia.explain.shap(model, X).checks) >= {"deletion gain", "agreement"}
    grouped = glia.explain.shap(model, frame, groups={"first": ["x0", "x1"]})
    assert "deletion gain" in grouped.checks
    assert grouped.values.shape == (20, 5)
