"""Parity with captum where captum is right."""

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia.explain import deeplift, grad_cam, guided_backprop, integrated_gradients, lrp, saliency
from glia.nn.parts import Part

attr = pytest.importorskip("captum.attr", reason="the extra explain is not installed")


def images():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    )  # fmt: skip
    return net.eval(), torch.randn(4, 1, 8, 8)


def told(net, X):
    return X.clone().requires_grad_()


@pytest.mark.filterwarnings("ignore")
def test_gradients_agree():
    net, X = images()
    ours = {m: m(glia.wrap(net), X, output=1) for m in (saliency, guided_backprop, grad_cam)}
    np.testing.assert_allclose(ours[saliency].values, attr.Saliency(net).attribute(told(net, X), target=1), atol=1e-6)
    theirs = attr.GuidedBackprop(net).attribute(told(net, X), target=1).abs().detach()
    np.testing.assert_allclose(ours[guided_backprop].values, theirs, atol=1e-6)
    cam = attr.LayerGradCam(net, net[3]).attribute(told(net, X), target=1, relu_attributions=True)
    cam = nn.functional.interpolate(cam, (8, 8), mode="bilinear", align_corners=False).detach()
    np.testing.assert_allclose(ours[grad_cam].values, cam, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_integrated_gradients_and_deeplift_agree():
    net, X = images()
    theirs = attr.IntegratedGradients(net).attribute(told(net, X), target=2, n_steps=300).detach()
    np.testing.assert_allclose(integrated_gradients(glia.wrap(net), X, output=2).values, theirs, atol=1e-2)
    net[2] = nn.AvgPool2d(2)  # with MaxPool2d after ReLU captum 0.9 misses the difference from baselines other than 0
    theirs = attr.DeepLift(net).attribute(told(net, X), target=2).detach()
    np.testing.assert_allclose(deeplift(glia.wrap(net), X, output=2).values, theirs, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_lrp_agrees():
    torch.manual_seed(0)
    net, X = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(5, 6)
    theirs = attr.LRP(net).attribute(told(net, X), target=0).detach()
    ours = lrp(glia.wrap(net), X, rule=Part("epsilon", epsilon=1e-9), output=0).values
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
