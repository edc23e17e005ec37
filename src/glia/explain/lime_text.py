"""LIME for texts: which words an output hangs on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.lime_model import Draw, LimeResult, Plan, local_model
from glia.explain.lime_table import finish
from glia.explain.subject import subject
from glia.nn.modes import evaluating

Floats = NDArray[np.float64]
WORD = re.compile(r"\w+(?:['’-]\w+)*")
WIDTH = 0.25
"""Width of the kernel on 1 − √(share of words that are kept), the cosine distance."""


def lime_text(
    predictor: Predictor,
    text: str,
    *,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    mask: str | None = None,
    plan: Plan | None = None,
) -> LimeResult:
    """Explain one text: each word's effect of being there.

    Parameters
    ----------
    predictor : Predictor
        Its ``prepare`` takes a list of texts, such as ``glia.wrap(module, prepare=tokenize)``.
    text : str
        At least one word.
    output, space
        As in ``glia.explain.shap``.
    mask : str, optional
        What stands for a word that is taken away; without it the word is left out.
    plan : Plan, optional
        How many neighbours, and how they are fitted.

    Returns
    -------
    LimeResult
        ``values`` (1, words[, O]); a word that occurs twice has two places, called "word" and "word (2)".

    Raises
    ------
    InputError
        If there is no word in it.
    """
    begun = time.perf_counter()
    plan = plan or Plan()
    plan.check()
    spans = [match.span() for match in WORD.finditer(text)]
    if not spans:
        raise InputError("the text must have words", repr(text[:40]), "hand in a text")
    names = _numbered([text[start:end] for start, end in spans])
    with evaluating(predictor.network_):
        seen = subject(predictor, [text], output=output, space=space)
        seen = replace(seen, feature_names=tuple(names), groups=(), data=None)

        def score(texts: list[str]) -> Floats:
            parts = [texts[i : i + 256] for i in range(0, len(texts), 256)]
            with torch.no_grad():
                return np.concatenate([seen.score(predictor.prepare(part)).double().cpu().numpy() for part in parts])

        full = score([text])
        model = local_model(_draw(text, spans, mask, score), plan, "text")
    words = plan.words() | {"space": seen.unit, "mask": mask}
    return finish(seen, [model], np.full((1, len(spans), 1), -1.0), full, plan, words, time.perf_counter() - begun)


def _numbered(words: list[str]) -> list[str]:
    """Return words with a number behind those that came before."""
    counts: dict[str, int] = {}
    names = []
    for word in words:
        counts[word] = counts.get(word, 0) + 1
        names.append(word if counts[word] == 1 else f"{word} ({counts[word]})")
    return names


def without(text: str, spans: list[tuple[int, int]], kept: NDArray[np.bool_], mask: str | None) -> str:
    """Return the text with the words that are not kept replaced by ``mask`` or left out with the space before them."""
    pieces, after = [text[: spans[0][0]]], [*(b[0] for _, b in pairwise(spans)), len(text)]
    for (start, end), following, keep in zip(spans, after, kept, strict=True):
        word = text[start:end] if keep else (mask or "")
        gap = text[end:following]
        pieces += [word, gap if word else gap.lstrip(" ")]
    return "".join(pieces)


def _draw(text: str, spans: list[tuple[int, int]], mask: str | None, score: Callable[[list[str]], Floats]) -> Draw:
    def draw(samples: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        kept, weight = draw_kept(samples, len(spans), rng)
        texts = [without(text, spans, one, mask) for one in kept]
        return (
            (~kept).astype(np.float64),
            weight,
            score(texts),
        )  # an input is 1 where the word is gone: all are 0 at the text itself

    return draw


def draw_kept(samples: int, count: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Floats]:
    """Return which of ``count`` parts are kept, (S, count), in complementary pairs, and the weights (S,)."""
    half = (samples + 1) // 2
    share = rng.integers(0, count + 1, size=(half, 1)) / max(count, 1)
    kept = rng.random((half, count)) < share
    kept = np.concatenate([kept, ~kept])
    distance = 1 - np.sqrt(kept.mean(axis=1))
    return kept, np.exp(-(distance**2) / (2 * WIDTH**2))
