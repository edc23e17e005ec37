"""Metrics as a run's record holds them."""

from __future__ import annotations

from glia.objectives import EvaluationResult

_BOOTSTRAP_VALUES = 50_000_000  # resampled rows per model: bounds the time for large test parts


def resamples(wanted: int, rows: int) -> int:
    """Return how many resamples are drawn of so many rows: as many as wanted, fewer where that took too long."""
    return min(wanted, max(50, _BOOTSTRAP_VALUES // max(rows, 1))) if wanted else 0


def metric_data(result: EvaluationResult, intervals: bool) -> dict[str, dict[str, float]]:
    """Return the figures of an evaluation as plain JSON data, with their intervals where these are wanted."""
    if not intervals:
        return {name: {"value": one.value} for name, one in result.metrics.items()}
    return {name: {"value": m.value, "low": m.low, "high": m.high} for name, m in result.metrics.items()}
