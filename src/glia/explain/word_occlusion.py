"""Occlusion of words: how much an output falls when a word is left out of its text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.seeds import numpy_rng
from glia.explain.checks.removal import RemovalResult
from glia.explain.lime_text import WORD, without
from glia.explain.subject import Subject, subject
from glia.explain.words_result import WordsResult, check_texts
from glia.nn.modes import evaluating

Floats = NDArray[np.float64]
MOST = 128
"""Words of a text that are looked at, where the network does not say how many tokens it reads."""
CHECKED, STEPS = 16, 10
_BATCH = 256


@dataclass(frozen=True)
class TextScores:
    """Scores texts, a few at a time; ``what`` says which outputs these are."""

    predictor: Predictor
    what: Subject

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return the explained outputs, (N, O)."""
        parts = [list(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
        with torch.no_grad():
            found = [self.what.score(self.predictor.prepare(part)).double().cpu().numpy() for part in parts]
        return np.concatenate(found)


def word_occlusion(
    predictor: Predictor,
    texts: Sequence[str],
    *,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    mask: str | None = None,
    most_words: int | None = None,
    checks: bool = True,
    random_state: int = 0,
) -> WordsResult:
    """Explain texts: each word's share is what the output loses when the word is left out.

    Parameters
    ----------
    predictor : Predictor
        Its ``prepare`` takes a list of texts.
    texts : sequence of str
        At least one with a word in it.
    output, space
        As in ``glia.explain.shap``.
    mask : str, optional
        What stands for a word that is taken away; without it the word is left out.
    most_words : int, optional
        Words of a text that are looked at, the first ones; by default as many as the network reads tokens. What comes
        after them is cut off.
    checks : bool
        Whether deletion and insertion curves are measured on the first 16 texts.
    random_state : int
        Of the random orders that curves are compared with.

    Returns
    -------
    WordsResult
        Shares do not add up: of two words that say the same, each can be spared.

    Raises
    ------
    InputError
        If there are no words.

    Notes
    -----
    Source: Li, Monroe and Jurafsky, arXiv 1612.08220. Costs as many forward passes as there are words.
    """
    begun = time.perf_counter()
    listed, spans = read_words(predictor, texts, most_words)
    with evaluating(predictor.network_):
        score = TextScores(predictor, subject(predictor, list(listed[:1]), output=output, space=space))
        outputs = score(listed)
        left = score(list(_each_left_out(listed, spans, mask)))
    counts = [len(one) for one in spans]
    parts = np.split(left, np.cumsum(counts)[:-1])
    values = tuple(full - part for full, part in zip(outputs, parts, strict=True))
    told = {"space": score.what.unit, "mask": mask, "words": max(counts)}
    names, unit = score.what.output_names, score.what.unit
    found = WordsResult(
        "occlusion", listed, spans, values, outputs, names, unit, leading_outputs(predictor, outputs),
        settings=told, evaluations=len(listed) + sum(counts),
    )  # fmt: skip
    if checks:
        found = with_checks(predictor, found, output=output, space=space, mask=mask, random_state=random_state)
    return replace(found, seconds=time.perf_counter() - begun)


def leading_outputs(predictor: Predictor, outputs: Floats) -> tuple[int, ...]:
    """Return for each row the output that is told of first: of several classes the one with the highest score."""
    several = predictor.task_ == "multiclass" and outputs.shape[1] > 1
    return tuple(outputs.argmax(axis=1).tolist()) if several else (0,) * len(outputs)


def with_checks(
    predictor: Predictor, found: WordsResult, *, output: Any, space: str, mask: str | None = None, random_state: int = 0
) -> WordsResult:
    """Return a result with the gains of its deletion and insertion curves, and a warning where there are none."""
    curves = word_removal(predictor, found, output=output, space=space, mask=mask, random_state=random_state)
    if curves is None:
        return found
    checks = {**found.checks, "deletion gain": curves.deletion_gain, "insertion gain": curves.insertion_gain}
    doubt = "taking its words out moves the output no further than taking out any others"
    warnings = (*found.warnings, *((doubt,) if curves.deletion_gain <= 0 else ()))
    return replace(found, checks=checks, warnings=warnings)


def word_removal(
    predictor: Predictor, found: WordsResult, *, output: Any = None, space: str = "logit", mask: str | None = None,
    repeats: int = 2, random_state: int = 0,
) -> RemovalResult | None:  # fmt: skip
    """Measure whether outputs follow when the words that are said to matter are taken out, or put in, first.

    Parameters
    ----------
    predictor : Predictor
    found : WordsResult
        Of which the first 16 texts with three words or more are taken.
    output, space, mask
        As the explanation was asked for.
    repeats : int
        Random orders per text.
    random_state : int

    Returns
    -------
    RemovalResult or None
        Curves at eleven shares of the words; ``None`` where no text has three words.

    Notes
    -----
    As ``glia.explain.removal``, which takes out inputs of the network instead of words.
    """
    rows = [i for i, spans in enumerate(found.spans) if len(spans) >= 3][:CHECKED]
    if not rows:
        return None
    share = np.linspace(0.0, 1.0, STEPS + 1)
    texts: list[str] = []
    for i in rows:
        spans = list(found.spans[i])
        rng = numpy_rng(random_state, "word removal", i)
        orders = [np.argsort(-found.shares(i), kind="stable"), *(rng.permutation(len(spans)) for _ in range(repeats))]
        for order in orders:
            place = np.argsort(order)
            firsts = [place < count for count in np.rint(share * len(spans)).astype(int)]
            texts += [without(found.texts[i], spans, ~first, mask) for first in firsts]
            texts += [without(found.texts[i], spans, first, mask) for first in firsts]
    with evaluating(predictor.network_):
        score = TextScores(predictor, subject(predictor, [found.texts[rows[0]]], output=output, space=space))
        scores = score(texts).reshape(len(rows), 1 + repeats, 2, len(share), -1)
    led = np.stack([scores[n, ..., found.leading[i]] for n, i in enumerate(rows)])  # (N, R, 2, S)
    return _curves(share, led)


def _curves(share: Floats, led: Floats) -> RemovalResult:
    """Return mean curves of deletion and insertion, (N, 1 + repeats, 2, S), each text's from 0 (none) to 1 (all)."""
    low, high = led.min(axis=(1, 2, 3), keepdims=True), led.max(axis=(1, 2, 3), keepdims=True)
    span = np.maximum(high - low, 1e-12)
    none, whole = led[:, :1, :1, -1:], led[:, :1, :1, :1]
    safe = np.abs(whole - none) > 1e-6 * span
    scaled = np.where(safe, (led - none) / np.where(safe, whole - none, 1.0), 0.0).mean(axis=0)
    plain = led / span
    gain = np.trapezoid(plain[:, 1:].mean(axis=1) - plain[:, 0], share, axis=-1).mean(axis=0)
    random = scaled[1:].mean(axis=0)
    return RemovalResult(share, scaled[0, 0], scaled[0, 1], random[0], random[1], float(gain[0]), float(-gain[1]))


def read_words(
    predictor: Predictor, texts: Sequence[str], most: int | None = None
) -> tuple[tuple[str, ...], tuple[tuple[tuple[int, int], ...], ...]]:
    """Return texts cut after ``most`` words, by default as many as the network can read, and where their words stand.

    Raises
    ------
    InputError
        If there are no words.
    """
    listed, most = check_texts(texts), most or _reach(predictor)
    found = [tuple(match.span() for match in islice(WORD.finditer(text), most + 1)) for text in listed]
    if not any(found):
        raise InputError("the texts must have words", repr(listed[0][:40]), "hand in others")
    cut = tuple(
        text if len(spans) <= most else text[: spans[most - 1][1]] for text, spans in zip(listed, found, strict=True)
    )
    return cut, tuple(spans[:most] for spans in found)


def _reach(predictor: Any) -> int:
    """Return how many words a network can read at most: no word is less than a token."""
    shape: tuple[int, ...] = tuple(getattr(getattr(predictor, "layout_", None), "shape", ()))
    return shape[0] if len(shape) == 2 and shape[1] == 2 else MOST


def _each_left_out(
    texts: Sequence[str], spans: Sequence[tuple[tuple[int, int], ...]], mask: str | None
) -> Iterator[str]:
    for text, places in zip(texts, spans, strict=True):
        for i in range(len(places)):
            yield without(text, list(places), np.arange(len(places)) != i, mask)
