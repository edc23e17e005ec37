"""Scales on which skewed and bounded targets are learned, with their way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import skew, yeojohnson_normmax

from glia.core.errors import InputError, near

Floats = NDArray[np.float64]
Bounds = tuple[float, float]
KINDS = ("none", "auto", "log", "yeo_johnson", "quantile", "logit")
_SKEWED = 2.0
_QUANTILES, _EDGE = 1000, 1e-3


@dataclass(frozen=True)
class TargetTransform:
    """A rising function of each target, learned from training rows.

    Parameters
    ----------
    kind : {"log", "yeo_johnson", "quantile", "logit"}
        log(1 + y) of targets of at least 0; the power transform of Yeo and Johnson (Biometrika 2000); ranks turned into
        normal scores; the logit of targets between bounds.
    figures : tuple of ndarray
        What was learned for each of T targets: the ends between which values lead back (a whole range beyond those
        seen, or steep ways back would lead to absurd values), after the power where there is one; rising quantiles; or
        the two bounds.
    """

    kind: str
    figures: tuple[Floats, ...] = field(default_factory=tuple)

    stored: ClassVar[tuple[str, ...]] = ("log", "yeo_johnson", "quantile", "logit")

    def forward(self, y: Floats) -> Floats:
        """Map targets (N, T) to the scale on which they are learned."""
        return np.stack([_FORWARD[self.kind](y[:, i], figure) for i, figure in enumerate(self.figures)], axis=1)

    def inverse(self, z: Floats) -> Floats:
        """Map (N, T) back; what lies beyond the scale's ends goes to its end."""
        return np.stack([_INVERSE[self.kind](z[:, i], figure) for i, figure in enumerate(self.figures)], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"kind": self.kind, "figures": [figure.tolist() for figure in self.figures]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], targets: int) -> TargetTransform:
        """Rebuild what ``to_dict`` gave, checked.

        Raises
        ------
        ValueError
            If it is none of the kinds, or its figures cannot be right.
        """
        kind, figures = str(data["kind"]), tuple(np.array(figure, dtype=float) for figure in data["figures"])
        sizes = {"log": 2, "yeo_johnson": 3, "logit": 2}
        if kind not in cls.stored or len(figures) != targets:
            raise ValueError(f"a target cannot be transformed by {kind[:20]!r} with {len(figures)} figures")
        for figure in figures:
            right = len(figure) == sizes.get(kind, len(figure)) and figure.ndim == 1 and np.isfinite(figure).all()
            ends = figure[1:] if kind == "yeo_johnson" else figure
            rising = len(ends) > 1 and bool((np.diff(ends) >= 0).all())
            rising = rising and (kind != "yeo_johnson" or 0 <= figure[0] <= 2)
            if not right or not rising or (kind == "logit" and ends[0] == ends[1]):
                raise ValueError("a target's transform must have finite, rising figures")
        return cls(kind, figures)


def fit_transform(kind: str, y: Floats, bounds: Bounds | None) -> TargetTransform | None:
    """Learn a transform of targets (N, T); ``None`` where there is nothing to transform.

    Raises
    ------
    InputError
        If the kind is unknown, or the targets do not fit it.
    """
    if kind not in KINDS:
        raise InputError("target_transform must be a known name", f"target_transform={kind!r}", near(str(kind), KINDS))
    if kind == "auto":
        spread = y.std(axis=0) > 0
        kind = "yeo_johnson" if spread.any() and np.abs(skew(y[:, spread])).max() > _SKEWED else "none"
    if kind == "none":
        return None
    if kind == "log" and y.min() < 0:
        raise InputError(
            "a logarithm needs targets of at least 0", f"target_transform='log' and {y.min():g}", "use 'yeo_johnson'"
        )
    if kind == "logit":
        if bounds is None or not np.isfinite(bounds).all():
            raise InputError(
                "a logit needs both bounds", f"bounds={bounds!r}", "set bounds=(0, 1) or wherever they lie"
            )
        return TargetTransform(kind, tuple(np.array(bounds, dtype=float) for _ in y.T))
    if kind == "yeo_johnson":
        return TargetTransform(kind, tuple(np.array([_power(column), *_ends(column)]) for column in y.T))
    if kind == "quantile":
        levels = np.linspace(0, 1, min(_QUANTILES, len(y)))
        return TargetTransform(kind, tuple(np.quantile(column, levels) for column in y.T))
    return TargetTransform(kind, tuple(np.array(_ends(column)) for column in y.T))


def read_bounds(bounds: Any) -> Bounds | None:
    """Return bounds as two numbers; ``None`` in a pair leaves a side open.

    Raises
    ------
    InputError
        If they are not a lower and a greater upper bound.
    """
    if bounds is None:
        return None
    try:
        low, high = bounds
        found = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
    except (TypeError, ValueError):
        found = (0.0, 0.0)
    if not found[0] < found[1]:
        raise InputError(
            "bounds must be a pair, the lower first", f"bounds={bounds!r}", "for instance (0, 1) or (0, None)"
        )
    return found


def _power(column: Floats) -> float:
    """Return the power by maximum likelihood, 1 of constant targets.

    Within 0 and 2: beyond, the scale ends at a value from which there is no way back, and small errors near it lead
    anywhere.
    """
    return float(np.clip(yeojohnson_normmax(column), 0.0, 2.0)) if np.ptp(column) > 0 else 1.0


def _ends(column: Floats) -> tuple[float, float]:
    low, high = float(column.min()), float(column.max())
    return low - (high - low), high + (high - low)


def _yeo_johnson(y: Floats, figure: Floats) -> Floats:
    p, z = figure[0], np.empty_like(y)
    up = y >= 0
    z[up] = np.log1p(y[up]) if p == 0 else np.expm1(p * np.log1p(y[up])) / p
    z[~up] = -np.log1p(-y[~up]) if p == 2 else -np.expm1((2 - p) * np.log1p(-y[~up])) / (2 - p)
    return z


def _un_yeo_johnson(z: Floats, figure: Floats) -> Floats:
    p, y = figure[0], np.empty_like(z)
    up = z >= 0
    z = np.clip(z, -700.0, 700.0)
    y[up] = np.expm1(z[up]) if p == 0 else np.expm1(np.log1p(p * z[up]) / p)
    y[~up] = -np.expm1(-z[~up]) if p == 2 else -np.expm1(np.log1p(-(2 - p) * z[~up]) / (2 - p))
    return np.clip(y, figure[1], figure[2])


def _scores(y: Floats, quantiles: Floats) -> Floats:
    levels = np.linspace(0, 1, len(quantiles))
    # the middle of a step where values repeat, or half of them would seem smaller than the others
    left = np.interp(y, quantiles, levels)
    right = 1 - np.interp(-y, -quantiles[::-1], levels)
    return np.asarray(ndtri(np.clip((left + right) / 2, _EDGE, 1 - _EDGE)))


def _share(y: Floats, bounds: Floats) -> Floats:
    low, high = bounds
    return np.asarray(logit(np.clip((y - low) / (high - low), _EDGE, 1 - _EDGE)))


_FORWARD: dict[str, Callable[[Floats, Floats], Floats]] = {
    "log": lambda y, _: np.log1p(np.maximum(y, 0.0)),
    "yeo_johnson": _yeo_johnson,
    "quantile": _scores,
    "logit": _share,
}
_INVERSE: dict[str, Callable[[Floats, Floats], Floats]] = {
    "log": lambda z, ends: np.clip(np.expm1(np.minimum(z, 700.0)), np.maximum(ends[0], 0.0), ends[1]),
    "yeo_johnson": _un_yeo_johnson,
    "quantile": lambda z, quantiles: np.interp(ndtr(z), np.linspace(0, 1, len(quantiles)), quantiles),
    "logit": lambda z, bounds: bounds[0] + (bounds[1] - bounds[0]) * expit(z),
}
