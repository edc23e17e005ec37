"""What the doctor says: a verdict, the measured signs behind it, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from glia.core.results import Interval

Severity = Literal["failure", "warning"]
"""``failure``: the network should not be used before this is settled; ``warning``: it is worse than it could be."""
Outcome = Literal["helped", "did not help", "undecided"]

TITLES: dict[str, str] = {
    "data leak": "A column gives the target away",
    "label noise": "Labels contradict each other",
    "wrong direction": "Training climbs the loss instead of descending it",
    "saturation": "Units are saturated",
    "unscaled inputs": "Inputs are not scaled",
    "rate too high": "The learning rate is too high",
    "exploding gradients": "Gradients explode on their way back",
    "dead units": "Units are dead",
    "units alike": "All units of a layer do the same",
    "vanishing gradients": "Gradients vanish on their way back",
    "rate too low": "The learning rate is too low",
    "underfitting": "The network learns less than there is to learn",
    "overfitting": "The network learns its rows by heart",
    "miscalibration": "Probabilities do not mean what they say",
}
"""All verdicts, in the order of causes: what stands further up may bring about what stands below."""


@dataclass(frozen=True)
class Sign:
    """One measured figure beside the threshold that it was held against.

    Parameters
    ----------
    name : str
        What was measured, in words.
    value, threshold : float
        The figure, and where it begins to count.
    above : bool
        Whether it counts above the threshold, else below.
    """

    name: str
    value: float
    threshold: float
    above: bool = True

    @property
    def met(self) -> bool:
        """Whether the figure is on the wrong side; of what is not a number nothing is said."""
        if math.isnan(self.value):
            return False
        return self.value >= self.threshold if self.above else self.value <= self.threshold

    def __str__(self) -> str:
        return (
            f"{self.name} {self.value:.3g} (threshold {self.threshold:g}, counts {'above' if self.above else 'below'})"
        )


@dataclass(frozen=True)
class Remedy:
    """What to do.

    Parameters
    ----------
    words : str
        In a sentence.
    settings : mapping
        Settings of ``glia fit`` by name.
    parameters : mapping
        Constructor parameters of an estimator by name, as code.
    """

    words: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def flags(self) -> str:
        """Return the settings as flags of ``glia fit``."""
        return " ".join(flag for name, value in self.settings.items() for flag in _flags(name, value))


def _flags(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, (int, float)) for item in value):
            return [f"{flag} {','.join(f'{item:g}' for item in value)}"]
        return [f"{flag} {_quoted(str(item))}" for item in value]
    return [f"{flag} {value:.3g}" if isinstance(value, float) else f"{flag} {_quoted(str(value))}"]


def _quoted(text: str) -> str:
    return text if text.replace("_", "").replace("-", "").isalnum() else "'" + text.replace("'", "'\\''") + "'"


@dataclass(frozen=True)
class Proof:
    """A short re-training with and without the remedy.

    Parameters
    ----------
    outcome : {"helped", "did not help", "undecided"}
        Helped: the interval lies below 0. Did not help: it lies above −``margin``.
    difference : Interval
        Figure with the remedy minus without, by seeds; below 0 is better.
    without, with_ : tuple of float
        The figure of each seed: loss (of label noise the error) on unseen rows over the best constant's, at most 2.
    margin : float
        The least change that matters.
    steps : int
        Optimizer steps that each network took.
    what : str
        What was compared, in words.
    """

    outcome: Outcome
    difference: Interval
    without: tuple[float, ...]
    with_: tuple[float, ...]
    margin: float
    steps: int
    what: str


@dataclass(frozen=True)
class Verdict:
    """One finding.

    Parameters
    ----------
    kind : str
        A key of ``TITLES``.
    severity : {"failure", "warning"}
    sentence : str
        The finding with its figures.
    signs : tuple of Sign
        What was measured; all of them are met.
    remedy : Remedy
    follows : str
        The kind of another verdict that this one probably follows from; empty where it stands for itself.
    proof : Proof or None
    """

    kind: str
    severity: Severity
    sentence: str
    signs: tuple[Sign, ...]
    remedy: Remedy
    follows: str = ""
    proof: Proof | None = None

    @property
    def title(self) -> str:
        """The finding in a few words."""
        return TITLES[self.kind]
