"""The chain rule: the product of Jacobians by hand, by autograd, and by finite differences; a wrong path is found."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.nn import MLP, chain_rule


def test_two_layers_by_hand():
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Tanh(), nn.Linear(2, 1, bias=False)).double()
    w1, w2 = network[0].weight.detach().numpy(), network[2].weight.detach().numpy()
    x = np.array([[0.3, -0.8]])
    result = chain_rule(network, torch.as_tensor(x))
    slopes = np.diag(1 - np.tanh(w1 @ x[0]) ** 2)
    np.testing.assert_allclose(result.jacobians[0][0], w1)
    np.testing.assert_allclose(result.jacobians[1][0], slopes)
    np.testing.assert_allclose(result.product[0], w2 @ slopes @ w1)
    assert result.equal and "equals" in result.summary() and result.stages == ("0", "1", "2")


SPECS = [
    MLP(hidden=(5, 4), activation="gelu", norm="batch", dropout=0.3),
    MLP(hidden=(5, 4), activation="selu", norm="layer", output="sigmoid"),
    MLP(hidden=(4, 4), residual=True, init="he_normal", norm="rms"),
    MLP(hidden=(4,), activation="softmax", numeric_embedding="piecewise_linear"),
]


@pytest.mark.parametrize("spec", SPECS)
def test_product_equals_gradient_and_finite_differences(spec):
    torch.manual_seed(0)
    layout = Layout((3,), tuple(Feature(name, name, bins=(-1.0, 0.1, 1.0)) for name in "abc"))
    network = spec.build(layout, 2).double().train()
    x = torch.randn(3, 3, dtype=torch.float64)
    result = chain_rule(network, x)
    assert result.error < 1e-12 and network.training
    network.eval()
    for i in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[i] = 1e-6
        difference = (network(x + step) - network(x - step)).detach().numpy() / 2e-6
        np.testing.assert_allclose(result.product[:, :, i], difference, atol=1e-7)
    assert len(result.tables()[0].rows) == len(result.stages)


def test_float32_and_images():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8, 2))
    result = chain_rule(network, torch.randn(2, 1, 4, 4))
    assert result.equal and result.product.shape == (2, 2, 16)


class Detour(nn.Sequential):
    def forward(self, x):
        return super().forward(x) + x


def test_a_network_that_is_not_sequential_is_refused():
    with pytest.raises(InputError, match="one after the other"):
        chain_rule(Detour(nn.Linear(2, 2)), torch.randn(1, 2))


def test_a_wrong_local_derivative_is_found():
    class Liar(nn.Module):
        def stages(self):
            return [("one", nn.Identity()), ("two", nn.Identity())]

        def forward(self, x):
            return x.detach() + 0 * x

    result = chain_rule(Liar(), torch.randn(1, 2))
    assert not result.equal and "differs" in result.summary()
