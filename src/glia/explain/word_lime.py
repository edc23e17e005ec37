"""LIME for several texts: a local linear model of each, as shares of words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glia.core.protocols import Predictor
from glia.explain.lime_model import Plan
from glia.explain.lime_text import lime_text
from glia.explain.word_occlusion import leading_outputs, read_words, with_checks
from glia.explain.words_result import WordsResult

SAMPLES, REPEATS = 200, 3


def word_lime(
    predictor: Predictor,
    texts: Sequence[str],
    *,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    samples: int = SAMPLES,
    repeats: int = REPEATS,
    checks: bool = True,
    random_state: int = 0,
) -> WordsResult:
    """Explain texts by ``glia.explain.lime_text``, each by itself; texts without a word are explained by nothing.

    Parameters
    ----------
    predictor : Predictor
        Its ``prepare`` takes a list of texts.
    texts : sequence of str
    output, space
        As in ``glia.explain.shap``.
    samples, repeats : int
        Neighbours of each text in each repeat, and repeats.
    checks : bool
        Whether deletion and insertion curves are measured on the first 16 texts.
    random_state : int

    Raises
    ------
    InputError
        If there are no words.
    """
    begun = time.perf_counter()
    listed, spans = read_words(predictor, texts)
    plan = Plan(samples=samples, repeats=repeats, random_state=random_state)
    asked = [i for i, places in enumerate(spans) if places]
    made = {i: lime_text(predictor, listed[i], output=output, space=space, plan=plan) for i in asked}
    first = made[asked[0]]
    names, count = first.output_names, len(first.output_names)
    outputs = np.full((len(listed), count), np.nan)
    for i, one in made.items():
        outputs[i] = np.asarray(one.outputs).reshape(-1)
    empty = np.zeros((0, count))
    values = tuple(
        np.asarray(made[i].values).reshape(len(spans[i]), count) if i in made else empty for i in range(len(listed))
    )
    fits = [one.checks["local R², mean"] for one in made.values() if "local R², mean" in one.checks]
    checked = {"local R², mean": float(np.mean(fits))} if fits else {}
    told = {"space": first.unit, "samples": samples, "repeats": repeats}
    found = WordsResult(
        "lime", listed, spans, values, outputs, names, first.unit,
        leading_outputs(predictor, np.nan_to_num(outputs)), checked, settings=told,
        evaluations=sum(one.evaluations for one in made.values()),
    )  # fmt: skip
    if checks:
        found = with_checks(predictor, found, output=output, space=space, random_state=random_state)
    return replace(found, seconds=time.perf_counter() - begun)
