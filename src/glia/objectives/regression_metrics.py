"""Metrics of predicted values; with several targets each figure is the plain mean over targets."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sk

from glia.core.protocols import Task
from glia.objectives.metric import Draws, Metric, add, ratio
from glia.objectives.scored import Codes, Floats, Scored

_TASKS: frozenset[Task] = frozenset({"regression"})
_UNIT = "units of the target"


def _error(data: Scored) -> Floats:
    return np.asarray(data.y - data.predicted, dtype=np.float64)


def _rmse_of(error: Floats, draws: Draws) -> Floats:
    return np.asarray(np.sqrt(draws.mean(error**2)).mean(axis=1), dtype=np.float64)


def _r2_resampled(draws: Draws) -> Floats:
    centred = draws.data.y - draws.data.y.mean(axis=0)  # sums of squares of centred values lose no digits
    unexplained = draws.mean(_error(draws.data) ** 2)
    spread = draws.mean(centred**2) - draws.mean(centred) ** 2
    tiny = 1e-14 * draws.mean(centred**2)
    share = ratio(unexplained, np.where(spread > tiny, spread, 0.0), np.nan)
    return np.asarray(1.0 - share.mean(axis=1), dtype=np.float64)


def _r2_undefined(data: Scored) -> str:
    return "" if (np.ptp(data.y, axis=0) > 0).all() else "needs a target that varies"


def _median_resampled(draws: Draws) -> Floats:
    size = np.abs(_error(draws.data))
    columns = [_weighted_median(size[:, t], draws) for t in range(size.shape[1])]
    return np.asarray(np.mean(columns, axis=0), dtype=np.float64)


def _weighted_median(values: Floats, draws: Draws) -> Floats:
    """Return per resample the value with half of the weight on either side; midway where the halves meet exactly."""
    order: Codes = np.argsort(values, kind="stable")
    below = np.cumsum(draws.weight[:, order], axis=1)
    half = 0.5 * below[:, -1]
    last, slack = len(values) - 1, 1e-12 * below[:, -1]
    low = np.array([row.searchsorted(h - s) for row, h, s in zip(below, half, slack, strict=True)]).clip(max=last)
    high = np.array([row.searchsorted(h + s, "right") for row, h, s in zip(below, half, slack, strict=True)])
    ranked = values[order]
    return np.asarray(0.5 * (ranked[low] + ranked[high.clip(max=last)]), dtype=np.float64)


def _mape_undefined(data: Scored) -> str:
    size = np.abs(data.y)
    near_zero = (size.min(axis=0) <= 1e-3 * size.mean(axis=0)).any()
    return "needs a target that stays away from 0" if near_zero else ""


def _log_undefined(data: Scored) -> str:
    if (data.y < 0).any():
        return "needs a target of at least 0"
    return "needs predictions of at least 0" if (data.predicted < 0).any() else ""


add(
    Metric(
        "rmse",
        _TASKS,
        "prediction",
        False,
        _UNIT,
        "Root of the mean squared error: large errors count more.",
        lambda d: float(sk.root_mean_squared_error(d.y, d.predicted, sample_weight=d.sample_weight)),
        lambda draws: _rmse_of(_error(draws.data), draws),
    )
)
add(
    Metric(
        "mae",
        _TASKS,
        "prediction",
        False,
        _UNIT,
        "Mean absolute error.",
        lambda d: float(sk.mean_absolute_error(d.y, d.predicted, sample_weight=d.sample_weight)),
        lambda draws: draws.mean(np.abs(_error(draws.data)).mean(axis=1)),
    )
)
add(
    Metric(
        "r2",
        _TASKS,
        "prediction",
        True,
        "share of variance",
        "Share of the target's variance that is explained; 0 is no better than its mean.",
        lambda d: float(sk.r2_score(d.y, d.predicted, sample_weight=d.sample_weight)),
        _r2_resampled,
        _r2_undefined,
    )
)
add(
    Metric(
        "median_absolute_error",
        _TASKS,
        "prediction",
        False,
        _UNIT,
        "Half of the rows are off by less than this.",
        lambda d: float(sk.median_absolute_error(d.y, d.predicted, sample_weight=d.weight)),
        _median_resampled,
    )
)
add(
    Metric(
        "mape",
        _TASKS,
        "prediction",
        False,
        "share of the true value",
        "Mean absolute error relative to the true value.",
        lambda d: float(sk.mean_absolute_percentage_error(d.y, d.predicted, sample_weight=d.sample_weight)),
        lambda draws: draws.mean(np.abs(_error(draws.data) / draws.data.y).mean(axis=1)),
        _mape_undefined,
    )
)
add(
    Metric(
        "rmsle",
        _TASKS,
        "prediction",
        False,
        "log(1 + units)",
        "Root of the mean squared error of log(1 + value): relative errors count.",
        lambda d: float(sk.root_mean_squared_log_error(d.y, d.predicted, sample_weight=d.sample_weight)),
        lambda draws: _rmse_of(np.log1p(draws.data.y) - np.log1p(draws.data.predicted), draws),
        _log_undefined,
    )
)
