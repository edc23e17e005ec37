"""The ways between layers, against networks whose ways are known."""

import torch
from torch import nn

from glia.core.layout import Layout
from glia.nn import MLP, ConvNet, PictureAndTable, ResNet, SequenceTransformer, VisionTransformer, architecture
from glia.nn.architecture import INPUT
from glia.nn.ensemble import MeanNetwork


class Known(nn.Module):
    """Two skips, one of them over a view and an in-place layer, a product, a mask and two branches side by side."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.act, self.gate, self.end = nn.ReLU(inplace=True), nn.Linear(4, 4), nn.Linear(8, 2)

    def forward(self, x):
        a = self.a(x)
        first = a + self.act(self.b(a.view(-1, 4)))
        mask = x > 0
        second = self.c(first.relu()).masked_fill(mask, 0.0) + first
        return self.end(torch.cat([second * torch.sigmoid(self.gate(x)), a], dim=1))


def test_known_ways():
    found = architecture(Known(), (4,))
    assert dict(found.inputs) == {
        "a": (INPUT,),
        "b": ("a",),
        "act": ("b",),
        "sum 1": ("a", "act"),
        "c": ("sum 1",),
        "gate": (INPUT,),
        "sum 2": ("sum 1", "c"),
        "product 1": ("gate", "sum 2"),
        "joined 1": ("a", "product 1"),
        "end": ("joined 1",),
    }
    assert dict(found.joins) == {"sum 1": "sum", "sum 2": "sum", "product 1": "product", "joined 1": "joined"}
    assert found.skips == 6 and "6 ways pass over layers" in found.summary()


def test_families():
    plain = architecture(ConvNet((4, 8)).build(Layout((1, 8, 8)), 3), (1, 8, 8))
    names = [INPUT, *plain.inputs]
    assert not plain.joins and all(plain.inputs[name] == (names[i],) for i, name in enumerate(names[1:]))
    for depth, blocks, fitted in ((10, 4, 3), (18, 8, 3)):  # a sum a block; downsampling at the start of three stages
        found = architecture(ResNet(depth, 4).build(Layout((3, 16, 16)), 3), (3, 16, 16))
        assert len(found.joins) == blocks and found.inputs["sum 1"] == ("maxpool", "layer1.0.bn2")
        assert found.skips == blocks + fitted
        assert {layer.name for layer in found.description.layers} | set(found.joins) == set(found.inputs)
    for spec, shape in ((VisionTransformer(layers=3), (1, 16, 16)), (SequenceTransformer(layers=3), (6, 3))):
        assert len(architecture(spec.build(Layout(shape), 2), shape).joins) == 6  # two a layer
    two = architecture(PictureAndTable((1, 8, 8)).build(Layout((70,)), 3), (70,))
    assert [name for name, taken in two.inputs.items() if taken == (INPUT,)] == [
        "picture.0.features.0.conv", "table.0.blocks.0.linear",
    ]  # fmt: skip
    assert two.inputs["joined 1"] == ("picture.1.1", "table.1.1")
    members = [MLP((8,)).build(Layout((5,)), 1) for _ in range(3)]
    assert architecture(MeanNetwork(members, "binary"), (5,)).members == 3
    mixed = architecture(MeanNetwork([*members, MLP((9,)).build(Layout((5,)), 1)], "binary"), (5,))
    assert (mixed.members, mixed.others) == (3, 1)


def test_the_network_is_left_as_it_was():
    network = Known().train()
    before = [p.clone() for p in network.parameters()]
    architecture(network, (4,))
    assert network.training and all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
