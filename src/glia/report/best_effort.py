"""``effort="best"`` within a time budget: settings are searched on training and validation rows, before the fit."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glia.core.errors import InputError
from glia.core.files import write_json
from glia.core.results import jsonable
from glia.estimators.choices import CLASS_MEMBERS, FOLDED_ROWS, MEMBERS, SMALL
from glia.estimators.settings import FitSettings
from glia.report.tune_run import described, problem_of, space_of
from glia.tuning.default_space import first_choice
from glia.tuning.result import TuneResult
from glia.tuning.settings import TuneSettings
from glia.tuning.tune import search, seconds_of

SHARE = 0.6
"""Of the budget, for the search; the fit of what it finds and its judging take the rest."""
_TRIALS = 10_000  # the time ends the search
_JOINING = 2
"""Trials' time that a radial network's joining may take."""


def best_within(
    settings: FitSettings, folder: Path, say: Callable[[str], None] = lambda line: None
) -> tuple[FitSettings, dict[str, Any] | None]:
    """Return settings with the best that a search found within ``settings.time_budget``, and what it did.

    Parameters
    ----------
    settings : FitSettings
        Without a time budget they come back as they are.
    folder : Path
        Where the study is kept until the run is done: a run that was killed goes on with it, and one that had begun
        to train trains the same settings again.
    say : callable
        Told what is going on.

    Raises
    ------
    InputError
        If the effort is not "best", or the rows cannot be searched on.
    """
    if settings.time_budget is None:
        return settings, None
    if settings.effort != "best":
        raise InputError(
            "a time budget is for effort best", f"effort={settings.effort!r}", "add --effort best, or leave it out"
        )
    budget, begun = seconds_of(settings.time_budget) or 0.0, time.monotonic()
    own = {name: value for name, value in settings.model_dump().items() if name in settings.model_fields_set}
    asked = TuneSettings(**{**own, "data": settings.data, "trials": _TRIALS, "untuned": False})
    name = _name(asked)
    known = folder / f"{name}.json"
    if known.is_file():
        record: dict[str, Any] = json.loads(known.read_text(encoding="utf-8"))
        return settings.replace(**record["settings"], members=record["members"]), record
    problem, split = problem_of(asked)
    space = space_of(asked, None, problem, len(split.train))
    say(f"searching {len(space.names)} settings for {SHARE * budget:.0f} s, judged by {problem.validation}")
    folder.mkdir(parents=True, exist_ok=True)
    result, error = search(
        problem, space, trials=_TRIALS, budget=SHARE * budget, path=folder / f"{name}.db", halving=asked.plan,
        seed=settings.seed, first=first_choice(len(split.train)), about={"settings": described(asked)},
    )  # fmt: skip
    if result.stopped == "interrupted":
        raise KeyboardInterrupt("while settings were searched; the same command goes on")
    if result.best is None and error is not None:
        raise error
    best = dict(result.best_settings) if result.best is not None else {}
    left = budget - (time.monotonic() - begun)
    members = _members(settings, result, left, len(split.train)) if problem.several else settings.members
    found = {
        "settings": best,
        "members": members,
        "trials": len(result.done()),
        "seconds": result.seconds,
        "metric": result.metric,
        "score": None if result.best is None else result.trials[result.best].score,
        "validation": result.validation,
        "importance": dict(result.importance),
    }
    record = dict(jsonable(found))
    write_json(known, record)
    what = "a network" if not problem.several else "several networks" if members == "auto" else f"{members} networks"
    say(f"fitting {what} with the best of {record['trials']} trials")
    return settings.replace(**best, members=members), record


def _name(asked: TuneSettings) -> str:
    """Return a name for the files of a search: what other settings left in the folder is not taken up."""
    told = {**described(asked), "data": str(Path(asked.data).absolute()), "time_budget": str(asked.time_budget)}
    return "search-" + hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=6).hexdigest()


def searched_choice(record: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what a search found as a choice, with its reason, as estimators note theirs."""
    if record is None:
        return {}
    words = ", ".join(f"{name} {value}" for name, value in record["settings"].items()) or "Glia's own"
    score = "" if record["score"] is None else f": {record['metric']} {record['score']:.4g} on {record['validation']}"
    return {"settings": {"value": words, "why": f"the best of {record['trials']} trials{score}"}}


def _members(settings: FitSettings, result: TuneResult, left: float, rows: int) -> int | str:
    """Return as many networks of the best settings as the time that is left is likely to do, at most eight.

    "auto" where there is time for all that this means: a fold for each, companions, and a radial network.
    """
    if settings.members != "auto" or result.best is None:
        return settings.members
    whole = max((trial.seconds for trial in result.trials if trial.state == "complete"), default=math.nan)
    if not whole > 0:
        return 1
    if settings.network == "auto" and SMALL <= rows <= FOLDED_ROWS and left / whole > CLASS_MEMBERS["best"] + _JOINING:
        return "auto"
    return int(min(MEMBERS["best"], max(1, left / whole)))
