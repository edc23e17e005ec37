"""Faults are planted in known places, and must be found there, with nothing left behind."""

import copy
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from glia.core.errors import TrainingError
from glia.engine.nonfinite import locate_nonfinite


class Log(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.log()


class RootOfZero(nn.Module):
    """Finite forward, infinite slope: d√u/du at u = 0."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.detach()).abs().sqrt() + x


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class Functional(nn.Module):
    """The fault stands in the forward itself, between two sound layers."""

    def __init__(self, fault: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.fault = nn.Linear(4, 4), nn.Linear(4, 4), fault

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.b(self.fault(self.a(x)))
        return out


def net(middle: nn.Module) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = nn.Sequential(OrderedDict(linear=nn.Linear(6, 6), act=nn.ReLU(inplace=True), middle=middle))
        return nn.Sequential(
            OrderedDict(
                stem=nn.Linear(4, 6), norm=nn.BatchNorm1d(6), drop=nn.Dropout(0.3), block=block, head=nn.Linear(6, 1)
            )
        )


X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)


def loss(output: Tensor, y: Tensor) -> Tensor:
    return (output - y).square().mean(1)


def test_a_sound_network_has_none() -> None:
    found = locate_nonfinite(net(nn.Identity()), X, loss, Y)
    assert not found.found
    assert found.stage == "none"
    assert "every value is finite" in str(found)


def test_log_of_a_negative_names_its_layer() -> None:
    found = locate_nonfinite(net(Log()), X - 3, loss, Y)
    assert (found.stage, found.layer, found.layer_type) == ("output", "block.middle", "Log")
    assert found.kind in ("nan", "-inf")
    assert 0 < found.count <= found.size == 16 * 6


def test_overflow_names_the_layer_where_it_begins() -> None:
    network = net(nn.Identity())
    with torch.no_grad():
        network.block.linear.weight.fill_(1e38)
    found = locate_nonfinite(network, X * 100, loss, Y)
    assert (found.stage, found.layer) == ("output", "block.linear")
    assert found.message(3, "nan") == (
        f"the loss must stay finite · got nan at epoch 3, first in layer 'block.linear' (Linear, output {found.kind} "
        f"in {found.count} of 96 values) · lower the learning rate (lr) or clip gradients (clip_norm), "
        "or guard that layer against log(0) and x/0"
    )
    assert isinstance(found.error(3), TrainingError)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_inputs_targets_parameters_and_buffers(value: float) -> None:
    x, y = X.clone(), Y.clone()
    x[3, 2] = value
    found = locate_nonfinite(net(nn.Identity()), x, loss, Y)
    assert (found.stage, found.kind, found.count, found.size) == ("input", str(value), 1, 64)
    y[5] = value
    assert locate_nonfinite(net(nn.Identity()), X, loss, y).stage == "target"
    network = net(nn.Identity())
    with torch.no_grad():
        network.block.linear.weight[0, 0] = value
    found = locate_nonfinite(network, X, loss, Y)
    assert (found.stage, found.layer) == ("parameter", "block.linear.weight")
    network = net(nn.Identity())
    network.norm.running_var[1] = value
    found = locate_nonfinite(network, X, loss, Y)
    assert (found.stage, found.layer) == ("buffer", "norm.running_var")


def test_a_fault_in_the_forward_itself_names_the_layer_that_holds_it() -> None:
    network = nn.Sequential(OrderedDict(pre=nn.Linear(4, 4), mix=Functional(lambda h: h / 0), post=nn.Linear(4, 1)))
    found = locate_nonfinite(network, X, loss, Y)
    assert (found.stage, found.layer) == ("output", "mix")
    root = Functional(lambda h: (h - h.detach()).abs().sqrt())
    found = locate_nonfinite(root, X, lambda o, y: o.square().mean(1), Y)
    assert (found.stage, found.layer) == ("gradient", "")
    assert "the network's own forward" in str(found)


def test_the_loss_itself() -> None:
    found = locate_nonfinite(net(nn.Identity()), X, lambda o, y: (o - o).log(), Y)
    assert (found.stage, found.kind) == ("loss", "-inf")
    found = locate_nonfinite(net(nn.Identity()), X, lambda o, y: (o - o.detach()).abs().sqrt(), Y)
    assert (found.stage, found.layer) == ("gradient", "loss")


def test_backward_faults_name_the_layer_with_the_infinite_slope() -> None:
    found = locate_nonfinite(net(RootOfZero()), X, loss, Y)
    assert (found.stage, found.layer, found.layer_type) == ("gradient", "block.middle", "RootOfZero")
    assert locate_nonfinite(net(RootOfZero()), X).stage == "none"  # the control: its forward is sound


def test_a_skip_connection_does_not_hide_the_culprit() -> None:
    network = net(Residual(nn.Sequential(OrderedDict(a=nn.Linear(6, 6), root=RootOfZero(), b=nn.Linear(6, 6)))))
    found = locate_nonfinite(network, X, loss, Y)
    assert (found.stage, found.layer) == ("gradient", "block.middle.inner.root")


def test_of_two_backward_faults_the_one_met_first_is_named() -> None:
    network = nn.Sequential(nn.Linear(4, 4), RootOfZero(), nn.Linear(4, 4), RootOfZero(), nn.Linear(4, 1))
    assert locate_nonfinite(network, X, loss, Y).layer == "3"


def test_several_inputs_and_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(4, 2), nn.Sequential(nn.Linear(4, 2), Log())

        def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
            return {"left": self.left(a), "right": self.right(b)}

    for x in ((X, X), {"a": X, "b": X}):
        assert locate_nonfinite(Two(), x, lambda o, y: o["left"], None).layer == "right.1"


class Boom(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("boom")


@pytest.mark.parametrize("middle", [nn.Identity(), Log(), RootOfZero(), Boom()], ids=lambda m: type(m).__name__)
def test_everything_is_left_as_it_was(middle: nn.Module) -> None:
    network = net(middle)
    network.train()
    network.norm.eval()
    network.norm.track_running_stats = True
    network.norm.train()
    network.drop.eval()
    modes = {name: module.training for name, module in network.named_modules()}
    for p in network.parameters():
        p.grad = torch.full_like(p, 0.25)
    state = copy.deepcopy(network.state_dict())
    random = torch.get_rng_state()
    if isinstance(middle, Boom):
        with pytest.raises(RuntimeError, match="boom"):
            locate_nonfinite(network, X, loss, Y)
    else:
        locate_nonfinite(network, X, loss, Y)
    assert {name: module.training for name, module in network.named_modules()} == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(bool((p.grad == 0.25).all()) for p in network.parameters())  # type: ignore[union-attr]
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_works_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        assert locate_nonfinite(net(RootOfZero()), X, loss, Y).layer == "block.middle"
        assert not torch.is_grad_enabled()
