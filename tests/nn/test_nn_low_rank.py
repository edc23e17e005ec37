"""Adapters: nothing changes at first, merging changes nothing, and only they learn."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.nn import LowRank, adaptable, add_adapters, count_parameters, merge


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2),
    )  # fmt: skip


EVERYTHING = ["*"]


def learned(module):
    """The adapters with other weights than those they begin with."""
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, LowRank):
                layer.up.normal_()
    return module


def test_at_first_nothing_changes():
    network, x = small().eval(), torch.randn(4, 3, 9, 9)
    before = network(x)
    add_adapters(network, 2, names=EVERYTHING)
    assert torch.equal(network(x), before)
    assert not torch.equal(learned(network)(x), before)


@pytest.mark.parametrize("padding", [0, 1, "same"])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_merged_equals_unmerged(padding, mode):
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=padding, padding_mode=mode, dilation=2), nn.Conv2d(4, 3, 1))
    add_adapters(network, 3, alpha=5.0, names=EVERYTHING)
    x = torch.randn(3, 2, 9, 8)
    expected = learned(network)(x)
    assert merge(network) == 2
    assert [type(layer) for layer in network] == [nn.Conv2d, nn.Conv2d]
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5)


def test_a_linear_adapter_against_the_equation():
    torch.manual_seed(3)
    base = nn.Linear(6, 4).double()
    layer = learned(nn.Sequential(LowRank(copy.deepcopy(base), 2, alpha=3.0)))[0]
    x = torch.randn(5, 6, dtype=torch.float64)
    weight = base.weight + 3.0 / 2 * layer.up @ layer.down
    torch.testing.assert_close(layer(x), F.linear(x, weight, base.bias))
    torch.testing.assert_close(layer.merged()(x), F.linear(x, weight, base.bias))


def test_only_adapters_have_gradients_and_move():
    network = small()
    names = add_adapters(network, 2, names=EVERYTHING)
    kept = {name: p.clone() for name, p in network.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        network(torch.randn(4, 3, 9, 9)).square().sum().backward()
        optimizer.step()
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {f"{name}.{part}" for name in names for part in ("up", "down")}
    assert all(p.grad is None for name, p in network.named_parameters() if name not in trained)
    assert all(torch.equal(p, kept[name]) for name, p in network.named_parameters() if name in kept)


def test_numbers_of_parameters():
    network = small()
    before = count_parameters(network)
    assert add_adapters(network, 2, names=EVERYTHING) == ["0", "2", "6", "8"]
    added = 2 * ((3 * 9 + 8) + (8 + 8) + (8 + 5) + (5 + 2))
    assert count_parameters(network, trainable_only=True) == added
    assert count_parameters(network) == before + added


def test_linear_layers_are_the_default_and_names_are_ends_or_patterns():
    attention = nn.ModuleDict({"query": nn.Linear(4, 4), "key": nn.Linear(4, 4), "dense": nn.Linear(4, 4)})
    network = nn.ModuleDict({"layer": nn.ModuleList([attention, nn.Conv1d(4, 4, 3)]), "out": nn.Linear(4, 1)})
    assert adaptable(network) == ["layer.0.query", "layer.0.key", "layer.0.dense", "out"]
    assert adaptable(network, ["query", "o*t"]) == ["layer.0.query", "out"]
    assert adaptable(nn.Sequential(nn.Conv1d(2, 2, 3))) == ["0"]


def test_layers_whose_weights_are_read_by_others_are_left_out():
    attention = nn.MultiheadAttention(4, 2)
    network = nn.ModuleDict({"attention": attention, "grouped": nn.Conv2d(4, 4, 3, groups=4), "out": nn.Linear(4, 4)})
    assert adaptable(network, EVERYTHING) == ["out"]


@pytest.mark.parametrize("options", [{"rank": 0}, {"rank": 2, "alpha": 0.0}, {"names": ["nobody"]}, {"rank": True}])
def test_what_cannot_be_done_is_said(options):
    with pytest.raises(InputError, match=r"rank|there are: 0"):
        add_adapters(small(), **options)


def test_the_adapted_layer_itself_cannot_be_replaced():
    with pytest.raises(InputError, match="within a module"):
        merge(LowRank(nn.Linear(2, 2)))
