"""Classic forecasts of one series, which every forecasting network has to beat: naive ones, ETS and Theta."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import MissingExtraError
from glia.core.optional import require

Floats = NDArray[np.float64]
Classic = Callable[[Floats, int, int], Floats]
"""(history, horizon, season) → forecast (horizon,)."""
EXTRA = "series"
_ETS = (("add", None, False), ("add", "add", True), ("add", "add", False), ("mul", "add", True))
LONGEST = 2000
"""Values at the end of a series that ETS and Theta look at: more cost time and say little."""


def naive(history: Floats, horizon: int, season: int) -> Floats:
    """Return the last value."""
    return np.full(horizon, history[-1])


def seasonal_naive(history: Floats, horizon: int, season: int) -> Floats:
    """Return the last season again; the last value for series shorter than one."""
    lag = season if len(history) >= season else 1
    return history[-lag:][np.arange(horizon) % lag]


def classics() -> tuple[dict[str, Classic], str]:
    """Return classic forecasts by name, and why some of them are left out, empty where none is.

    Notes
    -----
    ETS and Theta come from ``statsforecast`` where it is installed, else from ``statsmodels`` (extra ``series``).
    """
    found: dict[str, Classic] = {"naive": naive, "seasonal naive": seasonal_naive}
    try:
        return found | _from_statsforecast(require("statsforecast.models", EXTRA)), ""
    except MissingExtraError:
        pass
    try:
        theta = require("statsmodels.tsa.forecasting.theta", EXTRA)
        ets = require("statsmodels.tsa.exponential_smoothing.ets", EXTRA)
    except MissingExtraError as error:
        return found, f"ETS and Theta are left out: {error}"
    return found | _from_statsmodels(ets, theta), ""


def _from_statsforecast(models: Any) -> dict[str, Classic]:
    def ets(history: Floats, horizon: int, season: int) -> Floats:
        return np.asarray(models.AutoETS(season_length=season).forecast(y=history[-LONGEST:], h=horizon)["mean"])

    def theta(history: Floats, horizon: int, season: int) -> Floats:
        return np.asarray(models.Theta(season_length=season).forecast(y=history[-LONGEST:], h=horizon)["mean"])

    return {"ETS": _careful(ets), "Theta": _careful(theta)}


def _from_statsmodels(ets_module: Any, theta_module: Any) -> dict[str, Classic]:
    def ets(history: Floats, horizon: int, season: int) -> Floats:
        """Forecast with the best of some exponential smoothings by AICc."""
        best, least = None, np.inf
        values = history[-LONGEST:]
        repeats = season > 1 and len(values) >= 2 * season + 2 and season <= 60
        for error, trend, damped in _ETS:
            for seasonal in ("add", "mul", None) if repeats else (None,):
                if (error == "mul" or seasonal == "mul") and values.min() <= 0:
                    continue
                model = ets_module.ETSModel(
                    values, error=error, trend=trend, damped_trend=damped, seasonal=seasonal,
                    seasonal_periods=season if seasonal else None,
                )  # fmt: skip
                fitted = model.fit(disp=False, maxiter=200)
                if fitted.aicc < least:
                    best, least = fitted, fitted.aicc
        if best is None:
            return seasonal_naive(history, horizon, season)
        return np.asarray(best.forecast(horizon))

    def theta(history: Floats, horizon: int, season: int) -> Floats:
        values = history[-LONGEST:]
        repeats = season > 1 and len(values) >= 2 * season
        model = theta_module.ThetaModel(values, period=season if repeats else 1, deseasonalize=repeats)
        return np.asarray(model.fit().forecast(horizon))

    return {"ETS": _careful(ets), "Theta": _careful(theta)}


def _careful(classic: Classic) -> Classic:
    """Return the forecast, and the seasonal naive one where a series is too short or too odd for the method."""

    def forecast(history: Floats, horizon: int, season: int) -> Floats:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found = np.asarray(classic(history, horizon, season), dtype=np.float64)
        except Exception:  # whatever the library objects to, the comparison goes on
            return seasonal_naive(history, horizon, season)
        return found if np.isfinite(found).all() else seasonal_naive(history, horizon, season)

    return forecast
