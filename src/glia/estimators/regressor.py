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
from glia.estimators.target_transforms import read_bounds
from glia.estimators.targets import ValueTarget, as_array
from glia.objectives import EvaluationResult, conformal_margin, evaluate, point_prediction
from glia.objectives.regression_losses import GaussianNLL, Poisson, Quantile

Floats = NDArray[np.float64]
_MEDIANS = ("mae", "huber", "log_cosh")  # losses whose optimum is no mean


class Regressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A network that predicts quantities, with scikit-learn's contract and intervals of a stated coverage.

    Parameters
    ----------
    network, preparation, optimizer, lr, schedule, batch_size, epochs, early_stopping
        As in ``Classifier``.
    objective : "auto", str, Loss or Objective
        Loss and penalties; "auto" is the squared error. Targets are standardised unless the loss needs their own units.
        ``"poisson"`` is for counts, ``Quantile(levels)`` for quantiles, ``"gaussian_nll"`` for a spread of each row.
    target_transform : {"none", "auto", "log", "yeo_johnson", "quantile", "logit"}
        The scale on which targets are learned: see ``TargetTransform``. "auto" takes a power where they are skewed.
        Predictions are means on the target's own scale again.
    bounds : (float or None, float or None), optional
        Least and greatest value that the target can have; predictions and intervals stay within.
    validation_fraction : float
        Share of the rows held out for early stopping and for the intervals, in [0, 1); none are below 100 rows.
    effort, precision, device, random_state, verbose, warm_start, checkpoint, members, bootstrap, radial
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
        target_transform: str = "none",
        bounds: Any = None,
        radial: bool = True,
    ) -> None:
        self.network, self.preparation, self.objective = network, preparation, objective
        self.optimizer, self.lr, self.schedule = optimizer, lr, schedule
        self.batch_size, self.epochs, self.early_stopping = batch_size, epochs, early_stopping
        self.validation_fraction = validation_fraction
        self.effort, self.precision, self.device = effort, precision, device
        self.random_state, self.verbose, self.warm_start = random_state, verbose, warm_start
        self.checkpoint, self.members, self.bootstrap = checkpoint, members, bootstrap
        self.target_transform, self.bounds, self.radial = target_transform, bounds, radial

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
        ends = (self.target_.restore(b) for b in (low - margins * unit, high + margins * unit))
        low, high = ((b[:, 0] if point.ndim == 1 else b) for b in ends)
        return np.minimum(low, point), np.maximum(high, point)

    def predict_quantiles(self, X: Any) -> Floats:
        """Return all quantiles that were learned, (N, Q) or (N, T, Q), which never cross.

        Heads that cross are put in order, which brings them nearer to the true quantiles (Chernozhukov and others,
        Econometrica 2010).

        Raises
        ------
        InputError
            If the objective has no quantiles.
        """
        outputs = self._outputs(X)
        if not isinstance(self._resolved.loss, Quantile):
            got = f"objective={self._resolved.loss.name!r}"
            raise InputError("quantiles must have been learned", got, "fit with objective=Quantile((0.1, 0.5, 0.9))")
        heads = self._heads(outputs)
        found = np.stack([self.target_.restore(heads[:, :, q]) for q in range(heads.shape[2])], axis=2)
        return np.asarray(found[:, 0] if self.target_.single else found)

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
        loss = self._resolved.loss
        if isinstance(loss, Quantile):
            middle = min(range(loss.heads), key=lambda i: abs(loss.levels[i] - 0.5))
            point = self.target_.restore(self._heads(outputs)[:, :, middle])
            return np.asarray(point[:, 0] if self.target_.single else point)
        point = point_prediction(torch.from_numpy(outputs), loss).numpy()
        return self.target_.decode(point, mean=loss.name not in _MEDIANS)  # type: ignore[no-any-return]

    def _heads(self, outputs: NDArray[np.float32]) -> Floats:
        """Return quantile heads in order, (N, T, Q), on the scale of the target's transform."""
        heads = outputs.reshape(len(outputs), self.target_.outputs, -1).astype(np.float64)
        scaled = heads * self.target_.scale[:, None] + self.target_.mean[:, None]
        return np.asarray(np.sort(scaled, axis=2))

    def _bounds(self, outputs: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
        """Return bounds before their correction and the correction's unit, each (N, T), on the transform's scale."""
        loss, target = self._resolved.loss, self.target_
        if isinstance(loss, Quantile) and loss.heads > 1:
            heads = self._heads(outputs)
            return heads[:, :, 0], heads[:, :, -1], np.ones(heads.shape[:2])
        point = target.scaled(point_prediction(torch.from_numpy(outputs), loss).numpy())
        if isinstance(loss, Poisson):  # the spread of a count grows with the root of its mean
            return point, point, np.sqrt(np.maximum(point, 1e-6))
        if isinstance(loss, GaussianNLL):
            variance = loss.variance(torch.from_numpy(outputs)).double().numpy()
            return point, point, np.sqrt(variance) * target.scale
        return point, point, np.ones_like(point)

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> ValueTarget:
        target = ValueTarget()
        self.target_ = target
        self._resolve()
        loss = self._resolved.loss
        if loss.needs_nonnegative and self.target_transform not in ("none", "auto"):
            got = f"target_transform={self.target_transform!r} with objective={loss.name!r}"
            raise InputError("this loss needs the target on its own scale", got, "leave one of the two out")
        transform = "none" if loss.needs_nonnegative else self.target_transform
        bounds = read_bounds(self.bounds)
        return target.fit(values, standardise=not loss.needs_nonnegative, transform=transform, bounds=bounds)

    def _calibrate(self, held: tuple[NDArray[Any], NDArray[Any]] | None) -> None:
        self.conformity_ = None
        if held is not None:
            low, high, unit = self._bounds(held[0])
            truth = self.target_.scaled(held[1])
            self.conformity_ = np.maximum(low - truth, truth - high) / unit
            if not isinstance(self._resolved.loss, Quantile):
                self.target_.learn_rest(truth - low)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
