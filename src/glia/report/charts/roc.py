"""Ranking quality over all thresholds: the ROC curve and the precision–recall curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Frame, Scale, drawing, line, path, text, thin
from glia.report.words import number, shorten

_KINDS = ("s1", "s2", "s3", "s4", "s5", "s6")
_FRAME = (46.0, WIDTH - 10, 314.0, 34.0)


def roc_chart(key: str, title: str, curves: Sequence[Mapping[str, Any]], *, note: str = "") -> Chart:
    """Draw true positives against false positives.

    Parameters
    ----------
    key, title, note : str
        Words.
    curves : sequence of mappings
        ``class``, ``auc``, and the points ``fpr`` and ``tpr``; one curve for each class.

    Raises
    ------
    ValueError
        If there is no curve.
    """
    frame = _frame("false positive rate", "true positive rate")
    chance = line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "guide")
    words = text(frame.x(0.5) + 6, frame.y(0.5) + 16, "chance", "note")
    return _chart(key, title, curves, frame, ("fpr", "tpr", "auc"), [chance, words], note)


def pr_chart(key: str, title: str, curves: Sequence[Mapping[str, Any]], *, note: str = "") -> Chart:
    """Draw precision against recall; curves have ``class``, ``ap``, ``recall``, ``precision`` and ``base``.

    ``base`` is the share of the class, which is the precision of guessing; it is drawn where there is one curve.

    Raises
    ------
    ValueError
        If there is no curve.
    """
    frame = _frame("recall", "precision")
    extra: list[Markup] = []
    if len(curves) == 1 and curves[0].get("base") is not None:
        y = frame.y(float(curves[0]["base"]))
        extra = [line(frame.x(0), y, frame.x(1), y, "guide"), text(frame.x(0) + 6, y - 6, "guessing", "note")]
    return _chart(key, title, curves, frame, ("recall", "precision", "ap"), extra, note)


def _frame(x_label: str, y_label: str) -> Frame:
    left, right, bottom, top = _FRAME
    return Frame(Scale(0, 1, left, right), Scale(0, 1, bottom, top), x_label, y_label)


def _chart(
    key: str,
    title: str,
    curves: Sequence[Mapping[str, Any]],
    frame: Frame,
    names: tuple[str, str, str],
    extra: Sequence[Markup],
    note: str,
) -> Chart:
    if not curves:
        raise ValueError("at least one curve is needed")
    xs, ys, area = names
    ranked = sorted(range(len(curves)), key=lambda i: float(curves[i].get(area) or 0.0))
    # more than six lines cannot be told apart: the weakest three keep their colours, the others are context
    coloured = ranked if len(curves) <= len(_KINDS) else ranked[:3]
    kinds = {i: ("valid" if len(curves) == 1 else _KINDS[place]) for place, i in enumerate(coloured)}
    parts = [*frame.draw(), *extra]
    for i in reversed(ranked):
        points = [(frame.x(x), frame.y(y)) for x, y in zip(curves[i][xs], curves[i][ys], strict=True)]
        parts.append(path(points, f"line {kinds.get(i, 'context')}"))
    parts += _legend(curves, coloured, kinds, area, frame, roc=xs == "fpr")
    words = "; ".join(f"{c.get('class')} {number(c.get(area))}" for c in curves[:12])
    description = f"{frame.y_label.capitalize()} against {frame.x_label}; area under the curve: {words}."
    rows = [(str(c.get("class")), *p) for c in curves for p in thin(list(zip(c[xs], c[ys], strict=True)), 20)]
    svg = drawing(key, title, description, 352, parts)
    return Chart(key, title, description, svg, ("class", *names[:2]), tuple(rows), [dict(c) for c in curves], note)


def _legend(
    curves: Sequence[Mapping[str, Any]],
    coloured: Sequence[int],
    kinds: Mapping[int, str],
    area: str,
    frame: Frame,
    roc: bool,
) -> list[Markup]:
    """Return names in the corner that a good curve leaves empty, weakest at the bottom."""
    rows = list(reversed(coloured))
    bottom = frame.y(0) - 14
    if len(curves) == 1:
        words = f"{'area' if roc else 'average precision'} {number(curves[0].get(area))}"
        return (
            [text(frame.x(1) - 6, bottom, words, "name valid", "end")]
            if roc
            else [text(frame.x(0) + 6, bottom, words, "name valid")]
        )
    parts = []
    for place, i in enumerate(reversed(rows)):
        y = bottom - 18 * place
        words = f"{shorten(curves[i].get('class'), 16)} · {number(curves[i].get(area))}"
        x = frame.x(1) - 34 if roc else frame.x(0) + 34
        parts.append(text(x, y, words, f"name {kinds[i]}", "end" if roc else "start"))
        start = frame.x(1) - 26 if roc else frame.x(0) + 8
        parts.append(line(start, y - 4, start + 20, y - 4, f"line {kinds[i]}"))
    left = len(curves) - len(rows)
    if left:
        x, anchor = (frame.x(1) - 6, "end") if roc else (frame.x(0) + 8, "start")
        parts.append(text(x, bottom - 18 * len(rows), f"grey: {left} better ones", "note", anchor))
    return parts
