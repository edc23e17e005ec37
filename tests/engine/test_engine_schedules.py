"""Every schedule against torch's scheduler of the same name, over whole trainings."""

import json
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as peer

from glia.core.errors import InputError
from glia.engine.schedules import (
    CosineDecay,
    ExponentialDecay,
    LinearDecay,
    ObservingSchedule,
    OneCycle,
    Plateau,
    Schedule,
    StepDecay,
    WarmRestarts,
    Warmup,
    WarmupCosine,
    as_schedule,
    curve,
    schedules,
)

TOTAL = 60
NAMES = (
    "constant",
    "cosine",
    "exponential",
    "linear",
    "one_cycle",
    "plateau",
    "step",
    "warm_restarts",
    "warmup",
    "warmup_cosine",
)


def torchs(make: Callable[[torch.optim.Optimizer], peer.LRScheduler], steps: int = TOTAL) -> list[float]:
    """Return the rates that torch's scheduler gives an optimizer whose base rate is 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's SequentialLR warns of its own internals
        scheduler = make(optimizer)
        rates = []
        for _ in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            scheduler.step()
    return rates


def cycle(optimizer: torch.optim.Optimizer, rise: float, start: float, end: float) -> peer.LRScheduler:
    return peer.OneCycleLR(
        optimizer,
        1.0,
        TOTAL,
        pct_start=rise,
        div_factor=start,
        final_div_factor=end,
        cycle_momentum=False,
    )


CASES: list[tuple[Schedule, Callable[[torch.optim.Optimizer], peer.LRScheduler]]] = [
    (StepDecay(every=7, factor=0.3), lambda o: peer.StepLR(o, 7, 0.3)),
    (StepDecay(), lambda o: peer.StepLR(o, 20, 0.1)),
    (ExponentialDecay(0.9), lambda o: peer.ExponentialLR(o, 0.9)),
    (LinearDecay(0.5, 0.1), lambda o: peer.LinearLR(o, 0.5, 0.1, TOTAL)),
    (CosineDecay(), lambda o: peer.CosineAnnealingLR(o, TOTAL)),
    (CosineDecay(0.2), lambda o: peer.CosineAnnealingLR(o, TOTAL, 0.2)),
    (OneCycle(), lambda o: cycle(o, 0.3, 25, 1e4)),
    (OneCycle(0.45, 10, 100), lambda o: cycle(o, 0.45, 10, 100)),
    (WarmRestarts(8, 2.0, 0.1), lambda o: peer.CosineAnnealingWarmRestarts(o, 8, 2, 0.1)),
    (WarmRestarts(8, 1.0), lambda o: peer.CosineAnnealingWarmRestarts(o, 8, 1)),
    (Warmup(10), lambda o: peer.LinearLR(o, 0.1, 1.0, 9)),
    (
        WarmupCosine(10, floor=0.05),
        lambda o: peer.SequentialLR(
            o, [peer.LinearLR(o, 0.1, 1.0, 9), peer.CosineAnnealingLR(o, TOTAL - 10, 0.05)], [10]
        ),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), CASES, ids=lambda c: type(c).__name__)
def test_the_rates_are_torchs(ours: Schedule, theirs: Callable[[torch.optim.Optimizer], peer.LRScheduler]) -> None:
    expected = torchs(theirs)
    np.testing.assert_allclose(curve(ours, TOTAL), expected, rtol=1e-9, atol=1e-12)
    assert np.ptp(expected) > 0.3  # the control: the rates do change


@pytest.mark.parametrize("schedule", [StepDecay(7, 0.3), ExponentialDecay(0.9), WarmRestarts(8, 2.0)])
def test_epochs_are_counted_in_steps(schedule: Schedule) -> None:
    per_step = curve(schedule, TOTAL * 5, 5)
    np.testing.assert_allclose(per_step[::5], curve(schedule, TOTAL, 1), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(total=st.integers(1, 400), per_epoch=st.integers(1, 50))
def test_factors_stay_between_0_and_1_and_depend_on_the_step_alone(name: str, total: int, per_epoch: int) -> None:
    schedule = as_schedule(name)
    factors = curve(schedule, total, per_epoch)
    assert all(0 <= factor <= 1 + 1e-12 for factor in factors)
    backwards = [schedule(step, total, per_epoch) for step in reversed(range(total))]
    assert backwards[::-1] == factors
    assert np.isfinite(schedule(total + 3, total, per_epoch))  # asked beyond the end, as on a longer resumed fit


@pytest.mark.parametrize("greater", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_plateau_follows_torchs_over_noisy_figures(seed: int, greater: bool) -> None:
    rng = np.random.default_rng(seed)
    figures = (2.0 * np.exp(-np.arange(120) / 20) + 1 + 0.05 * rng.standard_normal(120)) * (-1 if greater else 1)
    figures = figures + (10 if greater else 0)  # torch's relative threshold means what it says above 0 only
    ours = Plateau(0.5, patience=3, threshold=0.01, cooldown=2, floor=0.01, greater_is_better=greater)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    theirs = peer.ReduceLROnPlateau(
        optimizer, "max" if greater else "min", 0.5, 3, threshold=0.01, cooldown=2, min_lr=0.01
    )
    rates = []
    for figure in figures.tolist():
        ours.observe(figure)
        theirs.step(figure)
        rates.append(float(optimizer.param_groups[0]["lr"]))
        assert ours(0, 1, 1) == pytest.approx(rates[-1], rel=1e-12)
    assert len(set(rates)) >= 4  # the control: it did fall


def test_plateau_is_saved_with_its_state() -> None:
    whole, first = Plateau(patience=1), Plateau(patience=1)
    figures = [3.0, 2.0, 2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0]
    for figure in figures[:4]:
        whole.observe(figure)
        first.observe(figure)
    second = Plateau.from_dict(json.loads(json.dumps(first.to_dict())))
    assert second == whole
    for figure in figures[4:]:
        whole.observe(figure)
        second.observe(figure)
    assert second == whole
    assert whole.current == 0.25


def test_plateau_counts_nan_as_no_improvement() -> None:
    schedule = Plateau(patience=1)
    for figure in (float("nan"), 1.0, float("nan"), float("nan")):
        schedule.observe(figure)
    assert schedule.current == 0.5
    assert schedule.best == 1.0


def test_plateau_improves_below_zero_too() -> None:
    schedule = Plateau(patience=0, threshold=0.1)
    for figure in (-1.0, -1.2, -1.5):
        schedule.observe(figure)
    assert schedule.current == 1.0


def test_all_ways_to_name_a_schedule() -> None:
    assert schedules.names() == NAMES
    assert as_schedule("cosine") == CosineDecay()
    assert as_schedule({"name": "cosine", "floor": 0.1}) == CosineDecay(0.1)
    assert as_schedule(CosineDecay) == CosineDecay()
    assert as_schedule("plateau") is not as_schedule("plateau")  # it has a state: never shared
    own = as_schedule(lambda step, total, per_epoch: 1 / (1 + step))
    assert own(3, 10, 1) == 0.25
    assert isinstance(as_schedule("plateau"), ObservingSchedule)
    assert not isinstance(as_schedule("cosine"), ObservingSchedule)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cosin", r"got schedule='cosin' · did you mean 'cosine'\?"),
        ({"name": "cosine", "flor": 0.1}, r"got flor=0.1 · did you mean 'floor'\?"),
        ({"name": "plateau", "current": 0.1}, r"an option of plateau must be one that it has · got current=0.1"),
        ({"floor": 0.1}, "must hold its name"),
        (3, r"a name or a callable \(step, total_steps, steps_per_epoch\)"),
        (lambda step: 1.0, "a name or a callable"),
        ({"name": "cosine", "floor": 2}, "floor must be from 0 to 1 · got floor=2"),
        ({"name": "warmup", "steps": 0}, "steps must be at least 1 · got steps=0"),
    ],
)
def test_misuse_is_answered(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_schedule(given)  # type: ignore[arg-type]
