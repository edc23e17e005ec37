"""Faster forms within autocast to bfloat16, against torch's own there and against double precision."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glia.nn.fast import FastFunctions, FastLSTM, FastSequential, convolve, first_convolution, lstm_bfloat16, pooling
from glia.nn.fast.convolution_pool import convolve_and_pool
from glia.nn.fast.first_convolution import convolve_first, suits_first
from glia.nn.fast.lstm import layer_runs_in_bfloat16
from glia.nn.fast.pooling import pool_pairs, suits_pairs
from glia.nn.fast.sequential import in_faster_order


def off(found, exact):
    return float((found.double() - exact.double()).norm() / exact.double().norm())


@pytest.fixture(params=["kernels", "torch alone"])
def way(request, monkeypatch):
    """Both ways to the same values: with what was compiled on this machine, and without."""
    modules = (first_convolution, lstm_bfloat16, pooling)
    if request.param == "torch alone":
        for module in modules:
            monkeypatch.setattr(module, "_kernels", dict)
    elif not all(module._kernels() for module in modules):
        pytest.skip("needs a C++ compiler and a processor with AVX-512's bfloat16")
    return request.param


def low():
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize("size", [(2, 3, 6, 8), (3, 5, 7, 9), (1, 1, 2, 3), (2, 43, 3, 4), (1, 72, 2, 2)])
def test_maxima_of_pairs_are_torchs_and_so_are_the_gradients(size, way):
    torch.manual_seed(0)
    # Every value of a window once: where two are equal torch chooses another one.
    numbers = torch.arange(-size[2] * size[3] // 2, size[2] * size[3] - size[2] * size[3] // 2)
    order = torch.rand(size).flatten(2).argsort(-1)
    x = numbers.to(torch.bfloat16).float()[order].view(size)
    own = x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last).requires_grad_()
    assert suits_pairs(own.detach())
    right = x.requires_grad_()
    found, truth = pool_pairs(own), F.max_pool2d(right, 2)
    assert torch.equal(found.float(), truth) and found.is_contiguous(memory_format=torch.channels_last)
    gradient = torch.randn_like(truth).to(torch.bfloat16)
    found.backward(gradient)
    truth.backward(gradient.float())
    assert torch.equal(own.grad.float(), right.grad)


@pytest.mark.parametrize(
    ("call", "by_pairs"),
    [
        (lambda x: F.max_pool2d(x, 2), True),
        (lambda x: F.max_pool2d(x, kernel_size=(2, 2), stride=2), True),
        (lambda x: torch.max_pool2d(x, [2, 2]), True),
        (lambda x: F.max_pool2d(x, 3), False),
        (lambda x: F.max_pool2d(x, 2, stride=1), False),
        (lambda x: F.max_pool2d(x, 2, padding=1), False),
        (lambda x: F.max_pool2d(x, 2, ceil_mode=True), False),
        (lambda x: F.max_pool2d(input=x, kernel_size=2), True),
        (lambda x: nn.MaxPool2d(2)(x), True),
    ],
)
def test_which_maxima_go_by_pairs(call, by_pairs):
    x = torch.randn(2, 3, 7, 9).to(torch.bfloat16).contiguous(memory_format=torch.channels_last).requires_grad_()
    with low(), FastFunctions():
        found = call(x)
    assert ("_PairMaximumBackward" in {type(node).__name__ for node in graph(found)}) == by_pairs
    assert torch.equal(found, call(x))


def test_equal_values_give_the_gradient_to_one_of_them(way):
    x = torch.zeros(1, 1, 4, 4, dtype=torch.bfloat16).requires_grad_()
    pool_pairs(x).sum().backward()
    assert x.grad.sum() == 4 and x.grad.unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2)).eq(1).all()


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("nan", [torch.nan, -torch.nan])
def test_a_value_that_is_no_number_is_seen(nan, rectify, way):
    x = torch.zeros(1, 2, 2, 33, dtype=torch.bfloat16)
    x[0, 1, 0] = torch.tensor(nan).copysign(torch.tensor(nan))
    x[0, 0, 1] = torch.inf
    assert pooling.largest_of_pairs(x, rectify=rectify)[0].isnan().all()


def test_maxima_do_not_depend_on_how_x_lies_in_memory(way):
    torch.manual_seed(0)
    x = torch.randn(2, 6, 40, 4).to(torch.bfloat16).transpose(2, 3)
    gradient = torch.randn(2, 3, 2, 40).to(torch.bfloat16)
    results = []
    for own in (x, x.contiguous()):
        found, *kept = pooling.largest_of_pairs(own, rectify=True)
        results.append((found, pooling.back_to_pairs(gradient, tuple(kept), torch.Size((6, 4)))))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True)) and results[0][1].any()


def test_maxima_through_relu(way):
    torch.manual_seed(0)
    x = torch.randn(3, 5, 7, 41).to(torch.bfloat16)
    x[0], x[1] = x[0].abs().neg(), x[1].abs()
    x[2, 0, 0] = -0.0
    right = x.float().permute(0, 3, 1, 2).requires_grad_()
    truth = F.max_pool2d(right.relu(), 2)
    found, *kept = pooling.largest_of_pairs(x, rectify=True)
    assert torch.equal(found.permute(0, 3, 1, 2).float(), truth)
    gradient = torch.randn_like(truth).to(torch.bfloat16)
    truth.backward(gradient.float())
    back = pooling.back_to_pairs(gradient.permute(0, 2, 3, 1), tuple(kept), torch.Size((5, 7)))
    # Of equal values in a window only one gets the gradient: sums over windows are the same for any of them.
    sums = [F.avg_pool2d(one, 2) for one in (back.float().permute(0, 3, 1, 2), right.grad)]
    assert torch.equal(*sums) and not back[:, 4].any() and not back[:, :, 6].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_convolution_and_pooling_in_one_node(channels, way):
    torch.manual_seed(0)
    layer, x = nn.Conv2d(channels, 6, 3, padding=1), torch.randn(4, channels, 11, 12)
    results = {}
    for kind in ("exact", "autocast", "one node"):
        own = copy.deepcopy(layer).double() if kind == "exact" else copy.deepcopy(layer)
        z = (x.double() if kind == "exact" else x.clone()).requires_grad_()
        if kind == "one node":
            output = convolve_and_pool(z, own)
        else:
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
                output = F.max_pool2d(own(z).relu(), 2)
        output.square().sum().backward()
        results[kind] = [output.detach(), z.grad, *(p.grad for p in own.parameters())]
    for exact, usual, found in zip(*results.values(), strict=True):
        assert found.shape == exact.shape and off(found, exact) <= max(2.0 * off(usual, exact), 5e-3)


@pytest.mark.parametrize(
    ("channels", "outputs", "window", "settings"),
    [
        (1, 32, 3, {}),
        (1, 6, 5, {"padding": 2}),
        (3, 40, 3, {"padding": 1, "stride": 2}),
        (2, 17, (1, 4), {"padding": (0, 3), "stride": (2, 1), "bias": False}),
        (5, 64, 2, {}),
    ],
)
def test_first_convolution_against_double_precision(channels, outputs, window, settings, way):
    torch.manual_seed(0)
    layer, x = nn.Conv2d(channels, outputs, window, **settings), torch.randn(3, channels, 13, 18)
    if way == "torch alone":
        assert not suits_first(x, layer)
        return
    assert suits_first(x, layer) and not suits_first(x.clone().requires_grad_(), layer)
    exact = copy.deepcopy(layer).double()
    truth = F.max_pool2d(exact(x.double()).relu(), 2)
    found = convolve_first(x, layer)
    gradient = torch.randn_like(truth).to(torch.bfloat16)
    truth.backward(gradient.double())
    found.backward(gradient)
    assert found.dtype is torch.bfloat16 and off(found.detach(), truth.detach()) < 0.003
    for p, right in zip(layer.parameters(), exact.parameters(), strict=True):
        assert off(p.grad, right.grad) < 1e-5


def test_first_convolution_shows_what_is_no_number(way):
    layer, x = nn.Conv2d(1, 3, 3), torch.randn(2, 1, 12, 12)
    x[0, 0, 5, 5] = torch.nan
    with low():
        bad = convolve_and_pool(x, layer).isnan()
    assert bad[0, :, 2, 2].all() and bad[0].sum() == 3 * 4 and not bad[1].any()


def test_first_convolution_leaves_large_windows_to_onednn(way):
    assert not suits_first(torch.randn(1, 3, 20, 20), nn.Conv2d(3, 8, 7))
    assert not suits_first(torch.randn(1, 2, 20, 20), nn.Conv2d(2, 8, 3, groups=2))
    assert not suits_first(torch.randn(1, 1, 20, 20), nn.Conv2d(1, 8, 3, dilation=2))


def test_first_convolution_leaves_to_torch_what_torch_refuses(way):
    for x in (torch.randn(1, 3, 9, 9), torch.randn(1, 1, 2, 9), torch.randn(1, 1, 3, 3)):
        layer = nn.Conv2d(1, 8, 3)
        assert not suits_first(x, layer)
        with low(), pytest.raises(RuntimeError):
            convolve_and_pool(x, layer).sum()
            F.max_pool2d(layer(x), 2)  # where ours would pool nothing at all


@pytest.mark.parametrize("needs_x", [False, True])
def test_convolution_within_autocast(needs_x):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(5, 1, 12, 11), torch.randn(8, 1, 3, 3), torch.randn(8)
    results = {}
    for function in (F.conv2d, convolve):
        given = [t.clone().requires_grad_(needs_x or i > 0) for i, t in enumerate((x, weight, bias))]
        with low():
            output = function(*given, padding=1)
        assert output.dtype is torch.bfloat16
        output.float().square().sum().backward()
        results[function] = [output.detach(), *(t.grad for t in given if t.grad is not None)]
    for usual, found in zip(*results.values(), strict=True):
        assert off(found, usual) < 1e-2


@pytest.mark.parametrize(
    "settings", [{"batch_first": True}, {}, {"bidirectional": True, "num_layers": 2, "batch_first": True}]
)
@pytest.mark.parametrize(("inputs", "units"), [(6, 16), (3, 48), (9, 80)])
def test_lstm_is_as_close_as_autocasts(settings, inputs, units, way):
    torch.manual_seed(0)
    layer, x = nn.LSTM(inputs, units, **settings), torch.randn(5, 7, inputs)
    results = {}
    for kind in ("exact", "autocast", "fast"):
        own = copy.deepcopy(layer).double() if kind == "exact" else copy.deepcopy(layer)
        own.__class__ = FastLSTM if kind == "fast" else nn.LSTM
        z = (x.double() if kind == "exact" else x.clone()).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind != "exact"):
            output, (h, c) = own(z)
        if kind == "fast" and layer_runs_in_bfloat16():
            own_node = "_SequenceBackward" if way == "kernels" else "_LayerBackward"
            assert own_node in {type(node).__name__ for node in graph(c)}
        (output.to(z.dtype).square().sum() + h.to(z.dtype).sum() + c.to(z.dtype).square().sum()).backward()
        results[kind] = [output.detach(), h.detach(), c.detach(), z.grad, *(p.grad for p in own.parameters())]
    for exact, usual, found in zip(*results.values(), strict=True):
        assert found.shape == exact.shape and off(found, exact) <= max(1.5 * off(usual, exact), 5e-3)


@pytest.mark.parametrize("rows", [1, 13, 64])
def test_lstm_of_any_number_of_rows(rows, way):
    torch.manual_seed(0)
    layer, x = nn.LSTM(4, 32), torch.randn(9, rows, 4)
    exact = copy.deepcopy(layer).double()
    layer.__class__ = FastLSTM
    truth = exact(x.double())[0][-1]
    with low():
        found = layer(x)[0][-1]
    weights = torch.randn_like(truth)
    (truth * weights).sum().backward()
    (found * weights).sum().backward(retain_graph=True)
    assert off(found.detach(), truth.detach()) < 0.01
    for p, right in zip(layer.parameters(), exact.parameters(), strict=True):
        assert off(p.grad, right.grad) < 0.02
    first = [p.grad.clone() for p in layer.parameters()]
    (found * weights).sum().backward()  # the same again: nothing that the way back needs was written over
    assert all(torch.equal(p.grad, 2 * before) for p, before in zip(layer.parameters(), first, strict=True))


def test_lstm_shows_what_is_no_number(way):
    layer, x = nn.LSTM(4, 16), torch.randn(3, 5, 4)
    x[1, 2, 0] = torch.nan
    layer.__class__ = FastLSTM
    with low():
        output = layer(x)[0]
    bad = output.isnan()
    assert bad[1:, 2].all() and not bad[0].any() and not bad[:, :2].any() and not bad[:, 3:].any()


def test_lstm_holds_where_gates_are_shut_or_open(way):
    torch.manual_seed(0)
    layer, x = nn.LSTM(4, 16), 1e4 * torch.randn(3, 5, 4)
    exact = copy.deepcopy(layer).double()
    layer.__class__ = FastLSTM
    with low():
        found = layer(x)[0]
    found.float().sum().backward()
    assert off(found.detach(), exact(x.double())[0].detach()) < 0.02
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_lstm_drops_between_its_layers(way):
    torch.manual_seed(0)
    layer, x = nn.LSTM(6, 16, num_layers=2, dropout=0.5, batch_first=True), torch.randn(1, 7, 6).expand(500, -1, -1)
    layer.__class__ = FastLSTM
    with low():
        output = layer(x)[0].float()
        plain = layer.eval()(x)[0].float()
    assert output.std(0).mean() > 0.01  # equal rows differ by their masks alone
    assert off(output.detach().mean(0), plain.detach().mean(0)) < 0.2


def test_lstm_leaves_processors_without_the_layer_to_torch(monkeypatch):
    torch.manual_seed(0)
    layer, x = nn.LSTM(6, 16, batch_first=True), torch.randn(5, 7, 6)
    layer.__class__ = FastLSTM
    monkeypatch.setattr("glia.nn.fast.lstm.layer_runs_in_bfloat16", lambda: False)
    with low():
        assert not {"_LayerBackward", "_SequenceBackward"} & {type(node).__name__ for node in graph(layer(x)[0])}


def test_lstm_leaves_the_rest_to_torch():
    torch.manual_seed(0)
    layer, x = nn.LSTM(6, 16, batch_first=True), torch.randn(5, 7, 6)
    plain, (h, c) = layer(x)
    layer.__class__ = FastLSTM
    assert torch.equal(layer(x)[0], plain)  # float32
    assert torch.equal(layer(x, (h, c))[0], nn.LSTM.forward(layer, x, (h, c))[0])
    with low():
        assert not {"_LayerBackward", "_SequenceBackward"} & {type(node).__name__ for node in graph(layer.eval()(x)[0])}


def graph(output):
    seen, todo = [], [output.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None:
            seen.append(node)
            todo += [parent for parent, _ in node.next_functions]
    return seen


def chain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 5 * 5, 3))


def test_a_chain_pools_first_with_the_same_bits():
    network, x = chain(), torch.randn(6, 1, 12, 12)
    fast = copy.deepcopy(network)
    fast.__class__ = FastSequential
    results = []
    for own in (network, fast):
        output = own(x)
        output.square().sum().backward()
        results.append([output.detach(), *(p.grad for p in own.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_chain_in_bfloat16_takes_one_node_and_hooks_stop_it(way):
    one_node = "_FirstBackward" if way == "kernels" else "_ConvolutionPoolBackward"
    network, x = chain(), torch.randn(6, 1, 12, 12)
    network.__class__ = FastSequential
    with low(), FastFunctions():
        assert one_node in {type(node).__name__ for node in graph(network(x))}
        seen = []
        handle = network[1].register_forward_hook(lambda module, given, output: seen.append(output.shape))
        assert one_node not in {type(node).__name__ for node in graph(network(x))}
        assert seen == [(6, 4, 10, 10)]  # before pooling
        handle.remove()
        network.eval()
        assert one_node not in {type(node).__name__ for node in graph(network(x))}


def test_which_modules_change_places():
    conv, relu, pool, other = nn.Conv2d(1, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Tanh()
    assert in_faster_order([conv, relu, pool]) == [conv, pool, relu]
    assert in_faster_order([conv, other, pool, relu]) == [conv, other, pool, relu]
    assert in_faster_order([relu, nn.MaxPool2d(2, return_indices=True)])[0] is relu
