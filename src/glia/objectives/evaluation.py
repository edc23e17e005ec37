"""How well predictions fit: metrics with intervals, as a result."""

from __future__ import annotations

from dataclasses import dataclass

from glia.core.protocols import Task
from glia.core.results import Interval, Result, Table
from glia.objectives.metric import metrics


@dataclass(frozen=True)
class EvaluationResult(Result):
    """Metrics of predictions on some rows.

    Parameters
    ----------
    task : Task
        What is predicted.
    n_rows : int
        Rows scored (those of weight 0 not counted).
    metrics : dict
        Metric name → figure with interval; the task's primary metric comes first.
    left_out : dict
        Metric name → why it is not defined for these rows.
    n_boot : int
        Resamples behind the intervals.
    level : float
        Coverage of the intervals.
    caution : str
        What a reader of these figures must know: where accuracy misleads.
    """

    task: Task
    n_rows: int
    metrics: dict[str, Interval]
    left_out: dict[str, str]
    n_boot: int
    level: float
    caution: str = ""

    def __getitem__(self, name: str) -> Interval:
        return self.metrics[name]

    def summary(self) -> str:
        """Return the first metric in one sentence."""
        if not self.metrics:
            return f"No metric is defined for these {self.n_rows:,} rows."
        name, figure = next(iter(self.metrics.items()))
        return f"{name} is {figure} on {self.n_rows:,} rows.{f' {self.caution}' if self.caution else ''}"

    def tables(self) -> list[Table]:
        """Return one row per metric: value, interval, direction, unit and meaning."""
        rows = tuple(
            (
                name,
                figure.value,
                figure.low,
                figure.high,
                "higher" if metrics.get(name).greater_is_better else "lower",
                metrics.get(name).unit,
                metrics.get(name).description,
            )
            for name, figure in self.metrics.items()
        )
        heads = ("metric", "value", f"low ({self.level:.0%})", f"high ({self.level:.0%})", "better", "unit", "meaning")
        return [Table(f"Metrics on {self.n_rows:,} rows", heads, rows)]
