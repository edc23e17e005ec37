"""scikit-learn's network; for two classes it has one output, whose first weights are the difference of the two."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from train_speed_peers.workloads import Outcome, Rows, Weights, Workload, shapes


class _Timed(MLPClassifier):
    """Starts from given weights and notes when an epoch ends; both where scikit-learn has a method for it."""

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
        weight, bias = next(self.given)
        if fan_out == 1:
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        return weight.T.astype(dtype), bias.astype(dtype)

    def _update_no_improvement_count(self, *arguments: Any, **named: Any) -> None:
        self.ends.append(time.perf_counter())
        super()._update_no_improvement_count(*arguments, **named)


def train(workload: Workload, rows: Rows, weights: Weights, epochs: int, seed: int) -> Outcome:
    model = _Timed(
        workload.widths,
        alpha=0.0,
        batch_size=workload.batch,
        learning_rate_init=workload.lr,
        max_iter=epochs,
        random_state=seed,
        tol=0.0,
        n_iter_no_change=epochs + 1,
    )
    names = list(shapes(workload))
    model.given = iter([(weights[w], weights[b]) for w, b in zip(names[::2], names[1::2], strict=True)])
    model.ends = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is to stop early
        model.fit(rows.x, rows.y)
    probability = model.predict_proba(rows.fresh_x).astype(np.float64)
    return Outcome(model.ends, np.log(np.maximum(probability, 1e-30)))
