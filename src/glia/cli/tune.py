"""``glia tune DATA --target y --trials 50``, and ``glia tune --space``, which prints what is searched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glia.cli.flags import read_settings, verb
from glia.cli.output import Terminal
from glia.core.results import Table
from glia.tuning.settings import TuneSettings, descriptions

if TYPE_CHECKING:
    from glia.tuning.progress import Progress

_PRINT = "print"
_SPACE = typer.Option(
    "--space", help="TOML file of what is searched; print (or nothing) prints the default to start from.",
    metavar="FILE",
)  # fmt: skip
_RESUME = typer.Option("--resume", help="Go on with the study in the folder.")


def _read(
    cls: type[TuneSettings], chosen: dict[str, Any], config: str | None, resume: bool, space: str | None
) -> TuneSettings:
    if space == _PRINT:
        from glia.tuning.default_space import default_space

        heading = "What glia tune searches: low and high ends (log: evenly by logarithms), or choices."
        print(default_space().to_toml(descriptions(), heading), end="")
        raise typer.Exit
    return read_settings(cls, chosen, config)


@verb(
    TuneSettings,
    "data",
    options={"resume": Annotated[bool, _RESUME], "space": Annotated[str | None, _SPACE]},
    read=_read,
)
def command(settings: TuneSettings, terminal: Terminal, resume: bool, space: str | None) -> None:
    """Search for the settings that do best on a table, fit them, and measure them on rows that no trial saw."""
    from glia.report.tune_run import tune_run

    silent = terminal.quiet or terminal.json
    with _progress(silent=silent) as (say, tell):
        run = tune_run(settings, space=space, resume=bool(resume), command=terminal.command, say=say, tell=tell)
    tables = [*run.result.tables(), Table("Written", ("what", "where"), tuple(run.files.items()))]
    terminal.report(run.record, run.result.summary(), tables)


@contextmanager
def _progress(*, silent: bool) -> Iterator[tuple[Callable[[str], None], Callable[[Progress], None]]]:
    """Draw a line on standard error: trials, the best so far, the time left; stages as lines of their own."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Line

    console = Console(stderr=True)
    columns = (TextColumn("tuning"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Line(*columns, console=console, transient=True, disable=silent or not sys.stderr.isatty()) as line:
        task = line.add_task("", total=None, visible=False)

        def say(words: str) -> None:
            line.update(task, visible=False)
            if not silent:
                print(f"glia: {words}", file=sys.stderr, flush=True)

        def tell(progress: Progress) -> None:
            line.update(
                task, completed=progress.done, total=progress.trials, description=describe(progress), visible=True
            )

        yield say, tell


def describe(progress: Progress) -> str:
    """Return a line that says the best so far, the time left and what is running."""
    best = "" if progress.best is None else f"best {progress.best:.4g} · "
    left = "" if progress.left is None else f"{_time(progress.left)} left · "
    return f"{best}{left}{progress.words}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
