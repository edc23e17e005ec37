"""Every way to hand in a network, and what is said about those that do not fit."""

import functools

import pytest
import torch
from torch import nn

from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Layout
from glia.core.protocols import NetworkSpec
from glia.nn import MLP, CustomNetwork, Linear, MLPNetwork, Neuron, as_network, networks, spec_from_dict

FOUR, IMAGE = Layout((4,)), Layout((3, 8, 8))


class TwoArguments(nn.Module):
    def __init__(self, d, k, width=5):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Linear(width, k))

    def forward(self, x):
        return self.net(x)


class Named(TwoArguments):
    def __init__(self, *, num_classes, input_dim):
        super().__init__(input_dim, num_classes)


class Ready(TwoArguments):
    def __init__(self):
        super().__init__(4, 2)


class WithDefault(TwoArguments):
    def __init__(self, n_features, n_classes=10):
        super().__init__(n_features, n_classes)


class Convolution(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.conv, self.head = nn.Conv2d(in_channels, 2, 3), nn.LazyLinear(num_classes)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))


def by_layout(layout, out_features):
    return nn.Sequential(nn.Flatten(), nn.Linear(layout.in_features, out_features))


def by_layout_and_other_word(layout, k):
    return by_layout(layout, k)


def nothing():
    return nn.Linear(4, 2)


FACTORIES = [
    TwoArguments, Named, Ready, WithDefault, by_layout, by_layout_and_other_word, nothing, MLPNetwork,
    functools.partial(TwoArguments, width=3), lambda a, b: nn.Linear(a, b), nn.Linear,
]  # fmt: skip


@pytest.mark.parametrize("factory", FACTORIES)
def test_factories_are_called_with_what_they_ask_for(factory):
    spec = as_network(factory)
    assert isinstance(spec, CustomNetwork) and isinstance(spec, NetworkSpec)
    one, two = spec.build(FOUR, 2), spec.build(FOUR, 2)
    assert one(torch.zeros(3, 4)).shape == (3, 2) and one is not two and one.training


def test_images_and_lazy_layers():
    network = as_network(Convolution).build(IMAGE, 5)
    assert network.conv.in_channels == 3 and network(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert as_network(by_layout).build(IMAGE, 5)[1].in_features == 192
    assert as_network(Neuron).build(FOUR, 1)(torch.zeros(2, 4)).shape == (2, 1)


def test_a_module_is_copied_with_its_weights():
    mine = Ready().train()
    built = as_network(mine).build(FOUR, 2)
    assert built is not mine and built.training
    for a, b in zip(mine.parameters(), built.parameters(), strict=True):
        assert torch.equal(a, b) and a is not b


def test_names_and_settings():
    assert isinstance(as_network("auto"), MLP) and isinstance(as_network("mlp"), MLP)
    assert isinstance(as_network("logistic"), Linear) and isinstance(as_network(MLP), MLP)
    spec = MLP(dropout=0.5)
    assert as_network(spec) is spec and as_network(CustomNetwork(Ready)).network is Ready
    assert {"linear", "missing_inputs", "mlp"} <= set(networks.names())
    with pytest.raises(InputError, match="did you mean 'mlp'"):
        as_network("mpl")
    with pytest.raises(InputError, match="must be a name"):
        as_network(3)


@pytest.mark.parametrize(
    ("network", "out", "match"),
    [
        (nn.Linear(4, 3), 2, r"must map \(B, 4\) to \(B, 2\) · got an output of shape \(2, 3\) .* 2 outputs"),
        (nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), 1, r"keep the last axis"),
        (nn.Linear(7, 2), 2, r"RuntimeError from Linear: .* mind the shape of a row, \(4,\)"),
        (nn.LSTM(4, 2), 2, "type tuple"),
        (lambda: 3, 1, "must return an nn.Module"),
        (lambda a, b, c: None, 1, r"understood · got <lambda>\(a, b, c\)"),
    ],
)
def test_misfits_are_told_apart(network, out, match):
    with pytest.raises(InputError, match=match):
        as_network(network).build(FOUR, out)


def test_modes_survive_a_failing_check():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError

    network = Fails().train()
    with pytest.raises(InputError, match="ValueError from Fails"):
        as_network(lambda: network).build(FOUR, 1)
    assert network.training


def test_custom_networks_are_described_by_name_only():
    for network in (Ready, Ready(), functools.partial(Ready)):
        data = as_network(network).to_dict()
        assert data == {"custom": f"{__name__}.Ready"}
    with pytest.raises(ModelFileError, match=r"handed in again · got a model of .*Ready.* network="):
        spec_from_dict(data)
