"""captum through Glia's door: known answers, columns as a whole, nothing left behind."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import captum, integrated_gradients, shap

pytest.importorskip("captum.attr", reason="the extra explain is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def line():
    net = nn.Linear(4, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.0, 1.0, 3.0, -1.0]]))
    return net, np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    kind = rng.choice(["red", "green", "blue"], 300)
    age = rng.normal(size=300)
    y = np.where(age + (kind == "red") * 2 > 0.5, "yes", "no")
    frame = pl.DataFrame({"age": age, "kind": kind, "noise": rng.normal(size=300)})
    return glia.Classifier(network=glia.nn.MLP(hidden=(8,)), epochs=5, random_state=0).fit(frame, y), frame


@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValues", "IntegratedGradients", "InputXGradient"])
def test_a_linear_network_has_its_weights_for_an_answer(line, method):
    net, X = line
    found = captum(glia.wrap(net), X, method=method)
    np.testing.assert_allclose(found.values, X[:, :, None] * net.weight.detach().numpy().T, atol=1e-5)


def test_shapley_values_are_those_of_brute_force(people):
    model, frame = people
    rows = frame.head(6)
    base = frame.slice(50, 1)
    found = captum(model, rows, method="ShapleyValues", baseline=base)
    exact = shap(model, rows, background=base)
    assert found.values.shape == (6, 3)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-4)
    assert np.abs(found.residual).max() < 1e-4


def test_paths_are_those_of_our_own(people):
    model, frame = people
    theirs = captum(model, frame.head(6), method="IntegratedGradients", n_steps=400)
    ours = integrated_gradients(model, frame.head(6))
    np.testing.assert_allclose(theirs.values, ours.values, atol=2e-2 * np.abs(ours.values).max())


def test_occlusion_finds_the_pixels_that_count():
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 1, bias=False))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight[0, :2] = 1.0
    found = captum(
        glia.wrap(net, task="regression"), torch.ones(2, 1, 6, 6), method="Occlusion", sliding_window_shapes=(1, 1, 1)
    )
    assert found.values.shape == (2, 1, 6, 6)
    assert found.values.sum() == pytest.approx(4.0)
    assert (found.values.reshape(2, -1)[:, :2] == 1).all()


def test_the_same_seed_gives_the_same_values_and_leaves_the_network_alone(line):
    net, X = line
    before = torch.random.get_rng_state()
    net.train()
    one, two = (captum(glia.wrap(net), X, method="ShapleyValueSampling", n_samples=3, random_state=4) for _ in range(2))
    np.testing.assert_array_equal(one.values, two.values)
    assert net.training
    assert torch.equal(before, torch.random.get_rng_state())
    assert not net._forward_hooks


def test_wrong_words_are_refused(line):
    net, X = line
    with pytest.raises(InputError, match="method must be one of"):
        captum(glia.wrap(net), X, method="DeepLift")
    with pytest.raises(InputError, match="Occlusion slides over images"):
        captum(glia.wrap(net), X, method="Occlusion")
