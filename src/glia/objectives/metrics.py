"""All metrics by name, those of a task, and the one that a task is judged by."""

from __future__ import annotations

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives import label_metrics as _label  # noqa: F401  (registers its metrics)
from glia.objectives import multilabel_metrics as _multilabel  # noqa: F401
from glia.objectives import probability_metrics as _probability  # noqa: F401
from glia.objectives import ranking_metrics as _ranking  # noqa: F401
from glia.objectives import regression_metrics as _regression  # noqa: F401
from glia.objectives.metric import Metric, metrics

__all__ = ["Metric", "as_metric", "metrics", "metrics_for", "primary_metric"]

_PRIMARY: dict[Task, str] = {
    "binary": "roc_auc",
    "multiclass": "accuracy",
    "multilabel": "label_macro_f1",
    "regression": "rmse",
}


def primary_metric(task: Task) -> Metric:
    """Return the metric that a task is judged by where none is named."""
    return metrics.get(_PRIMARY[task])


def metrics_for(task: Task) -> tuple[Metric, ...]:
    """Return the metrics of a task, the primary one first, the others by name."""
    first = primary_metric(task)
    rest = [metrics.get(name) for name in metrics.names() if name != first.name]
    return (first, *(metric for metric in rest if task in metric.tasks))


def as_metric(metric: str | Metric, task: Task) -> Metric:
    """Return a metric that fits the task.

    Raises
    ------
    InputError
        If the name is unknown, or the metric is for other tasks (those that fit are named).
    """
    found = metrics.get(metric) if isinstance(metric, str) else metric
    if task not in found.tasks:
        fitting = ", ".join(m.name for m in metrics_for(task))
        raise InputError(
            f"the metric must fit the task {task!r}", f"metric={found.name!r}", f"choose one of: {fitting}"
        )
    return found
