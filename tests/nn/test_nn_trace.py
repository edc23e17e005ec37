"""Traces against passes by hand; hooks and modes are as before, also after failures."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn import MLP, Neuron, trace


def untouched(network):
    return all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())


def test_trace_equals_the_pass_by_hand():
    network = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Tanh())
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.15, 0.2], [0.25, 0.3]]))
        network[0].bias.fill_(0.35)
        network[2].weight.copy_(torch.tensor([[0.4, -0.45]]))
        network[2].bias.fill_(0.6)
    result = trace(network, torch.tensor([[0.05, 0.1]]))
    z = [0.15 * 0.05 + 0.2 * 0.1 + 0.35, 0.25 * 0.05 + 0.3 * 0.1 + 0.35]
    a = [1 / (1 + math.exp(-v)) for v in z]
    z_out = 0.4 * a[0] - 0.45 * a[1] + 0.6
    assert [layer.name for layer in result.layers] == ["0", "1", "2", "3"]
    assert result["0"].pre_activation[0].tolist() == result["0"].output[0].tolist() == pytest.approx(z)
    assert result["1"].pre_activation[0].tolist() == pytest.approx(z)
    assert result["1"].output[0].tolist() == pytest.approx(a)
    assert result["1"].derivative[0].tolist() == pytest.approx([v * (1 - v) for v in a])
    assert result["2"].input[0].tolist() == pytest.approx(a)
    assert result["3"].pre_activation.item() == pytest.approx(z_out)
    assert result.output.item() == pytest.approx(math.tanh(z_out))
    assert result["3"].derivative.item() == pytest.approx(1 - math.tanh(z_out) ** 2)
    assert result["2"].derivative is None and untouched(network)


def test_trace_of_an_mlp_names_its_layers():
    network = MLP(hidden=(4, 3), norm="batch", dropout=0.5, residual=True).build(Layout((2,)), 1).train()
    network.blocks[1].eval()
    before = [m.training for m in network.modules()]
    running = network.last_norm.running_mean.clone()
    x = torch.randn(6, 2)
    result = network.trace(x)
    assert [m.training for m in network.modules()] == before and untouched(network)
    assert torch.equal(network.last_norm.running_mean, running)
    assert result.layers[0].name == "stem" and result.layers[-1].name == "output"
    np.testing.assert_array_equal(result.output, network.eval()(x).detach().numpy())
    np.testing.assert_array_equal(result["blocks.0.dropout"].output, result["blocks.0.project"].output)
    with pytest.raises(KeyError, match=r"no layer 'blocks.9'"):
        result["blocks.9"]


def test_results_print_and_serialise():
    result = trace(Neuron(2), torch.randn(3, 2))
    assert [layer.name for layer in result.layers] == ["weighted_sum", "activation"]
    assert "2 layers ran on 3 rows" in result.summary()
    assert result.tables()[0].rows[1][:4] == ("activation", "Sigmoid", "3 × 1", "3 × 1")
    assert len(json.loads(json.dumps(result.to_dict()))["layers"]) == 2


class Odd(nn.Module):
    """Shares a layer, has a parameter of its own, works in place, and returns tuples inside."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.linear = nn.Linear(3, 3)
        self.act = nn.ReLU(inplace=True)
        self.rnn = nn.GRU(3, 3, batch_first=True)

    def forward(self, x):
        x = self.act(self.linear(x))
        x = self.linear(x)
        return self.rnn(x.unsqueeze(1))[0][:, 0] * self.scale


def test_odd_networks():
    network, x = Odd(), torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    result = trace(network, x)
    assert [layer.name for layer in result.layers] == ["linear", "act", "linear#2", "rnn", "network"]
    z = network.linear(x).detach().numpy()
    np.testing.assert_allclose(result["linear"].output, z, atol=1e-6)  # not overwritten in place
    np.testing.assert_allclose(result["act"].input, z, atol=1e-6)
    np.testing.assert_allclose(result["act"].output, np.maximum(z, 0), atol=1e-6)
    np.testing.assert_array_equal(result["network"].output, result.output)


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.broken = nn.Linear(5, 1)

    def forward(self, x):
        return self.broken(self.linear(x))


def test_hooks_and_modes_are_restored_after_a_failure():
    network = Failing().train()
    with pytest.raises(RuntimeError):
        trace(network, torch.zeros(1, 2))
    assert untouched(network) and network.training and network.linear.training


def test_user_hooks_stay_and_run_once():
    network, seen = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), []
    network[1].register_forward_hook(lambda *_: seen.append(1))
    trace(network, torch.zeros(1, 2))
    assert len(seen) == 1 and len(network[1]._forward_hooks) == 1


def test_a_network_without_a_tensor_is_refused():
    with pytest.raises(InputError, match="return a tensor"):
        trace(nn.GRU(2, 2), torch.zeros(1, 1, 2))


def example():
    """Mazur's worked example: two inputs, two hidden and two output units, squared error."""
    network = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid()).double()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.15, 0.2], [0.25, 0.3]]))
        network[0].bias.fill_(0.35)
        network[2].weight.copy_(torch.tensor([[0.4, 0.45], [0.5, 0.55]]))
        network[2].bias.fill_(0.6)
    return network, torch.tensor([[0.05, 0.1]]).double()


def test_gradients_equal_the_backward_pass_by_hand():
    network, x = example()
    wanted = torch.tensor([[0.01, 0.99]]).double()
    result = trace(network, x, gradient_of=lambda output: ((output - wanted) ** 2).sum() / 2)
    out = result.output[0]
    d_out = out - wanted.numpy()[0]  # ∂E/∂a of the outputs
    delta = d_out * out * (1 - out)
    hidden = delta @ network[2].weight.detach().numpy()
    np.testing.assert_allclose(result["3"].gradient[0], d_out)
    np.testing.assert_allclose(result["2"].gradient[0], delta)
    np.testing.assert_allclose(result["2"].gradient[0], result["3"].gradient[0] * result["3"].derivative[0])
    np.testing.assert_allclose(result["1"].gradient[0], hidden)
    np.testing.assert_allclose(result["0"].gradient[0], hidden * result["1"].derivative[0])
    rows = result["0"].gradient[0] @ network[0].weight.detach().numpy()
    np.testing.assert_allclose(result.input_gradient[0], rows)
    assert all(p.grad is None for p in network.parameters()) and untouched(network)


def test_gradients_of_layers_that_work_in_place_and_of_pictures_are_finite_differences():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    ).double()  # fmt: skip
    x = torch.randn(2, 1, 6, 6).double()
    result = trace(network, x, gradient_of=1)
    step, row = 1e-6, (0, 0, 2, 3)
    moved = [x.clone(), x.clone()]
    moved[0][row] += step
    moved[1][row] -= step
    slope = (network(moved[0])[0, 1] - network(moved[1])[0, 1]).item() / (2 * step)
    assert result.input_gradient[row] == pytest.approx(slope, abs=1e-7)
    assert (result["0"].output < 0).any()  # kept although the next layer works in place
    np.testing.assert_allclose(result["0"].gradient, result["1"].gradient * (result["0"].output > 0))
    assert network[1].inplace and len(result.path(1)) == 4  # input, convolution with rectifier, pooling, dense


def test_the_strongest_path_is_the_one_that_adds_most():
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, -5.0, 0.0], [0.1, 0.0, 2.0]]))
        network[0].bias.fill_(20.0)
        network[2].weight.copy_(torch.tensor([[1.0, 3.0]]))
    result = trace(network, torch.tensor([[1.0, 2.0, 0.5], [1.0, 2.0, 9.0]]), gradient_of=0)
    assert [(step.layer, step.unit) for step in result.path()] == [("input", 2), ("0", 1), ("2", 0)]
    first, last = result.path()[1], result.path()[-1]
    assert (first.pre_activation, first.derivative, first.gradient) == (pytest.approx(21.1), 1.0, 3.0)
    assert last.activation == pytest.approx(result.output[0, 0])
    assert json.dumps(result.to_dict())
    table = result.tables()[1]
    assert table.rows[1][:2] == ("0", 1) and table.columns[-1] == "gradient"


def test_the_drawing_shows_the_path_and_its_figures():
    network, x = example()
    axes = trace(network, x, gradient_of=0).plot(units=2)
    words = "\n".join(text.get_text() for text in axes.texts)
    assert "z 0.378" in words and "a 0.593" in words and "f′ 0.24" in words
    with pytest.raises(ValueError, match="gradient_of= brings"):
        trace(network, x).plot()


@pytest.mark.parametrize(
    ("of", "message"), [(2, "must be one of the outputs"), (lambda output: output, "must return one number")]
)
def test_what_cannot_be_differentiated_is_said(of, message):
    network, x = example()
    with pytest.raises(InputError, match=message):
        trace(network, x, gradient_of=of)
    with pytest.raises(InputError, match="a path needs gradients"):
        trace(network, x).path()
