"""Initialisers: moments against formulas, level variance with depth, LSUV, broken symmetry; each with a control."""

import math

import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.nn import Part, auto_init, initialise_, initialise_layer_, initialisers, lsuv_, make_activation

OUT, IN = 384, 640


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(name, **options):
    return initialisers.get(name)(torch.empty(OUT, IN), generator=rng(), **options)


NORMAL = {
    "normal": 0.01**2,
    "xavier_plain": 1 / IN,
    "xavier_normal": 2 / (IN + OUT),
    "he_normal": 2 / IN,
}
UNIFORM = {
    "uniform": 0.05,
    "lecun_uniform": math.sqrt(3 / IN),
    "xavier_uniform": math.sqrt(6 / (IN + OUT)),
    "he_uniform": math.sqrt(6 / IN),
}


def test_all_of_question_17_is_there():
    for name in ("zeros", "constant", "gaussian", "uniform", "xavier_plain", "xavier_normalised", "orthogonal", "lsuv"):
        assert name in initialisers
    assert set(initialisers.names()) == {*NORMAL, *UNIFORM, "zeros", "constant", "orthogonal", "lsuv"}


@pytest.mark.parametrize("name", NORMAL)
def test_normal_moments(name):
    w, n = filled(name).double(), OUT * IN
    assert abs(w.mean()) < 5 * math.sqrt(NORMAL[name] / n)
    assert abs(w.var() / NORMAL[name] - 1) < 5 * math.sqrt(2 / n)
    standard = (w / w.std()).flatten()
    assert abs((standard**4).mean() - 3) < 5 * math.sqrt(96 / n)  # the fourth moment tells normal from uniform


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_moments(name):
    w, bound = filled(name).double(), UNIFORM[name]
    assert w.abs().max() <= bound and w.abs().max() > 0.999 * bound
    assert abs(w.var() / (bound**2 / 3) - 1) < 5 * math.sqrt(0.8 / (OUT * IN))


def test_options_scale():
    assert filled("normal", std=2.0).std().item() == pytest.approx(2, rel=0.01)
    slope = filled("he_normal", negative_slope=1.0).var().item()
    assert slope == pytest.approx(1 / IN, rel=0.02)
    assert filled("constant", value=3.0).unique().tolist() == [3]
    assert filled("zeros").abs().sum() == 0


def test_orthogonal_rows():
    w = filled("orthogonal", gain=2.0)
    torch.testing.assert_close(w @ w.T, 4 * torch.eye(OUT), atol=1e-4, rtol=0)


def test_a_generator_repeats_and_leaves_the_global_state():
    state = torch.get_rng_state()
    first, second = nn.Linear(9, 9), nn.Linear(9, 9)
    torch.set_rng_state(state)
    initialise_layer_(first, generator=rng(3))
    initialise_layer_(second, generator=rng(3))
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
    assert torch.equal(torch.get_rng_state(), state)


def depth_ratio(init, activation, seeds=4):
    """Mean square of the last activations over that of the first: geometric mean over seeds."""
    return math.exp(sum(math.log(one_depth_ratio(init, activation, seed)) for seed in range(seeds)) / seeds)


def one_depth_ratio(init, activation, seed, layers=12, width=256):
    g = rng(seed)
    x = torch.randn(64, width, generator=g)
    squares = []
    for _ in range(layers):
        layer = nn.Linear(width, width)
        initialise_layer_(layer, init, activation=activation, generator=g)
        nn.init.zeros_(layer.bias)
        x = make_activation(activation)(layer(x)).detach()
        squares.append(x.square().mean().item())
    return squares[-1] / squares[0]


@pytest.mark.parametrize(
    ("activation", "init"),
    [("relu", "he_normal"), ("relu", "he_uniform"), ("relu", Part("orthogonal", gain=math.sqrt(2)))]
    + [("linear", name) for name in ("xavier_plain", "lecun_uniform", "xavier_normal", "xavier_uniform", "orthogonal")]
    + [("leaky_relu", "auto"), ("selu", "auto"), ("relu", "auto"), ("prelu", "auto")],
)
def test_variance_stays_level_with_depth(activation, init):
    assert 0.4 < depth_ratio(init, activation) < 2.5


def test_controls_vanish_and_explode():
    assert depth_ratio("xavier_normal", "relu") < 3e-3  # a half at each layer
    assert depth_ratio("normal", "relu") < 1e-6
    assert depth_ratio(Part("normal", std=0.3), "relu") > 1e6
    assert 0.05 < depth_ratio("xavier_normal", "tanh") < 1
    assert depth_ratio(Part("normal", std=0.01), "tanh") < 1e-6


def test_auto_follows_the_activation():
    assert auto_init("relu") == Part("he_normal")
    assert auto_init("tanh") == auto_init("sigmoid") == Part("xavier_normal")
    assert auto_init("selu") == Part("lecun_normal")
    assert auto_init(Part("leaky_relu", negative_slope=0.2)) == Part("he_normal", negative_slope=0.2)


def test_biases_are_zero_but_under_auto():
    layer = nn.Linear(100, 50)
    initialise_layer_(layer, "he_normal")
    assert layer.bias.abs().sum() == 0
    initialise_layer_(layer, "auto", generator=rng())
    assert 0.05 < layer.bias.abs().max() <= 0.1


def train_hidden(init):
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    initialise_(network, init, generator=rng())
    x = torch.randn(40, 3, generator=rng(1))
    y = (x[:, :1] * x[:, 1:2]).sign()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(30):
        optimizer.zero_grad()
        (network(x) - y).square().mean().backward()
        optimizer.step()
    return network[0].weight.detach()


def test_constant_weights_never_break_symmetry():
    same = train_hidden("constant")
    torch.testing.assert_close(same, same[:1].expand_as(same), rtol=1e-5, atol=1e-6)
    assert (train_hidden("xavier_normal").std(0) > 0.1).all()


def deep(width=64):
    return nn.Sequential(*[layer for _ in range(10) for layer in (nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5))])


def output_variances(network, x):
    found = []
    for layer in network.eval():
        x = layer(x)
        if isinstance(layer, nn.Linear):
            found.append(x.var(correction=0).item())
    return found


def test_lsuv_gives_unit_variance_and_orthogonal_directions():
    x = 3 * torch.randn(500, 64, generator=rng())
    network = deep().train()
    network[2].eval()
    assert lsuv_(network, x, generator=rng()) is network
    assert network.training and not network[2].training
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())
    gram = network[0].weight @ network[0].weight.T
    torch.testing.assert_close(gram / gram[0, 0], torch.eye(64), atol=1e-4, rtol=0)
    assert all(abs(v - 1) < 0.021 for v in output_variances(network, x))
    control = output_variances(initialise_(deep(), "orthogonal", generator=rng()), x)
    assert control[-1] < 0.05


def test_lsuv_on_convolutions_and_dead_layers():
    x = torch.randn(16, 3, 8, 8, generator=rng())
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    lsuv_(network, x, generator=rng())
    assert network(x).var(correction=0).item() == pytest.approx(1, abs=0.021)
    lsuv_(network, torch.zeros(4, 3, 8, 8))  # nothing to scale by: weights stay finite
    assert all(p.isfinite().all() for p in network.parameters())
    with pytest.raises(InputError, match="two rows"):
        lsuv_(network, x[:1])


def test_unknown_names():
    with pytest.raises(InputError, match="he_normal"):
        initialise_layer_(nn.Linear(1, 1), "he_norml")
