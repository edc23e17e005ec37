"""Multiply-adds against torch's own counter; receptive fields against the gradient of one value."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glia.core.layout import Layout
from glia.nn import VGG, ConvNet, LeNet, ResNet, describe_network


@pytest.mark.parametrize(
    "spec",
    [LeNet(), ConvNet((4, 8), kind="depthwise_separable", stem=2), VGG(11, 4), ResNet(10, 4), ResNet(50, 2)],
    ids=repr,
)
def test_multiply_adds_are_half_of_the_operations(spec):
    network = spec.build(Layout((3, 16, 20)), 5).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 16, 20))
    assert 2 * describe_network(network, (3, 16, 20)).multiply_adds == counter.get_total_flops()


def test_multiply_adds_of_recurrence_and_attention_by_hand():
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x):
            h = self.lstm(x)[0]
            return self.attention(h, h, h)[0]

    layers = {layer.name: layer.multiply_adds for layer in describe_network(Steps(), (7, 3)).layers}
    assert layers["lstm"] == 7 * 4 * (3 * 4 + 4 * 4)
    assert layers["attention"] == 7 * 4 * 4 * 4 + 2 * 7 * 7 * 4  # projections; scores and their use


class Branches(nn.Module):
    """A residual block with a dilated branch, between strided layers."""

    def __init__(self):
        super().__init__()
        self.start = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.near = nn.Conv2d(2, 2, 3, padding=1)
        self.far = nn.Conv2d(2, 2, (3, 5), padding=(2, 4), dilation=2)
        self.pool = nn.AvgPool2d(3, 2, padding=1)
        self.end = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        x = self.start(x)
        x = self.pool(x + self.near(x) + self.far(x))
        return self.end(torch.cat([x, x * 2], 1))


def seen(network, shape):
    """Return how many rows and columns of the input have a gradient from the middle value of the output."""
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    x = torch.ones(1, *shape, requires_grad=True)
    out = network(x)
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    touched = x.grad[0].abs().sum(0) > 0
    extent = [touched.any(axis).nonzero() for axis in (1, 0)]
    return tuple(int(e.max() - e.min()) + 1 for e in extent)


def test_receptive_field_is_where_gradients_reach():
    network = Branches()
    expected = seen(network, (1, 64, 64))
    layers = describe_network(network, (1, 64, 64)).layers
    assert layers[-1].receptive_field == expected == (15, 23)
    assert layers[0].receptive_field == (3, 3)


def test_receptive_field_ends_with_the_picture_and_global_layers_see_all():
    network = nn.Sequential(nn.Conv2d(1, 2, 9, padding=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1))
    fields = [layer.receptive_field for layer in describe_network(network, (1, 6, 20)).layers]
    assert fields == [(6, 9), (6, 20), (6, 20), (6, 20)]
    flat = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(72, 1))
    assert [layer.receptive_field for layer in describe_network(flat, (1, 6, 6)).layers] == [(3, 3), (6, 6), (6, 6)]
    assert "receptive field" in describe_network(flat, (1, 6, 6)).tables()[0].columns
    table = describe_network(nn.Linear(3, 2), (3,))
    assert table.layers[0].receptive_field is None or table.layers[0].receptive_field == ()
    assert "receptive field" not in table.tables()[0].columns
