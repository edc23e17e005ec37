"""Counts of parameters against sums by hand."""

import torch
from torch import nn

from glia.core.layout import Layout
from glia.nn import MLP, count_parameters, describe_network


def test_counts_by_hand():
    network = MLP(hidden=(8, 3), norm="batch").build(Layout((4,)), 2).train()
    result = describe_network(network, (4,))
    expected = (4 * 8 + 8) + 16 + (8 * 3 + 3) + 6 + (3 * 2 + 2)
    assert result.parameters == result.trainable == expected == count_parameters(network)
    assert sum(layer.parameters for layer in result.layers) == expected
    assert result.bytes == 4 * expected + 4 * 22 + 2 * 8  # running means and variances, two counters of 8 bytes
    table = result.tables()[0]
    assert table.rows[0] == ("blocks.0.linear", "Linear", "8", 40, 32) and len(table.rows) == 7
    assert network.training and "7 layers" in result.summary()


def test_shared_and_frozen_parameters():
    shared = nn.Linear(3, 3)
    network = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(3, 1))
    network[3].requires_grad_(False)
    result = describe_network(network, (3,))
    assert (result.parameters, result.trainable) == (16, 12) and "12 of them trainable" in result.summary()
    assert count_parameters(network, trainable_only=True) == 12


def test_convolution_shapes():
    result = describe_network(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), (1, 5, 5))
    assert [layer.output_shape for layer in result.layers] == [(2, 3, 3), (18,)]
    assert result.to_dict()["layers"][0]["parameters"] == 20
    assert torch.is_grad_enabled()
