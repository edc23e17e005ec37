"""The page of a diagnosis: what is wrong and what to do, then every measure by layer and by rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from glia.core.results import jsonable
from glia.diagnose.result import words_of
from glia.report import words
from glia.report.charts import (
    Bar,
    Chart,
    Series,
    bar_chart,
    interval_chart,
    line_chart,
    miniature,
    reliability_chart,
)
from glia.report.page import Section, fill

MOST_LAYERS = 12
MOST_RATE_LOSS = 2.0


def render_doctor(record: Mapping[str, Any]) -> str:
    """Return the report of a diagnosis as one HTML file that needs nothing else.

    Parameters
    ----------
    record : mapping
        ``DiagnosisResult.to_dict()``, and ``name``, ``run``, ``note``, ``files``, ``command`` and ``fit_command`` where
        they are known.
    """
    data: dict[str, Any] = jsonable(dict(record))
    m = data["measures"]
    return fill(
        "doctor.html.j2",
        r=Section(data),
        findings=[_finding(i, one, data) for i, one in enumerate(data["verdicts"])],
        keys=_keys(m),
        layers=[chart for chart in (_signal(m), _updates(m), _units(m), _ranks(m)) if chart],
        layer_rows=_layer_rows(m),
        outputs=[_output(one) for one in m["activations"]],
        rates=[chart for chart in (_rates(m), _range(m)) if chart],
        around=_landscape(m),
        noise=m["noise"],
        belief=_belief(m),
        learned=_learned(m),
    )


def _finding(number: int, verdict: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding as the template shows it."""
    signs = [
        (one["name"], one["value"], f"{'at least' if one['above'] else 'at most'} {words.number(one['threshold'])}")
        for one in verdict["signs"]
    ]
    base = data.get("fit_command") or "glia fit …"
    return {
        **verdict,
        "rows": signs,
        "again": f"{base} {verdict['flags']}" if verdict["flags"] else "",
        "code": list(verdict["remedy"]["parameters"].items()),
        "chart": _proof(number, verdict) if verdict["proof"] else None,
        "outcome": words_of(verdict["proof"]["outcome"]) if verdict["proof"] else "",
    }


def _proof(number: int, verdict: Mapping[str, Any]) -> Chart:
    proof = verdict["proof"]
    gap = proof["difference"]
    pairs = list(zip(proof["without"], proof["with_"], strict=True))
    bars = [Bar("mean change", gap["value"], gap["low"], gap["high"], "test")]
    bars += [Bar(f"pair {i}", after - before, kind="baseline") for i, (before, after) in enumerate(pairs, 1)]
    title = {
        "helped": "With the remedy, fresh networks do better",
        "did not help": "With the remedy, fresh networks do no better",
    }.get(proof["outcome"], "It is not settled whether the remedy helps")
    note = f"Below 0 the remedy helps. {words.headed(proof['what'])}; 1 is the loss of the best constant."
    return interval_chart(f"proof-{number}", title, bars, x_label="change of the relative loss", zero=0.0, note=note)


def _keys(m: Mapping[str, Any]) -> list[dict[str, str]]:
    def share(skill: Mapping[str, Any] | None) -> str:
        return words.percent(skill["relative"]) if skill and skill["relative"] is not None else words.DASH

    third = {"label": "Error of a forest", "value": words.DASH, "note": "it has nothing to say about these rows"}
    if m["reference_error"] is not None:
        own = words.number(m["train"]["error"])
        note = f"on rows that it had not seen; this network: {own} on the rows it learned from"
        third = {"label": "Error of a forest", "value": words.number(m["reference_error"]), "note": note}
    unseen = {
        "label": "Loss on unseen rows",
        "value": share(m["held"]),
        "note": f"{words.number(m['held']['rows'])} rows" if m["held"] else "none were handed in",
    }
    return [
        {"label": "Loss on rows learned from", "value": share(m["train"]), "note": "of what the best constant costs"},
        unseen,
        third,
    ]


def _signal(m: Mapping[str, Any]) -> Chart | None:
    found = [(i, one["signal"]) for i, one in enumerate(m["gradients"], 1) if one["signal"]]
    if len(found) < 2:
        return None
    ratio = found[0][1] / found[-1][1]
    title = f"The first layer gets {words.number(ratio, 2)} of the signal at the last"
    series = [Series("signal", [x for x, _ in found], [y for _, y in found], "valid")]
    note = "What one row's loss sends back to a layer's outputs. Level is healthy; a steep slope is not."
    return line_chart(
        "signal", title, series, x_label="layer with weights, first to last", y_label="gradient signal", note=note
    )


def _updates(m: Mapping[str, Any]) -> Chart | None:
    found = list((m["updates"] or {}).items())[:MOST_LAYERS]
    if not found or any(value is None for _, value in found):
        return None
    largest = max(found, key=lambda pair: pair[1])
    title = f"A step moves {words.shorten(largest[0], 24)} most: by {words.number(largest[1], 2)} of its size"
    bars = [Bar(name, value, kind="warning" if value > 0.02 else "baseline") for name, value in found]
    return bar_chart("updates", title, bars, x_label="update over weight; about 0.001 is usual", note="")


def _units(m: Mapping[str, Any]) -> Chart | None:
    found = [(one, max(one["dead"], one["saturated"])) for one in m["units"]][:MOST_LAYERS]
    if not found:
        return None
    worst, value = max(found, key=lambda pair: pair[1])
    word = "saturated" if worst["bounded"] else "dead"
    what = "values" if worst["bounded"] else "units"
    title = f"At {words.shorten(worst['layer'], 24)}, {words.percent(value, 0)} of the {what} are {word}"
    if not value:
        title = "No unit is dead or saturated"
    bars = [
        Bar(f"{one['layer']} ({one['kind']})", share, kind="warning" if share > 0.5 else "baseline")
        for one, share in found
    ]
    return bar_chart("units", title, bars, x_label="dead units, or saturated values (%)", scale=100.0)


def _ranks(m: Mapping[str, Any]) -> Chart | None:
    found = [one for one in m["ranks"] if one["most_output"] > 1][:MOST_LAYERS]
    if not found:
        return None
    shares = [(one, one["output"] / one["most_output"]) for one in found]
    least, _ = min(shares, key=lambda pair: pair[1])
    title = (
        f"{words.headed(words.shorten(least['layer'], 24))} works in {words.number(least['output'], 2)} "
        f"of {least['most_output']} directions"
    )
    bars = [Bar(one["layer"], value, kind="warning" if value < 0.05 else "baseline") for one, value in shares]
    note = "Effective rank of a layer's outputs over the most that it could be."
    return bar_chart("ranks", title, bars, x_label="directions in use (%)", scale=100.0, note=note)


def _layer_rows(m: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    ranks = {one["layer"]: one for one in m["ranks"]}
    return tuple(
        (
            g["layer"], g["kind"], g["parameters"], g["signal"], g["gradient_norm"], g["weight_norm"],
            (m["updates"] or {}).get(g["layer"]), ranks.get(g["layer"], {}).get("weight"),
            ranks.get(g["layer"], {}).get("output"),
        )
        for g in m["gradients"]
    )  # fmt: skip


def _output(one: Mapping[str, Any]) -> dict[str, Any]:
    spread = f"from {words.number(one['edges'][0])} to {words.number(one['edges'][-1])}"
    look: Markup = miniature(one["counts"], f"Outputs of {one['layer']} {spread}")
    return {**one, "look": look, "span": spread}


def _rates(m: Mapping[str, Any]) -> Chart | None:
    trial = m["trial"]
    if not trial:
        return None
    ends = [MOST_RATE_LOSS if value is None else min(value, MOST_RATE_LOSS) for value in trial["relative"]]
    best = trial["rates"][ends.index(min(ends))]
    title = f"In {trial['steps']} steps, fresh networks learn most at a rate of {words.number(best, 2)}"
    bars = [
        Bar(f"{words.number(rate, 2)}{' (this network)' if rate == trial['lr'] else ''}", end,
            kind="test" if rate == trial["lr"] else "baseline")
        for rate, end in zip(trial["rates"], ends, strict=True)
    ]  # fmt: skip
    note = "Shorter is better; 1 is the best constant, 2 stands for all that is worse."
    return bar_chart("rates", title, bars, x_label="training loss over that of the best constant", note=note)


def _range(m: Mapping[str, Any]) -> Chart | None:
    test = m["range_test"]
    if not test or not test["found"] or len(test["rates"]) < 3:
        return None
    top = 1.5 * max(test["losses"][0], test["smoothed"][0])
    steps = list(range(1, len(test["rates"]) + 1))
    kept = [(x, y) for x, y in zip(steps, test["smoothed"], strict=True) if y is not None and y <= top]
    if len(kept) < 3:
        return None
    first, last = test["rates"][0], test["rates"][-1]
    title = f"The range test suggests a rate of {words.number(test['suggestion'], 2)}"
    label = f"step; rates rise from {words.number(first, 2)} to {words.number(last, 2)}"
    at = min(steps, key=lambda i: abs(test["rates"][i - 1] - test["suggestion"]))
    series = [Series("loss", [x for x, _ in kept], [y for _, y in kept], "train")]
    return line_chart("range", title, series, x_label=label, y_label="training loss", mark=(at, "suggested"), log=False)


def _landscape(m: Mapping[str, Any]) -> Chart | None:
    scape = m["landscape"]
    if not scape or any(value is None for line in scape["losses"] for value in line):
        return None
    kinds = ("valid", "train", "s3", "s4")
    series = [Series(f"slice {i + 1}", scape["steps"], line, kinds[i % 4]) for i, line in enumerate(scape["losses"])]
    lowest = min(value for line in scape["losses"] for value in line)
    flat = scape["centre"] - lowest <= 0.02 * max(abs(scape["centre"]), 1e-12)
    title = "The weights lie at the bottom of both slices" if flat else "The loss is lower elsewhere on these slices"
    note = "Random directions, filter by filter as long as the weights themselves (arXiv 1712.09913)."
    return line_chart(
        "landscape", title, series, x_label="distance from the weights, in their own lengths", y_label="loss", note=note
    )


def _belief(m: Mapping[str, Any]) -> Chart | None:
    found = m["calibration"]
    if not found or not found["bins"]:
        return None
    bins = [
        {
            "low": b["low"],
            "high": b["high"],
            "confidence": b["claimed"],
            "frequency": b["observed"],
            "count": b["count"],
        }
        for b in found["bins"]
    ]
    title = f"Claimed probabilities are off by {words.percent(found['ece'])} on average"
    return reliability_chart("belief", title, bins, note=f"{words.number(found['rows'])} unseen rows.")


def _learned(m: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    named = (("rows learned from", m["train"]), ("unseen rows", m["held"]))
    return tuple((name, s["rows"], s["loss"], s["constant"], s["error"], s["constant_error"]) for name, s in named if s)
