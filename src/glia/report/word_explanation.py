"""Which words move a network's answers: the record, the section of a report, and the page of ``glia explain``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from numpy.typing import NDArray

from glia.core.results import jsonable
from glia.estimators.settings import FitSettings
from glia.explain.lime_text import WORD
from glia.explain.word_occlusion import word_occlusion
from glia.explain.words_result import WordsResult
from glia.report import words
from glia.report.charts import Bar, Chart, bar_chart
from glia.report.page import Section, environment, fill

MOST_WORDS, MOST_SHOWN = 20, 3
BUDGET = 1500
"""Words of a report that are left out, one after the other: bounds its time."""
LEVELS = 4
"""Shades of a word's share; what is below half of the lowest one is not shaded."""
NAMES = {"occlusion": "Occlusion of words", "lime": "LIME of words"}


def within_budget(texts: Sequence[str], most: int, reach: int, budget: int = BUDGET) -> list[int]:
    """Return the places of the first texts with words, as many as ``most`` and as the budget of words allows."""
    found: list[int] = []
    for place, text in enumerate(texts):
        count = min(len(text.split()), reach)
        if count and (budget := budget - count) >= 0:
            found.append(place)
        if len(found) >= most or budget <= 0:
            break
    return found


def words_of(
    estimator: Any, texts: pl.Series, prediction: NDArray[Any], truth: NDArray[Any], settings: FitSettings
) -> dict[str, Any] | None:
    """Return the record of the words of a run's test texts; ``None`` where there is none in them."""
    listed = texts.cast(pl.String).fill_null("").to_list()
    places = within_budget(listed, settings.explain_rows, estimator.layout_.shape[0])
    asked = [listed[i] for i in places]
    if not any(WORD.search(text) for text in asked):
        return None
    result = word_occlusion(estimator, asked, random_state=settings.seed)
    return words_record(result, told(prediction[places]), told(truth[places]))


def words_record(
    result: WordsResult, said: Sequence[str], truths: Sequence[str] | None = None, *, shown: int = MOST_SHOWN
) -> dict[str, Any]:
    """Return what the report keeps of an explanation of texts, as plain JSON data.

    Parameters
    ----------
    result : WordsResult
        Of N texts.
    said, truths : sequence of str
        What is predicted of each, and what is right where that is known.
    shown : int
        How many texts are shown: those with the lowest and the highest output, and in between.
    """
    lead = np.array([result.outputs[i, one] for i, one in enumerate(result.leading)])
    known = [i for i in np.argsort(lead, kind="stable") if len(result.spans[i])]
    picked = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, min(shown, len(known))).astype(int))]
    record = {
        "method": result.method,
        "unit": result.unit,
        "outputs": list(result.output_names),
        "texts": len(result.texts),
        "words": sum(len(spans) for spans in result.spans),
        "summary": result.summary(),
        "warnings": list(result.warnings),
        "checks": dict(result.checks),
        "settings": dict(result.settings),
        "evaluations": result.evaluations,
        "seconds": result.seconds,
        "features": [
            {"word": one.word, "output": one.output, "mean": one.mean, "error": one.error, "count": one.count,
             "size": one.size}
            for one in result.by_word()[:MOST_WORDS]
        ],
        "shown": [_text(result, int(i), said[i], None if truths is None else truths[i]) for i in picked],
    }  # fmt: skip
    return dict(jsonable(record))


def _text(result: WordsResult, row: int, said: str, truth: str | None) -> dict[str, Any]:
    """Return one text: its pieces, each with its share or ``None`` between words."""
    text, at, pieces = result.texts[row], 0, list[dict[str, Any]]()
    for (start, end), share in zip(result.spans[row], result.shares(row), strict=True):
        if start > at:
            pieces.append({"text": text[at:start], "share": None})
        pieces.append({"text": text[start:end], "share": float(share)})
        at = end
    if at < len(text):
        pieces.append({"text": text[at:], "share": None})
    lead = result.leading[row]
    named = result.output_names[lead] if lead < len(result.output_names) else ""
    return {"row": row, "said": said, "truth": truth, "output": named, "score": result.outputs[row, lead],
            "pieces": pieces}  # fmt: skip


def words_section(record: Mapping[str, Any] | None) -> Markup:
    """Return the section of a report, or nothing where there is no record."""
    if not record:
        return Markup("")
    section = environment().get_template("words.html.j2").render(**_parts(record))
    return Markup(section)  # the template escapes what it is given


def render_words(record: Mapping[str, Any]) -> str:
    """Return the page of an explanation of texts as one HTML file that needs nothing else.

    Parameters
    ----------
    record : mapping
        What ``words_record`` gave, and ``name``, ``files`` and ``command`` where they are known.
    """
    doubt = bool(record["warnings"])
    gain = record["checks"].get("deletion gain")
    answer = "Not checked."
    if gain is not None:
        follows = "do not follow" if doubt else "follow"
        answer = (
            f"Answers {follows} the marked words: taking them out moves the output by {words.number(gain, 2)} of its "
            "range more than taking out words at random."
        )
    return fill(
        "word_explanation.html.j2",
        tone="tie" if doubt else "better",
        icon="warning" if doubt else "good",
        head="Read with care" if doubt else "Which words move it",
        answer=answer,
        **_parts(record),
    )


def _parts(record: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(jsonable(dict(record)))
    sizes = [abs(piece["share"]) for one in data["shown"] for piece in one["pieces"] if piece["share"] is not None]
    reach = float(np.quantile(sizes, 0.98)) if sizes else 0.0
    return {
        "w": Section(data),
        "title": NAMES.get(str(data["method"]), str(data["method"]).capitalize()),
        "charts": [_bars(data)] if data["features"] else [],
        "texts": [{**one, "pieces": [_shaded(piece, reach) for piece in one["pieces"]]} for one in data["shown"]],
        "checks": tuple(data["checks"].items()),
    }


def _shaded(piece: Mapping[str, Any], reach: float) -> dict[str, str]:
    """Return a piece with its class, ``for1`` to ``for4`` or ``against1`` to ``against4``, and its share in words."""
    share = piece["share"]
    level = 0 if share is None or not reach else int(np.ceil(min(1.0, abs(share) / reach) * LEVELS - 0.5))
    if not level:
        return {"text": piece["text"], "look": "", "tip": ""}
    side = "for" if share > 0 else "against"
    return {"text": piece["text"], "look": f"{side} l{min(level, LEVELS)}", "tip": words.number(share, 3)}


def _bars(data: Mapping[str, Any]) -> Chart:
    named = len({one["output"] for one in data["features"]}) > 1
    bars = [
        Bar(
            words.shorten(one["word"], 30) + (f" · {words.shorten(one['output'], 24)}" if named else "")
            + (f" ({one['count']} times)" if one["count"] > 1 else ""),
            one["mean"],
            None if one["error"] is None else one["mean"] - 1.96 * one["error"],
            None if one["error"] is None else one["mean"] + 1.96 * one["error"],
            "warning" if one["mean"] >= 0 else "valid",
        )
        for one in data["features"]
    ]  # fmt: skip
    first = data["features"][0]
    moves = "raises" if first["mean"] >= 0 else "lowers"
    title = f"“{words.shorten(first['word'], 30)}” {moves} it most"
    what = "predicted value" if data["unit"] == "target" else data["unit"]
    of = (
        f" of {words.shorten(data['outputs'][0], 24)}"
        if len(data["outputs"]) == 1 and what != "predicted value"
        else ""
    )
    note = "Words by mean share times the root of how often they stand; whiskers: 95 % intervals."
    return bar_chart("words", title, bars, x_label=f"mean change of the {what}{of} by the word", note=note)


def told(values: NDArray[Any]) -> list[str]:
    """Return predictions or truths as words."""
    if values.ndim > 1:
        return [", ".join(f"{float(one):.4g}" for one in row) for row in values]
    return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values.tolist()]
