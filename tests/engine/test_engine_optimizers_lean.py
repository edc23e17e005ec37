"""The lean optimizers are torch's, bit by bit: numbers, state, groups, hooks, copies."""

import copy
import pickle

import pytest
import torch

from glia.engine.optimizers import make_optimizer
from glia.engine.optimizers.lean import LeanAdam, LeanAdamW, LeanSGD

RULES = [
    (LeanAdam, torch.optim.Adam, {"lr": 0.01}),
    (LeanAdam, torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    (LeanAdam, torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    (LeanAdam, torch.optim.Adam, {"lr": 0.01, "maximize": True}),
    (LeanAdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    (LeanSGD, torch.optim.SGD, {"lr": 0.1}),
    (LeanSGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    (LeanSGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (LeanSGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
]
IDS = [f"{lean.__name__}-{sorted(options)}" for lean, _, options in RULES]


def parameters():
    g = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=g)) for shape in ((5, 3), (5,), (1, 5), ())]


def draw(params, step, missing=()):
    g = torch.Generator().manual_seed(step)
    for i, p in enumerate(params):
        gradient = torch.randn(p.shape, generator=g)
        p.grad = None if i in missing else gradient


def equal(a, b):
    assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def assert_same_state(a, b):
    one, two = a.state_dict(), b.state_dict()
    assert one["param_groups"] == two["param_groups"] and one["state"].keys() == two["state"].keys()
    for key, state in one["state"].items():
        assert state.keys() == two["state"][key].keys()
        for name, value in state.items():
            other = two["state"][key][name]
            assert torch.equal(value, other) and value.dtype == other.dtype, name


def pair(lean, plain, options, fused=True):
    mine, theirs = parameters(), parameters()
    groups = lambda ps: [{"params": ps[:2]}, {"params": ps[2:], "lr": 0.003}]  # noqa: E731
    return mine, theirs, lean(groups(mine), **options, fused=fused), plain(groups(theirs), **options, fused=fused)


@pytest.mark.parametrize(("lean", "plain", "options"), RULES, ids=IDS)
def test_numbers_and_state_are_torchs(lean, plain, options):
    mine, theirs, a, b = pair(lean, plain, options)
    for step in range(12):
        for optimizer in (a, b):
            optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)  # schedules do this
            if step == 6:
                optimizer.param_groups[1]["weight_decay"] = 0.05
        draw(mine, step)
        draw(theirs, step)
        a.step()
        b.step()
        equal(mine, theirs)
    assert_same_state(a, b)


@pytest.mark.parametrize(("lean", "plain", "options"), RULES[:1] + RULES[4:6], ids=IDS[:1] + IDS[4:6])
def test_parameters_may_come_and_go(lean, plain, options):
    mine, theirs, a, b = pair(lean, plain, options)
    for step, missing in enumerate([(0,), (0,), (), (), (1, 2, 3), (1, 2, 3), (0, 1, 2, 3), (), (2,), (2, 3), (2, 3)]):
        draw(mine, step, missing)
        draw(theirs, step, missing)
        a.step()
        b.step()
        equal(mine, theirs)
        if step == 7:
            for ps, optimizer in ((mine, a), (theirs, b)):
                ps.append(torch.nn.Parameter(torch.ones(2)))
                optimizer.add_param_group({"params": [ps[-1]]})
    assert_same_state(a, b)


@pytest.mark.parametrize(("lean", "plain", "options"), RULES, ids=IDS)
def test_states_go_both_ways_and_copies_stand_alone(lean, plain, options):
    mine, theirs, a, b = pair(lean, plain, options)
    for step in range(4):
        draw(mine, step)
        draw(theirs, step)
        a.step()
        b.step()
    saved = pickle.loads(pickle.dumps(a.state_dict()))
    a.load_state_dict(copy.deepcopy(b.state_dict()))
    b.load_state_dict(saved)
    both, (their_copy, copied) = (mine, a), copy.deepcopy((theirs, a))
    assert copied.state_dict()["param_groups"] == a.state_dict()["param_groups"] and len(their_copy) == len(both[0])
    for step in range(4, 8):
        draw(mine, step)
        draw(theirs, step)
        a.step()
        b.step()
        equal(mine, theirs)
    assert_same_state(a, b)


def test_counters_are_separate_numbers_in_the_state():
    mine = parameters()
    a = LeanAdam(mine, lr=0.1, fused=True)
    for step, missing in enumerate([(), (), (0,), (0,)]):
        draw(mine, step, missing)
        a.step()
    assert [float(a.state[p]["step"]) for p in mine] == [2.0, 4.0, 4.0, 4.0]


def test_a_forgotten_state_is_noticed():
    mine, theirs = parameters(), parameters()
    a, b = LeanAdam(mine, lr=0.1, fused=True), torch.optim.Adam(theirs, lr=0.1, fused=True)
    for step in range(6):
        draw(mine, step)
        draw(theirs, step)
        if step == 3:
            a.state.clear()
            b.state.clear()
        a.step()
        b.step()
        equal(mine, theirs)


def test_hooks_closures_and_schedulers_work():
    mine = parameters()
    a, seen = LeanSGD(mine, lr=0.1, fused=True), []
    for step in range(3):
        draw(mine, step)
        a.step()
    handles = [
        a.register_step_pre_hook(lambda *_: seen.append("before")),
        a.register_step_post_hook(lambda *_: seen.append("after")),
    ]
    a.step()
    assert seen == ["before", "after"]
    for handle in handles:
        handle.remove()

    def closure():
        draw(mine, 9)
        return torch.tensor(3.0)

    before = mine[0].detach().clone()
    assert a.step(closure) == 3.0 and seen == ["before", "after"]
    torch.testing.assert_close(mine[0].detach(), before - 0.1 * mine[0].grad)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(a, 0.5)
    a.step()
    scheduler.step()
    assert a.param_groups[0]["lr"] == 0.05


def test_without_fused_kernels_torchs_own_step_is_taken():
    mine, theirs, a, b = pair(LeanAdam, torch.optim.Adam, {"lr": 0.01}, fused=False)
    for step in range(5):
        draw(mine, step)
        draw(theirs, step)
        a.step()
        b.step()
        equal(mine, theirs)
    assert a._plans is None


@pytest.mark.parametrize(("rule", "kind"), [("adam", LeanAdam), ("adamw", LeanAdamW), ("sgd", LeanSGD),
                                            ("momentum", LeanSGD), ("nesterov", LeanSGD)])  # fmt: skip
def test_the_names_give_them(rule, kind):
    assert isinstance(make_optimizer(rule, torch.nn.Linear(2, 1)), kind)
