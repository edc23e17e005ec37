"""Networks that users bring are told the channels of a row, whatever its axes are."""

import pytest
import torch
from torch import nn

from glia.core.layout import Layout
from glia.nn.custom import CustomNetwork


class OverTime(nn.Module):
    """Steps (B, T, C) by a convolution over time."""

    def __init__(self, in_channels, out_features):
        super().__init__()
        self.over_time = nn.Conv1d(in_channels, 4, 3)
        self.head = nn.Linear(4, out_features)

    def forward(self, x):
        return self.head(self.over_time(x.transpose(1, 2)).mean(2))


@pytest.mark.parametrize(("shape", "channels"), [((31, 5), 5), ((3, 8, 9), 3), ((7,), 7)])
def test_channels_of_sequences_come_last_and_of_pictures_first(shape, channels):
    seen = {}

    def factory(in_channels, num_classes):
        seen["channels"] = in_channels
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))

    CustomNetwork(factory).build(Layout(shape), 2)
    assert seen["channels"] == channels


def test_a_convolution_over_time_can_be_brought():
    network = CustomNetwork(OverTime).build(Layout((31, 5)), 3)
    assert network(torch.zeros(2, 31, 5)).shape == (2, 3) and network.over_time.in_channels == 5
