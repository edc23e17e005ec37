"""The page of a forecast: what comes with its intervals, how good it was before, and beside what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glia.core.results import jsonable
from glia.report import words
from glia.report.charts import Bar, Chart, Series, bar_chart, forecast_chart, line_chart, network_chart
from glia.report.page import Section, fill

TITLES = {"network": "this network"}
_LINES = ("valid", "train", "baseline", "test", "other")


def render_forecast(record: Mapping[str, Any]) -> str:
    """Return the report of a forecast as one HTML file that needs nothing else.

    Parameters
    ----------
    record : mapping
        The run's record (``run.json``).
    """
    data: dict[str, Any] = jsonable(dict(record))
    judged = data.get("judged")
    return fill(
        "forecast.html.j2",
        r=Section(data),
        verdict=data["verdict"],
        outcome=(judged or {}).get("outcome", "alone"),
        keys=_keys(data),
        notes=[note for note in [*data["data"]["notes"], data.get("note", "")] if note and note != data["verdict"]],
        forecasts=[_forecast(data, number, one) for number, one in enumerate(data["shown"])],
        errors=None if not judged else _errors(judged),
        steps=None if not judged else _steps(judged),
        scores=() if not judged else _scores(judged),
        architecture=network_chart(data.get("network") or {}),
        choices=tuple((name, one["value"], one["why"]) for name, one in data["choices"].items()),
    )


def _keys(data: Mapping[str, Any]) -> list[dict[str, str]]:
    own = next((s for s in (data.get("judged") or {}).get("scores", []) if s["name"] == "network"), None)
    found = [
        {
            "label": "Series",
            "value": words.number(data["data"]["series"]),
            "note": f"{words.number(data['data']['values'])} values, one a {data['data']['step']}",
        },
        {
            "label": "Horizon",
            "value": words.number(data["settings"]["horizon"]),
            "note": f"steps; things repeat after {words.number(data['season'])}",
        },
    ]
    if own is not None:
        found += [
            {"label": "MASE", "value": words.number(own["mase"]), "note": "1 is a seasonal change"},
            {
                "label": "Within the interval",
                "value": words.percent(own["coverage"], 0),
                "note": f"of the values; {words.percent(data['judged']['level'], 0)} were to be",
            },
        ]
    return found


def _forecast(data: Mapping[str, Any], number: int, one: Mapping[str, Any]) -> Chart:
    name, target = words.shorten(one["series"], 40), str(data["settings"]["target"])
    name, target = words.shorten(one["series"], 40), str(data["settings"]["target"])
    title = _answer(one["past"], one["forecast"], str(data["data"]["step"]))
    if data["data"]["series"] > 1:
        title = f"{name}: {title}"
    else:
        title = title[:1].upper() + title[1:]
    return forecast_chart(
        f"forecast-{number}", title, one["past"], one["forecast"], one["low"], one["high"], y_label=target,
        step=str(data["data"]["step"]), level=float(one["level"]),
    )  # fmt: skip


def _answer(past: list[float], forecast: list[float], step: str) -> str:
    """Return in words how the steps to come compare with as many before: a season says nothing in one step alone."""
    count = min(len(past), len(forecast))
    before, after = sum(past[-count:]) / count, sum(forecast) / len(forecast)
    if len(forecast) == 1:
        return f"{words.number(after)} is forecast for the next {step}, after {words.number(past[-1])}"
    steps = f"{len(forecast)} × {step}" if " " in step else f"{len(forecast)} {step}s"
    told = f"the next {steps} average {words.number(after)}"
    if count < len(forecast):
        return told
    if before > 0:
        change = after / before - 1.0
        way = "above" if change >= 0 else "below"
        return f"{told}, {words.percent(abs(change))} {way} the last {count}"
    return f"{told}, after {words.number(before)} over the last {count}"


def _errors(judged: Mapping[str, Any]) -> Chart:
    ordered = sorted(judged["scores"], key=lambda s: s["mase"])
    bars = [
        Bar(TITLES.get(s["name"], s["name"]), s["mase"], kind="test" if s["name"] == "network" else "baseline")
        for s in ordered
    ]
    best = TITLES.get(ordered[0]["name"], ordered[0]["name"])
    note = "Mean absolute scaled error: 1 is what repeating the last season costs within the past."
    return bar_chart("errors", f"The least error has {best}", bars, x_label="MASE", note=note)


def _steps(judged: Mapping[str, Any]) -> Chart | None:
    if judged["horizon"] < 2:
        return None
    x = list(range(1, judged["horizon"] + 1))
    own, best = judged["by_step"]["network"], judged["by_step"][judged["best"]]
    series = [Series("this network", x, own, "valid"), Series(judged["best"], x, best, "train")]
    better = sum(a is not None and b is not None and a < b for a, b in zip(own, best, strict=True))
    title = f"This network errs less than {judged['best']} at {better} of {len(x)} steps"
    return line_chart("steps", title, series, x_label="steps ahead", y_label="MASE", log=False)


def _scores(judged: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (TITLES.get(s["name"], s["name"]), s["mase"], s["smape"], words.percent(s["coverage"], 0))
        for s in sorted(judged["scores"], key=lambda s: s["mase"])
    )
