"""Regression by a network: one quantity or several, with prediction intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from glia.core.errors import InputError
from glia.estimators.base import NetworkEstimator
from glia.estimators.targets import ValueTarget, as_array
from glia.objectives import EvaluationResult, conformal_radius, evaluate, point_prediction

Floats = NDArray[np.float64]


class Regressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A network that predicts quantities, with scikit-learn's contract and intervals of a stated coverage.

    Parameters
    ----------
    network, preparation, optimizer, lr, schedule, batch_size, epochs, early_stopping
        As in ``Classifier``.
    objective : "auto", str, Loss or Objective
        Loss and penalties; "auto" is the squared error. Targets are standardised unless the loss needs their own units.
    validation_fraction : float
        Share of the rows held out for early stopping and for the intervals, in [0, 1); none are below 100 rows.
    effort, precision, device, random_state, verbose, warm_start
        As in ``Classifier``.

    Attributes
    ----------
    conformity_ : ndarray (M, T) or None
        Absolute errors on the validation rows, in the target's units; the intervals come from them.
    """

    def __init__(
        self,
        network: Any = "auto",
        preparation: Any = "auto",
        objective: Any = "auto",
        optimizer: Any = "auto",
        lr: Any = "auto",
        schedule: Any = "auto",
        batch_size: Any = "auto",
        epochs: Any = "auto",
        early_stopping: Any = "auto",
        validation_fraction: float = 0.15,
        effort: str = "default",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = 0,
        verbose: int = 0,
        warm_start: bool = False,
    ) -> None:
        self.network, self.preparation, self.objective = network, preparation, objective
        self.optimizer, self.lr, self.schedule = optimizer, lr, schedule
        self.batch_size, self.epochs, self.early_stopping = batch_size, epochs, early_stopping
        self.validation_fraction = validation_fraction
        self.effort, self.precision, self.device = effort, precision, device
        self.random_state, self.verbose, self.warm_start = random_state, verbose, warm_start

    def predict(self, X: Any) -> Floats:
        """Return predicted values in the target's units, (N,) or (N, T)."""
        return self._values(self._outputs(X))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Floats, Floats]:
        """Return lower and upper bounds, each shaped like ``predict(X)``, that cover new rows at the stated rate.

        Split conformal prediction (arXiv 1604.04173): the width is a quantile of the errors on validation rows, so that
        the rate holds whatever the distribution, for rows drawn like those.

        Raises
        ------
        InputError
            If no rows were held out, or too few for this coverage.
        """
        values = self.predict(X)
        if self.conformity_ is None:
            raise InputError(
                "prediction intervals need validation rows",
                "a fit without any",
                "fit at least 100 rows, or pass validation",
            )
        radii = np.array([conformal_radius(column, coverage) for column in self.conformity_.T])
        if not np.isfinite(radii).all():
            raise InputError(
                f"a coverage of {coverage:g} needs at least {math.ceil(coverage / (1 - coverage))} validation rows",
                f"{len(self.conformity_)}",
                "hold out more rows or ask for a lower coverage",
            )
        radius = radii[0] if values.ndim == 1 else radii
        return values - radius, values + radius

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with ``prediction`` and, where intervals can be had, ``low`` and ``high`` (90 %)."""
        values = self.predict(X)
        if values.ndim > 1:
            return pl.DataFrame({f"prediction_{i}": values[:, i] for i in range(values.shape[1])})
        found = {"prediction": values}
        if self.conformity_ is not None and len(self.conformity_) >= 9:
            found["low"], found["high"] = self.predict_interval(X)
        return pl.DataFrame(found)

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None, *, n_boot: int = 500) -> EvaluationResult:
        """Score predictions, each metric with a bootstrap interval."""
        truth = np.asarray(as_array(y), dtype=np.float64)
        return evaluate("regression", truth, self.predict(X), None, sample_weight, n_boot=n_boot)

    def _values(self, outputs: NDArray[np.float32]) -> Floats:
        point = point_prediction(torch.from_numpy(outputs), self._resolved.loss).numpy()
        return self.target_.decode(point)  # type: ignore[no-any-return]

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> ValueTarget:
        self.target_ = ValueTarget()
        self._resolve()
        return self.target_.fit(values, standardise=not self._resolved.loss.needs_nonnegative)

    def _calibrate(self, held: tuple[NDArray[Any], NDArray[Any]] | None) -> None:
        self.conformity_ = None
        if held is not None:
            predicted = self._values(held[0]).reshape(len(held[0]), -1)
            truth = held[1] * self.target_.scale + self.target_.mean
            self.conformity_ = np.abs(truth - predicted)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
