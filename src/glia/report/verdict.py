"""The answer in words: is this network better than what is simpler, and where is it weakest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glia.report.decisions import decision_remarks
from glia.report.words import (
    clean,
    decimals_of,
    figure_text,
    fixed,
    headed,
    is_number,
    is_share,
    label,
    level_text,
    number,
    range_text,
    shorten,
)

Record = Mapping[str, Any]


def outcome(record: Record) -> str:
    """Return ``better``, ``worse``, ``tie``, or ``alone`` where nothing was compared.

    An outcome that is not written in the record is read off the interval: it is a tie when zero lies inside.
    """
    comparison = record.get("comparison") or {}
    stated = comparison.get("outcome")
    if stated in ("better", "worse", "tie"):
        return str(stated)
    difference = comparison.get("difference") or {}
    low, high = difference.get("low"), difference.get("high")
    if not (is_number(low) and is_number(high)):
        return "alone"
    return "better" if low > 0 else "worse" if high < 0 else "tie"


def verdict(record: Record) -> str:
    """Return the verdict in one sentence.

    Parameters
    ----------
    record : mapping
        A run's record (``run.json``). ``comparison.difference`` is positive where the network is better.

    Returns
    -------
    str
        Names the best classic model and the difference with its interval, and the weakest group of rows if one is
        known. Begins with "Do not use this network" where the classic model is better.
    """
    kind = outcome(record)
    if kind == "alone":
        return _alone(record)
    comparison = record["comparison"]
    baseline = shorten(comparison.get("baseline") or "unnamed", 60)
    metric, info = str(comparison.get("metric") or record.get("primary") or "score"), record.get("metric_info")
    difference = comparison.get("difference") or {}
    if kind == "worse":
        amount, interval = _amount(metric, _negated(difference), info)
        return f"Do not use this network: {baseline} is better by {amount} ({interval})."
    amount, interval = _amount(metric, difference, info)
    if kind == "tie":
        return (
            f"The network and the best classic model ({baseline}) cannot be told apart "
            f"(difference {amount}, {interval})."
        )
    return f"The network beats the best classic model ({baseline}) by {amount} ({interval}){_least_sure(record)}."


def advice(record: Record) -> str:
    """Return what follows from the verdict for somebody who must decide, in one or two sentences."""
    baseline = shorten((record.get("comparison") or {}).get("baseline") or "the classic model", 60)
    return {
        "better": "The gain is larger than chance explains on these test rows. Read where it goes wrong before you "
        "rely on it.",
        "tie": f"On these test rows the network has not earned its cost: {baseline} is simpler, and as good as far as "
        "can be seen. More test rows would narrow the interval.",
        "worse": f"Take {baseline}, or change the network and compare again. What follows helps to find out why.",
        "alone": "Compare it with a simple model before you rely on it.",
    }[outcome(record)]


def _alone(record: Record) -> str:
    metrics = (record.get("metrics") or {}).get("test") or {}
    primary = record.get("primary") or next(iter(metrics), None)
    figure = metrics.get(primary) if primary else None
    if not primary or not figure or not is_number(figure.get("value")):
        return "Nothing was measured on test rows, so there is no verdict on this network."
    info = record.get("metric_info")
    between = range_text(primary, figure, info)
    interval = f" ({level_text(figure)} interval {between})" if between else ""
    where = f" on {_test_rows(record) or 'the test rows'}"
    return (
        f"The network reaches {figure_text(primary, figure, info)} {label(primary, info)}{interval}{where}; "
        "no classic model was tried, so nothing says whether a network is needed."
    )


def _test_rows(record: Record) -> str:
    """Return how many rows, or what else is drawn, there are in the test part; empty where that is not known."""
    rows = ((record.get("split") or {}).get("rows") or {}).get("test")
    return f"{number(rows)} test {record.get('noun') or 'rows'}" if is_number(rows) else ""


def _amount(metric: str, difference: Mapping[str, Any], info: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return ("1.9 points of accuracy", "95 % interval 0.8 to 3.0")."""
    share = is_share(metric, info)
    scale = 100.0 if share else 1.0
    places = decimals_of(difference, scale)
    value = fixed(float(difference.get("value") or 0.0) * scale, places)
    unit = str(((info or {}).get(metric) or {}).get("unit") or "")
    name = label(metric, info)
    amount = f"{value} points of {name}" if share else f"{value}{f' {unit}' if unit else ''} in {name}"
    low, high = difference.get("low"), difference.get("high")
    if not (is_number(low) and is_number(high)):
        return amount, "no interval"
    between = f"{fixed(low * scale, places)} to {fixed(high * scale, places)}"
    return amount, f"{level_text(difference)} interval {between}"


def _negated(difference: Mapping[str, Any]) -> dict[str, Any]:
    flipped = {"value": difference.get("value"), "low": difference.get("high"), "high": difference.get("low")}
    return {**difference, **{key: -float(v) for key, v in flipped.items() if is_number(v)}}


def _least_sure(record: Record) -> str:
    groups = record.get("weak_groups") or []
    text = groups[0].get("text") if groups else None
    return f"; it is least sure about rows with {shorten(text, 80)}" if text else ""


def key_figures(record: Record) -> list[dict[str, str]]:
    """Return the figures that carry the verdict, three at most: label, value, interval, note.

    They are the primary metric on test rows, the difference to the best classic model, and how far the stated
    probabilities (or intervals) can be believed; other test metrics take the place of what is not known.
    """
    info = record.get("metric_info")
    test = (record.get("metrics") or {}).get("test") or {}
    primary = str(record.get("primary") or next(iter(test), ""))
    figures: list[dict[str, str]] = []
    on_rows = f"on {_test_rows(record) or 'test rows'}"
    if test.get(primary):
        figures.append(_figure(headed(label(primary, info)), primary, test[primary], info, on_rows))
    comparison = record.get("comparison") or {}
    if is_number((comparison.get("difference") or {}).get("value")):
        figures.append(_difference_figure(record, comparison))
    figures += _belief_figures(record)
    for name, figure in test.items():
        if len(figures) < 3 and name != primary and figure and is_number(figure.get("value")):
            figures.append(_figure(headed(label(name, info)), name, figure, info, on_rows))
    return figures[:3]


def _figure(
    title: str, name: str, figure: Mapping[str, Any], info: Mapping[str, Any] | None, note: str
) -> dict[str, str]:
    between = range_text(name, figure, info)
    interval = f"{level_text(figure)} interval {between}" if between else ""
    return {"label": clean(title), "value": figure_text(name, figure, info), "interval": interval, "note": note}


def _difference_figure(record: Record, comparison: Mapping[str, Any]) -> dict[str, str]:
    info, metric = record.get("metric_info"), str(comparison.get("metric") or record.get("primary") or "score")
    difference = comparison["difference"]
    share = is_share(metric, info)
    scale = 100.0 if share else 1.0
    value = fixed(float(difference["value"]) * scale, decimals_of(difference, scale))
    sign = "" if value.startswith("−") or not value.strip("0.,") else "+"
    unit = "points" if share else str(((info or {}).get(metric) or {}).get("unit") or "")
    _, interval = _amount(metric, difference, info)
    return {
        "label": "Against the best classic model",
        "value": f"{sign}{value} {unit}".strip(),
        "interval": interval,
        "note": f"{label(metric, info)}, {shorten(comparison.get('baseline') or 'unnamed', 40)}; above zero is better",
    }


def _belief_figures(record: Record) -> list[dict[str, str]]:
    calibration = record.get("calibration") or {}
    intervals = record.get("intervals") or calibration.get("intervals") or {}
    if is_number((calibration.get("ece") or {}).get("value")):
        note = "mean distance of stated from seen probability; zero is best"
        return [_figure("Calibration error", "ece", calibration["ece"], {"ece": {"unit": "%"}}, note)]
    if is_number((intervals.get("coverage") or {}).get("value")):
        note = f"of true values lie in the {number((intervals.get('nominal') or 0.9) * 100)} % prediction intervals"
        return [_figure("Coverage", "coverage", intervals["coverage"], None, note)]
    return []


def remarks(record: Record, history: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return warnings that follow from the record itself, in the form of the schema's: severity and message."""
    found: list[dict[str, str]] = []
    if outcome(record) == "alone" and record.get("metrics"):
        found.append({"severity": "warning", "message": "No classic model was compared: the network may be needless."})
    found += decision_remarks(record)
    rows = ((record.get("split") or {}).get("rows") or {}).get("test")
    if is_number(rows) and rows < 200:
        found.append({"severity": "note", "message": f"Only {_test_rows(record)}: every interval here is wide."})
    best = (record.get("training") or {}).get("best_epoch")
    last = history[-1].get("epoch") if history else None
    if is_number(best) and best == last and len(history) > 2:
        text = f"The last epoch ({number(best)}) was the best: it may still be learning. Try more epochs."
        found.append({"severity": "warning", "message": text})
    coverage = (record.get("intervals") or {}).get("coverage") or {}
    nominal = (record.get("intervals") or {}).get("nominal")
    if is_number(nominal) and is_number(coverage.get("high")) and coverage["high"] < nominal:
        text = f"Prediction intervals stated at {number(nominal * 100)} % cover fewer true values than that."
        found.append({"severity": "warning", "message": text})
    return found
