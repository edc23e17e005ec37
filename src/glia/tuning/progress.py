"""How far a search is: what is told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from glia.tuning.study import Study


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Parameters
    ----------
    done, trials : int
        Configurations that are finished, and wanted in all.
    best : float or None
        The least score so far.
    seconds : float
        Since the search began.
    left : float or None
        Seconds that it will still take at this pace, or until the time is up; ``None`` before anything is known.
    words : str
        What is running.
    """

    done: int
    trials: int
    best: float | None
    seconds: float
    left: float | None
    words: str


class Clock:
    """Knows when the time is up, and tells how far the search is.

    Parameters
    ----------
    budget : float or None
        Seconds; no bound without it.
    tell : callable, optional
        Called with every ``Progress``.
    """

    def __init__(self, budget: float | None = None, tell: Callable[[Progress], None] | None = None) -> None:
        self.budget, self.tell = budget, tell
        self.start = time.perf_counter()
        self.begun: int | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the search began."""
        return time.perf_counter() - self.start

    def over(self) -> bool:
        """Whether the time is up."""
        return self.budget is not None and self.seconds >= self.budget

    def say(self, study: Study, words: str) -> None:
        """Tell how far the search is."""
        if self.tell is None:
            return
        records = study.records()
        done = sum(t.state in ("complete", "stopped", "failed") for t in records)
        self.begun = done if self.begun is None else self.begun
        scores = [t.score for t in records if t.score is not None and t.state in ("complete", "stopped")]
        own = done - self.begun  # what others or an earlier run have done says nothing of this one's pace
        left = self.seconds / own * max(0, study.trials - done) if own else None
        if self.budget is not None:
            rest = max(0.0, self.budget - self.seconds)
            left = rest if left is None else min(left, rest)
        self.tell(Progress(done, study.trials, min(scores, default=None), self.seconds, left, words))
