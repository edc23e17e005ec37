"""The fast recurrent layers against torch's own: outputs, last states and all gradients."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils import rnn

from glia.nn.fast import FastGRU, FastRNN

KINDS = {
    "gru": (nn.GRU, FastGRU, {}),
    "tanh": (nn.RNN, FastRNN, {}),
    "relu": (nn.RNN, FastRNN, {"nonlinearity": "relu"}),
}


def close(a, b, tolerance=1e-5):
    scale = max(float(b.detach().abs().max()), 1e-6)
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= tolerance * scale


def flat(output):
    y, last = output
    return [y, *(last if isinstance(last, tuple) else (last,))]


def run(module, x, states, loss_seed=3):
    """Return outputs, gradients of input and states, and of the parameters."""
    module.zero_grad()
    x = x.clone().requires_grad_()
    states = [s.clone().requires_grad_() for s in states]
    hx = states[0] if states else None
    outputs = flat(module(x, hx))
    generator = torch.Generator().manual_seed(loss_seed)
    sum((o * torch.randn(o.shape, generator=generator)).sum() for o in outputs).backward()
    return [*outputs, x.grad, *(s.grad for s in states), *(p.grad for p in module.parameters())]


def pair(kind, *args, seed=0, **settings):
    slow, fast, more = KINDS[kind]
    torch.manual_seed(seed)
    a = slow(*args, **more, **settings)
    b = copy.deepcopy(a)
    b.__class__ = fast
    return a, b


SETTINGS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first, "bias": bias}
    for layers, both, first, bias in itertools.product((1, 2), (False, True), (False, True), (False, True))
]


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
@pytest.mark.parametrize("kind", list(KINDS))
def test_outputs_and_gradients_equal_torchs(kind, settings, given):
    slow, fast = pair(kind, 5, 7, **settings)
    batch = 4
    x = torch.randn(*((batch, 6) if settings["batch_first"] else (6, batch)), 5)
    count = int(given)
    states = [torch.randn(settings["num_layers"] * (1 + settings["bidirectional"]), batch, 7) for _ in range(count)]
    for a, b in zip(run(fast, x, states), run(slow, x, states), strict=True):
        close(a, b)


@pytest.mark.parametrize("kind", list(KINDS))
def test_one_step_one_row_and_long_sequences(kind):
    for steps, batch, width in ((1, 1, 3), (4, 1, 1), (40, 65, 16)):
        slow, fast = pair(kind, 3, width)
        x = torch.randn(steps, batch, 3)
        for a, b in zip(run(fast, x, []), run(slow, x, []), strict=True):
            close(a, b, 2e-5)


@pytest.mark.parametrize("kind", list(KINDS))
def test_input_without_gradient_and_frozen_weights(kind):
    slow, fast = pair(kind, 3, 4)
    for module in (slow, fast):
        module.weight_hh_l0.requires_grad_(False)
        module.bias_ih_l0.requires_grad_(False)
        module(torch.ones(5, 80, 3))[0].sum().backward()
        assert module.weight_hh_l0.grad is None and module.bias_ih_l0.grad is None
    close(fast.weight_ih_l0.grad, slow.weight_ih_l0.grad)


@pytest.mark.parametrize("kind", ["gru", "tanh"])
def test_gradient_equals_finite_differences(kind):
    _, fast = pair(kind, 3, 4)
    x, upstream = torch.randn(6, 2, 3), torch.randn(6, 2, 4)
    (fast(x)[0] * upstream).sum().backward()
    for name, p in fast.named_parameters():
        index, step = tuple(0 for _ in p.shape), 1e-2
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                p[index] += sign * step
                values.append(float((nn.Module.__call__(fast, x)[0].double() * upstream).sum()))
                p[index] -= sign * step
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(p.grad[index]), rel=2e-3, abs=1e-3), name


@pytest.mark.parametrize("kind", list(KINDS))
def test_packed_and_unbatched_input_and_evaluation_are_torchs(kind):
    slow, fast = pair(kind, 3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    packed = rnn.pack_padded_sequence(x, [5, 3], batch_first=True)
    assert torch.equal(fast(packed)[0].data, slow(packed)[0].data)
    assert torch.equal(fast(x[0])[0], slow(x[0])[0])
    slow.eval(), fast.eval()
    assert torch.equal(fast(x)[0], slow(x)[0])


@pytest.mark.parametrize("kind", list(KINDS))
def test_wrong_shapes_raise_torchs_errors(kind):
    _, fast = pair(kind, 3, 4)
    with pytest.raises(RuntimeError, match="input"):
        fast(torch.randn(2, 70, 5))
    state = torch.zeros(1, 9, 4)
    with pytest.raises(RuntimeError, match="hidden"):
        fast(torch.randn(2, 70, 3), state)


@pytest.mark.parametrize("kind", list(KINDS))
def test_dropout_between_layers(kind):
    slow, fast = pair(kind, 4, 8, num_layers=2, dropout=0.4)
    x = torch.randn(5, 3, 4)
    torch.manual_seed(0)
    mean = torch.stack([fast(x)[0].detach() for _ in range(300)]).mean(0)
    right = torch.stack([slow(x)[0].detach() for _ in range(300)]).mean(0)
    spread = torch.stack([slow(x)[0].detach() for _ in range(50)]).std(0)
    assert ((mean - right).abs() <= 5.5 * spread * (2 / 300) ** 0.5 + 1e-6).all()
    assert not torch.equal(fast(x)[0], fast(x)[0])


def test_short_sequences_are_torchs():
    slow, fast = pair("gru", 3, 4)
    assert torch.equal(fast(torch.ones(2, 5, 3))[0], slow(torch.ones(2, 5, 3))[0])
    assert type(fast(torch.ones(4, 5, 3))[0].grad_fn).__name__ == "_GRULayerBackward"
