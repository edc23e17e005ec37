"""The gradient without autograd equals autograd's, for every loss, weight, stage and batch; or it is refused."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from glia.core.layout import Feature, Layout
from glia.engine.accelerate import accelerated
from glia.engine.fused import fused_gradient
from glia.engine.gradients import Autograd
from glia.engine.loop import Trainer
from glia.engine.loss_gradients import loss_gradient
from glia.engine.optimizers import make_optimizer
from glia.engine.rows import Rows
from glia.nn import MLP, MLPNetwork
from glia.nn.dense_stack import first_trained_column
from glia.objectives.classification_losses import BinaryCrossEntropy, CrossEntropy, Focal, KLDivergence
from glia.objectives.regression_losses import MSE, Huber, Quantile

CLASSES = 5


def targets(kind, rows):
    return {
        "class": lambda: torch.randint(CLASSES, (rows,)),
        "share": lambda: torch.rand(rows, CLASSES).softmax(dim=1),
        "yes": lambda: torch.randint(2, (rows,)).float(),
        "label": lambda: torch.randint(2, (rows, 3)).float(),
        "value": lambda: torch.randn(rows, 2),
        "one": lambda: torch.randn(rows, 1),
    }[kind]()


LOSSES = [
    (CrossEntropy(), CLASSES, "class"),
    (CrossEntropy(label_smoothing=0.2), CLASSES, "class"),
    (CrossEntropy(), CLASSES, "share"),
    (KLDivergence(), CLASSES, "class"),
    (BinaryCrossEntropy(), 1, "yes"),
    (BinaryCrossEntropy(label_smoothing=0.1), 1, "yes"),
    (BinaryCrossEntropy(), 3, "label"),
    (Focal(), 1, "yes"),
    (MSE(), 2, "value"),
    (MSE(), 1, "one"),
    (Huber(), 2, "value"),
    (Quantile(levels=(0.1, 0.9)), 4, "value"),
]


def compare(network, loss, x, y, weight, fused=None):
    """Return the fused gradient after comparing loss and all gradients with autograd's."""
    fused = fused or fused_gradient(network, loss)
    expected_loss = Autograd(network, loss)(x, y, weight)
    expected = [p.grad for p in network.parameters()]
    found = fused(x, y, weight)
    assert found.shape == () and not found.requires_grad
    torch.testing.assert_close(found.clone(), expected_loss, rtol=2e-6, atol=2e-6)
    for p, gradient in zip(network.parameters(), expected, strict=True):
        if gradient is None:
            assert p.grad is None
        else:
            torch.testing.assert_close(p.grad, gradient, rtol=1e-4, atol=1e-6)
    return fused


@pytest.mark.parametrize(("loss", "outputs", "kind"), LOSSES, ids=[f"{loss[0]!r}-{loss[2]}" for loss in LOSSES])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_loss_equals_autograd_on_batches_of_several_sizes(loss, outputs, kind, weighted):
    torch.manual_seed(0)
    network, fused = MLPNetwork(6, outputs, (8, 7), activation="silu"), None
    for rows in (16, 5, 16, 1, 16):
        weight = torch.rand(rows) * 2 if weighted else None
        fused = compare(network, loss, torch.randn(rows, 6), targets(kind, rows), weight, fused)


@pytest.mark.parametrize("seed", range(10))
def test_random_networks_equal_autograd(seed):
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    pick = lambda options: options[int(torch.randint(len(options), (), generator=g))]  # noqa: E731
    loss, outputs, kind = pick(LOSSES)
    hidden = tuple(pick([1, 3, 20, 130]) for _ in range(pick([0, 1, 2, 4])))
    network = MLPNetwork(
        pick([1, 9, 40]), outputs, hidden, bias=pick([True, False]), output=pick(["linear", "tanh"]),
        activation=pick(["relu", "gelu", "tanh", "selu", "mish", "hard_swish", "softplus"]),
    )  # fmt: skip
    rows = pick([2, 33, 128])
    compare(network, loss, torch.randn(rows, network.in_features), targets(kind, rows), pick([None, torch.rand(rows)]))


def table(dims=3):
    bins = (-1.0, -0.2, 0.1, 1.5)
    features = [Feature(f"n{i}", "n", bins=bins) for i in range(dims)]
    features.append(Feature("c", "c", "code", cardinality=4))
    return Layout((dims + 1,), tuple(features))


@pytest.mark.parametrize("numeric", ["none", "piecewise_linear", "periodic"])
def test_an_input_stage_gets_its_gradient_too(numeric):
    torch.manual_seed(0)
    network = MLP(hidden=(8,), activation="silu", numeric_embedding=numeric).build(table(), 1)
    x = torch.cat([torch.randn(12, 3), torch.randint(4, (12, 1)).float()], dim=1)
    assert sum(p.numel() for p in network.input.parameters()) > 0
    fused = compare(network, BinaryCrossEntropy(), x, targets("yes", 12), None)
    compare(network, BinaryCrossEntropy(), x, targets("yes", 12), torch.rand(12), fused)
    assert first_trained_column(network.input) == {"none": 3, "piecewise_linear": 9, "periodic": 0}[numeric]
    for p in network.input.parameters():
        p.requires_grad_(False)
    assert not fused.holds()
    compare(network, BinaryCrossEntropy(), x, targets("yes", 12), None)


def test_images_are_flattened_and_further_axes_are_left_to_autograd():
    torch.manual_seed(0)
    network = MLP(hidden=(8,)).build(Layout((2, 3, 3)), CLASSES)
    compare(network, CrossEntropy(), torch.randn(6, 2, 3, 3), targets("class", 6), None)
    per_step = MLPNetwork(3, 1, (4,))
    compare(per_step, lambda o, y: (o[..., 0] - y).square().mean(dim=1), torch.randn(6, 5, 3), torch.randn(6, 5), None)


def test_frozen_layers_have_no_gradient():
    torch.manual_seed(0)
    network, x, y = MLPNetwork(4, 1, (6, 5)), torch.randn(8, 4), targets("yes", 8)
    fused = compare(network, BinaryCrossEntropy(), x, y, None)
    network.blocks[0].linear.requires_grad_(False)
    network.output.bias.requires_grad_(False)
    assert not fused.holds()
    compare(network, BinaryCrossEntropy(), x, y, None)
    network.requires_grad_(False)
    assert fused_gradient(network, BinaryCrossEntropy()) is None


@pytest.mark.parametrize("logit", [-200.0, -30.0, -1.0, 0.0, 1.0, 30.0, 200.0])
def test_closed_forms_are_exact_at_extreme_outputs(logit):
    for loss, target in (
        (BinaryCrossEntropy(), torch.tensor([0.0, 1.0])), (CrossEntropy(), torch.tensor([0, 2])),
        (MSE(), torch.tensor([[0.0], [1.0]])),
    ):  # fmt: skip
        columns = 3 if isinstance(loss, CrossEntropy) else 1
        output = torch.tensor([logit, 0.5, -0.25])[:columns].repeat(2, 1)
        gradient = torch.empty_like(output)
        value = loss_gradient(loss, output, gradient, target)(target, None)
        leaf = output.double().requires_grad_()
        exact = loss(leaf, target.double() if target.is_floating_point() else target).mean()
        exact.backward()
        torch.testing.assert_close(value.double(), exact.detach(), rtol=1e-6, atol=1e-5)
        torch.testing.assert_close(gradient.double(), leaf.grad, rtol=1e-5, atol=1e-7)


def test_a_class_that_does_not_exist_is_an_error():
    network = MLPNetwork(3, CLASSES, (4,))
    fused = fused_gradient(network, CrossEntropy())
    for wrong in (CLASSES, -1, -100):
        with pytest.raises((RuntimeError, IndexError), match="out of"):
            fused(torch.randn(2, 3), torch.tensor([0, wrong]), None)


def test_gradients_are_where_everything_else_looks_for_them():
    torch.manual_seed(0)
    network, x, y = MLPNetwork(3, 1, (4,)), torch.randn(8, 3), targets("yes", 8)
    fused = fused_gradient(network, BinaryCrossEntropy())
    fused(x, y, None)
    before = [p.grad.clone() for p in network.parameters()]
    norm = nn.utils.clip_grad_norm_(network.parameters(), 1e-3)
    assert norm > 1e-3 and nn.utils.get_total_norm([p.grad for p in network.parameters()]) < 1.01e-3
    network.zero_grad(set_to_none=True)
    fused(x, y, None)
    assert all(torch.equal(p.grad, g) for p, g in zip(network.parameters(), before, strict=True))
    network.zero_grad(set_to_none=False)
    fused(x, y, None)
    assert all(torch.equal(p.grad, g) for p, g in zip(network.parameters(), before, strict=True))
    (network(x).sum() + network.output.bias.grad.sum()).backward()  # gradients may take part in autograd


def test_parameters_may_be_loaded_and_moved_between_calls():
    torch.manual_seed(0)
    network, other = MLPNetwork(3, 1, (4,), activation="tanh"), MLPNetwork(3, 1, (4,), activation="tanh")
    x, y = torch.randn(8, 3), targets("yes", 8)
    fused = compare(network, BinaryCrossEntropy(), x, y, None)
    network.load_state_dict(other.state_dict())
    compare(network, BinaryCrossEntropy(), x, y, None, fused)
    for p in network.parameters():
        p.data = torch.randn_like(p)  # other memory
    assert fused.holds()
    compare(network, BinaryCrossEntropy(), x, y, None, fused)


def test_what_changes_the_network_is_noticed():
    def build():
        return MLPNetwork(3, 1, (4, 4), dropout=0.2)

    def hook(network):
        network.blocks[0].register_forward_hook(lambda *_: None)

    def replace(network):
        network.blocks[1].activation = nn.Tanh()

    def weight(network):
        network.output.weight = nn.Parameter(torch.zeros(1, 4))

    def rate(network):
        network.blocks[0].dropout.p = 0.5

    def still(network):
        network.blocks[0].dropout.eval()

    def pruned(network):
        prune.l1_unstructured(network.output, "weight", 2)

    def freeze(network):
        network.output.bias.requires_grad_(False)

    for change in (hook, replace, weight, rate, still, pruned, freeze):
        network = build()
        fused = fused_gradient(network, MSE())
        assert fused.holds()
        network.eval()
        assert fused.holds()  # dropout is then off, as it should be
        network.train()
        change(network)
        assert not fused.holds(), change.__name__


def test_whatever_it_cannot_do_is_refused():
    class Own(MLPNetwork):
        pass

    loss = MSE()
    for network in (
        Own(3, 1, (4,)), MLPNetwork(3, 1, (4,), norm="batch"), MLPNetwork(3, 1, (4,), residual=True),
        MLPNetwork(3, 1, (4,), activation="prelu"), MLPNetwork(3, 1, (4,)).double(), nn.LSTM(3, 4), nn.Linear(3, 1),
        nn.Sequential(nn.Conv1d(1, 1, 1)),
    ):  # fmt: skip
        assert fused_gradient(network, loss) is None
    network = MLPNetwork(3, 1, (4,), dropout=0.1)
    network.blocks[0].dropout.eval()
    assert fused_gradient(network, loss) is None
    network.train()
    fused = fused_gradient(network, loss)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fused_gradient(network, loss) is None and not fused.holds()
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        assert fused_gradient(network, loss) is None
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert fused_gradient(network, loss) is None and not fused.holds()
    finally:
        handle.remove()
    assert fused.holds()


@pytest.mark.parametrize("rule", ["adamw", "sgd", "nesterov", "lion"])
def test_a_fit_ends_with_the_weights_of_autograd(rule):
    x, weight = torch.randn(100, 4, generator=torch.Generator().manual_seed(1)), torch.linspace(0.5, 1.5, 100)
    y, ends = (x[:, 0] > 0).float(), []
    for way in (fused_gradient, Autograd):
        torch.manual_seed(0)
        network = MLPNetwork(4, 1, (8, 8), activation="silu")
        loss = BinaryCrossEntropy()
        trainer = Trainer(network, loss, make_optimizer(rule, network), epochs=3, batch_size=32)
        trainer.gradient = way(network, loss)
        history = trainer.fit(Rows(x, y, weight))
        ends.append(([p.detach() for p in network.parameters()], history[-1]["train/loss"]))
    for a, b in zip(ends[0][0], ends[1][0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-4)


def test_dropout_learns_as_with_autograd():
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
    y, losses = (x[:, 0] * x[:, 1] > 0).float(), []
    for way in (fused_gradient, Autograd):
        torch.manual_seed(0)
        network, loss = MLPNetwork(4, 1, (32, 32), dropout=0.3), BinaryCrossEntropy()
        trainer = Trainer(network, loss, make_optimizer("adam", network, 0.01), epochs=25, batch_size=64)
        trainer.gradient = way(network, loss)
        losses.append(trainer.fit(Rows(x, y))[-1]["train/loss"])
    assert losses[0] < 0.4 and abs(losses[0] - losses[1]) < 0.08


class OwnDropout(nn.Dropout):
    """What a user may have made of it."""


@pytest.mark.parametrize(("kind", "fused"), [(nn.Dropout, True), (OwnDropout, False)])
def test_dropout_is_fused_while_a_training_has_it_in_a_faster_class(kind, fused):
    network = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), kind(0.3), nn.Linear(8, 1)).train()
    with accelerated(network):
        assert (fused_gradient(network, MSE()) is not None) is fused
