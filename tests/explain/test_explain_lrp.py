"""Relevance: conservation through every layer and rule, closed forms, and two tiny networks by hand in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import glia
from glia.core.errors import InputError
from glia.explain import Composite
from glia.explain.input_x_gradient import input_x_gradient
from glia.explain.lrp import lrp
from glia.nn.parts import Part


def sig(z):
    return 1 / (1 + np.exp(-z))


def free_of_biases(net):
    for name, parameter in net.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
    return net


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Linear(6, 6), nn.Linear(6, 6), nn.LayerNorm(6)

    def forward(self, x):
        return x + self.b(F.relu(self.a(self.norm(x))))


class Gated(nn.Module):
    """Squeeze and excitation: channels times a sigmoid of their means."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(2, 4, 3), nn.Linear(4, 4)

    def forward(self, x):
        h = self.conv(x).relu_()
        return (h * torch.sigmoid(self.gate(h.mean((2, 3))))[:, :, None, None]).flatten(2).amax(2)


class LastOf(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer = kind(3, 4, batch_first=True)

    def forward(self, x):
        return self.layer(x)[0][:, -1]


KINDS = {
    "dense": (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)), (6,)),
    "smooth": (lambda: nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)), (6,)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 2), nn.Flatten()),
        (2, 8, 8),
    ),
    "average pooling": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AvgPool1d(2), nn.Flatten()), (2, 9)),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(75, 2)),
        (2, 3, 3),
    ),
    "batch norm": (lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)), (6,)),
    "layer norm": (lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2)), (6,)),
    "group norm": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.ReLU()), (2, 7)),
    "rms norm": (lambda: nn.Sequential(nn.RMSNorm(6), nn.Linear(6, 2)), (6,)),
    "residual": (lambda: nn.Sequential(Residual(), Residual(), nn.Linear(6, 2)), (6,)),
    "gates": (Gated, (2, 6, 6)),
    "lstm": (lambda: LastOf(nn.LSTM), (5, 3)),
    "gru": (lambda: LastOf(nn.GRU), (5, 3)),
    "elman": (lambda: LastOf(nn.RNN), (5, 3)),
    "encoder": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), nn.Flatten(), nn.Linear(24, 2)),
        (4, 6),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_relevance_is_conserved_through_layers_without_biases(kind):
    torch.manual_seed(0)
    build, shape = KINDS[kind]
    net = free_of_biases(build())
    X = torch.randn(4, *shape)
    for rule in ("epsilon", "gamma", "alpha_beta", "epsilon_alpha2_beta1"):
        result = lrp(glia.wrap(net), X, rule=rule)
        np.testing.assert_allclose(result.residual, 0, atol=2e-4 * max(1, abs(result.values).max()), err_msg=rule)
        assert result.warnings == ()


@pytest.mark.parametrize("kind", KINDS)
def test_biases_keep_or_share_and_every_loss_is_accounted_for(kind):
    torch.manual_seed(0)
    build, shape = KINDS[kind]
    net, X = build(), torch.randn(4, *shape)
    for rule in ("epsilon_gamma", "epsilon_plus", "z_plus", Part("epsilon", epsilon=0.1)):
        for biases in ("keep", "share"):
            result = lrp(glia.wrap(net), X, rule=rule, biases=biases)
            size = abs(result.outputs).sum()
            checks = result.checks
            assert abs(checks["lost"]) < 1e-3 and result.warnings == (), (rule, biases, checks)
            np.testing.assert_allclose(
                result.residual.sum() / size,
                checks["kept by biases"] + checks["kept by the stabiliser"] + checks["lost"],
                atol=1e-6,
            )
            assert biases == "keep" or checks["kept by biases"] == 0
    with torch.no_grad():
        np.testing.assert_allclose(result.outputs, net.eval()(X), atol=1e-5)


def test_lrp_0_is_input_times_gradient_without_biases():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 16, False), nn.ReLU(),
        nn.Linear(16, 3, False),
    )  # fmt: skip
    X = torch.randn(5, 1, 8, 8)
    zero = lrp(glia.wrap(net), X, rule=Part("epsilon", epsilon=0.0)).values
    np.testing.assert_allclose(zero, input_x_gradient(glia.wrap(net), X).values, atol=1e-5)
    damped = lrp(glia.wrap(net), X, rule=Part("epsilon", epsilon=1.0)).values
    assert abs(damped - zero).max() > 1e-2 and abs(damped).sum() < abs(zero).sum()


def by_hand(X, layers, share):
    """Return relevance of a stack of ReLU layers, by loops over weights; ``share`` makes q_ij of (c_ij, z_j)."""
    activations = [X]
    for w in layers[:-1]:
        activations.append(np.maximum(activations[-1] @ w, 0))
    outputs = activations[-1] @ layers[-1]
    relevance = outputs
    for a, w in zip(activations[::-1], layers[::-1], strict=True):
        back = np.zeros_like(a)
        for n in range(len(a)):
            for j in range(w.shape[1]):
                c = a[n] * w[:, j]
                if (c != 0).any():
                    back[n] += share(c, c.sum()) * relevance[n, j]
        relevance = back
    return relevance


SHARES = {
    Part("epsilon", epsilon=0.3): lambda c, z: c / (z + 0.3 * (1 if z >= 0 else -1)),
    Part("gamma", gamma=0.5, epsilon=0.0): lambda c, z: (
        (q := c + 0.5 * (np.maximum(c, 0) if z >= 0 else np.minimum(c, 0))) / q.sum()
    ),
    Part("z_plus", epsilon=0.0): lambda c, z: np.maximum(c, 0) / p if (p := np.maximum(c, 0).sum()) else 0 * c,
    Part("alpha_beta", alpha=3.0, beta=2.0): lambda c, z: (
        (up := np.maximum(c, 0), down := np.minimum(c, 0))
        and (
            3 * up / up.sum() - 2 * down / down.sum()
            if up.any() and down.any()
            else (up / up.sum() if up.any() else down / down.sum())
        )
    ),
}


@pytest.mark.parametrize("rule", SHARES, ids=lambda rule: rule.name)
def test_rules_are_their_formulas(rule):
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=shape) for shape in ((4, 5), (5, 5), (5, 1))]
    net = nn.Sequential(
        nn.Linear(4, 5, False), nn.ReLU(), nn.Linear(5, 5, False), nn.ReLU(), nn.Linear(5, 1, False)
    ).double()
    with torch.no_grad():
        for layer, w in zip(net[::2], layers, strict=True):
            layer.weight.copy_(torch.tensor(w.T))
    X = rng.normal(size=(6, 4))
    found = lrp(glia.wrap(net), torch.tensor(X), rule=rule).values
    np.testing.assert_allclose(found, by_hand(X, layers, SHARES[rule]), rtol=1e-5, atol=1e-7)


def test_an_lstm_by_hand():
    """Two steps: gates are constants, candidates and cells carry the relevance (arXiv 1706.07206)."""
    torch.manual_seed(3)
    size, net = 3, LastOf(lambda i, h, **k: nn.LSTM(2, 3, **k)).double()
    X = torch.randn(1, 2, 2, dtype=torch.double)
    w, u = net.layer.weight_ih_l0.detach().numpy(), net.layer.weight_hh_l0.detach().numpy()
    b = (net.layer.bias_ih_l0 + net.layer.bias_hh_l0).detach().numpy()
    h, c, steps = np.zeros(size), np.zeros(size), []
    for x in X[0].numpy():
        z = w @ x + u @ h + b
        i, f, g, o = sig(z[:3]), sig(z[3:6]), z[6:9], sig(z[9:])
        steps.append((x, h, c, i, f, g))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
    relevance, expected = h[2] * np.eye(size)[2], np.zeros((2, 2))  # of h[2] after the last step
    cell = relevance.copy()  # h = o ⊙ tanh(c): the gate is a constant, so that c takes all
    for t in (1, 0):
        x, before, old, i, f, g = steps[t]
        new = f * old + i * np.tanh(g)
        candidate, cell = cell * i * np.tanh(g) / new, cell * f * old / new
        expected[t] = (candidate / g) @ (w[6:9] * x)
        state = (candidate / g) @ (u[6:9] * before)
        cell = cell + state  # what h passes on, it takes from the cell before
    found = lrp(glia.wrap(net), X, rule=Part("epsilon", epsilon=0.0), output=2).values
    np.testing.assert_allclose(found[0], expected, atol=1e-9)


def test_attention_by_hand():
    """One head with constant weights A: position s takes its part A_ts v_s of the output (arXiv 2202.07304)."""
    torch.manual_seed(4)

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(2, 1, bias=False, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x)[0][:, 0]

    net = Head().double()
    X = torch.randn(1, 3, 2, dtype=torch.double)
    x = X[0].numpy()
    q, k, v = (part.detach().numpy() for part in net.attention.in_proj_weight.chunk(3))
    out = net.attention.out_proj.weight.detach().numpy()
    scores = (x @ q.T) @ (x @ k.T).T / np.sqrt(2)
    a = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = np.stack([a[0, s] * (out[1] @ v) * x[s] for s in range(3)])
    plain = Part("epsilon", epsilon=0.0)
    np.testing.assert_allclose(lrp(glia.wrap(net), X, rule=plain, output=1).values[0], expected, atol=1e-9)
    # With split attention the values take half, and queries and keys the other half by the slopes of softmax.
    found = lrp(glia.wrap(net), X, rule=plain, attention="split", output=1)
    moved = torch.tensor(x, requires_grad=True)
    held = torch.tensor((x @ v.T) @ out[1])
    logits = (moved @ torch.tensor(q.T)) @ torch.tensor(x @ k.T).T / np.sqrt(2)
    other = (torch.tensor(x @ q.T) @ (moved @ torch.tensor(k.T)).T) / np.sqrt(2)
    halves = ((logits[0] + other[0]) / 2).clone()
    weights = torch.softmax(halves + (torch.tensor(scores[0]) - halves).detach(), 0)
    (grad,) = torch.autograd.grad((weights * held).sum() / 2, moved)
    np.testing.assert_allclose(found.values[0], expected / 2 + (grad.numpy() * x), atol=1e-9)
    assert abs(found.checks["lost"]) < 1e-9


def test_composites_and_names_choose_rules():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 4), nn.ReLU(), nn.Linear(4, 1))
    X, wrapped = torch.randn(3, 1, 8), glia.wrap(net)
    mixed = lrp(wrapped, X, rule=Composite("epsilon", "z_plus")).values
    np.testing.assert_array_equal(mixed, lrp(wrapped, X, rule="epsilon_plus").values)
    named = lrp(wrapped, X, rule=Composite("epsilon", "epsilon", layers={"0": "z_plus"})).values
    np.testing.assert_array_equal(mixed, named)
    assert abs(mixed - lrp(wrapped, X, rule="epsilon").values).max() > 1e-4
    for message, options in {
        "rule must be": {"rule": "gama"},
        "did you mean 'share'": {"biases": "shares"},
        "attention must be": {"attention": "none"},
        "alpha − beta must be 1": {"rule": Part("alpha_beta", alpha=2.0, beta=2.0)},
    }.items():
        with pytest.raises(InputError, match=message):
            lrp(wrapped, X, **options)
