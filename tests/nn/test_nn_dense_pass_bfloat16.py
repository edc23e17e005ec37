"""Dense stacks in bfloat16 against the same in double precision, no worse than torch's autocast."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glia.nn.dense_pass_bfloat16 import BFloat16Pass, suits_bfloat16
from glia.nn.dense_stack import dense_stack


def make(activation=nn.ReLU, dropout=0.0, bias=True):
    torch.manual_seed(0)
    drop = [nn.Dropout(dropout)] if dropout else []
    network = nn.Sequential(
        nn.Linear(30, 64, bias=bias), activation(), *drop, nn.Linear(64, 48, bias=bias), activation(), nn.Linear(48, 5)
    )
    return network, torch.randn(40, 30), torch.randint(0, 5, (40,))


def run(network, x, y, *, training=False, input_gradient=None, trained=None):
    """Return the output, the gradients of all trained parameters and, where asked for, of x."""
    stack = dense_stack(network)
    wanted = list(network.parameters()) if trained is None else trained
    gradients = {id(p): torch.full_like(p, torch.nan, requires_grad=False) for p in wanted}
    bound = BFloat16Pass(stack.layers, len(x), gradients, training=training, input_gradient=input_gradient)
    with torch.no_grad():
        output = bound.forward(x).clone()
        bound.output_gradient.copy_((output.softmax(1) - F.one_hot(y, 5)) / len(y))
        below = bound.backward(x)
    return bound, output, list(gradients.values()), below


def by_torch(network, x, y, dtype):
    own, z = copy.deepcopy(network), x.clone().requires_grad_()
    if dtype is torch.float64:
        own, z = own.double(), x.double().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        output = own(z)
    F.cross_entropy(output.float() if dtype is torch.bfloat16 else output, y).backward()
    return [output.detach(), *(p.grad for p in own.parameters()), z.grad]


def off(found, exact):
    return float((found.double() - exact.double()).norm() / exact.double().norm())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.ReLU6])
def test_values_and_gradients_are_as_close_as_autocasts(activation, bias):
    network, x, y = make(activation, bias=bias)
    _, output, gradients, below = run(network, x, y, input_gradient=0)
    exact, low = by_torch(network, x, y, torch.float64), by_torch(network, x, y, torch.bfloat16)
    for found, right, usual in zip([output, *gradients, below], exact, low, strict=True):
        assert found.dtype is torch.float32 and found.shape == right.shape
        assert off(found, right) <= max(1.5 * off(usual, right), 2e-3)


def test_the_second_batch_sees_the_weights_of_its_time():
    network, x, y = make()
    bound, first, *_ = run(network, x, y)
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(2.0)
        bound.forward(x)
    assert off(bound.output, by_torch(network, x, y, torch.float64)[0]) < 2e-2 and off(first, bound.output) > 0.5


def test_frozen_layers_get_no_gradient_and_a_stage_its_columns():
    network, x, y = make()
    head = list(network[-1].parameters())
    _, _, gradients, below = run(network, x, y, trained=head)
    assert below is None and all(g.isfinite().all() for g in gradients)
    _, _, _, below = run(network, x, y, trained=head, input_gradient=10)
    exact = by_torch(network, x, y, torch.float64)[-1]
    usual = by_torch(network, x, y, torch.bfloat16)[-1]
    assert off(below[:, 10:], exact[:, 10:]) < 1.5 * off(usual[:, 10:], exact[:, 10:]) and not below[:, :10].any()


def test_dropout_drops_and_keeps_the_mean():
    network, x, y = make(dropout=0.5)
    x = x[:1].expand(4000, -1).contiguous()
    y = y[:1].expand(4000)
    _, output, gradients, _ = run(network, x, y, training=True)
    plain = run(network, x, y)[1]
    assert output.std(0).min() > 1e-2  # rows are equal but for their masks
    # The mean over masks of the second layer's sums is that without dropout; ReLU after it bends it a little.
    assert float((output.mean(0) - plain[0]).abs().max()) < 0.5 * float(output.std(0).max())
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize(
    ("network", "suits"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), True),
        (nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2)), False),  # its derivative would be rounded
        (nn.Sequential(nn.Linear(3, 2)), False),  # nothing before the last layer
    ],
)
def test_which_stacks_suit(network, suits):
    assert suits_bfloat16(dense_stack(network).layers) is suits
