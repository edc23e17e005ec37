"""The fast convolution against torch's own: values, gradients, second gradients, and what it leaves to torch."""

import copy
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glia.nn.fast import FastFunctions, convolve

CASES = {
    "one channel": {"channels": 1, "out": 8, "kernel": 3, "padding": 1},
    "one channel, stride": {"channels": 1, "out": 4, "kernel": 5, "padding": 2, "stride": 2},
    "one channel, uneven": {
        "channels": 1,
        "out": 4,
        "kernel": (3, 5),
        "padding": (0, 2),
        "stride": (2, 1),
        "dilation": (1, 2),
    },
    "one channel, no bias": {"channels": 1, "out": 8, "kernel": 3, "padding": 0, "bias": False},
    "three channels": {"channels": 3, "out": 8, "kernel": 3, "padding": 1},
    "many channels": {"channels": 16, "out": 24, "kernel": 3, "padding": 1},
    "groups": {"channels": 8, "out": 16, "kernel": 3, "padding": 1, "groups": 4},
    "depthwise": {"channels": 8, "out": 8, "kernel": 3, "padding": 1, "groups": 8},
    "points": {"channels": 8, "out": 16, "kernel": 1},
    "dilation": {"channels": 4, "out": 6, "kernel": 3, "padding": 2, "dilation": 2},
}


def close(a, b, tolerance=1e-5):
    """Largest difference over the largest size."""
    scale = max(float(b.detach().abs().max()), 1e-12)
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= tolerance * scale


def make(channels, out, kernel, bias=True, groups=1, seed=0, **settings):
    torch.manual_seed(seed)
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    x = torch.randn(5, channels, 12, 11)
    weight = torch.randn(out, channels // groups, *size)
    return x, weight, torch.randn(out) if bias else None, dict(settings, groups=groups)


@pytest.mark.parametrize("needs_x", [False, True])
@pytest.mark.parametrize("case", list(CASES))
def test_convolution_equals_torchs_in_double_precision(case, needs_x):
    x, weight, bias, settings = make(**CASES[case])
    given = [t for t in (x, weight, bias) if t is not None]
    wanted = given if needs_x else given[1:]
    for t in wanted:
        t.requires_grad_()
    exact = [t.detach().double().requires_grad_(t.requires_grad) for t in given]
    output = convolve(*given, **settings) if bias is not None else convolve(x, weight, None, **settings)
    truth = F.conv2d(*exact, **settings) if bias is not None else F.conv2d(exact[0], exact[1], None, **settings)
    close(output, truth)
    upstream = torch.randn(output.shape)
    found = torch.autograd.grad(output, wanted, upstream)
    right = torch.autograd.grad(truth, [t for t in exact if t.requires_grad], upstream.double())
    for a, b in zip(found, right, strict=True):
        close(a, b)


def test_output_lies_channels_last_also_of_one_channel():
    for channels in (1, 3):
        output = convolve(torch.randn(2, channels, 8, 8), torch.randn(4, channels, 3, 3))
        assert output.stride()[1] == 1


def test_frozen_weights_and_biases_get_no_gradient():
    for frozen in (0, 1):
        x, weight, bias, settings = make(**CASES["one channel"])
        (weight, bias)[frozen].requires_grad_()
        convolve(x, weight, bias, **settings).sum().backward()
        assert [weight.grad is None, bias.grad is None] == [frozen == 1, frozen == 0]


def test_second_gradients_exist():
    x, weight, bias, settings = make(**CASES["many channels"])
    results = []
    for function in (convolve, F.conv2d):
        w, z = weight.clone().requires_grad_(), x.clone().requires_grad_()
        (dx,) = torch.autograd.grad(function(z, w, bias, **settings).pow(2).sum(), z, create_graph=True)
        results.append(torch.autograd.grad(dx.pow(2).sum(), w)[0])
    close(*results, tolerance=1e-4)


@pytest.mark.parametrize("what", ["double", "no batch", "same", "autocast"])
def test_the_rest_is_torchs(what):
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3)
    if what == "double":
        x, weight = x.double(), weight.double()
    if what == "no batch":
        x = x[0]
    padding = "same" if what == "same" else 1
    with torch.autocast("cpu", torch.bfloat16, enabled=what == "autocast"):
        found, right = convolve(x, weight, padding=padding), F.conv2d(x, weight, padding=padding)
    assert found.dtype == right.dtype and torch.equal(found, right)


class Net(nn.Module):
    """As users write them: functions, modules, ``view``, ReLU in three spellings."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3), nn.Conv2d(6, 8, 1)
        self.norm, self.pool, self.head = nn.BatchNorm2d(6), nn.MaxPool2d(2, ceil_mode=True), nn.Linear(8 * 9, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = self.pool(self.norm(self.second(x)).relu())
        kept = torch.relu(self.third(x))
        x = F.max_pool2d(kept, 3, stride=1, padding=1) + kept.mean(1, keepdim=True)
        return self.head(x.view(x.size(0), -1))


def test_a_network_trains_alike_and_the_pooling_commutes():
    torch.manual_seed(0)
    net, x = Net(), torch.randn(6, 1, 16, 16)
    results = {}
    for kind in ("exact", "torch", "fast"):
        own, z = (copy.deepcopy(net).double(), x.double()) if kind == "exact" else (copy.deepcopy(net), x)
        with FastFunctions() if kind == "fast" else torch.enable_grad():
            output = own(z)
        output.square().sum().backward()
        results[kind] = [output.detach(), *(p.grad for p in own.parameters())]
    names = ["output", *dict(net.named_parameters())]
    for name, exact, plain, fast in zip(names, *results.values(), strict=True):
        if name != "second.bias":  # before a normalisation: zero but for rounding
            usual = float((plain - exact).abs().max() / exact.abs().max())
            close(fast, exact, max(5e-5, 4 * usual))  # normalisation cancels digits for torch as well


def graph(output):
    """Names of all nodes."""
    seen, todo = [], [output.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None:
            seen.append(type(node).__name__)
            todo += [parent for parent, _ in node.next_functions]
    return seen


def test_relu_moves_behind_pooling_with_gradients_equal_to_the_bit():
    torch.manual_seed(1)
    x = torch.randn(3, 4, 8, 8).round(decimals=0).requires_grad_()  # with many ties and zeros
    results = []
    for fast in (False, True):
        with FastFunctions() if fast else torch.enable_grad():
            output = F.max_pool2d(F.relu(x), 3, 2, 1)
        assert graph(output)[0] == ("ReluBackward0" if fast else "MaxPool2DWithIndicesBackward0")
        results.append((output, torch.autograd.grad(output.pow(2).sum(), x)[0]))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_relu_that_was_changed_in_place_does_not_move():
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    with FastFunctions():
        y = F.relu(x)
        y.mul_(-1)
        output = F.max_pool2d(y, 2)
    assert torch.equal(output, F.max_pool2d(-F.relu(x), 2))
    with FastFunctions():
        z = x * 1
        y = F.relu(z)
        z.add_(100)
        assert torch.equal(F.max_pool2d(y, 2), F.max_pool2d(F.relu(x), 2))


def test_a_view_that_is_wrong_stays_an_error():
    with FastFunctions():
        x = convolve(torch.randn(2, 3, 4, 4), torch.randn(4, 3, 1, 1))
        assert x.view(2, -1).shape == (2, 64)
        with pytest.raises(RuntimeError):
            x.view(3, -1)


def test_inference_mode_and_keywords_pass():
    with torch.inference_mode(), FastFunctions():
        y = F.max_pool2d(F.relu(F.conv2d(input=torch.randn(1, 1, 4, 4), weight=torch.randn(2, 1, 3, 3))), 2)
    assert y.shape == (1, 2, 1, 1)
    with FastFunctions():
        _, indices = F.max_pool2d(F.relu(torch.randn(1, 1, 4, 4, requires_grad=True)), 2, return_indices=True)
    assert indices.dtype == torch.int64


def test_the_input_of_a_relu_is_not_kept_alive():
    with FastFunctions():
        x = torch.randn(1, 1, 2, 2, requires_grad=True) * 1
        first = weakref.ref(x)
        kept = [F.relu(x)]
        del x
        kept.append(F.relu(kept[0] * 2))
        assert first() is None
