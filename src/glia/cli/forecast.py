"""``glia forecast DATA --time ds --target y --horizon 28 --out run/``."""

from __future__ import annotations

import sys

from glia.cli.flags import verb
from glia.cli.output import Terminal
from glia.core.results import Table
from glia.report.forecast_settings import ForecastSettings


@verb(ForecastSettings, "data")
def command(settings: ForecastSettings, terminal: Terminal) -> None:
    """Forecast many series with intervals; judge the forecasts beside classic methods; write a model and a report."""
    from glia.report.forecast_run import forecast_run

    def say(line: str) -> None:
        if not (terminal.quiet or terminal.json) and sys.stderr.isatty():
            print(line, file=sys.stderr)

    run = forecast_run(settings, command=terminal.command, say=say)
    tables = []
    if run.record["judged"]:
        rows = tuple(
            (s["name"], s["mase"], s["smape"], s["coverage"])
            for s in sorted(run.record["judged"]["scores"], key=lambda s: s["mase"])
        )
        tables.append(Table("From earlier origins", ("method", "MASE", "sMAPE", "within the interval"), rows))
    written = tuple((name, str(path)) for name, path in run.files.items())
    terminal.report(run.record, run.verdict, [*tables, Table("Written", ("what", "where"), written)])
