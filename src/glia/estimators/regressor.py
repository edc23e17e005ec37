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
from glia.objectives import EvaluationResult, conformal_margin, evaluate, point_prediction
from glia.objectives.regression_losses import GaussianNLL, Quantile

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
    effort, precision, device, random_state, verbose, warm_start, checkpoint, members, bootstrap
        As in ``Classifier``.

    Attributes
    ----------
    conformity_ : ndarray (M, T) or None
        Absolute errors on the validation rows, in the target's units; the intervals come from them. With quantile
        heads, how far rows lie outside of the outer heads (below 0 within); with a predicted variance, errors over its
        root.
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
        checkpoint: Any = None,
        members: Any = "auto",
        bootstrap: bool = False,
    ) -> None:
        self.network, self.preparation, self.objective = network, preparation, objective
        self.optimizer, self.lr, self.schedule = optimizer, lr, schedule
        self.batch_size, self.epochs, self.early_stopping = batch_size, epochs, early_stopping
        self.validation_fraction = validation_fraction
        self.effort, self.precision, self.device = effort, precision, device
        self.random_state, self.verbose, self.warm_start = random_state, verbose, warm_start
        self.checkpoint, self.members, self.bootstrap = checkpoint, members, bootstrap

    def predict(self, X: Any) -> Floats:
        """Return predicted values in the target's units, (N,) or (N, T)."""
        return self._values(self._outputs(X))

    def predict_members(self, X: Any) -> Floats:
        """Return the values that every member predicts, (K, N) or (K, N, T)."""
        return np.stack([self._values(outputs) for outputs in self._member_outputs(X)])

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Floats, Floats]:
        """Return lower and upper bounds, each shaped like ``predict(X)``, that cover new rows at the stated rate.

        Split conformal prediction (arXiv 1604.04173): the width is a quantile of the errors on validation rows, so that
        the rate holds whatever the distribution, for rows drawn like those. Quantile heads are corrected in the same
        way (arXiv 1905.03222), and a predicted variance makes the widths differ from row to row.

        Raises
        ------
        InputError
            If no rows were held out, or too few for this coverage.
        """
        outputs = self._outputs(X)
        if self.conformity_ is None:
            raise InputError(
                "prediction intervals need validation rows",
                "a fit without any",
                "fit at least 100 rows, or pass validation",
            )
        # Distances from bounds that start at 0: the margin is their quantile.
        margins = np.array(
            [conformal_margin(d, np.full(len(d), -np.inf), np.zeros(len(d)), coverage) for d in self.conformity_.T]
        )
        if not np.isfinite(margins).all():
            raise InputError(
                f"a coverage of {coverage:g} needs at least {math.ceil(coverage / (1 - coverage))} validation rows",
                f"{len(self.conformity_)}",
                "hold out more rows or ask for a lower coverage",
            )
        low, high, unit = self._bounds(outputs)
        point = self._values(outputs)
        low, high = ((b[:, 0] if point.ndim == 1 else b) for b in (low - margins * unit, high + margins * unit))
        return np.minimum(low, point), np.maximum(high, point)

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with ``prediction`` and, where intervals can be had, ``low`` and ``high`` (90 %)."""
        values = self.predict(X)
        if values.ndim > 1:
            names = self._target_names(values.shape[1])
            return pl.DataFrame({f"prediction_{name}": values[:, i] for i, name in enumerate(names)})
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

    def _bounds(self, outputs: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
        """Return the bounds before their correction and the unit of the correction, each (N, T), in target's units."""
        loss, target = self._resolved.loss, self.target_
        if isinstance(loss, Quantile) and loss.heads > 1:
            heads = outputs.reshape(len(outputs), -1, loss.heads).astype(np.float64)
            low, high = (heads[:, :, i] * target.scale + target.mean for i in (0, -1))
            return low, high, np.ones_like(low)
        point = self._values(outputs).reshape(len(outputs), -1)
        if isinstance(loss, GaussianNLL):
            variance = loss.variance(torch.from_numpy(outputs)).double().numpy()
            return point, point, np.sqrt(variance) * target.scale
        return point, point, np.ones_like(point)

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> ValueTarget:
        target = ValueTarget()
        self.target_ = target
        self._resolve()
        return target.fit(values, standardise=not self._resolved.loss.needs_nonnegative)

    def _calibrate(self, held: tuple[NDArray[Any], NDArray[Any]] | None) -> None:
        self.conformity_ = None
        if held is not None:
            low, high, unit = self._bounds(held[0])
            truth = held[1] * self.target_.scale + self.target_.mean
            self.conformity_ = np.maximum(low - truth, truth - high) / unit

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
