"""The confusion matrix: what each true class was taken for."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, drawing, el, text, tip
from glia.report.charts.colour import ink_on, viridis
from glia.report.words import number, percent, shorten


def confusion_chart(
    key: str, title: str, labels: Sequence[str], counts: Sequence[Sequence[int]], *, note: str = ""
) -> Chart:
    """Draw counts, coloured by their share of the true class.

    Parameters
    ----------
    key, title, note : str
        Words.
    labels : sequence of str
        C classes.
    counts : sequence of sequences of int
        (C, C): rows are true classes, columns are predicted ones.

    Raises
    ------
    ValueError
        If ``counts`` is not C × C with C at least one.
    """
    size = len(labels)
    if size == 0 or len(counts) != size or any(len(row) != size for row in counts):
        raise ValueError("counts must be a square with a row and a column for every label")
    longest = max(len(shorten(name, 14)) for name in labels)
    left = min(110.0, 18.0 + 7.0 * longest)
    top, cell = 46.0, (WIDTH - left - 6) / size
    tall = min(cell, 96.0 if size == 2 else 74.0)
    foot = top + size * tall
    parts = [
        text(2, 12, "true ↓", "axis"),
        text(max(left, 52.0), 12, "predicted →", "axis"),
    ]
    for i, row in enumerate(counts):
        total = sum(row)
        parts.append(text(left - 8, top + (i + 0.5) * tall + 4, shorten(labels[i], 14), "tick", "end"))
        parts.append(_head(left + (i + 0.5) * cell, top - 8, labels[i], cell, i))
        for j, count in enumerate(row):
            parts.append(_cell(left + j * cell, top + i * tall, cell, tall, count, total, f"{labels[i]}|{labels[j]}"))
    errors = [(counts[i][j], labels[i], labels[j]) for i in range(size) for j in range(size) if i != j]
    worst = max(errors, default=(0, "", ""))
    right = sum(counts[i][i] for i in range(size))
    whole = sum(sum(row) for row in counts)
    description = f"Confusion matrix of {size} classes: {number(right)} of {number(whole)} rows on the diagonal."
    if worst[0]:
        description += f" The most frequent mistake is {worst[1]} taken for {worst[2]}, {number(worst[0])} times."
    return Chart(
        key,
        title,
        description,
        drawing(key, title, description, foot + 8, parts, "confusion"),
        ("true \\ predicted", *labels),
        tuple((labels[i], *counts[i]) for i in range(size)),
        {"labels": list(labels), "counts": [list(row) for row in counts]},
        note,
    )


def _head(x: float, y: float, label: str, cell: float, i: int) -> Markup:
    room = int(cell / 6.6)
    if room >= 4 or len(label) <= room:
        return text(x, y, shorten(label, max(3, room)), "tick", "middle")
    return text(x, y, str(i + 1), "tick", "middle")


def _cell(x: float, y: float, wide: float, tall: float, count: int, total: int, pair: str) -> Markup:
    share = count / total if total else 0.0
    fill = viridis(share)
    ink = ink_on(fill)
    true, _, predicted = pair.partition("|")
    # an empty cell is no shade of anything: it stays pale, so that the mistakes stand out
    look: dict[str, object] = {"fill": fill} if count else {"class_": "empty"}
    parts = [el("rect", x=x + 1, y=y + 1, width=wide - 2, height=tall - 2, rx=2.0, **look)]
    middle = x + wide / 2
    if wide >= 62 and count:
        parts.append(el("text", number(count), x=middle, y=y + tall / 2 - 1, fill=ink, class_="cell big"))
        parts.append(el("text", percent(share), x=middle, y=y + tall / 2 + 16, fill=ink, class_="cell"))
    elif wide >= 15 and count:
        parts.append(el("text", number(count), x=middle, y=y + tall / 2 + 4, fill=ink, class_="cell"))
    words = f"true {true}, predicted {predicted}: {number(count)} rows, {percent(share)} of {true}"
    return tip(el("g", *parts), words)
