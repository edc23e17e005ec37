"""Normalisation against formulas by hand, gradients against finite differences."""

import pytest
import torch

from glia.core.errors import InputError
from glia.nn import Part, make_norm, norms

X = torch.randn(6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 1


def standard(x, dim):
    mean = x.mean(dim, keepdim=True)
    return (x - mean) / torch.sqrt(((x - mean) ** 2).mean(dim, keepdim=True) + 1e-5)


EXPECTED = {
    "batch": lambda x: standard(x, 0),
    "layer": lambda x: standard(x, 1),
    "group": lambda x: standard(x.reshape(6, 4, 2), 2).reshape(6, 8),
    "rms": lambda x: x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-5),
}


def made(name):
    return make_norm(Part("group", groups=4, least=2) if name == "group" else name, 8).double()


def test_names():
    assert set(norms.names()) == {*EXPECTED, "none"}
    assert make_norm("none", 8) is None
    with pytest.raises(InputError, match="did you mean 'batch'"):
        make_norm("bacth", 8)


@pytest.mark.parametrize("name", EXPECTED)
def test_formula_scale_and_shift(name):
    norm = made(name)
    torch.testing.assert_close(norm(X), EXPECTED[name](X))
    with torch.no_grad():
        norm.weight.fill_(2.0)
        if name != "rms":
            norm.bias.fill_(-1.0)
    torch.testing.assert_close(norm(X), EXPECTED[name](X) * 2 - (0 if name == "rms" else 1))


@pytest.mark.parametrize("name", EXPECTED)
def test_gradients_are_finite_differences(name):
    norm = made(name)
    assert torch.autograd.gradcheck(norm, (X.clone().requires_grad_(True),))


def test_batch_norm_evaluates_with_running_statistics():
    norm = make_norm("batch", 8).double()
    norm(X)
    mean, var = 0.1 * X.mean(0), 0.9 + 0.1 * X.var(0)
    torch.testing.assert_close(norm.eval()(X), (X - mean) / torch.sqrt(var + 1e-5))


def test_groups_divide_and_are_never_too_small():
    expected = {1: 1, 3: 1, 4: 1, 7: 1, 8: 2, 30: 6, 64: 8, 256: 8}
    assert {size: make_norm("group", size).num_groups for size in expected} == expected
    assert make_norm(Part("group", groups=6), 48).num_groups == 6


def test_dims_choose_the_kind():
    assert make_norm(Part("batch", dims=2), 3)(torch.randn(2, 3, 4, 4)).shape == (2, 3, 4, 4)
    with pytest.raises(InputError, match="dims"):
        make_norm(Part("batch", dims=4), 3)
