"""The fast encoder layer against torch's own, and dropout's cheaper random numbers."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glia.nn.fast import FastDropout, FastEncoderLayer, FastFunctions, attention, dropout_noise
from glia.nn.fast.attention import self_attention
from glia.nn.fast.encoder import fits

CAUSAL = nn.Transformer.generate_square_subsequent_mask(6)
PADDING = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1], [0, 1, 1, 1, 1, 1]], dtype=torch.bool)
LAYERS = {
    "usual": {},
    "norm first": {"norm_first": True},
    "gelu": {"activation": "gelu"},
    "gelu module": {"activation": nn.GELU()},
    "relu module": {"activation": nn.ReLU()},
    "steps first": {"batch_first": False},
    "no bias": {"bias": False},
    "one head": {"nhead": 1},
}
MASKS = {
    "none": {},
    "causal": {"src_mask": CAUSAL, "is_causal": True},
    "truth": {"src_mask": torch.eye(6, dtype=torch.bool)},
    "padding": {"src_key_padding_mask": PADDING},
    "both": {"src_mask": CAUSAL.isinf(), "src_key_padding_mask": PADDING},
    "of each head": {"src_mask": torch.linspace(-1, 1, 3 * 2 * 36).view(6, 6, 6)},
    "nothing to see": {"src_key_padding_mask": torch.ones(3, 6, dtype=torch.bool)},
}


def close(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= tolerance * max(float(b.detach().abs().max()), 1e-3)


def pair(**settings):
    torch.manual_seed(0)
    given = {"d_model": 16, "nhead": 2, "dim_feedforward": 24, "dropout": 0.0, "batch_first": True} | settings
    slow = nn.TransformerEncoderLayer(**given)
    fast = copy.deepcopy(slow)
    fast.__class__ = FastEncoderLayer
    return slow, fast


def run(layer, x, masks):
    layer.zero_grad()
    x = x.clone().requires_grad_()
    output = layer(x, **masks)
    generator = torch.Generator().manual_seed(1)
    (output * torch.randn(output.shape, generator=generator)).sum().backward()
    return [output, x.grad, *(p.grad for p in layer.parameters())]


def taken(layer, x, **masks):
    """Whether the fast way was."""
    return "_SelfAttentionBackward" in names(layer(x.clone().requires_grad_(), **masks))


def names(output):
    seen, todo = set(), [output.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [parent for parent, _ in node.next_functions]
    return {type(node).__name__ for node in seen}


@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("layer", list(LAYERS))
def test_outputs_and_gradients_equal_torchs(layer, mask):
    slow, fast = pair(**LAYERS[layer])
    heads = LAYERS[layer].get("nhead", 2)
    masks = dict(MASKS[mask])
    if mask == "of each head":
        masks["src_mask"] = masks["src_mask"][: 3 * heads]
    x = torch.randn(*((3, 6) if LAYERS[layer].get("batch_first", True) else (6, 3)), 16)
    assert taken(fast, x, **masks) and not taken(slow, x, **masks)
    for a, b in zip(run(fast, x, masks), run(slow, x, masks), strict=True):
        close(a, b)


@pytest.mark.parametrize("chunk", [1, 100, 10**6])
def test_the_size_of_chunks_changes_nothing(monkeypatch, chunk):
    monkeypatch.setattr(attention, "CHUNK", chunk)
    slow, fast = pair(nhead=4)
    x = torch.randn(5, 6, 16)
    for a, b in zip(run(fast, x, {}), run(slow, x, {}), strict=True):
        close(a, b)


def test_a_stack_with_frozen_parts():
    slow, fast = pair()
    results = []
    for layer in (slow, fast):
        net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        net.layers[0].linear1.weight.requires_grad_(False)
        net.layers[1].self_attn.in_proj_weight.requires_grad_(False)
        torch.manual_seed(2)
        (net(torch.randn(2, 5, 16)) * torch.randn(2, 5, 16)).sum().backward()
        results.append([p.grad for p in net.parameters()])
    for a, b in zip(*results, strict=True):
        assert (a is None) == (b is None)
        if a is not None and float(b.abs().max()) > 1e-6:
            close(a, b)


def test_what_does_not_fit_goes_the_usual_way():
    x = torch.randn(2, 6, 16)
    _, fast = pair()
    assert taken(fast, x)
    for change in ("eval", "hook", "double", "other part", "activation"):
        _, fast = pair()
        z = x
        if change == "eval":
            fast.eval()
        elif change == "hook":
            fast.linear1.register_forward_hook(lambda *_: None)
        elif change == "double":
            fast, z = fast.double(), x.double()
        elif change == "other part":
            fast.linear1 = nn.Sequential(fast.linear1)
            fast.linear1.weight, fast.linear1.bias = fast.linear1[0].weight, fast.linear1[0].bias
        else:
            fast.activation = F.silu
        assert not taken(fast, z), change
    assert not fits(pair(activation=nn.GELU("tanh"))[1])
    with torch.autocast("cpu", torch.bfloat16):
        assert not taken(pair()[1], x)
    assert not taken(pair()[1], torch.randn(6, 16))


def test_attention_with_dropout_given_its_noise(monkeypatch):
    torch.manual_seed(0)
    noise = torch.empty(6, 5, 5).bernoulli_(0.7).div_(0.7)
    monkeypatch.setattr(attention, "dropout_noise", lambda like, rate: noise)
    module = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)
    x = torch.randn(3, 5, 8, requires_grad=True)
    q, k, v = F.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
    q, k, v = (t.view(3, 5, 2, 4).transpose(1, 2) for t in (q, k, v))
    weights = torch.softmax(q @ k.transpose(-1, -2) / 2, -1) * noise.view(3, 2, 5, 5)
    right = module.out_proj((weights @ v).transpose(1, 2).reshape(3, 5, 8))
    found = self_attention(x, module)
    close(found, right)
    wanted = [x, *module.parameters()]
    upstream = torch.randn(3, 5, 8)
    for a, b in zip(*(torch.autograd.grad(y, wanted, upstream) for y in (found, right)), strict=True):
        close(a, b)


def test_dropout_of_a_layer_has_torchs_mean_and_spread():
    slow, fast = pair(dropout=0.3)
    x = torch.randn(2, 4, 16)
    torch.manual_seed(0)
    a, b = (torch.stack([layer(x).detach() for _ in range(300)]) for layer in (fast, slow))
    error = (a.var(0) / 300 + b.var(0) / 300).sqrt()
    assert ((a.mean(0) - b.mean(0)).abs() <= 5 * error).all()
    assert float(a.std(0).mean()) == pytest.approx(float(b.std(0).mean()), rel=0.05)


@pytest.mark.parametrize("rate", [0.0, 1e-7, 0.1, 0.5, 0.9, 1.0])
def test_noise_has_the_rate_and_mean_one(rate):
    torch.manual_seed(0)
    noise = dropout_noise(torch.empty(500, 403), rate)
    kept = float((noise > 0).float().mean())
    assert kept == pytest.approx(1 - rate, abs=5 * (max(rate * (1 - rate), 1e-10) / noise.numel()) ** 0.5 + 2e-5)
    if rate < 1:
        assert len(noise.unique()) <= 2
        assert float(noise.max()) * (1 - rate) == pytest.approx(1, abs=2e-4)


def test_neighbours_in_the_noise_are_independent():
    torch.manual_seed(0)
    noise = (dropout_noise(torch.empty(4 * 100_000), 0.3) > 0).double() - 0.7
    for lag in range(1, 9):
        assert abs(float((noise[lag:] * noise[:-lag]).mean())) / 0.21 < 5 / noise.numel() ** 0.5
    by_place = noise.view(-1, 4).mean(0)
    assert (by_place.abs() < 5 * (0.21 / 100_000) ** 0.5).all()


def test_noise_keeps_layouts_and_follows_the_seed():
    like = torch.empty(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert dropout_noise(like, 0.5).stride() == like.stride()
    transposed = dropout_noise(torch.empty(7, 5).t(), 0.5)
    assert transposed.shape == (5, 7) and set(transposed.unique().tolist()) == {0.0, 2.0}
    torch.manual_seed(3)
    first = dropout_noise(like, 0.5)
    torch.manual_seed(3)
    assert torch.equal(first, dropout_noise(like, 0.5))


def test_dropout_module_and_function():
    x = torch.randn(50, 40, requires_grad=True)
    module = FastDropout(0.25)
    y = module(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(y, x * gradient)
    with FastFunctions():
        z = F.dropout(x, 0.25)
        assert F.dropout(x, 0.25, False) is x and F.dropout(x, p=0.25, training=False) is x
    assert set((z / x).mul(1000).round().unique().tolist()) == {0.0, 1333.0}
    assert torch.equal(module.eval()(x), x)
    assert module.train()(x.double()).dtype == torch.float64
