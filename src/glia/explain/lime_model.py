"""What all forms of LIME share: neighbours drawn several times over, a local linear model, and how stable it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from glia.core.errors import InputError
from glia.core.results import Table
from glia.core.seeds import numpy_rng
from glia.explain.attribution import AttributionResult
from glia.explain.local_fit import LocalFit, local_fit, select

Floats = NDArray[np.float64]
Draw = Callable[[int, np.random.Generator], tuple[Floats, Floats, Floats]]
"""(samples, generator) → inputs (S, K), weights (S,), outputs (S, O)."""
FITS, AGREES, STABLE, PRECISE = 0.5, 0.8, 0.95, 0.02
"""Thresholds: least local R² and rank agreement to rely on; agreement, or error / size, at which drawing may stop."""
DOUBLINGS = 6
"""How often ``until_stable`` doubles the samples before it gives up."""
RANKED = 10
"""Inputs whose order is compared between repeats: the others are too small to matter."""


@dataclass(frozen=True)
class Plan:
    """How neighbours are drawn and fitted.

    Parameters
    ----------
    samples : int
        Neighbours in each repeat, at least 10.
    repeats : int
        Independent draws, at least 2.
    until_stable : bool
        Whether samples are doubled, at most six times, until repeats agree.
    features : int, optional
        Most inputs with a slope.
    selection : {"largest", "lasso"}
        How they are chosen.
    random_state : int
        Seed.
    """

    samples: int = 1000
    repeats: int = 5
    until_stable: bool = False
    features: int | None = None
    selection: str = "largest"
    random_state: int = 0

    def check(self) -> None:
        """Raise an ``InputError`` where a number is out of its range."""
        if self.samples < 10:
            raise InputError("samples must be at least 10", f"samples={self.samples}", "1000 are usual")
        if self.repeats < 2:
            raise InputError("repeats must be at least 2", f"repeats={self.repeats}", "stability shows between them")

    def words(self) -> dict[str, Any]:
        """Return the settings of the result."""
        return {
            "samples": self.samples,
            "repeats": self.repeats,
            "until_stable": self.until_stable,
            "features": self.features,
            "selection": self.selection if self.features else None,
            "random_state": self.random_state,
        }


@dataclass(frozen=True)
class LocalModel:
    """The mean of the repeats' local models of one row.

    Parameters
    ----------
    slopes, error : ndarray of shape (K, O)
        Means, and their standard errors.
    at_zero, r_squared, agreement : ndarray of shape (O,)
        Value at the row; mean R²; mean rank correlation of the sizes of slopes between pairs of repeats.
    samples : int
        Neighbours that were drawn, in all.
    stable : bool
        Whether repeats agree, or standard errors are small.
    """

    slopes: Floats
    error: Floats
    at_zero: Floats
    r_squared: Floats
    agreement: Floats
    samples: int
    stable: bool


def local_model(draw: Draw, plan: Plan, *names: str | int) -> LocalModel:
    """Draw neighbours of one row, fit them, and say how much the repeats agree.

    ``names`` name the random stream, so that a row's explanation does not depend on the rows beside it.
    """
    samples, used = plan.samples, 0
    for doubling in range(DOUBLINGS + 1):
        rngs = [numpy_rng(plan.random_state, "lime", *names, doubling, i) for i in range(plan.repeats)]
        drawn = [draw(samples, rng) for rng in rngs]
        used += samples * plan.repeats
        found = _combine(_fits(drawn, plan), used)
        if not plan.until_stable or found.stable or doubling == DOUBLINGS:
            break
        samples *= 2
    return found


def _fits(drawn: Sequence[tuple[Floats, Floats, Floats]], plan: Plan) -> list[LocalFit]:
    if plan.features is None:
        return [local_fit(design, outputs, weight) for design, weight, outputs in drawn]
    pooled = [np.concatenate(parts) for parts in zip(*drawn, strict=True)]
    single: list[list[LocalFit]] = []
    for output in range(pooled[2].shape[1]):  # each output keeps inputs of its own, the same in all repeats
        kept = select(pooled[0], pooled[2][:, output], pooled[1], plan.features, plan.selection)
        single.append([local_fit(d, y[:, output : output + 1], w, kept=kept) for d, w, y in drawn])
    return [
        LocalFit(
            np.concatenate([one.slopes for one in parts], axis=1),
            np.concatenate([one.at_zero for one in parts]),
            np.concatenate([one.r_squared for one in parts]),
        )
        for parts in zip(*single, strict=True)
    ]


def _combine(fits: list[LocalFit], samples: int) -> LocalModel:
    slopes = np.stack([one.slopes for one in fits])  # (R, K, O)
    mean, error = slopes.mean(axis=0), slopes.std(axis=0, ddof=1) / np.sqrt(len(fits))
    agreement = np.array([rank_agreement(np.abs(slopes[:, :, o])) for o in range(slopes.shape[2])])
    precise = error.max(axis=0) <= PRECISE * np.abs(mean).max(axis=0)
    return LocalModel(
        mean,
        error,
        np.mean([one.at_zero for one in fits], axis=0),
        np.mean([one.r_squared for one in fits], axis=0),
        agreement,
        samples,
        bool(((agreement >= STABLE) | precise).all()),
    )


def rank_agreement(sizes: Floats) -> float:
    """Return the mean Spearman correlation between repeats (R, K), over the ten inputs that are largest on average.

    1 where there is but one input that is not 0.
    """
    mean = sizes.mean(axis=0)
    top = np.argsort(-mean, kind="stable")[:RANKED]
    top = top[mean[top] > 0]
    if len(top) < 2:
        return 1.0
    ranks = rankdata(sizes[:, top], axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1)
    ranks = ranks / np.where(length > 0, length, 1.0)[:, None]  # a repeat without an order agrees with none
    return float((ranks @ ranks.T)[np.triu_indices(len(sizes), 1)].mean())


@dataclass(frozen=True)
class LimeResult(AttributionResult):
    """Shares by local linear models, with how well these fit and how stable they are.

    Parameters
    ----------
    slopes : ndarray like ``values``, optional
        Slopes of the local models, in units of output per unit of the interpretable input.
    r_squared, agreement : ndarray like ``outputs``, optional
        How much of the network the local model explains, and the rank correlation between repeats; at most 1.
    """

    slopes: Floats | None = None
    r_squared: Floats | None = field(default=None)
    agreement: Floats | None = field(default=None)

    def summary(self) -> str:
        """Return what matters most, how well the local models fit, and whether to rely on them."""
        if self.r_squared is None or self.agreement is None:
            return super().summary()
        said = AttributionResult.summary(replace(self, residual=None))
        missed = 0.0 if self.residual is None else float(np.abs(self.residual).max())
        return (
            f"{said} The local models explain {self.r_squared.mean():.0%} of what the network does nearby "
            f"(least {self.r_squared.min():.0%}) and miss the output at the rows themselves by up to {missed:.2g}; "
            f"repeats rank the inputs alike with correlation {self.agreement.mean():.2f} "
            f"(least {self.agreement.min():.2f})."
        )

    def tables(self) -> list[Table]:
        """Return the features by size, what was checked, and the fit of each row."""
        found = super().tables()
        if self.r_squared is not None and self.agreement is not None:
            fit, agree = self.r_squared, self.agreement
            fit, agree = (fit.mean(axis=1), agree.mean(axis=1)) if self.several else (fit, agree)
            rows = tuple((i, float(fit[i]), float(agree[i])) for i in range(min(20, len(fit))))
            found.append(Table("Local models", ("row", "R²", "rank agreement"), rows))
        return found


def trust(models: Sequence[LocalModel], plan: Plan) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return what was measured about local models, and why they should not be relied upon."""
    fit = np.stack([one.r_squared for one in models])
    agree = np.stack([one.agreement for one in models])
    checks = {
        "local R², mean": float(fit.mean()),
        "local R², least": float(fit.min()),
        "rank agreement between repeats, mean": float(agree.mean()),
        "rank agreement between repeats, least": float(agree.min()),
    }
    said = []
    if fit.mean() < FITS:
        said.append(f"local models explain {fit.mean():.0%} of what the network does nearby, less than {FITS:.0%}")
    if agree.mean() < AGREES and not all(one.stable for one in models):
        said.append(f"repeats rank inputs alike with correlation {agree.mean():.2f}, less than {AGREES}")
    if plan.until_stable and not all(one.stable for one in models):
        said.append(f"{sum(not one.stable for one in models)} rows were not stable after {DOUBLINGS} doublings")
    return checks, tuple(said)
