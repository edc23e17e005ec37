"""The page that shows where in pictures, sounds or sequences a network looks, and whether answers follow that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glia.core.counts import counted
from glia.explain.checks import RemovalResult
from glia.report import words
from glia.report.charts import Chart, Series, line_chart
from glia.report.explanation import NAMES
from glia.report.page import Section, fill


def render_heat_page(
    about: Mapping[str, Any],
    removal: RemovalResult | None,
    *,
    noun: str,
    lead: str,
    columns: tuple[str, ...],
    rows: tuple[tuple[Any, ...], ...],
    pictures: Sequence[Mapping[str, Any]] = (),
    strips: Sequence[Chart] = (),
    inside: Sequence[Chart] = (),
) -> str:
    """Return the page as one HTML file that needs nothing else.

    Parameters
    ----------
    about : mapping
        ``name`` of the model, ``method``, ``summary``, ``warnings``, ``settings``, ``command``, ``files``, ``seconds``.
    removal : RemovalResult, optional
        What happens where places are taken out.
    noun : str
        What is explained: "picture", "sound", "sequence".
    lead : str
        How to read what is shown of each.
    columns, rows : tuple
        The explained ones as a table.
    pictures : sequence of mapping
        ``map``, a ``HeatMap``, and ``uris`` of the picture and of the map.
    strips : sequence of Chart
        One for each sound or sequence.
    inside : sequence of Chart
        Of the network's inner parts over time.
    """
    doubt = bool(about.get("warnings")) or (removal is not None and removal.deletion_gain <= 0)
    title = NAMES.get(str(about["method"]), str(about["method"]).replace("_", " ").capitalize())
    if removal is None:
        answer = f"{title} of {counted(len(rows), noun)}, unchecked."
    else:
        follows = "follow" if removal.deletion_gain > 0 else "do not follow"
        answer = f"Answers {follows} the marked places: " + _gains(removal)
    return fill(
        "heat_explanation.html.j2",
        p=Section(dict(about)),
        noun=noun,
        lead=lead,
        title=title,
        answer=answer,
        tone="tie" if doubt else "better",
        icon="warning" if doubt else "good",
        head="Read with care" if doubt else "Where the network looks",
        warnings=list(about.get("warnings") or []),
        pictures=list(pictures),
        strips=list(strips),
        inside=list(inside),
        charts=[] if removal is None else [_curves(removal)],
        columns=columns,
        rows=rows,
    )


def _gains(removal: RemovalResult) -> str:
    return (
        f"blotting them out moves the output by {words.number(removal.deletion_gain, 2)} of its range more than "
        f"blotting out places at random, uncovering them first by {words.number(removal.insertion_gain, 2)}."
    )


def _curves(removal: RemovalResult) -> Chart:
    share = [100 * float(value) for value in removal.share]
    drawn = (
        ("out first", removal.deletion, "s1"), ("out at random", removal.random_deletion, "context"),
        ("in first", removal.insertion, "s2"), ("in at random", removal.random_insertion, "s3"),
    )  # fmt: skip
    series = [Series(name, share, [float(v) for v in values], kind) for name, values, kind in drawn]
    better = removal.deletion_gain > 0 and removal.insertion_gain > 0
    title = "Marked places matter more than others" if better else "Marked places matter no more than others"
    return line_chart(
        "removal", title, series, x_label="per cent of the places, blotted out or uncovered", y_label="output, 0 to 1",
    )  # fmt: skip
