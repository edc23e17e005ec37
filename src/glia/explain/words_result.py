"""What explanations of texts return: a share of the output for every word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.results import Result, Table

Floats = NDArray[np.float64]
SHOWN = 20
"""Most words in a figure or table."""


@dataclass(frozen=True)
class WordShare:
    """What one word did wherever it stood.

    Parameters
    ----------
    word : str
        In lower case.
    output : str
        Which output it speaks for or against.
    mean : float
        Of its shares.
    error : float or None
        Standard error of the mean; ``None`` for a word that stood once.
    count : int
        How often it stood.
    size : float
        |mean| · √count, by which words are ranked: neither a word that stood once in a place of its own nor one that
        stands everywhere and says little comes first.
    """

    word: str
    output: str
    mean: float
    error: float | None
    count: int
    size: float


@dataclass(frozen=True)
class WordsResult(Result):
    """Shares of outputs that belong to the words of texts.

    Parameters
    ----------
    method : {"occlusion", "lime"}
        How they were found.
    texts : tuple of str
        The N texts.
    spans : tuple of tuple of (int, int)
        For each text where its words begin and end; words that the network does not reach have none.
    values : tuple of ndarray (W, O)
        For each text the shares of its W words in the O outputs.
    outputs : ndarray (N, O)
        What is explained, in ``unit``.
    output_names : tuple of str
    unit : {"logit", "probability", "target"}
    leading : tuple of int
        For each text which output is told of first: of several classes the one with the highest score.
    checks : mapping of str to float
        Measured signs of trustworthiness.
    warnings : tuple of str
        Why this explanation should not be relied upon.
    settings : mapping
        What the method was called with.
    evaluations : int
        Texts that went through the network.
    seconds : float
    """

    method: str
    texts: tuple[str, ...]
    spans: tuple[tuple[tuple[int, int], ...], ...]
    values: tuple[Floats, ...]
    outputs: Floats
    output_names: tuple[str, ...]
    unit: str
    leading: tuple[int, ...]
    checks: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluations: int = 0
    seconds: float = 0.0

    def words(self, text: int) -> list[str]:
        """Return the words of a text as they stand in it."""
        return [self.texts[text][start:end] for start, end in self.spans[text]]

    def shares(self, text: int, output: int | None = None) -> Floats:
        """Return the shares of a text's words, (W,), in one output: by default the one that leads."""
        return np.asarray(self.values[text][:, self.leading[text] if output is None else output])

    def by_word(self) -> list[WordShare]:
        """Return what each word did to the outputs that lead, those that move them most first."""
        found: dict[tuple[str, int], list[float]] = defaultdict(list)
        for i, lead in enumerate(self.leading):
            for word, share in zip(self.words(i), self.shares(i), strict=True):
                found[word.lower(), lead].append(float(share))
        listed = [self._share(word, lead, np.array(shares)) for (word, lead), shares in found.items()]
        return sorted(listed, key=lambda one: (-one.size, one.word, one.output))

    def _share(self, word: str, output: int, shares: Floats) -> WordShare:
        error = float(shares.std(ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else None
        named = self.output_names[output] if output < len(self.output_names) else ""
        return WordShare(
            word, named, float(shares.mean()), error, len(shares), abs(float(shares.mean())) * len(shares) ** 0.5
        )

    def summary(self) -> str:
        """Return the words that matter most, and whether to rely on them."""
        lead = f"{self.method}, {len(self.texts):,} text{'s' * (len(self.texts) != 1)}"
        first = self.by_word()[:3]
        if first:
            told = ", ".join(f"{one.word!r} ({one.mean:+.3g} {self.unit})" for one in first)
            lead += f": {told} matter most"
        return f"{lead}." + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return the words by size, and what was checked."""
        heads = ("word", "output", f"mean share ({self.unit})", "standard error", "times")
        rows = [(one.word, one.output, one.mean, one.error, one.count) for one in self.by_word()[:SHOWN]]
        found = [Table(f"{self.method}: shares by word", heads, tuple(rows))]
        if self.checks:
            found.append(Table("How far to trust it", ("check", "figure"), tuple(self.checks.items())))
        return found

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the drawing of the largest shares."""
        return {"bars": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        shown = self.by_word()[:SHOWN][::-1]
        if ax is None:
            ax = Figure(figsize=(6, 0.6 + 0.28 * max(1, len(shown))), layout="constrained").subplots()
        named = len(set(self.leading)) > 1
        labels = [f"{one.word} ({one.output})" if named else one.word for one in shown]
        colours = ["#D55E00" if one.mean >= 0 else "#0072B2" for one in shown]
        ax.barh(range(len(shown)), [one.mean for one in shown], color=colours)
        ax.set_yticks(range(len(shown)), labels)
        ax.axvline(0.0, color="black", linewidth=0.8)
        ax.set_xlabel(f"mean share of a word ({self.unit})")
        return ax


def check_texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts as a tuple.

    Raises
    ------
    InputError
        If there are none, or something else is among them.
    """
    if isinstance(texts, str):
        raise InputError("texts must be several, in a list", f"one text, {texts[:40]!r}", "put it in a list")
    listed = tuple("" if text is None else text for text in texts)
    wrong = next((text for text in listed if not isinstance(text, str)), None)
    if wrong is not None or not listed:
        raise InputError("texts must be a list of strings", "none" if wrong is None else repr(wrong)[:60])
    return listed
