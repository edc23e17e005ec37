"""Concept vectors (TCAV): whether what people mean by a concept moves an output, tested against random concepts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.stats import ttest_ind_from_stats

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Interval, Result, Table
from glia.core.seeds import numpy_rng
from glia.explain.layers import layer_outputs, run_with_layer, unit_graph
from glia.explain.plots.look import POINT, QUIET, bare, new_axes, shorten
from glia.explain.subject import Floats, Subject, subject
from glia.nn.modes import evaluating

ALPHA = 0.05
TOLD_APART = 0.7
"""Least share of unseen rows that a concept vector must tell apart to mean anything."""


@dataclass(frozen=True)
class ConceptResult(Result):
    """How far a concept moves an output.

    Parameters
    ----------
    concept, output, layer : str
        What was tested, on what, and where.
    score : Interval
        Share of rows for which a step towards the concept raises the output, mean over random counterparts.
    scores, null : ndarray of shape (R,)
        The same for each counterpart, and for random concepts.
    p_value : float
        Of Welch's t-test that both have the same mean.
    accuracy : float
        Share of unseen rows of the concept and of chance that the vectors tell apart, mean.
    slope : float
        Mean directional derivative of the output along the unit vector.
    warnings : tuple of str
        Why this should not be relied upon.
    """

    concept: str
    output: str
    layer: str
    score: Interval
    scores: Floats
    null: Floats
    p_value: float
    accuracy: float
    slope: float
    warnings: tuple[str, ...] = ()

    @property
    def matters(self) -> bool:
        """Whether the concept differs from random ones."""
        return self.p_value < ALPHA and self.accuracy >= TOLD_APART

    def summary(self) -> str:
        """Return whether and how the concept moves the output."""
        way = "raises" if self.score.value > float(self.null.mean()) else "lowers"
        figures = f"TCAV score {self.score.value:.2f}, random concepts {self.null.mean():.2f}, p = {self.p_value:.2g}"
        lead = f"{self.concept!r} {way} {self.output!r}" if self.matters else (
            f"No effect of {self.concept!r} on {self.output!r} that random concepts do not have"
        )  # fmt: skip
        said = f"{lead} at {self.layer} ({figures})."
        return said + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return all figures."""
        rows = (
            ("TCAV score", self.score.value), ("low", self.score.low), ("high", self.score.high),
            ("random concepts", float(self.null.mean())), ("p value", self.p_value),
            ("concept told apart", self.accuracy), ("mean slope", self.slope),
        )  # fmt: skip
        return [Table(f"{self.concept} and {self.output} at {self.layer}", ("measure", "figure"), rows)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``scores``: the concept's scores beside those of random concepts."""
        return {"scores": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        ax = new_axes(ax, 2.6)
        for height, values, colour, mark in ((1, self.scores, POINT, "o"), (0, self.null, QUIET, "x")):
            ax.scatter(values, np.full(len(values), height), color=colour, marker=mark, alpha=0.7)
        ax.axvline(0.5, color="#5A626B", linewidth=0.8)
        ax.set_yticks([1, 0], [shorten(self.concept, 20), "random"])
        ax.set_ylim(-0.6, 1.6)
        ax.set_xlim(-0.03, 1.03)
        ax.set_xlabel(f"share of rows whose {shorten(self.output, 20)} rises towards the concept")
        ax.set_title(f"{shorten(self.concept)} {'matters' if self.matters else 'is like random concepts'}", loc="left")
        return bare(ax)


def concept_vectors(
    predictor: Predictor,
    X: Any,
    concept: Any,
    random: Any,
    *,
    layer: str,
    output: int | str = 0,
    name: str = "the concept",
    repeats: int = 20,
    random_state: int = 0,
) -> ConceptResult:
    """Test whether a concept, given by examples, moves an output.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Rows whose output is asked about, such as those of a class.
    concept : rows
        Examples of the concept, at least 10.
    random : rows
        Rows by chance, at least twice as many as 10; draws of them are the concept's counterparts and random concepts.
    layer : str
        Path of the module whose output is looked at.
    output : int or str
        The output.
    name : str
        Of the concept.
    repeats : int
        Random counterparts, at least 3.
    random_state : int
        Seed of the draws.

    Returns
    -------
    ConceptResult

    Raises
    ------
    InputError
        If there are too few examples, or no such layer.

    Notes
    -----
    Kim et al., arXiv 1711.11279. A concept vector is normal to the plane that tells the concept's examples from random
    rows in the layer, by ridge regression. A random concept is a draw of random rows against another. Where the
    examples are not told apart in 70 % of unseen cases, the vector means nothing, and the result says so.
    """
    if repeats < 3:
        raise InputError("repeats must be at least 3", f"repeats={repeats}", "20 are usual")
    with evaluating(predictor.network_):
        seen = subject(predictor, X, output=output)
        rows = [subject(predictor, one).x for one in (concept, random)]
    good, other = (layer_outputs(predictor, x, [layer])[layer].flatten(1).double().numpy() for x in rows)
    if len(good) < 10 or len(other) < 20:
        raise InputError("there must be 10 examples and 20 random rows", f"{len(good)} and {len(other)}")
    slopes = _slopes(predictor, seen, layer)
    size = min(len(good), len(other) // 2)
    scores, null, apart, along = [], [], [], []
    for repeat in range(repeats):
        rng = numpy_rng(random_state, "concept", repeat)
        drawn = rng.permutation(len(other))
        vector, accuracy = _vector(good[rng.permutation(len(good))[:size]], other[drawn[:size]])
        chance, _ = _vector(other[drawn[size : 2 * size]], other[drawn[:size]])
        scores.append(float((slopes @ vector > 0).mean()))
        null.append(float((slopes @ chance > 0).mean()))
        apart.append(accuracy)
        along.append(float((slopes @ vector).mean()))
    mean, error = float(np.mean(scores)), 1.959964 * float(np.std(scores, ddof=1)) / np.sqrt(repeats)
    accuracy = float(np.mean(apart))
    said = f"its examples are told from random rows in {accuracy:.0%} of cases only".replace("%", " %")
    return ConceptResult(
        name,
        seen.output_names[0],
        layer,
        Interval(mean, max(0.0, mean - error), min(1.0, mean + error)),
        np.array(scores),
        np.array(null),
        _p_value(np.array(scores), np.array(null)),
        accuracy,
        float(np.mean(along)),
        (said,) * (accuracy < TOLD_APART),
    )


def _slopes(predictor: Predictor, seen: Subject, layer: str) -> Floats:
    """Return the output's gradient at the layer, (N, H)."""
    found = []
    with unit_graph(predictor):
        for part in torch.split(seen.x, 256):
            x = part.detach().clone().requires_grad_(part.is_floating_point())
            raw, out = run_with_layer(predictor, x, layer)
            score = seen.finish(raw)[:, 0]
            if not score.requires_grad or not out.requires_grad:
                raise InputError("the output must depend on the layer", repr(layer), "choose another layer")
            (slope,) = torch.autograd.grad(score.sum(), out, allow_unused=True)
            if slope is None:
                raise InputError("the output must depend on the layer", repr(layer), "choose another layer")
            found.append(slope.flatten(1).double().cpu())
    return np.asarray(torch.cat(found).numpy())


def _vector(good: Floats, other: Floats) -> tuple[Floats, float]:
    """Return the unit vector from other rows to good ones, and how many unseen rows it tells apart."""
    held = [part[: max(2, len(part) // 4)] for part in (good, other)]
    used = [part[max(2, len(part) // 4) :] for part in (good, other)]
    x = np.concatenate(used)
    y = np.concatenate([np.ones(len(used[0])), -np.ones(len(used[1]))])
    mean = x.mean(axis=0)
    centred = x - mean
    gram = centred @ centred.T
    ridge = 0.1 * float(np.trace(gram)) / len(x) or 1.0
    weight = centred.T @ np.linalg.solve(gram + ridge * np.eye(len(x)), y - y.mean())
    length = float(np.linalg.norm(weight))
    vector = weight / (length or 1.0)
    border = np.mean([(part @ vector).mean() for part in used])
    right = [(held[0] @ vector > border).mean(), (held[1] @ vector <= border).mean()]
    return vector, float(np.mean(right))


def _p_value(scores: Floats, null: Floats) -> float:
    spread = [float(values.std(ddof=1)) for values in (scores, null)]
    if max(spread) == 0:  # the test divides by their spread
        return 1.0 if scores[0] == null[0] else 0.0
    count = len(scores)
    found = ttest_ind_from_stats(
        float(scores.mean()), spread[0], count, float(null.mean()), spread[1], count, equal_var=False
    )
    return float(found.pvalue)
