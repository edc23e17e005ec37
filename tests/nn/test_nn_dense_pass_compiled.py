"""The compiled pass of one dense network: against torch's operations, and double precision through autograd."""

import copy

import pytest
import torch
from torch import nn

from glia.core.hardware import threads
from glia.engine.fused import FusedGradient, fused_gradient
from glia.nn import dense_kernel
from glia.nn.dense_pass_compiled import CompiledDensePass, suits_compiled_pass
from glia.nn.dense_stack import DensePass, dense_stack
from glia.objectives import MSE, CrossEntropy

pytestmark = pytest.mark.skipif(
    not dense_kernel._kernels(), reason="needs a C++ compiler and an AMD processor with AVX-512"
)


def network(inputs, widths, outputs, activation=nn.ReLU, dropout=0.0):
    torch.manual_seed(0)
    parts = []
    for width in widths:
        parts += [nn.Linear(inputs, width), activation(), *([nn.Dropout(dropout)] if dropout else [])]
        inputs = width
    return nn.Sequential(*parts, nn.Linear(inputs, outputs))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("column", [None, 0, 3])
@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("rows", [16, 64, 208])
def test_values_and_gradients_are_those_of_torchs_operations(rows, outputs, column, count):
    layers = dense_stack(network(21, (33, 40), outputs, nn.SiLU)).layers
    x, results = torch.randn(rows, 21), []
    with threads(count):
        assert suits_compiled_pass(layers, rows) and not suits_compiled_pass(layers, rows + 1)
        for way in (DensePass, CompiledDensePass):
            gradients = {id(p): torch.full_like(p, torch.nan) for layer in layers for p in layer.parameters}
            with torch.no_grad():
                work = way(layers, rows, gradients, input_gradient=column)
                output = work.forward(x).clone()
                torch.manual_seed(1)
                work.output_gradient.copy_(torch.randn(output.shape))
                below = work.backward(x)
            results.append([output, *gradients.values(), *([] if below is None else [below])])
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, rtol=1e-5, atol=2e-6 * float(one.abs().max()))


@pytest.mark.parametrize(("loss", "outputs"), [(CrossEntropy(), 3), (MSE(), 1)])
def test_a_gradient_is_that_of_double_precision(loss, outputs):
    own = network(12, (32, 32), outputs)
    exact, x = copy.deepcopy(own).double(), torch.randn(48, 12)
    y = torch.randint(0, outputs, (48,)) if outputs > 1 else torch.randn(48, 1)
    found = fused_gradient(own, loss)
    assert isinstance(found, FusedGradient)
    value = float(found(x, y))
    assert isinstance(next(iter(found._sizes.values())).layers, CompiledDensePass)
    truth = loss(exact(x.double()), y if outputs > 1 else y.double()).mean()
    truth.backward()
    assert value == pytest.approx(truth.item(), rel=1e-5)
    for p, right in zip(own.parameters(), exact.parameters(), strict=True):
        assert torch.allclose(p.grad.double(), right.grad, rtol=1e-4, atol=1e-6)


def test_frozen_layers_keep_their_gradients_out():
    own = network(12, (32, 32), 1)
    own[0].weight.requires_grad_(False)
    found, x, y = fused_gradient(own, MSE()), torch.randn(32, 12), torch.randn(32, 1)
    found(x, y)
    assert own[0].weight.grad is None and own[0].bias.grad is not None
    expected = torch.autograd.grad(MSE()(own(x), y).mean(), [p for p in own.parameters() if p.requires_grad])
    trained = [p.grad for p in own.parameters() if p.requires_grad]
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(trained, expected, strict=True))


def test_dropout_changes_from_call_to_call_and_repeats_with_the_seed():
    own = network(12, (64,), 1, dropout=0.5).train()
    found, x, y = fused_gradient(own, MSE()), torch.randn(64, 12), torch.randn(64, 1)
    values = []
    for seed in (0, None, 0):
        if seed is not None:
            torch.manual_seed(seed)
        values.append(float(found(x, y)))
    assert values[0] == values[2] != values[1]
    own.eval()
    assert float(found(x, y)) == pytest.approx(MSE()(own(x), y).mean().item(), rel=1e-5)


def test_without_kernels_torchs_operations_do_it(monkeypatch):
    monkeypatch.setattr(dense_kernel, "_kernels", dict)
    found = fused_gradient(network(12, (32,), 1), MSE())
    found(torch.randn(32, 12), torch.randn(32, 1))
    assert isinstance(next(iter(found._sizes.values())).layers, DensePass)
