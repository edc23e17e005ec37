"""The part of a classifier that deals with rare classes: its training rows, its probabilities, its decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.decision_rule import as_rule
from glia.core.errors import InputError
from glia.engine.balanced import BalancedRows
from glia.engine.rows import Rows
from glia.estimators.base import NetworkEstimator
from glia.estimators.rebalance import as_balance, check_settings, combined, decide, offset_of, resampled
from glia.estimators.targets import ClassTarget
from glia.objectives import CountedLoss, Decision, class_weights, fit_temperature
from glia.objectives.classification_losses import Hinge, MulticlassHinge, SquaredHinge
from glia.objectives.expected_cost import ExpectedCost

Floats = NDArray[np.float64]
ENOUGH = 50
"""Fewest held-out rows from which a temperature is learned."""
_DECIDES = (Hinge, MulticlassHinge, SquaredHinge, ExpectedCost)
"""Losses whose scores are no logarithms of probabilities: shares of classes cannot be put back into them."""


USUAL_SPREAD = 0.5
"""Standard deviation of the logarithm of the temperature: most networks' lie between 0.4 and 2.7."""


class RareClasses(NetworkEstimator):
    """Base of ``Classifier``: see its parameters ``class_weight``, ``balance`` and ``threshold``.

    Attributes
    ----------
    temperature_ : float
        What raw scores are divided by before they become probabilities (arXiv 1706.04599).
    factors_ : list of float or None
        By how much each class counted more in training than it is common, which probabilities are corrected by.
    decision_ : Decision
        How probabilities become classes, and why so.
    balance_ : dict or None
        What ``balance`` did: rows by class before and after, and how many are synthetic.
    """

    class_weight: Any
    balance: Any
    threshold: Any
    temperature_: float
    factors_: list[float] | None
    decision_: Decision
    balance_: dict[str, Any] | None = None
    _counted: dict[Any, float] | Floats | None
    _drawn_by: Floats | None = None

    @property
    def threshold_(self) -> Any:
        """From which probability on the second class, or a label, is answered; ``None`` for more than two classes."""
        kept = getattr(self, "decision_", None)
        if kept is None:
            raise AttributeError("threshold_ is known after fit")
        return 0.5 if kept.threshold is None and self.task_ != "multiclass" else kept.threshold

    def decide(self, probability: Floats) -> NDArray[Any]:
        """Return labels for probabilities (N, C), or 0/1 for (N, L), as ``predict`` does."""
        codes = self.decision_.codes(probability, self.task_)
        return codes if self.task_ == "multilabel" else np.asarray(self.target_.classes[codes])

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Take one pass over further rows: see ``NetworkEstimator``."""
        if as_balance(self.balance) is not None:
            got = f"balance={self.balance!r}"
            raise InputError("partial_fit takes rows as they come", got, "use fit, or class_weight")
        return super().partial_fit(X, y, classes, sample_weight)

    def _parts(self, X: Any, y: Any, sample_weight: Any, validation: Any) -> tuple[Any, Any, Any, Any]:
        as_balance(self.balance), as_rule(self.threshold)
        rows, values, weight, valid = super()._parts(X, y, sample_weight, validation)
        check_settings(self.balance, self.threshold, self.class_weight, values, valid is not None)
        return rows, values, weight, valid

    def _row_weight(self, values: NDArray[Any], weight: Floats | None) -> Floats | None:
        self._counted = None
        if self.class_weight is None:
            return weight
        known = np.unique(values) if isinstance(self.class_weight, str) else [*self.class_weight, *np.unique(values)]
        factors = class_weights(values, self.class_weight, classes=known)
        labels, first = np.unique(values, return_index=True)
        self._counted = dict(zip(labels.tolist(), factors[first].tolist(), strict=True))
        return factors if weight is None else factors * weight

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> ClassTarget:
        target = ClassTarget().fit(values, classes)
        if target.task == "multilabel":
            self._counts = np.ones(target.outputs)
        else:
            self._counts = np.bincount(target.encode(values).astype(np.intp), minlength=target.outputs).astype(float)
        self._shares = np.maximum(self._counts, 1.0) / self._counts.sum()
        return target

    def _rebalance(
        self, x: NDArray[np.float32], values: NDArray[Any], weight: Floats | None
    ) -> tuple[NDArray[np.float32], NDArray[Any], Floats | None]:
        self._drawn_by, self.balance_ = None, None
        if as_balance(self.balance) is None:
            return x, values, weight
        codes = self.target_.encode(values).astype(np.intp)
        found, self._drawn_by, self.balance_ = resampled(
            self.balance, x, codes, self.layout_, self.target_.outputs, self._seed("balance")
        )
        if found is None:
            return x, values, weight
        self._counts = np.bincount(found.y, minlength=self.target_.outputs).astype(float)
        return found.x, self.target_.classes[found.y], None if weight is None else found.weights(weight, codes)

    def _resolve(self, weighted: bool = False) -> None:
        super()._resolve(weighted)
        loss = self._resolved.loss
        if isinstance(loss, CountedLoss) and hasattr(self, "_counts"):
            self._resolved = replace(self._resolved, loss=loss.for_counts(self._counts))

    def _drawn(self, train: Rows) -> Rows:
        return BalancedRows(train.x, train.y, train.weight) if as_balance(self.balance) == "batches" else train

    def _held_weight(self, encoded: NDArray[Any]) -> Floats | None:
        # Rows that judge stay as they are; the loss weighs their classes as training does, or it would stop too early.
        factors = combined(self.target_.outputs, self._class_factors(), self._drawn_by)
        if factors is None:
            return None
        weights: Floats = np.asarray(factors, dtype=np.float64)[encoded.astype(np.intp)]
        return weights

    def _class_factors(self) -> Floats | None:
        counted = getattr(self, "_counted", None)
        if counted is None or self.task_ == "multilabel":
            return None
        if not isinstance(counted, dict):
            return np.asarray(counted, dtype=np.float64)
        return np.array([counted.get(label, 1.0) for label in self.target_.classes.tolist()])

    def _calibrate(self, held: tuple[NDArray[Any], NDArray[Any]] | None) -> None:
        task, learned = self.task_, hasattr(self, "_shares")  # not in a model from a file that learns on
        if learned:
            loss = self._resolved.loss
            by_loss = loss.class_factors if isinstance(loss, CountedLoss) else None
            plain = task == "multilabel" or isinstance(loss, _DECIDES)
            parts = (self._class_factors(), self._drawn_by, by_loss)
            self.factors_ = None if plain else combined(self.target_.outputs, *parts)
        self.temperature_ = 1.0
        if held is not None and len(held[0]) >= ENOUGH:
            self.temperature_ = fit_temperature(
                held[0], held[1], task, offset=offset_of(self.factors_, task), spread=USUAL_SPREAD
            )
        if learned:
            known = None if held is None else (self._probabilities(held[0]), held[1])
            self.decision_ = decide(as_rule(self.threshold), task, self.factors_, self._shares, known)

    def _probabilities(self, outputs: NDArray[np.float32]) -> Floats:
        raise TypeError(f"{type(self).__name__} does not say what its scores mean")
