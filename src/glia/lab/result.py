"""What a lab run found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.results import Result, Table
from glia.lab.question import Claim, Question, Sweep
from glia.lab.verdict import Word

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClaimResult:
    """The verdict on one claim.

    Parameters
    ----------
    question : int
        Its number.
    claim : Claim
        What was claimed.
    verdict : {"supported", "refuted", "undecided"}
        On this data.
    effect, low, high : float
        Mean difference between the pairs and its 95 % interval, in the claim's unit.
    p : float
        Chance of such figures if the verdict were wrong, corrected for all claims of the run.
    control : float
        Share of shuffles of who is "with" and who is "without" in which a difference seemed to be found.
    with_, without : ndarray of shape (S,)
        The figures of every seed.
    names : (str, str)
        What the two are called.
    seeds : int
        Pairs with figures.
    seconds : float
        Of its question, all claims together.
    """

    question: int
    claim: Claim
    verdict: Word
    effect: float
    low: float
    high: float
    p: float
    control: float
    with_: Floats
    without: Floats
    names: tuple[str, str]
    seeds: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return the claim as ``lab.json`` has it."""
        return {
            "question": self.question, "claim": self.claim.text, "key": self.claim.key, "verdict": self.verdict,
            "effect": self.effect, "unit": self.claim.unit, "interval": [self.low, self.high],
            "contrast": self.claim.contrast, "predicted": self.claim.direction, "worth": self.claim.worth,
            "on": self.claim.on, "p": self.p, "control": self.control, "seeds": self.seeds,
            "seconds": self.seconds, "with": self.with_.tolist(), "without": self.without.tolist(),
            "names": list(self.names),
        }  # fmt: skip

    def sentence(self) -> str:
        """Return the verdict with its effect in words."""
        if not math.isfinite(self.low):
            return f"{self.verdict.capitalize()} on this data: too few seeds gave a figure."
        return (
            f"{self.verdict.capitalize()} on this data: {self.effect:+.3g} {self.claim.unit} "
            f"(95 % interval {self.low:+.3g} to {self.high:+.3g}, {self.seeds} seeds), {self.claim.contrast}."
        )


@dataclass(frozen=True)
class QuestionResult:
    """A question, what was measured for it, and the verdicts on its claims."""

    question: Question
    claims: tuple[ClaimResult, ...]
    sweeps: tuple[Sweep, ...]
    suggestion: Mapping[str, Any]
    notes: tuple[str, ...]
    seeds: int
    seconds: float

    def advice(self) -> str:
        """Return what the verdicts mean for the user's own settings; empty where the question does not say."""
        verdicts = {one.claim.key: str(one.verdict) for one in self.claims}
        return "" if self.question.advice is None else self.question.advice(verdicts)


@dataclass(frozen=True)
class LabResult(Result):
    """All questions of a lab run.

    Parameters
    ----------
    questions : tuple of QuestionResult
        In the order of their numbers.
    data : str
        Name of the table.
    task : str
        What is predicted in it.
    rows : int
        Training rows.
    seed : int
        Of the run.
    to_come : dict
        Number → title of questions that were asked for but whose parts are still to come.
    left_out : tuple of int
        Questions for which there was no time.
    command : str
        What repeats the run.
    """

    questions: tuple[QuestionResult, ...]
    data: str
    task: str
    rows: int
    seed: int
    to_come: Mapping[int, str] = field(default_factory=dict)
    left_out: tuple[int, ...] = ()
    command: str = ""

    @property
    def claims(self) -> list[ClaimResult]:
        """All claims of all questions."""
        return [claim for question in self.questions for claim in question.claims]

    def suggested(self) -> dict[str, Any]:
        """Return the settings that the questions suggest; of two for one setting, the later question's."""
        return {name: value for question in self.questions for name, value in question.suggestion.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lab.json`` holds."""
        return {
            "claims": [claim.record() for claim in self.claims],
            "questions": [
                {
                    "number": one.question.number, "title": one.question.title, "question": one.question.sentence,
                    "seeds": one.seeds, "seconds": one.seconds, "notes": list(one.notes), "advice": one.advice(),
                    "suggestion": dict(one.suggestion), "sweeps": [_sweep(sweep) for sweep in one.sweeps],
                }
                for one in self.questions
            ],
            "data": self.data, "task": self.task, "rows": self.rows, "seed": self.seed,
            "to_come": {str(number): title for number, title in self.to_come.items()},
            "left_out": list(self.left_out), "command": self.command,
        }  # fmt: skip

    def summary(self) -> str:
        """Return how many claims came out which way."""
        words = [claim.verdict for claim in self.claims]
        counts = ", ".join(f"{words.count(word)} {word}" for word in ("supported", "refuted", "undecided"))
        count = len(self.questions)
        return f"{count} question{'s' * (count != 1)} on {self.data!r}, {len(words)} claims: {counts}."

    def tables(self) -> list[Table]:
        """Return one row for each claim."""
        rows = tuple(
            (c.question, c.claim.text, c.verdict, c.effect, c.low, c.high, c.claim.unit, c.seeds) for c in self.claims
        )
        return [Table("Claims", ("question", "claim", "verdict", "effect", "low", "high", "unit", "seeds"), rows)]


def _sweep(sweep: Sweep) -> dict[str, Any]:
    return {
        "title": sweep.title, "x": [float(x) for x in sweep.x], "x_label": sweep.x_label, "y_label": sweep.y_label,
        "lines": {name: _finite(table) for name, table in sweep.lines.items()},
    }  # fmt: skip


def _finite(table: Floats) -> list[list[float | None]]:
    return [[float(v) if math.isfinite(v) else None for v in row] for row in np.atleast_2d(table)]


def joined(sweeps: Sequence[Sequence[Sweep]]) -> tuple[Sweep, ...]:
    """Return the sweeps of several rounds as one: their seeds one below the other."""
    found = []
    for parts in zip(*sweeps, strict=True):
        first = parts[0]
        lines = {name: np.vstack([np.atleast_2d(part.lines[name]) for part in parts]) for name in first.lines}
        found.append(Sweep(first.title, first.x, lines, first.x_label, first.y_label, first.log_x, first.log_y))
    return tuple(found)
