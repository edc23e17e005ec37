"""Every optimizer against torch's own trajectory, formulas written out in NumPy, and what the field claims of them."""

import copy
import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError, TrainingError
from glia.engine.optimizers import (
    ScheduleFree,
    default_lr,
    evaluation_point,
    make_optimizer,
    optimizers,
    parameter_groups,
)

NAMES = (
    "adadelta",
    "adagrad",
    "adam",
    "adamw",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nesterov",
    "rmsprop",
    "schedule_free",
    "sgd",
)


def network(seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(4, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)
        ).to(dtype)


def advance(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int, first: int = 0) -> None:
    """Take steps on batches that depend on the step's number alone."""
    dtype = next(net.parameters()).dtype
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(16, 4, generator=generator, dtype=dtype)
        net.zero_grad(set_to_none=True)
        (net(x) - x[:, :2] * x[:, 2:]).square().mean().backward()
        optimizer.step()


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in net.parameters()]


def same_bits(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_the_names_are_the_fields() -> None:
    assert optimizers.names() == NAMES
    assert all(line.endswith(".") for line in optimizers.describe().values())


TORCH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, **k: torch.optim.SGD(p, lr=0.1, **k),
    "momentum": lambda p, **k: torch.optim.SGD(p, lr=0.02, momentum=0.9, **k),
    "nesterov": lambda p, **k: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True, **k),
    "adagrad": lambda p, **k: torch.optim.Adagrad(p, lr=0.05, **k),
    "adadelta": lambda p, **k: torch.optim.Adadelta(p, lr=1.0, **k),
    "rmsprop": lambda p, **k: torch.optim.RMSprop(p, lr=1e-3, **k),
    "adam": lambda p, **k: torch.optim.Adam(p, lr=1e-3, **k),
    "adamw": lambda p, **k: torch.optim.AdamW(p, lr=1e-3, **k),
    "nadam": lambda p, **k: torch.optim.NAdam(p, lr=2e-3, **k),
}
FUSED = {"sgd", "momentum", "nesterov", "adagrad", "adam", "adamw"}


@pytest.mark.parametrize("name", sorted(TORCH))
def test_torchs_own_give_torchs_bits(name: str) -> None:
    ours, theirs = network(), network()
    optimizer = make_optimizer(name, list(ours.parameters()), weight_decay=0.01)
    flags = {"fused": True} if name in FUSED else {"foreach": True}
    advance(ours, optimizer, 20)
    advance(theirs, TORCH[name](theirs.parameters(), weight_decay=0.01, **flags), 20)
    assert same_bits(ours, theirs)


@pytest.mark.parametrize("name", sorted(TORCH))
def test_fast_kernels_agree_with_torchs_plain_loop(name: str) -> None:
    ours, theirs = network(dtype=torch.float64), network(dtype=torch.float64)
    advance(ours, make_optimizer(name, list(ours.parameters()), weight_decay=0.01), 20)
    advance(theirs, TORCH[name](theirs.parameters(), weight_decay=0.01, foreach=False), 20)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


# Formulas, written out for one vector θ; each yields the point at which the network would be used.
CURVATURE = np.array([1.0, 7.0, 0.3, 2.0])
TARGET = np.array([0.5, -1.0, 2.0, 0.0])
DECAY = 0.1


def gradient(theta: np.ndarray, step: int) -> np.ndarray:
    return CURVATURE * (theta - TARGET) + 0.2 * np.sin(np.arange(4) + step)


def by_hand(name: str, steps: int) -> np.ndarray:
    θ = np.array([1.0, -2.0, 0.7, 3.0])
    zeros = np.zeros(4)
    m, v, s, x, z = zeros.copy(), zeros.copy(), zeros.copy(), θ.copy(), θ.copy()
    total, lr = 0.0, default_lr(name)
    product = 1.0
    for t in range(1, steps + 1):
        at = 0.1 * z + 0.9 * x if name == "schedule_free" else θ
        g = gradient(at, t)
        d = g + DECAY * θ
        if name == "sgd":
            θ = θ - lr * d
        elif name == "momentum":
            v = 0.9 * v + d
            θ = θ - lr * v
        elif name == "nesterov":
            v = 0.9 * v + d
            θ = θ - lr * (d + 0.9 * v)
        elif name == "adagrad":
            s = s + d**2
            θ = θ - lr * d / (np.sqrt(s) + 1e-10)
        elif name == "rmsprop":
            s = 0.99 * s + 0.01 * d**2
            θ = θ - lr * d / (np.sqrt(s) + 1e-8)
        elif name == "adadelta":
            s = 0.9 * s + 0.1 * d**2
            Δ = np.sqrt(v + 1e-6) / np.sqrt(s + 1e-6) * d
            v = 0.9 * v + 0.1 * Δ**2
            θ = θ - lr * Δ
        elif name in ("adam", "adamw"):
            used = d if name == "adam" else g
            θ = θ if name == "adam" else θ * (1 - lr * DECAY)
            m, v = 0.9 * m + 0.1 * used, 0.999 * v + 0.001 * used**2
            θ = θ - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        elif name == "nadam":
            now, then = (0.9 * (1 - 0.5 * 0.96 ** (k * 4e-3)) for k in (t, t + 1))
            product *= now
            m, v = 0.9 * m + 0.1 * d, 0.999 * v + 0.001 * d**2
            blend = (1 - now) * d / (1 - product) + then * m / (1 - product * then)
            θ = θ - lr * blend / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        elif name == "lion":
            sign = np.sign(0.9 * m + 0.1 * g)
            θ = θ - lr * (sign + DECAY * θ)
            m = 0.99 * m + 0.01 * g
        elif name == "schedule_free":
            rate = lr * math.sqrt(1 - 0.999**t)
            v = 0.999 * v + 0.001 * g**2
            z = z - rate * g / (np.sqrt(v) + 1e-8) - rate * DECAY * at
            total += rate**2
            x = (1 - rate**2 / total) * x + rate**2 / total * z
    return x if name == "schedule_free" else θ


@pytest.mark.parametrize("name", [name for name in NAMES if name != "muon"])
def test_trajectories_equal_the_written_formulas(name: str) -> None:
    θ = torch.tensor([1.0, -2.0, 0.7, 3.0], dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer(name, [θ], weight_decay=DECAY)
    for step in range(1, 31):
        θ.grad = torch.from_numpy(gradient(θ.detach().numpy(), step))
        optimizer.step()
    with evaluation_point(optimizer):
        np.testing.assert_allclose(θ.detach().numpy(), by_hand(name, 30), rtol=1e-10, atol=1e-12)


def test_the_formulas_tell_rules_apart() -> None:
    ends = {name: by_hand(name, 30) for name in NAMES if name != "muon"}
    for a in ends:
        for b in ends:
            assert a == b or not np.allclose(ends[a], ends[b], rtol=1e-6)


def test_muon_is_torchs_muon_on_hidden_matrices_and_adamw_elsewhere() -> None:
    ours, theirs = network(), network()
    optimizer = make_optimizer("muon", ours, 1e-3, weight_decay=0.1)
    hidden, rest = [theirs[0].weight, theirs[3].weight], [theirs[5].weight]
    spared = [p for p in theirs.parameters() if p.ndim == 1]
    muon = torch.optim.Muon(hidden, lr=1e-3, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    groups = [{"params": rest, "weight_decay": 0.1}, {"params": spared, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=1e-3, fused=True)
    advance(ours, optimizer, 10)
    for step in range(10):
        advance(theirs, muon, 1, step)
        adamw.step()
    assert same_bits(ours, theirs)


def test_muons_step_is_nearly_orthogonal() -> None:
    w = torch.zeros(12, 5, requires_grad=True)
    optimizer = make_optimizer("muon", [w], 1.0)
    w.grad = torch.randn(12, 5, generator=torch.Generator().manual_seed(3)) @ torch.diag(torch.logspace(-1, 1, 5))
    before = torch.linalg.svdvals(w.grad)
    optimizer.step()
    after = torch.linalg.svdvals(w.detach()) / (0.2 * math.sqrt(12))
    assert before.max() / before.min() > 50  # the control: the gradient itself is far from orthogonal
    assert after.min() > 0.6
    assert after.max() < 1.3


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_continues_to_the_same_bits(name: str) -> None:
    straight = network()
    optimizer = make_optimizer(name, straight, weight_decay=0.01)
    advance(straight, optimizer, 5)
    file = io.BytesIO()
    torch.save({"net": straight.state_dict(), "opt": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = network(seed=1)
    again = make_optimizer(name, resumed, weight_decay=0.01)
    resumed.load_state_dict(saved["net"])
    again.load_state_dict(saved["opt"])
    advance(straight, optimizer, 5, 5)
    advance(resumed, again, 5, 5)
    assert same_bits(straight, resumed)
    fresh = network()
    advance(fresh, make_optimizer(name, fresh, weight_decay=0.01), 5)
    advance(fresh, make_optimizer(name, fresh, weight_decay=0.01), 5, 5)
    if name != "sgd":  # the control: without its state a rule with memory goes elsewhere
        assert not same_bits(straight, fresh)


@pytest.mark.parametrize("name", ["lion", "muon", "schedule_free"])
def test_copies_are_independent_and_equal(name: str) -> None:
    net = network()
    optimizer = make_optimizer(name, net, weight_decay=0.01)
    advance(net, optimizer, 3)
    twin, twin_optimizer = copy.deepcopy((net, optimizer))
    advance(net, optimizer, 3, 3)
    advance(twin, twin_optimizer, 3, 3)
    assert same_bits(net, twin)


@pytest.mark.parametrize("name", NAMES)
def test_frozen_parameters_stay_and_can_be_thawed(name: str) -> None:
    net = network()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    optimizer = make_optimizer(name, net, weight_decay=0.1)
    advance(net, optimizer, 3)
    assert torch.equal(net[0].weight, before)
    net[0].requires_grad_(True)
    advance(net, optimizer, 3, 3)
    assert not torch.equal(net[0].weight, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_closure_is_called_with_gradients_on(name: str) -> None:
    net = network()
    optimizer = make_optimizer(name, net)
    x = torch.ones(4, 4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        return loss

    first = float(optimizer.step(closure).detach())
    assert first == pytest.approx(float(network()(x).square().mean().detach()), rel=1e-5)
    assert not same_bits(net, network())


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_reaches_the_bottom_of_a_valley(name: str) -> None:
    curvature = torch.tensor([[1.0, 20.0], [5.0, 2.0]])
    w = torch.full((2, 2), 3.0, requires_grad=True)
    bias = torch.full((2,), 3.0, requires_grad=True)
    # Rules whose steps have a size of their own settle only as their rate falls.
    rate = {"sgd": 0.04, "momentum": 0.02, "nesterov": 0.02, "adadelta": 10.0, "adagrad": 1.0, "muon": 0.3}.get(
        name, 0.1
    )
    optimizer = make_optimizer(name, [w, bias], rate)
    for step in range(400):
        for group in optimizer.param_groups:
            group["lr"] = rate if name == "schedule_free" else rate * (1 - step / 400)
        optimizer.zero_grad()
        ((curvature * w.square()).sum() + bias.square().sum()).backward()
        optimizer.step()
    with evaluation_point(optimizer):
        assert float(w.detach().abs().max()) < 0.1
        assert float(bias.detach().abs().max()) < 0.1


def steps_down(name: str, lr: float, curvature: torch.Tensor, **options: float) -> int:
    θ = torch.ones(len(curvature), dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer(name, [θ], lr, **options)
    for step in range(5000):
        θ.grad = curvature * θ.detach()
        if float((curvature * θ.detach().square()).sum()) < 1e-6 * float(curvature.sum()):
            return step
        optimizer.step()
    return 5000


def test_momentum_needs_fewer_steps_in_a_narrow_valley_only() -> None:
    narrow = torch.tensor([1.0, 100.0], dtype=torch.float64)
    small, large = 1.0, 10.0  # square roots of the curvatures
    μ = ((large - small) / (large + small)) ** 2  # Polyak (1964): the best rates for a quadratic
    plain = steps_down("sgd", 2 / 101, narrow)
    heavy = steps_down("momentum", 4 / (large + small) ** 2, narrow, momentum=μ)
    ahead = steps_down("nesterov", 0.01, narrow, momentum=(large - small) / (large + small))
    assert heavy < plain / 4
    assert ahead < plain / 4
    round_bowl = torch.tensor([1.0, 1.0], dtype=torch.float64)
    assert steps_down("sgd", 1.0, round_bowl) <= steps_down("momentum", 1.0, round_bowl, momentum=0.9)


def rare_error(name: str, lr: float, share: float) -> float:
    """Fit y = x·w where half of the features are active with probability ``share``; return their error."""
    generator = torch.Generator().manual_seed(0)
    active = torch.rand(300, 32, 20, generator=generator) < torch.tensor([1.0] * 10 + [share] * 10)
    x = torch.randn(300, 32, 20, generator=generator) * active
    w = torch.zeros(20, requires_grad=True)
    optimizer = make_optimizer(name, [w], lr)
    for batch in x:
        optimizer.zero_grad()
        (batch @ (w - 1.0)).square().mean().backward()
        optimizer.step()
    error = float((w.detach()[10:] - 1.0).square().mean())
    return error if math.isfinite(error) else math.inf


def test_adaptive_rates_help_rare_features_and_only_them() -> None:
    rates = (0.1, 0.3)

    def best(name: str, share: float) -> float:
        return min(rare_error(name, lr, share) for lr in rates)

    assert best("adagrad", 0.002) < 0.5 * best("sgd", 0.002)
    assert best("sgd", 1.0) < 1e-6  # the control: without rare features plain steps want for nothing
    assert best("adagrad", 1.0) < 1e-6


def test_schedule_free_swaps_its_two_points_bit_for_bit() -> None:
    net, twin = network(), network()
    optimizer, plain = make_optimizer("schedule_free", net), make_optimizer("schedule_free", twin)
    assert isinstance(optimizer, ScheduleFree)
    for step in range(6):
        advance(net, optimizer, 1, step)
        advance(twin, plain, 1, step)
        training = weights(net)
        with evaluation_point(optimizer):
            if step:
                assert not torch.equal(net[0].weight, training[0])
            with evaluation_point(optimizer):
                assert optimizer.averaged
            assert optimizer.averaged
        assert all(torch.equal(p, q) for p, q in zip(net.parameters(), training, strict=True))
    assert same_bits(net, twin)
    with pytest.raises(RuntimeError, match="stop"), evaluation_point(optimizer):
        raise RuntimeError("stop")
    assert not optimizer.averaged


def test_schedule_free_saved_while_averaged_still_continues() -> None:
    net = network()
    optimizer = make_optimizer("schedule_free", net)
    advance(net, optimizer, 5)
    optimizer.eval()  # type: ignore[attr-defined]
    saved = copy.deepcopy((net.state_dict(), optimizer.state_dict()))
    with pytest.raises(TrainingError, match=r"call train\(\) first"):
        optimizer.step()
    optimizer.train()  # type: ignore[attr-defined]
    other = network(1)
    again = make_optimizer("schedule_free", other)
    other.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    again.train()  # type: ignore[attr-defined]
    advance(net, optimizer, 3, 5)
    advance(other, again, 3, 5)
    assert same_bits(net, other)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.norm = nn.BatchNorm1d(4)
        self.body = nn.Linear(4, 4)
        self.head = nn.Linear(4, 5)
        self.head.weight = self.table.weight  # tied
        self.scale = nn.Parameter(torch.ones(()))


def test_decay_spares_offsets_scales_and_tables() -> None:
    net = Tokens()
    groups = parameter_groups(net, 0.1, 0.5)
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(net.body.weight)}
    everything = [id(p) for group in groups for p in group["params"]]
    assert sorted(everything) == sorted(id(p) for p in net.parameters())  # tied weights once
    assert len(parameter_groups(net, 0.1)) == 1  # nothing differs, so one group: fewest kernel calls


@pytest.mark.parametrize("name", ["adamw", "lion", "muon", "schedule_free"])
def test_decoupled_decay_moves_only_what_it_should(name: str) -> None:
    net = network()
    optimizer = make_optimizer(name, net, 0.1, weight_decay=0.5)
    before = weights(net)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    with evaluation_point(optimizer):
        shrunk = [not torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True)]
    assert shrunk == [p.ndim == 2 for p in net.parameters()]


def test_rates_by_name() -> None:
    net = network()
    optimizer = make_optimizer("sgd", net, 0.1, lr_scales={"0": 0.1, "0.bias": 0.0})
    rates = {id(p): (g["lr"], g["lr_scale"]) for g in optimizer.param_groups for p in g["params"]}
    assert rates[id(net[0].weight)] == (pytest.approx(0.01), 0.1)
    assert rates[id(net[0].bias)] == (0.0, 0.0)
    assert rates[id(net[5].weight)] == (0.1, 1.0)
    with pytest.raises(
        InputError, match=r"every name of lr_scales .*\['encoder'\] · the network's parts are: 0, 2, 3, 5"
    ):
        make_optimizer("sgd", net, lr_scales={"encoder": 0.1})
    with pytest.raises(InputError, match="hand in the module"):
        make_optimizer("sgd", list(net.parameters()), lr_scales={"0": 0.1})


def test_all_forms_of_parameters_are_taken() -> None:
    for form in (
        lambda n: n,
        lambda n: n.parameters(),
        lambda n: n.named_parameters(),
        lambda n: [{"params": n.parameters(), "lr": 0.3}],
    ):
        net = network()
        optimizer = make_optimizer("sgd", form(net), 0.1)
        assert sum(len(g["params"]) for g in optimizer.param_groups) == 8
        assert all(g["lr_scale"] == 1.0 for g in optimizer.param_groups)
    assert optimizer.param_groups[0]["lr"] == 0.3


def test_users_own_classes_and_functions() -> None:
    ours, theirs = network(), network()
    advance(ours, make_optimizer(torch.optim.RAdam, ours, 0.01, betas=(0.8, 0.99)), 5)
    advance(theirs, torch.optim.RAdam(theirs.parameters(), lr=0.01, betas=(0.8, 0.99)), 5)
    assert same_bits(ours, theirs)
    assert default_lr(torch.optim.RAdam) == 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: make_optimizer("adm", n), r"got optimizer='adm' · did you mean 'adam'\?"),
        (
            lambda n: make_optimizer("adam", n, beta=(0.9, 0.9)),
            r"an option of adam .* got beta=.* did you mean 'betas'\?",
        ),
        (lambda n: make_optimizer("sgd", n, momentum=0.9), r"got momentum=0.9 · sgd has no options"),
        (lambda n: make_optimizer("adam", n, 0.0), r"lr must be a finite number above 0 · got lr=0.0"),
        (lambda n: make_optimizer("adam", n, math.nan), "lr must be a finite number above 0"),
        (lambda n: make_optimizer("adam", n, weight_decay=-1), "weight_decay must be a finite number at least 0"),
        (lambda n: make_optimizer("adam", nn.ReLU()), "an optimizer needs parameters"),
        (lambda n: make_optimizer(make_optimizer("adam", n), n), "must be a name, a class or a function"),  # type: ignore[arg-type]
        (lambda n: make_optimizer(lambda groups: None, n), "a learning rate must be given or known"),
    ],
)
def test_misuse_is_answered(call: Callable[[nn.Module], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(network())
