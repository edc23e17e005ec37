"""Dense stacks without autograd: every kernel, the pass over layers, and dropout's masks, against autograd."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from glia.nn import MLPNetwork, activations
from glia.nn.activation_kernels import kernel_of
from glia.nn.dense_stack import DensePass, dense_stack, stack_of

OPTIONS = [
    nn.LeakyReLU(0.3), nn.ELU(2.0), nn.CELU(0.5), nn.GELU("tanh"), nn.Softplus(2.0, 5.0), nn.Hardtanh(-2.0, 3.0),
]  # fmt: skip
ACROSS_OR_LEARNED = {"softmax", "prelu"}
NAMED = [name for name in activations.names() if name not in ACROSS_OR_LEARNED]


def points():
    edges = torch.tensor([0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 20.0, -20.0, 60.0, -60.0, 2.0, -2.0, 1e-4, -1e-4])
    spread = torch.linspace(-9.0, 9.0, 41)
    return torch.cat([edges, spread]).double()


def by_autograd(module, z, incoming):
    z = z.clone().requires_grad_()
    output = module(z * 1.0)  # in-place modules may not write into a leaf
    (gradient,) = torch.autograd.grad(output, z, incoming) if output.requires_grad else (torch.zeros_like(z),)
    return output.detach(), gradient


@pytest.mark.parametrize(
    "module", [*(activations.get(name)() for name in NAMED), *OPTIONS], ids=[*NAMED, *(repr(m) for m in OPTIONS)]
)
@pytest.mark.parametrize("count", [1, 400])  # below and above the size from which ReLU is differentiated otherwise
def test_each_kernel_equals_autograd(module, count):
    z = points().repeat(count)
    incoming = torch.linspace(-2.0, 3.0, len(z), dtype=torch.float64)
    output, gradient = by_autograd(module, z, incoming)
    there = incoming.clone()
    bound = kernel_of(module)(z, there)
    with torch.inference_mode():
        for call in bound.forward:
            call()
        torch.testing.assert_close(bound.output, output, rtol=1e-12, atol=1e-12)
        for call in bound.backward:
            call()
    torch.testing.assert_close(there, gradient, rtol=1e-10, atol=1e-12)


def test_activations_without_a_kernel_are_said_to_have_none():
    for module in (nn.PReLU(), nn.Softmax(dim=-1), nn.LeakyReLU(0.0), nn.LeakyReLU(-0.1), nn.ELU(-1.0), nn.RReLU()):
        assert kernel_of(module) is None

    class Own(nn.ReLU):
        pass

    assert kernel_of(Own()) is None


def gradients_of(network):
    return {id(p): torch.empty_like(p, requires_grad=False) for p in network.parameters() if p.requires_grad}


def run(network, x, incoming, *, training=False, input_gradient=None):
    found = gradients_of(network)
    layers = DensePass(
        dense_stack(network).layers, len(x), found, training=training, input_gradient=input_gradient
    )  # fmt: skip
    with torch.inference_mode():
        output = layers.forward(x).clone()
        layers.output_gradient.copy_(incoming)
        below = layers.backward(x)
    return output, [found.get(id(p)) for p in network.parameters()], below, layers


def test_gradients_equal_finite_differences():
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 2)).double()
    x, incoming = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    _, gradients, below, _ = run(network, x, incoming, input_gradient=0)

    def slope(tensor, place, step=1e-5):
        values = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                tensor[place] += sign * step
                values.append(float((network(x) * incoming).sum()))
                tensor[place] -= sign * step
        return (values[0] - values[1]) / (2 * step)

    for p, gradient in zip([*network.parameters(), x], [*gradients, below], strict=True):
        for place in [tuple(0 for _ in p.shape), tuple(n - 1 for n in p.shape)]:
            assert float(gradient[place]) == pytest.approx(slope(p, place), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("seed", range(12))
def test_random_stacks_equal_autograd(seed):
    g = torch.Generator().manual_seed(seed)
    pick = lambda options: options[int(torch.randint(len(options), (), generator=g))]  # noqa: E731
    torch.manual_seed(seed)
    widths = [pick([1, 2, 7, 16]) for _ in range(pick([1, 2, 4]) + 1)]
    parts = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after, bias=pick([True, False])), activations.get(pick(NAMED))()]
    network = nn.Sequential(*parts[: -1 if pick([True, False]) else None]).double()
    x = torch.randn(pick([1, 5, 32]), widths[0]).double()
    incoming = torch.randn(len(x), widths[-1]).double()
    leaf = x.clone().requires_grad_()
    expected = network(leaf)
    expected.backward(incoming)
    output, gradients, below, _ = run(network, x, incoming, input_gradient=0)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-10, atol=1e-12)
    for p, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, p.grad, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(below, leaf.grad, rtol=1e-9, atol=1e-11)
    last = widths[0] - 1
    _, _, part, _ = run(network, x, incoming, input_gradient=last)
    torch.testing.assert_close(part[:, last:], leaf.grad[:, last:], rtol=1e-9, atol=1e-11)
    assert not part[:, :last].any()


class Masked(nn.Module):
    """Dropout with a mask that is given."""

    def __init__(self, mask, p):
        super().__init__()
        self.mask, self.p = mask, p

    def forward(self, h):
        return h * self.mask / (1 - self.p)


@pytest.mark.parametrize("activation", NAMED)
def test_a_pass_with_dropout_equals_autograd_with_the_same_masks(activation):
    torch.manual_seed(0)
    p = 0.25  # a multiple of 1/65536, as probabilities are rounded to
    network = MLPNetwork(6, 2, (9, 8), activation=activation, dropout=p)
    x, incoming = torch.randn(7, 6), torch.randn(7, 2)
    output, gradients, _, layers = run(network, x, incoming, training=True)
    first, second, last = layers.masks
    assert last is None and 0 < first.mean() < 1 and set(first.unique().tolist()) == {0.0, 1.0}
    for block, mask in zip(network.blocks, (first, second), strict=True):
        block.dropout = Masked(mask, p)
    expected = network(x)
    expected.backward(incoming)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-5, atol=1e-5)
    for q, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, q.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("p", [0.01, 0.15, 0.5, 0.9])
def test_masks_drop_the_wanted_share_independently(p):
    network = nn.Sequential(nn.Linear(1, 64), nn.Sigmoid(), nn.Dropout(p), nn.Linear(64, 1))
    layers = DensePass(dense_stack(network).layers, 512, {}, training=True)
    torch.manual_seed(1)
    masks = []
    for _ in range(2):
        with torch.inference_mode():
            layers.forward(torch.zeros(512, 1))
        masks.append(layers.masks[0].clone())
    values = masks[0].numel()
    sd = math.sqrt(p * (1 - p) / values)
    for mask in masks:
        assert abs(float(1 - mask.mean()) - p) < 5 * sd
    a, b = (1 - masks[0]).flatten(), (1 - masks[1]).flatten()
    for left, right in ((a, b), (a[:-1], a[1:]), (a[:-4], a[4:])):  # between calls, within and between random words
        together = float((left * right).mean())
        assert abs(together - p * p) < 6 * math.sqrt(p * p * (1 - p * p) / values)
    torch.manual_seed(1)
    with torch.inference_mode():
        layers.forward(torch.zeros(512, 1))
    assert torch.equal(layers.masks[0], masks[0]) and not torch.equal(masks[0], masks[1])


def test_dropout_keeps_the_expectation_and_is_off_in_evaluation():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 400), nn.ReLU(), nn.Dropout(0.3), nn.Linear(400, 1))
    layers = DensePass(dense_stack(network).layers, 1000, {}, training=True)
    x = torch.ones(1000, 2)
    with torch.inference_mode():
        noisy = layers.forward(x).clone()
    plain = network.eval()(x[:1]).item()
    assert abs(float(noisy.mean()) - plain) < 5 * float(noisy.std()) / math.sqrt(1000) and noisy.std() > 0
    still = DensePass(dense_stack(network).layers, 1000, {}, training=False)
    with torch.inference_mode():
        torch.testing.assert_close(still.forward(x), network(x))


def test_only_wanted_gradients_are_computed_and_no_deeper_than_needed():
    torch.manual_seed(0)
    network = MLPNetwork(3, 2, (4, 5), activation="tanh")
    x, incoming = torch.randn(6, 3), torch.randn(6, 2)
    network(x).backward(incoming)
    expected = [p.grad.clone() for p in network.parameters()]
    for p in [*network.blocks[0].parameters(), network.blocks[1].linear.bias]:
        p.requires_grad_(False)
    _, gradients, below, layers = run(network, x, incoming)
    assert [g is None for g in gradients] == [True, True, False, True, False, False] and below is None
    for gradient, wanted in zip(gradients, expected, strict=True):
        if gradient is not None:
            torch.testing.assert_close(gradient, wanted)
    everything = run(MLPNetwork(3, 2, (4, 5), activation="tanh"), x, incoming)[3]
    assert len(layers._back) < len(everything._back)


def test_stacks_are_found_or_refused():
    linear = lambda: nn.Linear(3, 3)  # noqa: E731
    found = stack_of([linear(), nn.ReLU(), nn.Dropout(0.2), linear(), linear()])
    assert [type(layer.activation) for layer in found.layers] == [nn.ReLU, nn.Identity, nn.Identity]
    assert found.layers[0].dropout.p == 0.2 and found.input is None
    shared = linear()
    transposed = linear()
    transposed.weight = nn.Parameter(torch.randn(3, 3).t())
    for parts in (
        [], [nn.ReLU()], [nn.ReLU(), linear()], [linear(), nn.Dropout(0.2)], [linear(), nn.LayerNorm(3)],
        [linear(), nn.Dropout(0.2), nn.ReLU(), linear()], [linear(), nn.ReLU(), nn.ReLU()], [shared, nn.ReLU(), shared],
        [linear(), nn.Dropout(1.0), linear()], [linear(), nn.PReLU()], [transposed], [linear(), nn.AlphaDropout(0.2)],
    ):  # fmt: skip
        assert stack_of(parts) is None
    assert dense_stack(nn.LSTM(2, 2)) is None and dense_stack(nn.Linear(2, 2)) is None


def test_whatever_could_see_or_change_a_pass_is_respected():
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    assert dense_stack(network) is not None
    watchers = [
        network[0].register_forward_hook(lambda *_: None),
        network[1].register_forward_pre_hook(lambda *_: None),
        network.register_full_backward_hook(lambda *_: None),
        network.register_full_backward_pre_hook(lambda *_: None),
        network[0].weight.register_hook(lambda g: g),
        network[2].bias.register_post_accumulate_grad_hook(lambda p: None),
    ]
    for handle in watchers:
        assert dense_stack(network) is None
        handle.remove()
    assert dense_stack(network) is not None
    network[0].forward = lambda x: x
    assert dense_stack(network) is None
    del network[0].forward
    nn.utils.parametrizations.weight_norm(network[0])
    assert dense_stack(network) is None
