"""``glia lab list | NUMBERS | all [--data people.csv --target income]``."""

from __future__ import annotations

import re
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from glia.cli.flags import verb
from glia.cli.output import Terminal
from glia.core.errors import InputError
from glia.core.results import Table
from glia.core.settings import REQUIRED, Settings, setting

if TYPE_CHECKING:
    from glia.lab.harness import Progress

_UNITS = {"s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class LabSettings(Settings):
    """Which questions are answered, on what, and for how long."""

    which: str = setting(REQUIRED, "list, all, or numbers of questions: 16 or 3,10-12")
    data: str | None = setting(None, "the table to measure on; a bundled census where none is given")
    target: str | None = setting(None, "the column to predict in it")
    out: str = setting("lab", "folder for lab.json, report.html and suggested.toml")
    seeds: Annotated[int, Field(ge=5, le=200)] = setting(10, "networks for each figure; more settle more")
    budget: str | None = setting(
        None, "time for all: 90s, 10m, 1h; every question then gets 5 seeds and undecided ones more while there is time"
    )
    rows: Annotated[int, Field(ge=50)] = setting(4000, "measure on at most this many rows")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = setting(0, "the one seed of everything random")


@verb(LabSettings, "which")
def command(settings: LabSettings, terminal: Terminal) -> None:
    """Answer textbook questions about neural networks by measurement on your data."""
    from glia.lab.catalog import TITLES, all_questions, choose

    if settings.which == "list":
        known = all_questions()
        rows = tuple((n, title, len(known[n].claims) if n in known else "to come") for n, title in TITLES.items())
        listed = [
            {"number": n, "title": title, "claims": len(known[n].claims) if n in known else None}
            for n, title in TITLES.items()
        ]
        terminal.report(
            {"questions": listed},
            f"{len(known)} of 50 questions can be asked: glia lab NUMBER",
            [Table("Questions", ("number", "title", "claims"), rows)],
        )
        return
    budget = None if settings.budget is None else seconds_of(settings.budget)
    asked, to_come = choose(settings.which)
    from glia.core.files import write_json, write_text
    from glia.core.toml import value_text
    from glia.lab.bench import Bench
    from glia.lab.data import load_data
    from glia.lab.harness import run_lab
    from glia.report.lab_page import render_lab

    folder = Path(settings.out)
    if folder.exists() and not folder.is_dir():
        raise InputError("out must be a folder", f"the file {settings.out!r}", "choose another name")
    bench = Bench(load_data(settings.data, settings.target, rows=settings.rows, seed=settings.seed), settings.seed)
    line = _Line(quiet=terminal.quiet or terminal.json)
    result = run_lab(
        asked, bench, seeds=settings.seeds, budget=budget, say=line.show, to_come=to_come, command=_again(settings)
    )
    line.end()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "lab.json", result.to_dict())
    write_text(folder / "report.html", render_lab(result))
    written = [("report", str(folder / "report.html")), ("figures", str(folder / "lab.json"))]
    if result.suggested():
        lines = [f"{name} = {value_text(value)}\n" for name, value in result.suggested().items()]
        write_text(
            folder / "suggested.toml", f"# What glia lab measured on {result.data}: {result.command}\n" + "".join(lines)
        )
        written.append(("settings", str(folder / "suggested.toml")))
    tables = [*result.tables(), Table("Written", ("what", "where"), tuple(written))]
    terminal.report({**result.to_dict(), "files": dict(written)}, result.summary(), tables)


def seconds_of(text: str) -> float:
    """Return the seconds of ``90s``, ``10m`` or ``1h``.

    Raises
    ------
    InputError
        If it is no such time.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", text)
    if not found or float(found[1]) <= 0:
        raise InputError("a budget is a time", repr(text), "write 90s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def _again(settings: LabSettings) -> str:
    """Return the command that repeats a run."""
    words = ["glia", "lab", settings.which]
    for name, field in LabSettings.model_fields.items():
        value: Any = getattr(settings, name)
        if name != "which" and value != field.default:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


class _Line:
    """A line on the terminal: what runs, what is decided, how long it has taken."""

    def __init__(self, *, quiet: bool) -> None:
        self.live = not quiet and sys.stderr.isatty()
        self.plain = not quiet and not self.live
        self.last: int | None = None
        self.drawn = 0.0

    def show(self, progress: Progress) -> None:
        """Draw where the run is; without a terminal, one line for each question."""
        decided = progress.decided
        words = (
            f"{progress.done}/{progress.total} · {progress.seconds:.0f} s · question {progress.running.number} "
            f"({progress.running.title}): {progress.words} · {decided['supported']} supported, "
            f"{decided['refuted']} refuted, {decided['undecided']} undecided"
        )
        if self.live and time.monotonic() - self.drawn > 0.1:
            sys.stderr.write(f"\r\x1b[K{words[:110]}")
            sys.stderr.flush()
            self.drawn = time.monotonic()
        elif self.plain and progress.running.number != self.last:
            print(words, file=sys.stderr, flush=True)
        self.last = progress.running.number

    def end(self) -> None:
        """Clear the line."""
        if self.live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
