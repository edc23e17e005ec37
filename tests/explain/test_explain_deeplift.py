"""DeepLIFT adds up through every kind of layer, and its rules are those of the paper."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import glia
from glia.core.errors import InputError
from glia.explain.deeplift import deeplift
from glia.explain.integrated_gradients import integrated_gradients
from glia.explain.lrp import lrp


class Functional(nn.Module):
    """One activation object used twice, activations as functions, methods, operators, and in place."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.act = nn.Linear(6, 8), nn.Linear(8, 8), nn.ReLU(inplace=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        h = self.act(self.one(x))
        h += F.silu(self.two(h))
        h = self.act(h - 0.5)
        h = h * torch.sigmoid(h.mean(1, keepdim=True)) / (1 + h.pow(2).mean(1, keepdim=True)).sqrt()
        h = torch.maximum(h, 0.3 - h).clamp(max=2.0)
        return self.out(F.leaky_relu(h, 0.1, True)) ** 2


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.group, self.out = nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = F.relu(self.norm(self.first(x)), inplace=True)
        h = F.max_pool2d(self.group(h + self.second(h)), 2)
        return self.out(torch.cat([h.amax((2, 3))[:, :2], F.adaptive_avg_pool2d(h, 1).flatten(1)[:, 2:]], dim=1))


class Sequences(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.recurrent = kind(3, 4, num_layers=2, bidirectional=True)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 12, activation="gelu")
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        hidden, _ = self.recurrent(x.transpose(0, 1))  # time first: rows are not on the first axis
        return self.out(self.encoder(hidden)[-1])


class Attention(nn.Module):
    """Attention by einsum and by torch's function, causal, with softmax and log-softmax."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(3, 6), nn.Linear(3, 6), nn.Linear(3, 6)
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        weights = torch.einsum("bld,bsd->bls", q, k).softmax(-1)
        both = weights @ v + F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.log_softmax(self.out(F.normalize(both[:, -1])), dim=-1)


NETWORKS = {
    "functional": (Functional, (6,)),
    "images": (Images, (1, 8, 8)),
    "lstm and encoder": (Sequences, (5, 3)),
    "gru": (lambda: Sequences(nn.GRU), (5, 3)),
    "elman": (lambda: Sequences(nn.RNN), (5, 3)),
    "attention": (Attention, (4, 3)),
    "norms": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.RMSNorm(8), nn.Linear(8, 4), nn.GLU()),
        (6,),
    ),
    "series": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3), nn.InstanceNorm1d(4, affine=True), nn.ELU(), nn.AdaptiveMaxPool1d(2), nn.Flatten()
        ),
        (2, 9),
    ),
}


def made(name, count=5, seed=0):
    torch.manual_seed(seed)
    build, shape = NETWORKS[name]
    net = build()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net, torch.randn(count, *shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_shares_add_up(name):
    net, X = made(name)
    for options in ({}, {"baseline": "rows", "background": X[:3] * 0.5 + 0.2}):
        result = deeplift(glia.wrap(net), X, **options)
        assert abs(result.residual).max() < 1e-5 and result.warnings == () and result.values.shape[:-1] == X.shape
    with torch.no_grad():
        np.testing.assert_allclose(result.outputs, net.eval()(X), atol=1e-5)
        np.testing.assert_allclose(result.base[0], net(X[:3] * 0.5 + 0.2).mean(0), atol=1e-5)


def test_the_rescale_rule_by_hand():
    """y = relu(2a − b − 1) + relu(a): from (0, 0) to (2, 1) the first unit moves 0 → 2 while its input moves −1 → 2."""

    class Two(nn.Module):
        def forward(self, x):
            return (2 * x[:, :1] - x[:, 1:] - 1).relu() + x[:, :1].relu()

    result = deeplift(glia.wrap(Two()), [[2.0, 1.0]])
    np.testing.assert_allclose(result.values, [[4 * 2 / 3 + 2, -1 * 2 / 3]], atol=1e-6)


def test_one_relu_layer_agrees_with_integrated_gradients():
    """With one hidden layer both give every unit's change to its inputs in proportion (arXiv 1711.06104)."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 20), nn.Softplus(), nn.Linear(20, 2))
    X = torch.randn(5, 6)
    exact = integrated_gradients(glia.wrap(net), X).values
    np.testing.assert_allclose(deeplift(glia.wrap(net), X).values, exact, atol=1e-5)
    deep = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 2))  # not with two
    gap = deeplift(glia.wrap(deep), X).values - integrated_gradients(glia.wrap(deep), X).values
    assert abs(gap).max() > 1e-3


def test_a_maximum_by_hand():
    """Convolution, ReLU, maximum of 2 × 2 places, linear: multipliers written out with NumPy for a random baseline."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 1)).double()
    X, base = torch.randn(3, 1, 6, 6).double(), torch.randn(1, 1, 6, 6).double()
    found = deeplift(glia.wrap(net), X, baseline=base)
    weight = net[4].weight[0].detach().numpy().reshape(2, 2, 2)
    with torch.no_grad():
        before = net[0](base)[0].numpy()
    for n in range(3):
        with torch.no_grad():
            now = net[0](X[n : n + 1])[0].numpy()
        on, off = np.maximum(now, 0), np.maximum(before, 0)
        multiplier = np.zeros_like(now)
        for c, i, j in np.ndindex(2, 2, 2):
            one, two = (a[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] for a in (on, off))
            change = one.max() - two.max()
            k = np.unravel_index((one if change > 0 else two).argmax(), (2, 2))
            if change:
                multiplier[c, 2 * i + k[0], 2 * j + k[1]] = weight[c, i, j] * change / (one[k] - two[k])
        x = X[n : n + 1].clone().requires_grad_()
        (grad,) = torch.autograd.grad((net[0](x)[0] * torch.tensor(multiplier * (on - off) / (now - before))).sum(), x)
        np.testing.assert_allclose(found.values[n : n + 1], grad * (X[n : n + 1] - base), atol=1e-12)


def test_a_product_is_shared_as_shapley_does():
    class Product(nn.Module):
        def forward(self, x):
            return x[:, :1] * x[:, 1:]

    result = deeplift(glia.wrap(Product()), [[3.0, 5.0]], baseline=[[1.0, 2.0]])
    np.testing.assert_allclose(result.values, [[2 * 3.5, 3 * 2.0]], atol=1e-6)


def test_the_row_itself_as_baseline_gives_nothing():
    for name in ("functional", "images", "lstm and encoder", "attention"):
        net, X = made(name, 1)
        result = deeplift(glia.wrap(net), X, baseline=X)
        assert abs(result.values).max() < 1e-6 and abs(result.residual).max() < 1e-6


def test_what_is_not_covered_is_said():
    class Choice(nn.Module):
        def forward(self, x):
            return torch.where(x > 0, x, x**2).sum(1, keepdim=True)

    result = deeplift(glia.wrap(Choice()), torch.randn(8, 4), baseline=torch.full((1, 4), -1.0))
    assert "shares miss" in result.warnings[0] and abs(result.residual).max() > 0.1

    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x):
            return torch.fft.rfft(self.inner(x)).abs()

    for method in (deeplift, lrp):
        with pytest.raises(InputError, match="fft_rfft"):
            method(glia.wrap(Fourier()), torch.randn(3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is on its way out of torch; its modules still exist
        net = torch.jit.trace(nn.Linear(3, 1), torch.randn(2, 3))
    with pytest.raises(InputError, match="compiled"):
        deeplift(glia.wrap(net), torch.randn(2, 3))

    class Longer(nn.Module):
        def forward(self, x):
            return x.relu().sum(1, keepdim=True) if float(x.sum()) == 0 else x.tanh().sum(1, keepdim=True)

    with pytest.raises(InputError, match="same way"):
        deeplift(glia.wrap(Longer()), torch.ones(2, 3))
