"""What a question is: claims that can fail, and a measurement that is repeated by seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from glia.lab.bench import Bench

Floats = NDArray[np.float64]
Direction = Literal["higher", "lower", "no lower", "no higher"]


@dataclass(frozen=True)
class Claim:
    """One hypothesis about a contrast: what is measured with something, minus the same without it.

    Parameters
    ----------
    key : str
        Short name, unique within its question: ``"fewer epochs"``.
    text : str
        The claim in one sentence, as a textbook would have it.
    contrast : str
        What is subtracted from what: ``"with minus without batch normalisation"``.
    unit : str
        Of the effect, in plain words: ``"epochs"``, ``"points of accuracy"``.
    direction : {"higher", "lower", "no lower", "no higher"}
        What is predicted of the effect: above 0, below 0, or not below (above) 0 by more than ``worth``.
    worth : float
        The smallest effect that would matter, in ``unit``, ≥ 0: a predicted effect that is surely smaller is refuted.
    on : {"yours", "made"}
        Whether it is measured on the user's data, or on made data that isolate the mechanism.
    """

    key: str
    text: str
    contrast: str
    unit: str
    direction: Direction
    worth: float = 0.0
    on: Literal["yours", "made"] = "yours"

    @property
    def sign(self) -> int:
        """+1 where larger effects speak for the claim, −1 where smaller ones do."""
        return 1 if self.direction in ("higher", "no lower") else -1

    @property
    def bounds(self) -> tuple[float, float]:
        """Signed effects surely above the first support the claim, surely below the second refute it."""
        return (-self.worth, -self.worth) if self.direction.startswith("no ") else (0.0, self.worth)


@dataclass(frozen=True)
class Sweep:
    """Curves behind a claim: a quantity at several levels of another, for every seed.

    Parameters
    ----------
    title : str
        What the figure is to answer.
    x : sequence of float
        L levels.
    lines : mapping
        Name of a line → ndarray (S, L), a row for each seed; NaN where there is no figure.
    x_label, y_label : str
        With units.
    log_x, log_y : bool
        Logarithmic axes.
    """

    title: str
    x: Sequence[float]
    lines: Mapping[str, Floats]
    x_label: str
    y_label: str
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Findings:
    """What one round of a question measured.

    Parameters
    ----------
    pairs : mapping
        Claim's key → (with, without): ndarrays (S,), paired by seed; NaN where a seed gave no figure.
    names : mapping
        Claim's key → what the two are called in figures.
    sweeps : sequence of Sweep
        The same ones, in the same order, in every round.
    suggestion : mapping
        Settings of ``glia fit`` that the measurement speaks for, e.g. ``{"lr": 0.003}``.
    notes : sequence of str
        What a reader should know, in sentences.
    """

    pairs: Mapping[str, tuple[Floats, Floats]]
    names: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    sweeps: Sequence[Sweep] = ()
    suggestion: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Question:
    """A textbook question.

    Parameters
    ----------
    number : int
        1 to 50.
    title, sentence : str
        Its name and the question in one sentence.
    claims : tuple of Claim
        What is to be judged.
    measure : callable
        ``(bench, seeds) → Findings``; seed s gives the same figures in whatever round it comes.
    advice : callable, optional
        ``(verdicts by claim's key) → sentence``: what the verdicts mean for the user's own settings.
    """

    number: int
    title: str
    sentence: str
    claims: tuple[Claim, ...]
    measure: Callable[[Bench, Sequence[int]], Findings]
    advice: Callable[[Mapping[str, str]], str] | None = None


questions: dict[int, Question] = {}
"""All questions by number; those whose parts are still to come are missing."""


def ask(question: Question) -> Question:
    """Add a question to ``questions``."""
    if question.number in questions:
        raise ValueError(f"question {question.number} is there already")
    questions[question.number] = question
    return question
