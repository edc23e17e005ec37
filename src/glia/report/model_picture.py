"""The page of a picture of a whole model: a curve, interactions, a tree, rules, ways to another answer, examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glia.core.results import Result
from glia.explain.effect import EffectResult
from glia.explain.gradient_importance import GradientImportanceResult
from glia.explain.interactions import InteractionsResult
from glia.explain.permutation import ImportanceResult
from glia.explain.rules import RulesResult
from glia.explain.surrogate_tree import SurrogateTreeResult
from glia.report import words
from glia.report.charts import Bar, Chart, bar_chart
from glia.report.effects import effect_chart, effect_record
from glia.report.inside_sequences import inside_charts
from glia.report.page import Section, fill

TITLES = {
    "ale": "Accumulated local effects", "pdp": "Partial dependence", "tree": "Surrogate tree", "rules": "Rules",
    "gradients": "Gradient importance", "nearest": "Nearest known rows",
}  # fmt: skip
MOST = 20


def render_picture(result: Result, method: str, about: Mapping[str, Any]) -> str:
    """Return the page of a picture as one HTML file that needs nothing else.

    Parameters
    ----------
    result : Result
        Of one of ``glia.explain.pictures``.
    method : str
        Its name there.
    about : mapping
        ``name`` of the model, ``rows``, ``command``, ``files``, ``seconds``.
    """
    warnings = list(getattr(result, "warnings", ()))
    answer, _, _ = result.summary().partition(" Do not rely on it:")
    answer, _, _ = answer.partition(" Beware:")
    return fill(
        "model_picture.html.j2",
        p=Section(dict(about)),
        title=TITLES.get(method, method.replace("_", " ").capitalize()),
        answer=answer,
        warnings=warnings,
        tone="tie" if warnings else "better",
        icon="warning" if warnings else "good",
        head="Read with care" if warnings else "What the model does",
        charts=_charts(result),
        tables=result.tables(),
        text=result.text() if isinstance(result, (RulesResult, SurrogateTreeResult)) else "",
    )


def _charts(result: Result) -> list[Chart]:
    if isinstance(result, EffectResult):
        count = min(4, len(result.output_names))
        return [effect_chart(effect_record(result, o), f"effect-{o}") for o in range(count)]
    if isinstance(result, ImportanceResult) and result.columns:
        bars = [Bar(c.name, c.importance, c.interval.low, c.interval.high, "valid") for c in result.columns[:MOST]]
        title = f"{words.headed(words.shorten(result.columns[0].name, 40))} matters most"
        way = "falls" if result.greater_is_better else "rises"
        return [bar_chart("importance", title, bars, x_label=f"{result.metric} {way} by, when shuffled")]
    if isinstance(result, GradientImportanceResult):
        triples = list(zip(result.names, result.values, result.standard_error, strict=True))[:MOST]
        bars = [Bar(n, float(v), float(v - 1.96 * e), float(v + 1.96 * e), "valid") for n, v, e in triples]
        title = f"{words.headed(words.shorten(result.names[0], 40))} matters most"
        return [bar_chart("gradients", title, bars, x_label=f"mean size of the first-order effect, {result.unit}")]
    if isinstance(result, InteractionsResult):
        bars = [
            Bar(f"{p.first} × {p.second}", p.strength, None, None, "valid" if p.clear else "baseline")
            for p in result.pairs[:MOST]
        ]
        clear = [p for p in result.pairs if p.clear]
        title = f"{clear[0].first} and {clear[0].second} interact most" if clear else "No interaction beyond chance"
        note = "Grey: no more than chance gives. Pairs by the size of their interaction."
        return [bar_chart("interactions", title, bars, x_label="H, share of the joint effect", note=note)]
    if isinstance(result, RulesResult) and result.rules:
        bars = [Bar(str(rule), rule.coverage, None, None, "valid") for rule in result.rules]
        title = f"{len(result.rules)} rules cover {words.percent(result.coverage, 0)} of unseen rows"
        return [bar_chart("rules", title, bars, x_label="per cent of unseen rows covered", scale=100.0)]
    return inside_charts(result)
