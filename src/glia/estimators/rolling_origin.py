"""How good forecasts are: from origins that move on, always without what came later, beside classic methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from glia.core.errors import InputError
from glia.core.results import Interval, Result, Table
from glia.core.seeds import numpy_rng
from glia.data.series import Gatherer, SeriesTable, seasonal_scale
from glia.estimators.classic_forecasts import classics
from glia.estimators.forecaster import Forecaster
from glia.objectives.forecast_metrics import absolute_scaled_error, symmetric_percentage_error

Floats = NDArray[np.float64]
OWN = "network"
_BOOT = 1000


@dataclass(frozen=True)
class ForecastScore:
    """Errors of one method over all series, origins and steps.

    Parameters
    ----------
    name : str
    mase : float
        Mean absolute error in units of the series' seasonal changes; 1 is as good as the last season within the past.
    smape : float
        Symmetric percentage error, 0 to 200.
    coverage : float or None
        Share of the values that lay within the widest interval; ``None`` for methods without any.
    """

    name: str
    mase: float
    smape: float
    coverage: float | None = None


@dataclass(frozen=True)
class RollingOriginResult(Result):
    """A forecaster beside classic methods, from several origins.

    Parameters
    ----------
    scores : tuple of ForecastScore
        The network first.
    by_step : dict
        Name → MASE of each step of the horizon.
    difference : Interval
        MASE of the best classic method minus the network's: above 0 where the network is better. The interval comes
        from resampled series, or resampled origins where there are fewer than five series.
    best : str
        That classic method.
    series, origins, horizon : int
        What was forecast.
    level : float
        Of the interval whose coverage is told.
    left_out : str
        Which methods are missing, and why.
    """

    scores: tuple[ForecastScore, ...]
    by_step: dict[str, list[float]]
    difference: Interval
    best: str
    series: int
    origins: int
    horizon: int
    level: float
    left_out: str = ""

    @property
    def outcome(self) -> str:
        """``better``, ``worse`` or ``tie``: the latter where 0 lies within the interval."""
        return "better" if self.difference.low > 0 else "worse" if self.difference.high < 0 else "tie"

    def score(self, name: str) -> ForecastScore:
        """Return the errors of a method."""
        return next(one for one in self.scores if one.name == name)

    def summary(self) -> str:
        """Return the verdict in words."""
        own, other = self.score(OWN), self.score(self.best)
        figures = f"MASE {own.mase:.3f} against {other.mase:.3f} of {self.best}"
        d = self.difference
        gap = f"a difference of {d.value:.3f} ({d.low:.3f} to {d.high:.3f})"
        told = {
            "better": f"The network beats all classic methods: {figures}, {gap}.",
            "worse": f"Do not use this network: {self.best} forecasts better, {figures}, {gap}.",
            "tie": f"The network and {self.best} cannot be told apart: {figures}, {gap}.",
        }
        return told[self.outcome]

    def tables(self) -> list[Table]:
        """Return one row per method, the best first."""
        rows = tuple(
            (s.name, s.mase, s.smape, None if s.coverage is None else s.coverage)
            for s in sorted(self.scores, key=lambda s: s.mase)
        )
        heads = ("method", "MASE", "sMAPE", f"within the {self.level:.0%} interval")
        return [Table(f"{self.series} series, {self.origins} origins, {self.horizon} steps", heads, rows)]


def rolling_origin(
    forecaster: Forecaster,
    X: Any,
    *,
    origins: int = 3,
    most_series: int = 200,
    methods: Mapping[str, Callable[[Floats, int, int], Floats]] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> RollingOriginResult:
    """Fit to the past and forecast from origins that move on by the horizon; compare with classic methods.

    Parameters
    ----------
    forecaster : Forecaster
        Its settings; a copy is fitted once, to what comes before the first origin.
    X : frame or SeriesTable
        See ``Forecaster.fit``.
    origins : int
        At least 1; fewer where series are short.
    most_series : int
        Series that are compared at most, evenly chosen: classic methods are fitted anew at every origin.
    methods : mapping, optional
        Name → ``(history, horizon, season) → forecast``; by default ``classics()``.
    say : callable
        Is told what is going on.

    Raises
    ------
    InputError
        If ``origins`` is no whole number of at least 1, or no series is long enough.
    """
    if isinstance(origins, bool) or not isinstance(origins, int) or origins < 1:
        raise InputError("origins must be a whole number of at least 1", f"origins={origins!r}")
    table = forecaster.series(X)
    horizon = int(forecaster.horizon)
    room = int(((table.known - 2) // horizon).max()) - 1
    if room < 1:
        got = f"{int(table.known.max())} values in the longest series for a horizon of {horizon}"
        do = "forecast fewer steps, or give longer series"
        raise InputError("judging forecasts needs twice the horizon and two values more", got, do)
    origins = min(origins, room)
    past = table.cut(origins * horizon)
    say(f"training on what came before {origins} origins")
    model = clone(forecaster).set_params(checkpoint=None).fit(past)
    names = set(past.ids)
    judged = np.array([i for i, name in enumerate(table.ids) if name in names], dtype=np.intp)
    if len(judged) > most_series:
        judged = judged[np.linspace(0, len(judged) - 1, most_series).round().astype(int)]
    table = table.take(judged)
    found, left_out = (methods, "") if methods is not None else classics()
    return judge(model, table, origins, dict(found), left_out, say)


def judge(
    model: Forecaster,
    table: SeriesTable,
    origins: int,
    methods: dict[str, Callable[[Floats, int, int], Floats]],
    left_out: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> RollingOriginResult:
    """Compare a fitted forecaster, which has not seen the last ``origins`` horizons, with classic methods."""
    horizon, season = int(model.horizon), model.windows_.season_
    quantiles, truth, forecasts, number = [], [], {name: list[Floats]() for name in methods}, []
    scales = np.array([seasonal_scale(table.series(i)[: int(k)], season) for i, k in _before(table, origins * horizon)])
    for origin in range(origins, 0, -1):
        say(f"forecasting from origin {origins - origin + 1} of {origins}")
        seen = table.cut(origin * horizon)
        kept = np.array([table.ids.index(name) for name in seen.ids], dtype=np.int64)
        gather = Gatherer(table, horizon)
        truth.append(gather.at(kept, seen.known, 1).future)
        quantiles.append(model.quantiles_of(model.windows_.ends(seen)))
        number.append(kept)
        for name, method in methods.items():
            forecasts[name].append(np.stack([method(own, horizon, season) for own in seen.histories()]))
    actual, which = np.concatenate(truth), np.concatenate(number)
    whole = np.concatenate(quantiles)
    points = {OWN: model._middle(whole), **{name: np.concatenate(parts) for name, parts in forecasts.items()}}
    errors = {name: absolute_scaled_error(actual, own, scales[which][:, None]) for name, own in points.items()}
    inside = np.where(np.isnan(actual), np.nan, (actual >= whole[..., 0]) & (actual <= whole[..., -1]))
    scores = tuple(
        ForecastScore(
            name,
            float(np.nanmean(errors[name])),
            float(np.nanmean(symmetric_percentage_error(actual, own))),
            float(np.nanmean(inside)) if name == OWN else None,
        )
        for name, own in points.items()
    )
    best = min(scores[1:], key=lambda one: one.mase).name
    gaps = np.nanmean(errors[best] - errors[OWN], axis=1)
    series = len(np.unique(which))
    return RollingOriginResult(
        scores,
        {name: np.nanmean(own, axis=0).tolist() for name, own in errors.items()},
        mean_interval(gaps, which if series >= 5 else np.arange(len(gaps))),
        best,
        series,
        origins,
        horizon,
        float(model.levels[-1] - model.levels[0]),
        left_out,
    )


def _before(table: SeriesTable, steps: int) -> list[tuple[int, int]]:
    """Return every series' number, and how many of its values come before the first origin (at least 2)."""
    return [(i, max(2, int(k) - steps)) for i, k in enumerate(table.known)]


def mean_interval(values: Floats, groups: NDArray[Any], level: float = 0.95) -> Interval:
    """Return a mean with its bootstrap interval, whole groups being drawn: values of one group hang together."""
    _, code = np.unique(groups, return_inverse=True)
    count = np.bincount(code)
    total = np.bincount(code, weights=values)
    drawn = numpy_rng(0, "rolling origin").multinomial(len(count), np.full(len(count), 1 / len(count)), size=_BOOT)
    means = (drawn @ total) / (drawn @ count)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high), level)
