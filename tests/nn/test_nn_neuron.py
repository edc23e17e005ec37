"""One neuron by hand; what it cannot do and a small network can (XOR); what the bias is for."""

import math

import pytest
import torch
from torch import nn

from glia.nn import MLPNetwork, Neuron, Part

XOR_X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR_Y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])


def set_neuron(**options):
    neuron = Neuron(2, **options)
    with torch.no_grad():
        neuron.weights.copy_(torch.tensor([2.0, -1.0]))
        if neuron.bias is not None:
            neuron.bias.fill_(0.5)
    return neuron


def test_worked_example():
    neuron = set_neuron()
    x = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    parts = neuron.parts(x)
    assert parts.weights.tolist() == [2, -1] and parts.bias == 0.5 and parts.activation == "sigmoid"
    assert parts.inputs.tolist() == x.tolist()
    assert parts.weighted_sum.tolist() == [-0.5, 0.5]
    assert parts.output.tolist() == pytest.approx([1 / (1 + math.exp(0.5)), 1 / (1 + math.exp(-0.5))])
    torch.testing.assert_close(neuron(x)[:, 0], torch.as_tensor(parts.output))
    assert "2·x1 + -1·x2" in parts.summary() and parts.tables()[1].rows[-1] == ("bias", 0.5)
    assert parts.to_dict()["weighted_sum"] == [-0.5, 0.5]


def test_gradient_by_the_chain_rule_by_hand():
    neuron, x = set_neuron(), torch.tensor([[1.0, 3.0]])
    neuron(x).backward()
    s = 1 / (1 + math.exp(0.5))
    slope = s * (1 - s)
    assert neuron.weighted_sum.weight.grad[0].tolist() == pytest.approx([slope, 3 * slope])
    assert neuron.weighted_sum.bias.grad.item() == pytest.approx(slope)


def test_without_bias_the_output_at_zero_is_fixed():
    neuron = set_neuron(bias=False, activation=Part("leaky_relu", negative_slope=0.5))
    assert neuron.bias is None and neuron.parts(torch.tensor([[0.0, 2.0]])).output.tolist() == [-1]
    assert neuron(torch.zeros(1, 2)).item() == 0 and neuron.parts(torch.zeros(1, 2)).bias == 0


def train(network, x, y, steps=400):
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(x), y).backward()
        optimizer.step()
    return ((network(x) > 0) == (y > 0.5)).float().mean().item()


@pytest.mark.parametrize("seed", range(3))
def test_xor_is_beyond_a_neuron_and_within_a_small_network(seed):
    g = torch.Generator().manual_seed(seed)
    assert train(Neuron(2, "linear", generator=g), XOR_X, XOR_Y) <= 0.75
    assert train(MLPNetwork(2, 1, (8,), activation="tanh", generator=g), XOR_X, XOR_Y) == 1.0


def test_bias_matters_where_data_is_off_centre():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(300, 2, generator=g) + 4
    y = (x[:, :1] > 4).float()
    with_bias = train(Neuron(2, "linear", generator=g), x, y, steps=1500)
    # Through the origin the best line is x1 = x2, which tells three rows of four.
    without = train(Neuron(2, "linear", bias=False, generator=g), x, y, steps=1500)
    assert with_bias > 0.97 and without < 0.85
