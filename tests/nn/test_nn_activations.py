"""Activations against formulas written anew here, and their derivatives against central differences."""

import math

import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.nn import Part, activation_name, activations, is_activation, local_derivative, make_activation

erf = torch.special.erf


def sigma(z):
    return 1 / (1 + torch.exp(-z))


def softplus(z):
    return torch.log1p(torch.exp(z))


A, SCALE = 1.6732632423543772, 1.0507009873554805
FORMULAS = {
    "celu": lambda z: torch.where(z > 0, z, torch.exp(z) - 1),
    "elu": lambda z: torch.where(z > 0, z, torch.exp(z) - 1),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / math.sqrt(2))),
    "hard_sigmoid": lambda z: torch.clamp(z / 6 + 0.5, 0, 1),
    "hard_swish": lambda z: z * torch.clamp(z / 6 + 0.5, 0, 1),
    "hard_tanh": lambda z: torch.clamp(z, -1, 1),
    "leaky_relu": lambda z: torch.where(z > 0, z, 0.01 * z),
    "linear": lambda z: z,
    "mish": lambda z: z * torch.tanh(softplus(z)),
    "prelu": lambda z: torch.where(z > 0, z, 0.25 * z),
    "relu": lambda z: torch.clamp(z, min=0),
    "relu6": lambda z: torch.clamp(z, 0, 6),
    "selu": lambda z: SCALE * torch.where(z > 0, z, A * (torch.exp(z) - 1)),
    "sigmoid": sigma,
    "silu": lambda z: z * sigma(z),
    "softplus": softplus,
    "softsign": lambda z: z / (1 + z.abs()),
    "step": lambda z: (z >= 0).double(),
    "tanh": lambda z: (torch.exp(2 * z) - 1) / (torch.exp(2 * z) + 1),
}
POINTS = torch.tensor([-7.3, -3.2, -1.7, -0.6, -0.03, 0.02, 0.4, 0.9, 2.1, 3.4, 6.7], dtype=torch.float64)


def test_every_activation_of_question_15_has_a_formula_here():
    asked = {"step", "linear", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "gelu", "silu", "softmax"}
    assert asked <= set(activations.names())
    assert set(activations.names()) == {*FORMULAS, "softmax"}


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_the_formula(name):
    torch.testing.assert_close(make_activation(name).double()(POINTS), FORMULAS[name](POINTS), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", FORMULAS)
def test_local_derivative_is_the_central_difference(name):
    h = 1e-6
    expected = (FORMULAS[name](POINTS + h) - FORMULAS[name](POINTS - h)) / (2 * h)
    got = local_derivative(make_activation(name).double(), POINTS)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


def test_softmax_derivative_is_its_matrix():
    z = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    s = torch.exp(z) / torch.exp(z).sum(-1, keepdim=True)
    torch.testing.assert_close(make_activation("softmax")(z), s)
    expected = torch.diag_embed(s) - s.unsqueeze(-1) * s.unsqueeze(-2)
    torch.testing.assert_close(local_derivative(make_activation("softmax"), z), expected)


def test_step_at_its_edge_and_on_missing_values():
    step = make_activation("step")
    z = torch.tensor([0.0, -0.0, -1e-38, 1e-38, -torch.inf, torch.inf, torch.nan])
    assert step(z)[:6].tolist() == [1, 1, 0, 1, 0, 1]
    assert step(z)[6].isnan()


def test_aliases_options_and_unknown_names():
    assert isinstance(make_activation("swish"), nn.SiLU)
    assert make_activation(Part("leaky_relu", negative_slope=0.2))(torch.tensor(-1.0)).item() == pytest.approx(-0.2)
    with pytest.raises(InputError, match="did you mean 'relu'"):
        make_activation("rleu")
    with pytest.raises(InputError, match="did you mean 'negative_slope'"):
        make_activation(Part("leaky_relu", slope=0.2))
    with pytest.raises(InputError, match=r"a name or a glia\.nn\.Part"):
        make_activation(nn.ReLU())


def test_names_of_modules():
    for name in activations.names():
        assert activation_name(make_activation(name)) == name
    assert activation_name(nn.LeakyReLU(0.3)) is None
    assert activation_name(nn.Linear(1, 1)) is None
    assert is_activation(nn.LeakyReLU(0.3)) and not is_activation(nn.Linear(1, 1))


def test_local_derivative_is_seen_by_no_hook_and_bears_in_place_modules():
    module = nn.ReLU(inplace=True)
    seen = []
    module.register_forward_hook(lambda *_: seen.append(1))
    z = torch.tensor([-1.0, 2.0])
    assert local_derivative(module, z).tolist() == [0, 1]
    assert z.tolist() == [-1, 2] and not seen


def test_local_derivative_of_something_else_is_refused():
    with pytest.raises(InputError, match="keep the shape"):
        local_derivative(nn.Linear(2, 3), torch.zeros(1, 2))
