"""Runs questions: five seeds each, then more for what is undecided while there is time, then the verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glia.estimators.settings import FitSettings
from glia.lab.bench import Bench
from glia.lab.question import Findings, Question
from glia.lab.result import ClaimResult, LabResult, QuestionResult, joined
from glia.lab.verdict import Word, control, judge, weigh

FIRST = 5
"""Seeds that every question gets."""
MOST = 40
"""Seeds that no question exceeds."""

Say = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """Where a run is: which question runs, how many are done, what is decided so far."""

    running: Question
    words: str
    done: int
    total: int
    decided: Mapping[str, int]
    seconds: float


@dataclass
class _Measured:
    question: Question
    rounds: list[Findings] = field(default_factory=list)
    seeds: int = 0
    seconds: float = 0.0

    def pairs(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        found = [part.pairs[key] for part in self.rounds]
        return tuple(np.concatenate([np.atleast_1d(pair[i]).astype(float) for pair in found]) for i in (0, 1))  # type: ignore[return-value]


def run_lab(
    asked: Iterable[Question],
    bench: Bench,
    *,
    seeds: int = 10,
    budget: float | None = None,
    say: Say | None = None,
    to_come: Mapping[int, str] | None = None,
    command: str = "",
) -> LabResult:
    """Measure questions and judge their claims together.

    Parameters
    ----------
    asked : iterable of Question
        In any order.
    bench : Bench
        With the user's data.
    seeds : int
        For each question, at least 5.
    budget : float, optional
        Seconds for all. Every question then begins with five seeds, as long as time is left, and what is undecided
        gets more while there is time, up to 40. Without a budget every question gets just ``seeds``.
    say : callable, optional
        Takes a ``Progress`` whenever something begins.
    to_come, command
        For the record.

    Returns
    -------
    LabResult
        With the number of seeds of every question: a run with these seeds gives the same verdicts.
    """
    work = [_Measured(question) for question in sorted(asked, key=lambda question: question.number)]
    started = time.monotonic()

    def left() -> float:
        return float("inf") if budget is None else budget - (time.monotonic() - started)

    def measure(one: _Measured, count: int, done: int) -> None:
        begun = time.monotonic()

        def tell(words: str) -> None:
            if say is not None:
                say(Progress(one.question, words, done, len(work), _tally(work), time.monotonic() - started))

        tell(f"seeds {one.seeds + 1} to {one.seeds + count}")
        quiet = Bench(bench.data, bench.seed, tell)
        found = one.question.measure(quiet, range(one.seeds, one.seeds + count))
        _check(one.question, found, count)
        one.rounds.append(found)
        one.seeds += count
        one.seconds += time.monotonic() - begun

    for done, one in enumerate(work):
        if left() > 0:
            measure(one, FIRST if budget is not None else max(seeds, FIRST), done)
    while budget is not None:
        # the cheapest undecided one first: it decides the most in the time that is left
        open_ = [one for one in _undecided(work) if one.seeds < MOST and one.seconds / one.seeds * FIRST < left()]
        if not open_:
            break
        measure(min(open_, key=lambda one: (one.seconds, one.question.number)), FIRST, len(work))
    measured = [one for one in work if one.rounds]
    results = _judged(measured, bench.seed)
    skipped = tuple(one.question.number for one in work if not one.rounds)
    data = bench.data
    return LabResult(
        tuple(results), data.name, data.task, len(data.train), bench.seed, dict(to_come or {}), skipped, command
    )


def _check(question: Question, found: Findings, count: int) -> None:
    """Hold questions to their contract: figures for every claim and seed."""
    for claim in question.claims:
        if claim.key not in found.pairs:
            raise ValueError(f"question {question.number} measured nothing for {claim.key!r}")
        lengths = [len(np.atleast_1d(side)) for side in found.pairs[claim.key]]
        if lengths != [count, count]:
            raise ValueError(f"question {question.number}, {claim.key!r}: {lengths} figures for {count} seeds")
    taken = FitSettings(data="rows", target="target", **found.suggestion)
    for name, value in found.suggestion.items():
        if isinstance(getattr(taken, name), bool) is not isinstance(value, bool):
            raise ValueError(f"question {question.number} suggests {name}={value!r}, which means something else there")


def _verdicts(work: Sequence[_Measured]) -> dict[tuple[int, str], tuple[Word, float]]:
    keys = [(one, claim) for one in work if one.rounds for claim in one.question.claims]
    evidence = [weigh(claim, *one.pairs(claim.key)) for one, claim in keys]
    names = [(one.question.number, claim.key) for one, claim in keys]
    return dict(zip(names, judge(evidence), strict=True))


def _undecided(work: Sequence[_Measured]) -> list[_Measured]:
    verdicts = _verdicts(work)
    open_ = {number for (number, _), (word, _) in verdicts.items() if word == "undecided"}
    return [one for one in work if one.question.number in open_]


def _tally(work: Sequence[_Measured]) -> dict[str, int]:
    words = [word for word, _ in _verdicts(work).values()]
    return {word: words.count(word) for word in ("supported", "refuted", "undecided")}


def _judged(work: Sequence[_Measured], seed: int) -> list[QuestionResult]:
    verdicts = _verdicts(work)
    results = []
    for one in work:
        question, claims = one.question, []
        for claim in question.claims:
            with_, without = one.pairs(claim.key)
            evidence = weigh(claim, with_, without)
            word, p = verdicts[question.number, claim.key]
            names = one.rounds[0].names.get(claim.key, ("with", "without"))
            claims.append(
                ClaimResult(
                    question.number,
                    claim,
                    word,
                    evidence.effect,
                    evidence.low,
                    evidence.high,
                    p,
                    control(with_, without, seed),
                    with_,
                    without,
                    names,
                    evidence.seeds,
                    one.seconds,
                )
            )
        last = one.rounds[-1]
        notes = tuple(dict.fromkeys(note for part in one.rounds for note in part.notes))
        sweeps = joined([part.sweeps for part in one.rounds])
        results.append(QuestionResult(question, tuple(claims), sweeps, last.suggestion, notes, one.seeds, one.seconds))
    return results
