"""The MLP: a pass by hand, finite differences, parity with plain torch, settings that are checked at once."""

import json
import math
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.core.seeds import seeded
from glia.nn import MLP, DenseBlock, Linear, MLPNetwork, Part, ResidualBlock, activations, spec_from_dict

FOUR = Layout((4,))
MIXED = Layout(
    (3,), (Feature("a", "a", bins=(-1.0, 0.0, 1.0)), Feature("b", "b", "code", 4), Feature("c", "c", "onehot"))
)


def by_hand():
    network = MLPNetwork(2, 1, (2,), activation="tanh")
    with torch.no_grad():
        network.blocks[0].linear.weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 1.0]]))
        network.blocks[0].linear.bias.copy_(torch.tensor([0.1, -0.3]))
        network.output.weight.copy_(torch.tensor([[2.0, -1.0]]))
        network.output.bias.fill_(0.25)
    return network


def test_forward_and_backward_by_hand():
    x1, x2, y = 0.4, -0.2, 1.0
    network = by_hand()
    loss = 0.5 * (network(torch.tensor([[x1, x2]])) - y).square().sum()
    loss.backward()
    h1, h2 = math.tanh(x1 - 2 * x2 + 0.1), math.tanh(0.5 * x1 + x2 - 0.3)
    out = 2 * h1 - h2 + 0.25
    assert loss.item() == pytest.approx(0.5 * (out - y) ** 2)
    d = out - y
    d1, d2 = d * 2 * (1 - h1**2), d * -1 * (1 - h2**2)
    assert network.output.weight.grad.flatten().tolist() == pytest.approx([d * h1, d * h2])
    assert network.output.bias.grad.item() == pytest.approx(d)
    hidden = network.blocks[0].linear
    assert hidden.weight.grad.flatten().tolist() == pytest.approx([d1 * x1, d1 * x2, d2 * x1, d2 * x2])
    assert hidden.bias.grad.tolist() == pytest.approx([d1, d2])


def gradients_hold(network, x):
    network = network.double()
    names, values = zip(*((n, p.detach().clone().requires_grad_()) for n, p in network.named_parameters()), strict=True)

    def run(*parameters):
        return functional_call(network, dict(zip(names, parameters, strict=True)), (x,))

    return torch.autograd.gradcheck(run, values)


@pytest.mark.parametrize("name", sorted(set(activations.names()) - {"step"}))
def test_parameter_gradients_are_finite_differences_for_every_activation(name):
    torch.manual_seed(1)
    x = torch.randn(3, 2, dtype=torch.float64)
    assert gradients_hold(MLPNetwork(2, 2, (3, 2), activation=name), x)


@pytest.mark.parametrize(("norm", "residual"), list(product(["none", "batch", "layer", "group", "rms"], [False, True])))
def test_parameter_gradients_are_finite_differences_for_every_block(norm, residual):
    torch.manual_seed(2)
    x = torch.randn(4, 2, dtype=torch.float64)
    network = MLPNetwork(2, 1, (4, 3), activation="silu", init="he_normal", norm=norm, residual=residual, output="tanh")
    assert gradients_hold(network, x)


def test_parameter_gradients_are_finite_differences_for_every_input():
    torch.manual_seed(0)
    x = torch.tensor([[0.3, 2.0, 1.0], [-0.4, 0.0, 0.0]], dtype=torch.float64)
    for embedding in ("piecewise_linear", Part("periodic", frequencies=2, dim=2, sigma=1.0)):
        network = MLP(hidden=(3,), activation="tanh", numeric_embedding=embedding).build(MIXED, 2)
        assert gradients_hold(network, x)


def test_plain_network_is_plain_torch():
    torch.manual_seed(0)
    network = MLPNetwork(4, 3, (6, 5), norm="layer", dropout=0.5).eval()
    one, two = network.blocks
    peer = nn.Sequential(
        one.linear,
        one.norm,
        nn.ReLU(),
        nn.Dropout(0.5),
        two.linear,
        two.norm,
        nn.ReLU(),
        nn.Dropout(0.5),
        network.output,
    ).eval()
    x = torch.randn(7, 4)
    assert torch.equal(network(x), peer(x))
    torch.manual_seed(1)
    trained = network.train()(x)
    torch.manual_seed(1)
    assert torch.equal(trained, peer.train()(x))


def test_names_of_the_parts():
    network = MLP(hidden=(3, 3), norm="batch", dropout=0.1).build(MIXED, 2)
    names = dict(network.named_modules())
    for name in ("input.categorical.tables.0", "blocks.0.linear", "blocks.1.norm", "blocks.1.dropout", "output"):
        assert name in names
    assert [name for name, _ in network.stages()] == ["input", "blocks.0", "blocks.1", "output"]
    plain = MLP(hidden=(3,)).build(FOUR, 2)
    assert set(plain.state_dict()) == {
        "blocks.0.linear.weight", "blocks.0.linear.bias", "output.weight", "output.bias",
    }  # fmt: skip


def test_residual_blocks_start_as_their_skips():
    torch.manual_seed(0)
    block, x = ResidualBlock(5, 5, norm="layer", dropout=0.3), torch.randn(3, 5)
    assert torch.equal(block(x), x)
    wider = ResidualBlock(5, 7)
    assert torch.equal(wider(x), wider.skip(x))
    network = MLPNetwork(4, 2, (6,) * 12, residual=True)
    x = torch.randn(3, 4)
    torch.testing.assert_close(network(x), network.output(network.stem(x)))
    ordinary = ResidualBlock(5, 5, init="he_normal").eval()
    x = torch.randn(3, 5)
    expected = x + ordinary.project(torch.relu(ordinary.linear(x)))
    torch.testing.assert_close(ordinary(x), expected)
    assert not torch.equal(ordinary(x), x)


def test_no_hidden_layer_is_a_linear_model():
    network = MLP(hidden=()).build(FOUR, 2)
    x = torch.randn(3, 4)
    torch.testing.assert_close(network(x), x @ network.output.weight.T + network.output.bias)
    linear = Linear().build(FOUR, 2)
    assert linear(x).abs().sum() == 0 and len(linear.dense_stack().layers) == 1
    sigmoid = Linear(init="normal", output="sigmoid").build(FOUR, 1)
    torch.testing.assert_close(sigmoid(x), torch.sigmoid(sigmoid.output(x)))


def test_a_linear_model_recovers_least_squares():
    g = torch.Generator().manual_seed(0)
    x, w = torch.randn(200, 4, generator=g), torch.tensor([[1.0, -2.0, 0.0, 3.0]])
    y = x @ w.T + 0.5 + 0.1 * torch.randn(200, 1, generator=g)
    network = Linear().build(FOUR, 1)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (network(x) - y).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    exact = np.linalg.lstsq(np.column_stack([x, np.ones(200)]), y.numpy(), rcond=None)[0][:, 0]
    found = [*network.output.weight[0].tolist(), network.output.bias.item()]
    np.testing.assert_allclose(found, exact, atol=1e-3)


def test_images_are_flattened():
    network = MLP(hidden=(3,)).build(Layout((2, 4, 4)), 2)
    assert network.in_features == 32 and network(torch.randn(5, 2, 4, 4)).shape == (5, 2)


def test_dense_stack_runs_to_the_same_output_or_is_refused():
    network, x = MLP(hidden=(6, 5), activation="gelu", output="tanh").build(FOUR, 2), torch.randn(3, 4)
    stack, y = network.dense_stack(), x
    assert [type(layer.activation) for layer in stack.layers] == [nn.GELU, nn.GELU, nn.Tanh] and stack.input is None
    for layer in stack.layers:
        y = layer.activation(layer.linear(y))
    assert torch.equal(y, network(x))
    assert [layer.dropout is None for layer in MLP(dropout=0.1).build(FOUR, 2).dense_stack().layers][1:] == [
        False,
        True,
    ]
    for other in (MLP(norm="batch"), MLP(residual=True), MLP(activation="prelu")):
        assert other.build(FOUR, 2).dense_stack() is None
    behind = MLP().build(MIXED, 2)
    assert behind.dense_stack().input is behind.input and behind.input is not None
    handle = network.blocks[0].register_forward_hook(lambda *_: None)
    assert network.dense_stack() is None
    handle.remove()
    assert network.dense_stack() is not None
    network.blocks[0].linear = nn.Sequential(network.blocks[0].linear)
    assert network.dense_stack() is None


def test_same_seed_same_bits():
    spec = MLP(hidden=(5,), residual=True, numeric_embedding="periodic", init="orthogonal")
    states = []
    for seed in (0, 0, 1):
        with seeded(seed):
            states.append(spec.build(MIXED, 2).state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert not torch.equal(states[0]["output.weight"], states[2]["output.weight"])
    a, b = (MLPNetwork(3, 1, (4,), generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_a_population_runs_as_one_batched_network():
    spec = MLP(hidden=(5, 4), norm="layer", numeric_embedding="piecewise_linear")
    members = [spec.build(MIXED, 2) for _ in range(3)]
    x = torch.tensor([[0.3, 2.0, 1.0], [-0.4, 0.0, 0.0]])
    params, buffers = stack_module_state(members)
    out = vmap(lambda p, b: functional_call(members[0], (p, b), (x,)))(params, buffers)
    torch.testing.assert_close(out, torch.stack([member(x) for member in members]))


def test_lsuv_waits_for_data():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) * 5
    network = MLP(hidden=(32, 32), init="lsuv").build(FOUR, 2)
    network.initialise_from(x)
    assert network(x).var(correction=0).item() == pytest.approx(1, abs=0.021)
    other = MLP(hidden=(32, 32)).build(FOUR, 2)
    before = other.output.weight.clone()
    other.initialise_from(x)
    assert torch.equal(other.output.weight, before)


def test_settings_are_a_scikit_learn_citizen():
    spec = MLP(hidden=(8,), activation=Part("elu", alpha=0.5), dropout=0.1)
    assert repr(spec) == "MLP(activation=Part('elu', alpha=0.5), dropout=0.1, hidden=(8,))"
    copy = clone(spec).set_params(dropout=0.3)
    assert copy.get_params() == {**spec.get_params(), "dropout": 0.3} and spec.dropout == 0.1
    with pytest.raises(ValueError, match="dropoutt"):
        spec.set_params(dropoutt=0.1)
    assert copy.build(FOUR, 1).blocks[0].dropout.p == 0.3


def test_settings_travel_as_json():
    spec = MLP(hidden=[8, 4], activation=Part("elu", alpha=0.5), norm="rms", embedding_dim=3)
    again = spec_from_dict(json.loads(json.dumps(spec.to_dict())))
    assert isinstance(again, MLP) and again.get_params() == {**spec.get_params(), "hidden": (8, 4)}
    assert isinstance(spec_from_dict(Linear(bias=False).to_dict()), Linear)
    with pytest.raises(InputError, match="did you mean 'dropout'"):
        spec_from_dict({"family": "mlp", "droput": 0.1})
    with pytest.raises(InputError, match="did you mean 'mlp'"):
        spec_from_dict({"family": "mlpp"})


def test_all_problems_are_said_at_once():
    spec = MLP(
        hidden=(8, 0), activation="rleu", init="he_norml", norm="bach", dropout=1.0, residual=1, bias="no",
        numeric_embedding="plrr", embedding_dim=0, output="softmax",
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        spec.build(Layout((0,)), 0)
    message = str(caught.value)
    assert "12 problems" in message and "\n" not in message
    for part in ("hidden=(8, 0)", "did you mean 'relu'", "did you mean 'he_normal'", "'batch'", "dropout=1.0",
                 "residual=1", "bias='no'", "numeric_embedding", "embedding_dim=0", "output='softmax'",
                 "at least one value", "out_features=0"):  # fmt: skip
        assert part in message


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"hidden": 64}, r"hidden=64 · give e\.g\. \(256, 256\)"),
        ({"hidden": (8.5,)}, "hidden"),
        ({"hidden": (True,)}, "hidden"),
        ({"dropout": float("nan")}, "dropout=nan"),
        ({"dropout": "0.1"}, "dropout='0.1'"),
        ({"activation": nn.ReLU()}, r"a name or a glia\.nn\.Part"),
        ({"norm": Part("group", group=2)}, "did you mean 'groups'"),
    ],
)
def test_one_problem_is_said_plainly(settings, match):
    with pytest.raises(InputError, match=match):
        MLP(**settings).build(FOUR, 1)


def test_numbers_of_numpy_are_numbers():
    spec = MLP(hidden=(np.int64(3),), dropout=np.float32(0.5), embedding_dim=np.int64(2))
    assert spec.build(MIXED, 1).blocks[0].dropout.p == 0.5


def test_block_leaves_out_what_is_off():
    block = DenseBlock(2, 3)
    assert [name for name, _ in block.stages()] == ["linear", "activation"]
    assert len(list(block.children())) == 2
