"""``glia fit DATA --target y --out run/``, and ``glia fit --resume run/``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from glia.cli.flags import read_settings, verb
from glia.cli.output import Terminal
from glia.cli.workers import launched, met, must_launch
from glia.core.errors import InputError
from glia.core.results import Table
from glia.estimators.settings import FitSettings

_RESUME = typer.Option(
    "--resume", help="Go on with the run in this folder, which knows its settings; flags count before them.",
    metavar="FOLDER",
)  # fmt: skip


def _read(cls: type[FitSettings], chosen: dict[str, Any], config: str | None, resume: str | None) -> FitSettings:
    if resume is None:
        return read_settings(cls, chosen, config)
    if config is not None:
        raise InputError(
            "a run has its settings from one place", f"--config {config!r} and --resume {resume!r}", "leave one away"
        )
    from glia.cli.resume import resumed_settings
    from glia.report.run_folder import RunFolder

    return resumed_settings(RunFolder(resume), chosen)


@verb(FitSettings, "data", options={"resume": Annotated[str | None, _RESUME]}, read=_read)
def command(settings: FitSettings, terminal: Terminal, resume: str | None = None) -> None:
    """Fit a network to a table, compare it with classic models, write the model and a report."""
    if must_launch(settings.workers):
        raise typer.Exit(launched(settings.workers))
    from glia.report.run import fit_run
    from glia.report.run_folder import RunFolder

    folder = RunFolder(settings.out)
    if resume is not None and folder.complete:
        record = json.loads((folder.path / "run.json").read_text(encoding="utf-8"))
        terminal.report(record, f"The run in {resume} is complete. {record['verdict']}", [])
        return
    with met():
        run = fit_run(
            settings, quiet=terminal.quiet or terminal.json, command=terminal.command, resume=resume is not None
        )
    if run is None:
        return
    written = tuple((name, str(path)) for name, path in run.files.items())
    terminal.report(run.record, run.verdict, [Table("Written", ("what", "where"), written)])
