"""``glia fit DATA --target y --out run/``."""

from __future__ import annotations

from glia.cli.flags import verb
from glia.cli.output import Terminal
from glia.core.results import Table
from glia.estimators.settings import FitSettings


@verb(FitSettings, "data")
def command(settings: FitSettings, terminal: Terminal) -> None:
    """Fit a network to a table, compare it with classic models, write the model and a report."""
    from glia.report.run import fit_run

    run = fit_run(settings, quiet=terminal.quiet or terminal.json, command=terminal.command)
    written = tuple((name, str(path)) for name, path in run.files.items())
    terminal.report(run.record, run.verdict, [Table("Written", ("what", "where"), written)])
