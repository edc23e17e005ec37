"""A whole forecast: judge from earlier origins, fit to everything, forecast, and write the folder that people keep."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from glia import __version__
from glia.core.errors import InputError
from glia.core.files import atomic_path, sha256, write_json, write_text
from glia.core.results import jsonable
from glia.data import read
from glia.data.series import SeriesTable, describe_table
from glia.estimators.forecaster import Forecaster
from glia.estimators.persist import save
from glia.estimators.rolling_origin import RollingOriginResult, rolling_origin
from glia.report.forecast_page import render_forecast
from glia.report.forecast_settings import ForecastSettings
from glia.report.network_record import network_record
from glia.report.run_folder import RunFolder

SHOWN = 6
"""Series whose forecasts the report draws."""
_PAST = 4


@dataclass(frozen=True)
class ForecastRun:
    """What a run left: its record, its folder, the verdict in words and the files by name."""

    record: dict[str, Any]
    folder: Path
    verdict: str
    files: dict[str, Path]


def forecast_run(
    settings: ForecastSettings,
    *,
    command: str = "",
    source: Any = None,
    say: Callable[[str], None] = lambda line: None,
) -> ForecastRun:
    """Forecast as the settings say and write the folder; nothing is left behind after an error.

    Raises
    ------
    InputError
        If the series or settings cannot be used.
    """
    folder = RunFolder(settings.out)
    folder.check()
    began = time.perf_counter()
    say(f"reading {settings.data}")
    frame = read(settings.data, infer=False).frame if source is None else source
    forecaster = make_forecaster(settings)
    table = forecaster.series(frame)
    read_seconds = time.perf_counter() - began
    found = None
    if settings.origins:
        found, note = _judged(forecaster, table, settings, say)
    else:
        note = "Nothing was judged: origins is 0."
    judged_seconds = time.perf_counter() - began - read_seconds
    say(f"training on all of {len(table)} series")
    forecaster.fit(table)
    fit_seconds = time.perf_counter() - began - read_seconds - judged_seconds
    predicted = forecaster.predict_frame(table)
    verdict = found.summary() if found is not None else note
    record: dict[str, Any] = {
        "format": 1,
        "kind": "forecast",
        "verdict": verdict,
        "note": note,
        "settings": settings.model_dump(),
        "command": command,
        "data": {"name": Path(settings.data).name, **describe_table(table)},
        "source": {"sha256": sha256(Path(settings.data))} if source is None and Path(settings.data).is_file() else {},
        "choices": forecaster.choices_,
        "network": network_record(forecaster),
        "season": forecaster.windows_.season_,
        "input_length": forecaster.windows_.length_,
        "base": {"name": forecaster.windows_.base_, "errors": forecaster.windows_.base_errors_},
        "trust": forecaster.windows_.trust_,
        "judged": None if found is None else {**found.to_dict(), "outcome": found.outcome},
        "shown": _shown(forecaster, table),
        "timings": {"read": read_seconds, "judge": judged_seconds, "fit": fit_seconds},
        "versions": {"glia": __version__, "python": platform.python_version()}
        | {name: version(name) for name in ("torch", "numpy", "polars")},
    }
    record["timings"]["total"] = time.perf_counter() - began
    say("writing the model, the forecasts and the report")
    files = _write(folder.path, forecaster, settings, predicted, record)
    return ForecastRun(jsonable(record), folder.path, verdict, files)


def make_forecaster(settings: ForecastSettings) -> Forecaster:
    """Return an unfitted forecaster with the settings of a run."""
    ids: Any = None if not settings.id else settings.id[0] if len(settings.id) == 1 else list(settings.id)
    names = ("horizon", "time", "target", "input_length", "season", "base", "identity", "network", "members", "effort",
             "epochs", "device")  # fmt: skip
    given = {name: getattr(settings, name) for name in names}
    return Forecaster(**given, id=ids, covariates=tuple(settings.covariates), random_state=settings.seed)


def _judged(
    forecaster: Forecaster, table: SeriesTable, settings: ForecastSettings, say: Callable[[str], None]
) -> tuple[RollingOriginResult | None, str]:
    """Return how good forecasts from earlier origins were; series may be long enough to forecast but not for that."""
    longest = int(table.known.max())
    if longest < 2 * settings.horizon + 2:
        forecaster.series(table)
        if longest < settings.horizon + 2:
            got = f"{longest} values in the longest series for a horizon of {settings.horizon}"
            do = f"forecast at most {max(1, longest - 2)} steps, or give longer series"
            raise InputError("a series must have at least two values more than the horizon", got, do)
        return None, "The series are too short to judge forecasts of this horizon: nobody knows how good these are."
    found = rolling_origin(forecaster, table, origins=settings.origins, most_series=settings.compare_series, say=say)
    return found, found.left_out


def _shown(forecaster: Forecaster, table: SeriesTable) -> list[dict[str, Any]]:
    """Return the last values and the forecasts of some series, for drawing."""
    chosen = np.unique(np.linspace(0, len(table) - 1, min(SHOWN, len(table))).round().astype(np.int64))
    part = table.take(chosen)
    quantiles, middle = forecaster.predict_quantiles(part), forecaster.predict(part)
    count = max(_PAST * forecaster.horizon, 2 * forecaster.windows_.season_)
    levels = list(forecaster.objective.levels)
    return [
        {
            "series": str(part.ids[i]),
            "past": own[-count:].tolist(),
            "forecast": middle[i].tolist(),
            "low": quantiles[i, :, 0].tolist(),
            "high": quantiles[i, :, -1].tolist(),
            "level": levels[-1] - levels[0],
        }
        for i, own in enumerate(part.histories())
    ]


def _write(
    path: Path, forecaster: Forecaster, settings: ForecastSettings, predicted: pl.DataFrame, record: dict[str, Any]
) -> dict[str, Path]:
    names = {
        "model": "model.glia", "forecast": "forecast.parquet", "report": "report.html", "record": "run.json",
        "settings": "settings.toml",
    }  # fmt: skip
    files = {name: path / file for name, file in names.items()}
    record["files"] = {name: str(file) for name, file in files.items()}
    page = render_forecast(record)  # before anything is written
    save(forecaster, files["model"], target=settings.target)
    with atomic_path(files["forecast"]) as aside:
        predicted.write_parquet(aside)
    write_text(files["settings"], settings.to_toml())
    write_text(files["report"], page)
    write_json(files["record"], jsonable(record))
    return files
