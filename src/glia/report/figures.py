"""From a run's record to its charts: each answers one question, and its title is the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from glia.report.charts import (
    Bar,
    Chart,
    Series,
    agreement_chart,
    bar_chart,
    confusion_chart,
    histogram_chart,
    interval_chart,
    line_chart,
    pr_chart,
    reliability_chart,
    roc_chart,
)
from glia.report.verdict import outcome
from glia.report.words import (
    figure_text,
    fixed,
    greater_is_better,
    headed,
    is_number,
    is_share,
    label,
    number,
    percent,
    shorten,
)

Record = Mapping[str, Any]
MOST_BARS = 12
MOST_GROUPS = 7
MOST_TARGETS = 4
_COUNTS = {1: "one", 2: "two", 3: "three", 4: "four"}


def models_charts(record: Record) -> list[Chart]:
    """Return the network beside the classic models: bars from zero, and the same figures seen closer."""
    info = record.get("metric_info")
    test = (record.get("metrics") or {}).get("test") or {}
    primary = str(record.get("primary") or next(iter(test), ""))
    rows = [("this network", test.get(primary), "test")]
    rows += [
        (str(b.get("name")), (b.get("metrics") or {}).get(primary), "baseline") for b in _list(record, "baselines")
    ]
    bars = [_bar(name, figure, kind) for name, figure, kind in rows if figure and is_number(figure.get("value"))]
    if len(bars) < 2:
        return []
    more = greater_is_better(primary, info)
    bars.sort(key=lambda bar: -bar.value if more else bar.value)
    share = is_share(primary, info)
    unit = " (%)" if share else f" ({unit})" if (unit := ((info or {}).get(primary) or {}).get("unit")) else ""
    name, scale = label(primary, info), 100.0 if share else 1.0
    title = _best_title(record, bars[0].label, primary, name, more)
    x_label = f"{headed(name)}{unit}, test rows"
    note = "" if more else "Shorter is better."
    charts = [bar_chart("models", title, bars, x_label=x_label, scale=scale, note=note)]
    near = _close(bars)
    if len(near) > 1:
        network = next((bar.value for bar in near if bar.kind == "test"), None)
        title = _overlap(near)
        note = "The axis does not begin at zero. Dashed: this network. The verdict compares row by row, which is finer."
        if len(bars) > len(near):
            note += f" {headed(_COUNTS.get(len(bars) - len(near), 'Some'))} further off left out."
        charts.append(
            interval_chart("models-close", title, near, x_label=x_label, scale=scale, zero=network, note=note)
        )
    return charts


def _best_title(record: Record, first: str, primary: str, name: str, more: bool) -> str:
    comparison = record.get("comparison") or {}
    if outcome(record) == "tie" and comparison.get("metric", primary) == primary:
        return f"This network and {shorten(comparison.get('baseline'), 40)} are level in {name}"
    return f"{headed(shorten(first, 40))} {'reaches the best' if more else 'has the lowest'} {name}"


def _close(bars: Sequence[Bar]) -> list[Bar]:
    """Return the figures near the best one: a model far off would squeeze the others together."""
    best = bars[0]
    widths = sorted((b.high or 0) - (b.low or 0) for b in bars if b.low is not None)
    reach = 6 * widths[len(widths) // 2] if widths else 0.0
    return [b for b in bars if b.low is not None and (b.kind == "test" or abs(b.value - best.value) <= reach)][:6]


def _overlap(bars: Sequence[Bar]) -> str:
    network = next((bar for bar in bars if bar.kind == "test"), None)
    if network is None:
        return "Seen closer, with intervals"
    others = [b for b in bars if b is not network and b.low is not None and b.high is not None]
    apart = [b for b in others if b.low > (network.high or 0) or b.high < (network.low or 0)]  # type: ignore[operator]
    if not apart:
        return "Seen closer, the intervals overlap"
    if len(apart) == len(others):
        return "Seen closer, the network's interval stands apart from every other"
    return f"Seen closer, the network's interval overlaps with {len(others) - len(apart)} of {len(others)} others"


def mistakes_charts(record: Record) -> list[Chart]:
    """Return what it gets wrong: confusion, ranking, predicted against true, residuals."""
    drawn = record.get("curves") or {}
    charts: list[Chart] = []
    matrix = drawn.get("confusion") or {}
    if matrix.get("labels"):
        labels, counts = [str(x) for x in matrix["labels"]], matrix["counts"]
        note = "Colour and per cent: share of the true class." + (
            " Columns without room for a name are numbered as the rows." if len(labels) > 4 else ""
        )
        charts.append(confusion_chart("confusion", _confusion_title(labels, counts), labels, counts, note=note))
    if drawn.get("label_confusion"):
        charts.append(_labels_chart(drawn["label_confusion"]))
    if drawn.get("roc"):
        note = "The figure beside a name is its area." if len(drawn["roc"]) > 1 else ""
        charts.append(roc_chart("roc", _roc_title(drawn["roc"]), drawn["roc"], note=note))
    if drawn.get("pr"):
        note = "The figure beside a name is its average precision." if len(drawn["pr"]) > 1 else ""
        charts.append(pr_chart("pr", _pr_title(drawn["pr"]), drawn["pr"], note=note))
    for i, pairs in enumerate(_list(drawn, "predicted_vs_true")[:MOST_TARGETS]):
        charts.append(_agreement(i, pairs, record))
    for i, errors in enumerate(_list(drawn, "residuals")[:MOST_TARGETS]):
        charts.append(_residuals(i, errors, record))
    return charts


def _confusion_title(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    pairs = [
        (counts[i][j], i, j) for i in range(len(labels)) for j in range(len(labels)) if i != j and sum(counts[i]) > 0
    ]
    worst, i, j = max(pairs, default=(0, 0, 0), key=lambda p: p[0])
    if not worst:
        return "No test row was put into a wrong class"
    share = worst / sum(counts[i])
    return (
        f"{shorten(labels[i], 24)} is most often mistaken, for {shorten(labels[j], 24)}: {percent(share)} of the time"
    )


def _labels_chart(counted: Sequence[Mapping[str, Any]]) -> Chart:
    bars = []
    for c in counted:
        positives = c["tp"] + c["fn"]
        bars.append(Bar(str(c["label"]), c["fn"] / positives if positives else 0.0, kind="test"))
    bars.sort(key=lambda bar: -bar.value)
    title = f"{shorten(bars[0].label, 30)} is overlooked most, in {percent(bars[0].value)} of the rows that have it"
    return bar_chart("labels", title, bars[:MOST_BARS], x_label="Overlooked (% of rows with the label)", scale=100.0)


def _roc_title(curves: Sequence[Mapping[str, Any]]) -> str:
    worst = min(curves, key=lambda c: float(c.get("auc") or 0))
    if len(curves) == 1:
        return (
            f"A {shorten(worst.get('class'), 24)} row is ranked above another {percent(worst.get('auc'))} of the time"
        )
    return f"{shorten(worst.get('class'), 24)} is the hardest to tell from the rest (area {number(worst.get('auc'))})"


def _pr_title(curves: Sequence[Mapping[str, Any]]) -> str:
    worst = min(curves, key=lambda c: float(c.get("ap") or 0))
    name = shorten(worst.get("class"), 24)
    reached = [r for r, p in zip(worst["recall"], worst["precision"], strict=True) if p >= 0.9]
    if reached and max(reached) > 0.005:
        return f"At 90 % precision it finds {percent(max(reached), 0)} of {name}"
    return f"It never finds {name} at 90 % precision"


def _unit(record: Record) -> str:
    return str(((record.get("metric_info") or {}).get("mae") or {}).get("unit") or "")


def _agreement(i: int, pairs: Mapping[str, Any], record: Record) -> Chart:
    errors = sorted(abs(t - p) for t, p in zip(pairs["true"], pairs["predicted"], strict=True))
    unit = _unit(record)
    of = (
        f" of {shorten(pairs.get('target'), 24)}"
        if len(_list(record.get("curves") or {}, "predicted_vs_true")) > 1
        else ""
    )
    half = number(errors[len(errors) // 2]) + (f" {unit}" if unit else "")
    title = f"Half of the predictions{of} lie within {half} of the truth"
    shown = len(pairs["true"])
    note = "Above the dashed line it predicts too much, below too little."
    if is_number(pairs.get("rows")) and pairs["rows"] > shown:
        note += f" A sample of {number(shown)} of {number(pairs['rows'])} rows."
    if shown > 500:
        note += " Brighter: more rows (logarithmic)."
    return agreement_chart(f"agreement-{i}", title, pairs["true"], pairs["predicted"], unit=unit, note=note)


def _residuals(i: int, errors: Mapping[str, Any], record: Record) -> Chart:
    mean, std, rows = float(errors.get("mean") or 0), float(errors.get("std") or 0), sum(errors["counts"])
    unit = f" {_unit(record)}".rstrip()
    if rows and abs(mean) > 1.96 * std / math.sqrt(rows):
        title = f"On average it predicts {number(abs(mean), 2)}{unit} too {'much' if mean > 0 else 'little'}"
    else:
        title = "Its errors centre on zero"
    mark = (0.0, "exact") if errors["edges"][0] < 0 < errors["edges"][-1] else None
    label_ = f"predicted minus true{f' ({_unit(record)})' if unit else ''}"
    note = "The end bins hold everything beyond them."
    return histogram_chart(
        f"residuals-{i}", title, errors["edges"], errors["counts"], x_label=label_, mark=mark, note=note
    )


def groups_chart(record: Record) -> Chart | None:
    """Return the groups of rows on which the network is worse than elsewhere."""
    groups = _list(record, "weak_groups")[:MOST_GROUPS]
    if not groups:
        return None
    rate = groups[0].get("measure") == "error rate"
    bars = []
    for g in groups:
        name = f"{shorten(g.get('text'), 26)} · {number(g.get('rows'))} rows"
        bars.append(_bar(name, g.get("difference") or {}, "warning"))
    worst = groups[0]
    inside, outside = worst.get("inside"), worst.get("outside")
    where = shorten(worst.get("text"), 40)
    if rate:
        title = f"Where {where}, it is wrong in {percent(inside)} of rows, elsewhere in {percent(outside)}"
    else:
        title = f"Where {where}, its mean loss is {number(inside)}, elsewhere {number(outside)}"
    x_label = "Error rate above the other rows (points)" if rate else "Mean loss above the other rows"
    tested = worst.get("tested")
    of = f" of {number(tested)} that were looked at" if is_number(tested) else ""
    note = f"Groups{of} that chance does not explain; the intervals hold for all of them at once."
    return interval_chart("groups", title, bars, x_label=x_label, scale=100.0 if rate else 1.0, zero=0.0, note=note)


def calibration_chart(record: Record) -> Chart | None:
    """Return how far stated probabilities can be believed."""
    calibration = record.get("calibration") or {}
    bins = [b for b in _list(calibration, "bins") if b.get("count")]
    if not bins:
        return None
    error = calibration.get("ece") or {}
    rows = sum(b["count"] for b in bins)
    lean = sum((b["confidence"] - b["frequency"]) * b["count"] for b in bins) / rows
    off = error.get("value") if is_number(error.get("value")) else abs(lean)
    points = fixed((off or 0.0) * 100, 1)
    if off is not None and off < 0.03:
        title = f"What it says is what happens: {points} points off on average"
    elif abs(lean) > 0.6 * (off or 0):
        title = f"It is {'over' if lean > 0 else 'under'}confident: {points} points off on average"
    else:
        title = f"Its probabilities are {points} points off on average, some too high, some too low"
    return reliability_chart("reliability", title, bins, note="Bars at the points: 95 % intervals (Wilson).")


def importance_chart(record: Record) -> Chart | None:
    """Return what the network looks at: the loss in the primary metric when a column is shuffled."""
    found = [i for i in _list(record, "importance") if is_number(i.get("value"))]
    if not found:
        return None
    found.sort(key=lambda i: -float(i["value"]))
    info, primary = record.get("metric_info"), str(record.get("primary") or "score")
    share = is_share(primary, info)
    bars = [_bar(str(i.get("column")), i, "valid") for i in found[:MOST_BARS]]
    cost = f"{number(found[0]['value'] * 100, 2)} points of" if share else f"{number(found[0]['value'], 2)} in"
    title = f"{shorten(found[0].get('column'), 30)} matters most: shuffling it costs {cost} {label(primary, info)}"
    flat = sum(1 for i in found if not (is_number(i.get("low")) and i["low"] > 0))
    note = f"{number(flat)} of {number(len(found))} columns cannot be told from zero." if "low" in found[0] else ""
    if len(found) > MOST_BARS:
        note += f" The first {MOST_BARS} are drawn; all are in the data block."
    x_label = f"Loss of {label(primary, info)} when shuffled{' (points)' if share else ''}"
    return bar_chart("importance", title, bars, x_label=x_label, scale=100.0 if share else 1.0, note=note.strip())


def learning_charts(record: Record, history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return how it learned: losses, the other metrics that were followed, the learning rate."""
    epochs = [row for row in history if is_number(row.get("epoch"))]
    if not epochs:
        return []
    best = (record.get("training") or {}).get("best_epoch")
    mark = (float(best), f"kept: epoch {number(best)}") if is_number(best) else None
    keys = sorted({key for row in epochs for key in row if key.startswith(("train/", "valid/"))})
    metrics = sorted({key.partition("/")[2] for key in keys}, key=lambda m: (m != "loss", m))
    charts: list[Chart] = []
    for metric in metrics[:4]:
        series = _series(epochs, metric)
        if series:
            title = _loss_title(epochs, best) if metric == "loss" else _metric_title(epochs, metric, record)
            key = f"learning-{len(charts)}"
            charts.append(line_chart(key, title, series, x_label="epoch", y_label=label(metric), mark=mark))
    rates = [row.get("lr") for row in epochs]
    known = [rate for rate in rates if is_number(rate)]
    if known and max(known) > min(known):
        title = f"The learning rate went from {number(known[0], 2)} to {number(known[-1], 2)}"
        one = Series("rate", [row["epoch"] for row in epochs], rates, "s4")
        charts.append(line_chart("learning-rate", title, [one], x_label="epoch", y_label="learning rate", log=False))
    return charts


def _series(epochs: Sequence[Mapping[str, Any]], metric: str) -> list[Series]:
    x = [float(row["epoch"]) for row in epochs]
    names = (("train", "training"), ("valid", "validation"))
    drawn = [Series(name, x, [row.get(f"{part}/{metric}") for row in epochs], part) for part, name in names]
    return [one for one in drawn if one.points()]


def _loss_title(epochs: Sequence[Mapping[str, Any]], best: Any) -> str:
    valid = [(float(r["valid/loss"]), r["epoch"]) for r in epochs if is_number(r.get("valid/loss"))]
    train = [float(r["train/loss"]) for r in epochs if is_number(r.get("train/loss"))]
    if len(valid) < 2:
        if len(train) < 2:
            return "Loss of the only epoch"
        return f"Training loss went from {number(train[0])} to {number(train[-1])} in {len(train)} epochs"
    low, where = min(valid)
    if where == valid[-1][1]:
        return f"Error was still falling at the last epoch ({number(where)})"
    # by how much the error rises again, against how far it had fallen, says whether it overfits or just levels off
    if valid[-1][0] - low > 0.15 * max(valid[0][0] - low, 1e-12) and train and train[-1] < train[0]:
        return f"Error rises again after epoch {number(where)}: from there it learns the rows by heart"
    return f"Error stops falling after epoch {number(where)}"


def _metric_title(epochs: Sequence[Mapping[str, Any]], metric: str, record: Record) -> str:
    info = record.get("metric_info")
    values = [
        (float(v), r["epoch"]) for r in epochs if is_number(v := r.get(f"valid/{metric}", r.get(f"train/{metric}")))
    ]
    pick = max if greater_is_better(metric, info) else min
    best, where = pick(values)
    return (
        f"{headed(label(metric, info))} is best at epoch {number(where)}: {figure_text(metric, {'value': best}, info)}"
    )


def _bar(name: str, figure: Mapping[str, Any], kind: str) -> Bar:
    low, high = figure.get("low"), figure.get("high")
    both = is_number(low) and is_number(high)
    return Bar(name, float(figure.get("value") or 0.0), low if both else None, high if both else None, kind)


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    return list(data.get(key) or [])
