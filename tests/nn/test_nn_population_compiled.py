"""The compiled pass over a population: against the one of torch's operations, and against differences of its own."""

import pytest
import torch

from glia.core.hardware import threads
from glia.core.layout import Layout
from glia.nn import MLP, dense_kernel
from glia.nn.population import stack
from glia.nn.population.compiled_pass import CompiledPass, suits_compiled
from glia.nn.population.dense_pass import StackedPass, stacked_dense
from glia.nn.population.linear import SplitRows

pytestmark = pytest.mark.skipif(
    not dense_kernel._kernels(), reason="needs a C++ compiler and an AMD processor with AVX-512"
)
CASES = [  # inputs, of which shared, hidden, outputs, activation, rows
    (20, 20, (64, 64), 2, "relu", 64),
    (37, 20, (50, 33, 17), 3, "silu", 32),
    (5, 0, (7,), 1, "silu", 16),
    (100, 100, (70,), 1, "relu", 48),
    (9, 4, (), 2, "relu", 80),
    (130, 1, (19, 130), 1, "identity", 144),
]


def population(inputs, hidden, outputs, activation, members=5, **options):
    torch.manual_seed(0)
    networks = [
        MLP(hidden, activation=activation, **options).build(Layout((inputs,)), outputs).train() for _ in range(members)
    ]
    network = stack(networks).stacks[0].network
    return network, stacked_dense(network).layers


def rows_of(inputs, shared, rows, members=5):
    x = torch.randn(rows, shared) if shared else None
    own = torch.randn(members, rows, inputs - shared) if inputs > shared else None
    return SplitRows(x, own) if shared and own is not None else x if own is None else own


def passed(way, network, layers, x, shared, seed=0, training=True):
    gradients = {id(p): torch.full_like(p, torch.nan) for p in network.parameters()}
    rows = (x.own if isinstance(x, SplitRows) else x).shape[-2]
    with torch.no_grad():
        work = way(layers, rows, shared, gradients, training=training)
        torch.manual_seed(seed)
        output = work.forward(x).clone()
        torch.manual_seed(1)
        work.output_gradient.copy_(torch.randn(output.shape))
        below = work.backward(x, input_gradient=not isinstance(x, torch.Tensor) or x.ndim == 3)
    return [output, *gradients.values(), *([] if below is None else [below])]


@pytest.mark.parametrize("count", [1, 2, 6, 12])
@pytest.mark.parametrize(("inputs", "shared", "hidden", "outputs", "activation", "rows"), CASES)
def test_values_and_gradients_are_those_of_torchs_operations(inputs, shared, hidden, outputs, activation, rows, count):
    network, layers = population(inputs, hidden, outputs, activation)
    x = rows_of(inputs, shared, rows)
    with threads(count):
        assert suits_compiled(layers, rows)
        usual, found = (passed(way, network, layers, x, shared) for way in (StackedPass, CompiledPass))
    for one, other in zip(usual, found, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=2e-6 * float(one.abs().max()))


def test_a_bias_may_be_missing_and_parameters_may_be_frozen():
    network, layers = population(6, (20, 20), 1, "relu")
    layers[1].linear.bias = None
    x, kept = torch.randn(32, 6), layers[0].linear.weight
    results = []
    for way in (StackedPass, CompiledPass):
        gradients = {id(p): torch.zeros_like(p) for p in network.parameters() if p is not kept}
        with torch.no_grad():
            work = way(layers, 32, 6, gradients, training=True)
            work.forward(x)
            work.output_gradient.fill_(1.0)
            work.backward(x)
        results.append([*gradients.values(), work.output])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("activation", ["relu", "silu", "identity"])
@pytest.mark.parametrize("dropout", [0.3, 0.0])
def test_gradients_are_the_differences_of_what_went_forward(activation, dropout):
    network, layers = population(6, (40, 30), 2, activation, dropout=dropout)
    x, step = rows_of(6, 4, 32), 1e-4 if activation == "relu" else 1e-3  # kinks are passed by long steps
    gradients = passed(CompiledPass, network, layers, x, 4)
    parameters = list(network.parameters())
    torch.manual_seed(1)
    weights = torch.randn(gradients[0].shape)
    torch.manual_seed(2)
    for p, gradient in zip(parameters, gradients[1:], strict=False):
        direction, ends = torch.randn_like(p), []
        for sign in (1, -1):
            with torch.no_grad():
                p.add_(direction, alpha=sign * step)
                ends.append((passed(CompiledPass, network, layers, x, 4)[0].double() * weights).sum())
                p.sub_(direction, alpha=sign * step)
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float(slope) == pytest.approx(
            float((gradient * direction).sum()), rel=0.02, abs=0.02 * float(gradient.norm())
        )


def test_dropout_keeps_its_share_and_the_mean():
    _, layers = population(4, (64,), 1, "identity", members=6, dropout=0.25)
    with torch.no_grad():
        layers[0].linear.weight.zero_()
        layers[0].linear.bias.fill_(3.0)
    work = CompiledPass(layers, 512, 4, {}, training=True)
    hidden = next(part for part in work._kernel._held if part.shape == (6, 64, 512))
    masks = []
    for _ in range(4):
        work.forward(torch.zeros(512, 4))
        assert set(hidden.unique().tolist()) == {0.0, 4.0}  # 3 / (1 - 1/4)
        masks.append(hidden > 0)
    kept = torch.stack(masks).float()
    assert (kept.mean((2, 3)) - 0.75).abs().max() < 0.01  # five standard errors of 32,768 draws: 0.012
    flat = kept.flatten(2).flatten(0, 1)  # 24 streams, which know nothing of each other
    assert (torch.corrcoef(flat) - torch.eye(len(flat))).abs().max() < 5 / 32768**0.5
    neighbours = kept[..., 1:] * kept[..., :-1]
    assert (neighbours.mean() - 0.75**2).abs() < 0.003


def test_dropout_repeats_with_the_seed_and_for_any_number_of_threads():
    network, layers = population(6, (40, 30), 2, "silu", dropout=0.3)
    x, found = torch.randn(64, 6), []
    for count, seed in ((1, 0), (2, 0), (1, 1), (7, 0)):
        with threads(count):
            found.append(passed(CompiledPass, network, layers, x, 6, seed))
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found[0], found[3], strict=True))  # rows in parts
    assert not torch.equal(found[0][0], found[2][0])
    quiet = passed(CompiledPass, network, layers, x, 6, training=False)
    assert torch.equal(quiet[0], passed(CompiledPass, network, layers, x, 6, seed=5, training=False)[0])


def test_members_may_drop_different_shares():
    members = [MLP((64,), activation="relu", dropout=p).build(Layout((3,)), 1).train() for p in (0.2, 0.5)]
    layers = stacked_dense(stack(members, form="batched").stacks[0].network).layers
    with torch.no_grad():
        layers[0].linear.weight.zero_()
        layers[0].linear.bias.fill_(1.0)
    work = CompiledPass(layers, 256, 3, {}, training=True)
    work.forward(torch.zeros(256, 3))
    hidden = next(part for part in work._kernel._held if part.shape == (2, 64, 256))
    assert [sorted(set(one.unique().tolist())) for one in hidden] == [[0.0, 1.25], [0.0, 2.0]]
    assert (hidden.mean((1, 2)) - 1.0).abs().max() < 0.05


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_a_member_that_is_no_number_shows_it_and_harms_no_other(activation):
    network, layers = population(6, (20, 20), 1, activation)
    with torch.no_grad():
        layers[0].linear.weight[2, 0, 0] = torch.nan
    found = passed(CompiledPass, network, layers, torch.randn(32, 6), 6)
    for part in found:
        assert part[[0, 1, 3, 4]].isfinite().all()
    assert found[0][2].isnan().any() and any(part[2].isnan().any() for part in found[1:])


def test_rows_of_another_kind_are_refused_before_memory_is_touched():
    _, layers = population(6, (20,), 1, "relu")
    work = CompiledPass(layers, 32, 6, {}, training=True)
    for x in (torch.randn(32, 5), torch.randn(31, 6), torch.randn(32, 6).double(), rows_of(6, 4, 32)):
        with pytest.raises(ValueError, match="rows must be contiguous float32 of the shapes"):
            work.forward(x)
    assert work.forward(torch.randn(32, 6)).shape == (5, 1, 32)


def test_what_stays_with_torchs_operations(monkeypatch):
    _, layers = population(6, (20,), 1, "relu")
    assert suits_compiled(layers, 64) and not suits_compiled(layers, 65)
    assert not suits_compiled(population(6, (20,), 1, "gelu")[1], 64)
    assert not suits_compiled(population(6, (900,), 1, "relu")[1], 64)
    monkeypatch.setattr(dense_kernel, "_kernels", dict)
    assert not suits_compiled(layers, 64)
