"""All rules in the order of causes, and which finding probably follows from which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from glia.diagnose.case import Case
from glia.diagnose.measures import Measures
from glia.diagnose.rules_data import data_leak, miscalibrated, noisy_labels
from glia.diagnose.rules_learning import overfitting, rate_too_high, rate_too_low, underfitting, wrong_direction
from glia.diagnose.rules_signal import alike, dead, exploding, saturation, unscaled, vanishing
from glia.diagnose.verdict import Verdict

Rule = Callable[[Case, Measures], Verdict | None]

RULES: tuple[Rule, ...] = (
    data_leak, noisy_labels, wrong_direction, saturation, unscaled, rate_too_high, exploding, dead, alike, vanishing,
    rate_too_low, underfitting, overfitting, miscalibrated,
)  # fmt: skip
"""In the order of ``TITLES``: causes before what they bring about."""

_TRAINING = (
    "wrong direction", "saturation", "unscaled inputs", "rate too high", "exploding gradients", "dead units",
    "units alike", "vanishing gradients", "rate too low",
)  # fmt: skip
FOLLOWS: dict[str, tuple[str, ...]] = {
    "unscaled inputs": ("saturation",),
    "rate too high": ("saturation", "unscaled inputs"),
    "exploding gradients": ("unscaled inputs", "rate too high"),
    "dead units": ("wrong direction", "unscaled inputs", "rate too high", "exploding gradients"),
    "units alike": ("rate too high", "dead units"),
    "vanishing gradients": _TRAINING[:7],
    "rate too low": _TRAINING[:8],
    "underfitting": ("label noise", *_TRAINING),
    "overfitting": ("label noise", *_TRAINING),
    "miscalibration": ("label noise", *_TRAINING, "underfitting", "overfitting"),
}
"""Verdict → those that bring it about: where one of them was found too, it comes first."""


def judge(case: Case, measures: Measures) -> tuple[Verdict, ...]:
    """Return all verdicts, causes first; those that probably follow from another one stand last and say so."""
    found: list[Verdict] = []
    for rule in RULES:
        verdict = rule(case, measures)
        if verdict is None:
            continue
        cause = next((one.kind for one in found if one.kind in FOLLOWS.get(verdict.kind, ())), "")
        found.append(replace(verdict, follows=cause))
    return tuple(sorted(found, key=lambda one: bool(one.follows)))
