"""The two ways through a study: brackets of configurations that are thinned out, and one configuration at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from glia.core.errors import GliaError
from glia.tuning.family import MEMBERS, Family, architecture
from glia.tuning.halving import Halving, best_of
from glia.tuning.progress import Clock
from glia.tuning.study import Candidate, Study

FamilyOf = Callable[[Sequence[Candidate]], Family]


@dataclass
class Search:
    """Works on a study until it is done or the time is up.

    Parameters
    ----------
    study : Study
    clock : Clock
    errors : list of Exception
        What configurations failed with.
    """

    study: Study
    clock: Clock
    errors: list[Exception] = field(default_factory=list)

    def one_by_one(self, score: Callable[[dict[str, Any], int], float]) -> None:
        """Try one configuration after the other; ``score`` gets settings and the configuration's number."""
        while not self.clock.over():
            candidate = self.study.ask()
            if candidate is None:
                return
            start = time.perf_counter()
            try:
                found = score(candidate.settings, candidate.slot)
            except Exception as error:  # whatever a user's estimator makes of its settings, the others may do
                self._fail([candidate], error)
            else:
                seconds = time.perf_counter() - start
                if math.isfinite(found):
                    self.study.finish(candidate, found, seconds)
                else:
                    self.study.fail(candidate, "its score is not finite")
            self.clock.say(self.study, "one configuration at a time")

    def halve(self, plan: Halving, family_of: FamilyOf) -> None:
        """Try brackets of configurations, each thinned out rung by rung."""
        while not self.clock.over():
            candidates = self._bracket(plan)
            if not candidates:
                return
            groups: dict[str, list[Candidate]] = {}
            for one in candidates:
                groups.setdefault(architecture(one.settings), []).append(one)
            families = []
            for group in groups.values():
                try:
                    families.append(family_of(group))
                except GliaError as error:
                    self._fail(group, error)
            self._thin_out(plan, families)

    def _bracket(self, plan: Halving) -> list[Candidate]:
        """Ask for configurations; runs of ``siblings`` share what the first of them has for an architecture."""
        shared = tuple(name for name in self.study.space.names if name not in MEMBERS)
        found: list[Candidate] = []
        while len(found) < plan.bracket:
            place = len(found) % plan.siblings
            asked = self.study.ask(found[-place] if place else None, shared)
            if asked is None:
                break
            found.append(asked)
        return found

    def _thin_out(self, plan: Halving, families: list[Family]) -> None:
        scores: dict[int, list[float]] = {}
        for rung in range(plan.rungs):
            for number, family in enumerate(families):
                end = plan.epochs(family.epochs)[rung]
                if end > family.done:
                    words = f"rung {rung + 1} of {plan.rungs}, {len(family.candidates)} at once to epoch {end}"
                    self.clock.say(self.study, words)
                    scores[number] = family.advance(end)
                    for candidate, score in zip(family.candidates, scores[number], strict=True):
                        self.study.report(candidate, family.done, score)
                if self.clock.over():
                    self._end([f for n, f in enumerate(families) if n in scores])
                    return
            if rung < plan.rungs - 1:
                families, scores = self._next(plan, families, scores)
        for number, family in enumerate(families):
            for candidate, score, seconds in zip(family.candidates, scores[number], family.seconds, strict=True):
                self.study.finish(candidate, score, seconds, complete=math.isfinite(score))
        self.clock.say(self.study, "a bracket is done")

    def _next(
        self, plan: Halving, families: list[Family], scores: dict[int, list[float]]
    ) -> tuple[list[Family], dict[int, list[float]]]:
        """Finish those that others do better than; return the families that go on, and their scores."""
        places = [(n, k) for n, family in enumerate(families) for k in range(len(family.candidates))]
        flat = [scores[n][k] for n, k in places]
        chosen = {places[place] for place in best_of(flat, plan.kept(len(flat)))}
        left: list[Family] = []
        kept: dict[int, list[float]] = {}
        for n, family in enumerate(families):
            members = [k for k in range(len(family.candidates)) if (n, k) in chosen]
            for k, (candidate, seconds) in enumerate(zip(family.candidates, family.seconds, strict=True)):
                if k not in members:
                    self.study.finish(candidate, scores[n][k], seconds, complete=False)
            if members:
                kept[len(left)] = [scores[n][k] for k in members]
                left.append(family)
                family.keep(members)
        return left, kept

    def _end(self, families: Sequence[Family]) -> None:
        """Finish what has a score before its end; what has none is given back to the study."""
        for family in families:
            for candidate, seconds in zip(family.candidates, family.seconds, strict=True):
                self.study.finish(candidate, math.inf, seconds, complete=False)

    def _fail(self, candidates: Sequence[Candidate], error: Exception) -> None:
        self.errors.append(error)
        for candidate in candidates:
            self.study.fail(candidate, str(error) or type(error).__name__)
