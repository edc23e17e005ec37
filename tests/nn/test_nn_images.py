"""Convolution and pooling against worked examples; families against published names and counts."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn import (
    VGG,
    ConvBlock,
    ConvNet,
    FlipMean,
    LeNet,
    Part,
    ResNet,
    VisionTransformer,
    as_network,
    count_parameters,
    global_poolings,
    make_pool,
    poolings,
    spec_from_dict,
)
from glia.nn.resnet import BasicBlock, Bottleneck

SMALL = [
    LeNet((2, 3), (5,)),
    ConvNet((3, 4), kind="depthwise_separable", depth=2, dilation=2, head="average_and_max", hidden=(6,), dropout=0.1),
    ConvNet((3, 4), norm="group", pool="average", head="flatten", spatial_dropout=0.2, activation="silu"),
    VGG(11, 2, (5,)),
    ResNet(10, 2),
    ResNet(50, 2, stem="large"),
    VisionTransformer(dim=8, layers=1, num_heads=2),
    FlipMean(ConvNet((3,)), ("horizontal", "vertical")),
]


def by_hand(x, weight, stride, dilation):
    """Convolve (C, L) with (O, C, k) by loops over everything, zeros around."""
    out, _, k = weight.shape
    pad = dilation * (k - 1) // 2
    padded = np.pad(x, ((0, 0), (pad, pad)))
    length = -(-x.shape[1] // stride)
    found = np.zeros((out, length))
    for o in range(out):
        for t in range(length):
            for j in range(k):
                found[o, t] += weight[o, :, j] @ padded[:, t * stride + j * dilation]
    return found


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_convolution_by_hand(stride, dilation):
    torch.manual_seed(0)
    block = ConvBlock(2, 3, 3, stride=stride, dilation=dilation, dims=1, norm="none", activation="linear").double()
    x = torch.randn(1, 2, 7, dtype=torch.float64)
    expected = by_hand(x[0].numpy(), block.conv.weight.detach().numpy(), stride, dilation)
    np.testing.assert_allclose(block(x)[0].detach().numpy(), expected, atol=1e-12)


def test_depthwise_separable_is_two_steps():
    block = ConvBlock(4, 6, 3, kind="depthwise_separable", norm="none", activation="linear")
    assert count_parameters(block) == 4 * 9 + (4 * 6 + 6)
    x = torch.randn(2, 4, 5, 5)
    apart = torch.cat(
        [nn.functional.conv2d(x[:, c : c + 1], block.depthwise.weight[c : c + 1], padding=1) for c in range(4)], 1
    )
    mixed = torch.einsum("bchw,oc->bohw", apart, block.pointwise.weight[:, :, 0, 0]) + block.pointwise.bias.view(
        1, 6, 1, 1
    )
    torch.testing.assert_close(block(x), mixed)


def test_convolution_moves_with_its_input_and_a_dense_layer_does_not():
    x = torch.zeros(1, 1, 12, 12)
    x[0, 0, 4:6, 4:7] = torch.randn(2, 3)
    moved = torch.roll(x, (2, 3), (2, 3))
    conv = ConvBlock(1, 4, 3, norm="none")
    torch.testing.assert_close(conv(moved), torch.roll(conv(x), (2, 3), (2, 3)))
    dense = nn.Linear(144, 144)
    assert not torch.allclose(
        dense(moved.flatten(1)).view(12, 12), torch.roll(dense(x.flatten(1)).view(12, 12), (2, 3), (0, 1))
    )


def test_poolings_worked():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert make_pool("max")(x).flatten().tolist() == [5, 7, 13, 15]
    assert make_pool("average")(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert make_pool("subsample")(x).flatten().tolist() == [0, 2, 8, 10]
    assert make_pool(Part("max", size=3, stride=1))(x).flatten().tolist() == [10, 11, 14, 15]
    assert make_pool("average_and_max", whole=True)(x).flatten().tolist() == [7.5, 15]
    assert make_pool(Part("max", size=2), whole=True)(x).flatten().tolist() == [5, 7, 13, 15]
    assert make_pool("max", 1)(x[0]).shape == (1, 4, 2)
    with pytest.raises(InputError, match="options"):
        make_pool(Part("max", sides=3))
    assert all(poolings.describe().values()) and all(global_poolings.describe().values())


@pytest.mark.parametrize("name", global_poolings.names())
def test_global_pooling_does_not_see_shifts(name):
    x = torch.randn(3, 2, 6, 6)
    pool = make_pool(name, whole=True)
    torch.testing.assert_close(pool(torch.roll(x, (1, 2), (2, 3))), pool(x))
    assert not torch.allclose(make_pool("max")(torch.roll(x, 1, 3)), make_pool("max")(x))


def test_spatial_dropout_takes_whole_maps():
    torch.manual_seed(1)
    block = ConvBlock(1, 64, norm="none", activation="linear", dropout=0.5).train()
    nn.init.ones_(block.conv.weight)
    zeros = (block(torch.ones(1, 1, 6, 6))[0] == 0).flatten(1).double().mean(1)
    assert set(zeros.tolist()) == {0.0, 1.0} and 0.25 < zeros.mean() < 0.75


def test_gradients_by_finite_differences():
    torch.manual_seed(0)
    network = ConvNet((2, 3), activation="tanh", pool="average", norm="group").build(Layout((1, 6, 6)), 2).double()
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (x,))


def published_names(block, counts):
    """Names by the rule of the field: stem, then layer<stage>.<block>.<part>, then fc."""
    convs = 2 if block is BasicBlock else 3
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = ["conv1.weight", *(f"bn1.{n}" for n in norm)]
    for stage, count in enumerate(counts, 1):
        for place in range(count):
            at = f"layer{stage}.{place}"
            for i in range(1, convs + 1):
                names += [f"{at}.conv{i}.weight", *(f"{at}.bn{i}.{n}" for n in norm)]
            if place == 0 and (stage > 1 or block is Bottleneck):
                names += [f"{at}.downsample.0.weight", *(f"{at}.downsample.1.{n}" for n in norm)]
    return {*names, "fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("depth", "block", "counts", "parameters"),
    [
        (18, BasicBlock, (2, 2, 2, 2), 11_689_512),
        (34, BasicBlock, (3, 4, 6, 3), 21_797_672),
        (50, Bottleneck, (3, 4, 6, 3), 25_557_032),
        (101, Bottleneck, (3, 4, 23, 3), 44_549_160),
    ],
)
def test_resnet_has_the_published_names_and_counts(depth, block, counts, parameters):
    with torch.device("meta"):
        network = ResNet(depth).build(Layout((3, 224, 224)), 1000)
    assert set(network.state_dict()) == published_names(block, counts)
    assert count_parameters(network) == parameters
    assert network.conv1.kernel_size == (7, 7) and ResNet(18, 4).build(Layout((3, 32, 32)), 2).conv1.kernel_size == (
        3,
        3,
    )


@pytest.mark.parametrize(("depth", "norm", "parameters"), [(11, "none", 132_863_336), (16, "batch", 138_365_992)])
def test_vgg_has_the_published_counts(depth, norm, parameters):
    with torch.device("meta"):
        network = VGG(depth, 64, (4096, 4096), norm=norm, head_size=7).build(Layout((3, 224, 224)), 1000)
    assert count_parameters(network) == parameters
    assert {"features.0.weight", "classifier.0.weight", "classifier.6.bias"} <= set(network.state_dict())


@pytest.mark.parametrize("block", [BasicBlock(4, 4), Bottleneck(16, 4)])
def test_residual_block_is_the_identity_where_its_branch_is_silent(block):
    nn.init.zeros_((block.bn2 if isinstance(block, BasicBlock) else block.bn3).weight)
    x = torch.rand(2, 4 if isinstance(block, BasicBlock) else 16, 5, 5)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: f"{spec.family}")
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 14)])
def test_families(spec, shape):
    torch.manual_seed(0)
    network = spec.build(Layout(shape), 3).eval()
    x = torch.randn(4, *shape)
    out = network(x)
    assert out.shape == (4, 3)
    torch.testing.assert_close(network(x[2:3]), out[2:3], atol=1e-5, rtol=1e-4)  # rows do not see each other
    again = spec_from_dict(spec.to_dict())
    assert again.to_dict() == spec.to_dict()
    assert again.build(Layout(shape), 3).state_dict().keys() == network.state_dict().keys()
    network.train()
    if shape[1] > 1:
        network(x).square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: f"{spec.family}")
def test_tables_are_refused(spec):
    with pytest.raises(InputError, match="rows of shape"):
        spec.build(Layout((5,)), 2)


@pytest.mark.parametrize(
    "spec",
    [
        LeNet(()), LeNet(hidden=(0,)), ConvNet(()), ConvNet(kernel=2), ConvNet(kind="deep"), ConvNet(depth=0),
        ConvNet(norm="spectral"), ConvNet(dropout=1.0), ConvNet(head="middle"), ConvNet(pool="men"), VGG(12),
        VGG(dropout=2.0), ResNet(19), ResNet(stem="huge"), VisionTransformer(dim=10, num_heads=4),
        VisionTransformer(patch=99), FlipMean(axes=("diagonal",)),
    ],
    ids=repr,
)  # fmt: skip
def test_wrong_settings_are_told(spec):
    with pytest.raises(InputError):
        spec.build(Layout((1, 8, 8)), 2)


def test_transformer_needs_its_positions():
    torch.manual_seed(0)
    network = VisionTransformer(patch=4, dim=8, layers=1, num_heads=2).build(Layout((1, 8, 8)), 2).eval()
    x = torch.randn(1, 1, 8, 8)
    swapped = torch.cat([x[..., 4:], x[..., :4]], -1)  # the same patches in other places
    assert not torch.allclose(network(swapped), network(x))
    nn.init.zeros_(network.position)
    torch.testing.assert_close(network(swapped), network(x))


def test_flip_mean_is_the_mean_outside_of_training():
    network = FlipMean(ConvNet((3,), norm="none"), ("horizontal",)).build(Layout((1, 8, 8)), 2)
    x = torch.randn(2, 1, 8, 8)
    own, mirrored = network.network(x), network.network(x.flip(-1))
    torch.testing.assert_close(network.train()(x), own)
    torch.testing.assert_close(network.eval()(x), (own + mirrored) / 2)
    torch.testing.assert_close(network(x.flip(-1)), network(x))
    assert not torch.allclose(own, mirrored)


def test_names():
    assert isinstance(as_network("cnn"), ConvNet) and isinstance(as_network("vit"), VisionTransformer)
