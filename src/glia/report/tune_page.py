"""The page of a search: the best settings, what test rows say of them, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glia.core.results import jsonable
from glia.report import words
from glia.report.charts import Bar, Chart, bar_chart, interval_chart
from glia.report.charts.base import Scale
from glia.report.charts.trials import Dot, parallel_chart, slice_chart, strip_chart, trials_chart
from glia.report.page import Section, fill
from glia.tuning.result import CAVEAT, OPTIMISTIC

MOST_SLICES, MOST_AXES, MOST_TRIALS = 6, 6, 30
_STANDING = {"better": "good", "worse": "failure", "tie": "warning", "alone": "note"}


def render_tune(record: Mapping[str, Any]) -> str:
    """Return the report of a search as one HTML file that needs nothing else.

    Parameters
    ----------
    record : mapping
        ``TuneResult.to_dict()``, and ``name``, ``target``, ``files`` and ``command`` where they are known.
    """
    data: dict[str, Any] = jsonable(dict(record))
    scored = [t for t in data["trials"] if t["score"] is not None]
    outcome = outcome_of(data)
    return fill(
        "tune.html.j2",
        r=Section(data),
        verdict=verdict(data),
        answer=answer(data),
        outcome=outcome,
        icon=_STANDING[outcome],
        optimistic=OPTIMISTIC,
        caveat=CAVEAT,
        keys=_keys(data),
        best=[(name, _shown(value)) for name, value in data["best_settings"].items()],
        test=_test(data),
        search=[chart for chart in (_progress(data, scored), _parallel(data, scored)) if chart],
        importance=_importance(data),
        slices=_slices(data, scored),
        heads=("trial", "score", "epochs", "ended", *data["best_settings"]),
        trials=_rows(data, scored),
        failed=[(t["slot"], t["why"]) for t in data["trials"] if t["state"] == "failed"],
        test_rows=_test_rows(data),
    )


def outcome_of(data: Mapping[str, Any]) -> str:
    """Return ``better``, ``worse`` or ``tie`` on the test rows, or ``alone`` where nothing was compared."""
    difference = data.get("difference") or {}
    if not difference:
        return "alone"
    return "better" if difference["low"] > 0 else "worse" if difference["high"] < 0 else "tie"


def verdict(data: Mapping[str, Any]) -> str:
    """Return the verdict in one sentence."""
    kind = outcome_of(data)
    if kind == "alone":
        if data["best"] is None:
            return "No configuration could be used."
        return f"The best of {len(data['trials'])} configurations scores {words.number(data['best_score'])}."
    d = data["difference"]
    by = f"{words.label(data['primary'])} by {words.number(d['value'])} ({_range(d)})"
    if kind == "better":
        return f"Tuning pays: better than Glia’s own choice on rows that no trial saw, {by}."
    if kind == "worse":
        return f"Do not use these settings: Glia’s own choice is better on rows that no trial saw, {by}."
    return f"Tuning makes no difference that the test {data['noun']} can show: {by}."


def answer(data: Mapping[str, Any]) -> str:
    """Return what was found on the rows that judged the search; what test rows say stands in the verdict."""
    done = sum(trial["state"] in ("complete", "stopped", "failed") for trial in data["trials"])
    if data["best"] is None:
        return f"None of {done} trials has a score ({data['stopped']})."
    own = data["trials"][0]["score"] if data["default"] else None
    best = f"a {data['metric']} of {words.number(data['best_score'])} on {data['validation']}"
    said = f"The best of {done} trials has {best}"
    said += "." if own is None else f"; Glia’s own choice has {words.number(own)}."
    if data["stopped"] != "all done":
        said += f" The search ended before its {data['wanted']} trials: {data['stopped']}."
    return said


def _keys(data: Mapping[str, Any]) -> list[dict[str, str]]:
    done = [t for t in data["trials"] if t["state"] in ("complete", "stopped")]
    seconds = sum(t["seconds"] for t in data["trials"])
    first = next(iter(data["test"].items()), None)
    keys = [
        {
            "label": "Best score",
            "value": words.number(data["best_score"]),
            "note": f"{data['metric']}, on {data['validation']}",
        },
        {
            "label": "Trials",
            "value": words.number(len(done)),
            "note": f"{sum(t['state'] == 'stopped' for t in done)} of them stopped early; "
            f"{words.number(round(seconds, 1))} s of training",
        },
    ]
    if first is not None:
        name, figure = first
        note = f"{_range(figure)}, on {words.number(data['n_test'])} test {data['noun']}"
        keys.append({"label": words.headed(words.label(name)), "value": words.number(figure["value"]), "note": note})
    return keys


def _range(figure: Mapping[str, Any]) -> str:
    return f"{words.number(figure['low'])} to {words.number(figure['high'])}"


def _dot(trial: Mapping[str, Any], x: float, best: bool) -> Dot:
    said = f"trial {trial['slot']}: {words.number(trial['score'], 4)} after {trial['epochs'] or 'all'} epochs"
    return Dot(float(x), float(trial["score"]), said, trial["state"] == "complete", best)


def _is_best(data: Mapping[str, Any], trial: Mapping[str, Any]) -> bool:
    return data["best"] is not None and trial["slot"] == data["trials"][data["best"]]["slot"]


def _progress(data: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]) -> Chart | None:
    if not scored:
        return None
    dots = [_dot(t, t["slot"], _is_best(data, t)) for t in scored]
    winner = data["trials"][data["best"]]["slot"]
    note = "Large dots had all their epochs; small grey ones were stopped early; the line is the best so far."
    title = f"The best was found in trial {winner} of {len(data['trials'])}"
    return trials_chart("progress", title, dots, y_label=data["metric"], note=note)


def _importance(data: Mapping[str, Any]) -> Chart | None:
    found = data["importance"]
    if not found:
        return None
    first = next(iter(found))
    bars = [Bar(name, value, kind="valid" if name == first else "baseline") for name, value in found.items()]
    title = f"What matters most here is {first}: {words.percent(found[first], 0)}"
    return bar_chart("importance", title, bars, x_label="per cent of the differences explained", scale=100.0)


def _order(data: Mapping[str, Any]) -> list[str]:
    """Return the settings that differ, the most important first."""
    rest = [name for name in data["best_settings"] if name not in data["importance"]]
    settings = [t["settings"] for t in data["trials"]]
    return [n for n in (*data["importance"], *rest) if len({repr(s.get(n)) for s in settings}) > 1]


def _slices(data: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]) -> list[Chart]:
    charts: list[Chart] = []
    for name in _order(data)[:MOST_SLICES] if scored else []:
        values = [t["settings"].get(name) for t in scored]
        best = next((t for t in scored if _is_best(data, t)), scored[0])
        title = f"{name}: the best has {_shown(best['settings'].get(name))}"
        if all(words.is_number(value) for value in values) and len(set(values)) > 3:
            dots = [_dot(t, value, _is_best(data, t)) for t, value in zip(scored, values, strict=True)]
            charts.append(
                slice_chart(
                    f"slice-{len(charts)}",
                    title,
                    dots,
                    x_label=name,
                    y_label=data["metric"],
                    log=name in data["logarithmic"],
                )
            )
            continue
        groups: dict[str, list[Dot]] = {}
        for t, value in zip(scored, values, strict=True):
            groups.setdefault(_shown(value), []).append(_dot(t, 0.0, _is_best(data, t)))
        ranked = sorted(groups.items(), key=lambda group: min(dot.score for dot in group[1]))
        charts.append(strip_chart(f"slice-{len(charts)}", title, ranked, x_label=data["metric"]))
    return charts


def _parallel(data: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]) -> Chart | None:
    names = _order(data)[:MOST_AXES]
    if len(scored) < 3 or not names:
        return None
    axes, columns = [], []
    for name in names:
        values = [t["settings"].get(name) for t in scored]
        places, low, high = _places(values, name in data["logarithmic"])
        axes.append((name, low, high))
        columns.append(places)
    ranks = sorted(range(len(scored)), key=lambda k: (scored[k]["score"], k))
    place = {k: 1.0 - rank / (len(scored) - 1) for rank, k in enumerate(ranks)}
    axes.append(("rank", "worst", "best"))
    strong = set(ranks[: max(1, len(scored) // 10)])
    lines = [
        (
            [*(column[k] for column in columns), place[k]],
            f"trial {scored[k]['slot']}: {words.number(scored[k]['score'], 4)}",
            k in strong,
        )
        for k in range(len(scored))
    ]
    many = len(strong)
    title = "The best trial’s way through the settings" if many == 1 else f"Where the {many} best trials went"
    return parallel_chart("parallel", title, axes, lines, note="Every line is a configuration; the best stand out.")


def _places(values: Sequence[Any], log: bool) -> tuple[list[float], str, str]:
    """Return where values stand on an axis from 0 to 1, and what stands at its ends."""
    if all(words.is_number(value) for value in values):
        low, high = min(values), max(values)
        scale = Scale(float(low), float(high), 0.0, 1.0, log and low > 0)
        return [scale(float(value)) for value in values], words.number(low, 2), words.number(high, 2)
    lists = all(isinstance(value, list) for value in values)
    known = list(dict.fromkeys(map(_shown, sorted(values, key=None if lists else _shown))))
    step = max(1, len(known) - 1)
    return [known.index(_shown(value)) / step for value in values], known[0], known[-1]


def _test(data: Mapping[str, Any]) -> Chart | None:
    if not data["test"]:
        return None
    name = data["primary"] or next(iter(data["test"]))
    bars = []
    for label, part, kind in (("tuned", "test", "test"), ("Glia’s own choice", "untuned", "baseline")):
        figure = (data[part] or {}).get(name)
        if figure:
            bars.append(Bar(label, figure["value"], figure["low"], figure["high"], kind))
    title = f"On {words.number(data['n_test'])} test {data['noun']}: {words.label(name)} {words.number(bars[0].value)}"
    note = "Intervals of 95 %. The difference has a narrower interval than either, since "
    note += f"{data['noun']} are hard for both."
    return interval_chart("test", title, bars, x_label=words.label(name), note=note if len(bars) > 1 else "")


def _test_rows(data: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    own = data["untuned"] or {}
    return tuple(
        (words.label(name), f["value"], f["low"], f["high"], (own.get(name) or {}).get("value"))
        for name, f in data["test"].items()
    )


def _rows(data: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]) -> tuple[tuple[Any, ...], ...]:
    ranked = sorted(scored, key=lambda t: (t["score"], t["slot"]))[:MOST_TRIALS]
    ends = {"complete": "whole", "stopped": "stopped early"}
    return tuple(
        (
            t["slot"], t["score"], t["epochs"], ends.get(t["state"], t["state"]),
            *(_cell(t["settings"].get(name)) for name in data["best_settings"]),
        )
        for t in ranked
    )  # fmt: skip


def _cell(value: Any) -> Any:
    return value if words.is_number(value) else _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value) or "none"
    return words.number(value) if words.is_number(value) else words.shorten(str(value), 60)
