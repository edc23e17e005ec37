"""Guided backpropagation and Grad-CAM: by hand, and on a network whose filter finds a planted patch."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import glia
from glia.core.errors import InputError
from glia.explain import grad_cam, guided_backprop, saliency


class ByHand(nn.Module):
    """y = relu(h₁)·1 + relu(h₂)·(−1) + relu(h₃)·2 with h = Wx, by module, function and method alike."""

    def __init__(self, way):
        super().__init__()
        self.way, self.act = way, nn.ReLU()
        self.register_buffer("w", torch.tensor([[1.0, 2.0], [3.0, 1.0], [1.0, -9.0]]))

    def forward(self, x):
        h = x @ self.w.T
        h = {"module": self.act, "function": F.relu, "method": torch.Tensor.relu, "in place": torch.relu_}[self.way](h)
        return h @ torch.tensor([[1.0], [-1.0], [2.0]])


@pytest.mark.parametrize("way", ["module", "function", "method", "in place"])
def test_guided_gradients_by_hand(way):
    # h = (5, 5, −17): the third is off, the second's gradient −1 is below 0, so that only the first passes.
    found = guided_backprop(glia.wrap(ByHand(way)), [[1.0, 2.0]], absolute=False)
    np.testing.assert_allclose(found.values, [[1.0, 2.0]])
    np.testing.assert_allclose(saliency(glia.wrap(ByHand(way)), [[1.0, 2.0]], absolute=False).values, [[-2.0, 1.0]])


def test_guided_needs_rectifiers():
    with pytest.raises(InputError, match="rectifiers"):
        guided_backprop(glia.wrap(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))), [[1.0, 2.0]])


def planted():
    """Images with a 3 × 3 plus sign somewhere, and a network with a filter for it among blind ones."""
    plus = torch.tensor([[-1.0, 1, -1], [1, 1, 1], [-1, 1, -1]])
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    )
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].weight[1, 0] = plus
        net[0].bias.copy_(torch.tensor([0.5, -3.5, 0.0]))
        net[4].weight.copy_(torch.tensor([[0.0, 5.0, 0.0], [0.0, -5.0, 0.0]]))
    images, places = torch.zeros(6, 1, 12, 12), []
    for i, (r, c) in enumerate([(0, 0), (3, 7), (8, 2), (9, 9), (5, 5), (1, 8)]):
        images[i, 0, r : r + 3, c : c + 3] = (plus > 0).float()
        places.append((r + 1, c + 1))
    return net, images, places


def test_grad_cam_finds_the_planted_patch():
    net, images, places = planted()
    result = grad_cam(glia.wrap(net, task="multiclass"), images, layer="1")
    assert result.values.shape == (6, 1, 12, 12, 2)
    for heat, place in zip(result.values[:, 0, :, :, 0], places, strict=True):
        assert np.unravel_index(heat.argmax(), heat.shape) == place and heat[place] > 0
    assert (result.values[..., 1] == 0).all()  # nothing speaks for the other class
    against = grad_cam(glia.wrap(net, task="multiclass"), images, layer=net[1], positive=False)
    np.testing.assert_allclose(against.values[..., 1], -result.values[..., 0], atol=1e-6)
    # α is the mean of gradients, 5 / 144 each; the filter's answer at the patch is 5 − 3.5.
    np.testing.assert_allclose(result.values[0, 0, 1, 1, 0], 5 / 144 * 1.5, rtol=1e-5)


def test_grad_cam_brings_maps_to_the_size_of_rows():
    torch.manual_seed(0)
    series = nn.Sequential(nn.Conv1d(2, 4, 3, stride=2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 1))
    values = grad_cam(glia.wrap(series), torch.randn(3, 2, 9)).values
    assert values.shape == (3, 2, 9) and (values >= 0).all() and values.any()
    np.testing.assert_array_equal(values[:, 0], values[:, 1])
    volume = nn.Sequential(nn.Conv3d(1, 2, 2), nn.Flatten(), nn.Linear(2 * 27, 1))
    assert grad_cam(glia.wrap(volume), torch.randn(2, 1, 4, 4, 4)).values.shape == (2, 1, 4, 4, 4)


def test_grad_cam_says_what_it_needs():
    net, images, _ = planted()
    wrapped = glia.wrap(net)
    for message, call in {
        "needs a convolution": lambda: grad_cam(glia.wrap(nn.Linear(2, 1)), [[1.0, 2.0]]),
        "did you mean|choose one of": lambda: grad_cam(wrapped, images, layer="9"),
        "must run once": lambda: grad_cam(wrapped, images, layer="4"),
        "choose one of its own": lambda: grad_cam(wrapped, images, layer=nn.Conv2d(1, 1, 1)),
    }.items():
        with pytest.raises(InputError, match=message):
            call()
    assert not net[0]._forward_hooks
