"""Gradient boosting: each learner is fitted to what those before it leave, and added with a small step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import is_regressor
from sklearn.utils.metaestimators import available_if

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng
from glia.ensemble.base import Ensemble, classifies
from glia.ensemble.boosting_losses import BoostingLoss, find_loss
from glia.ensemble.line_search import best_step
from glia.ensemble.members import fit_member, fresh, require_weight, takes_several_targets
from glia.ensemble.rows import count_rows, read_rows, share, take_rows, whole
from glia.estimators.holdout import hold_out
from glia.estimators.targets import ClassTarget, as_array, class_column

Floats = NDArray[np.float64]
TRIES = 5
"""A learner that points uphill (a network from a bad start) is dropped for one of another seed, so often in a row."""
SMALL = 100
"""Below this many rows none are held out: they would cost more than they tell."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage: a learner for all outputs or one for each, and the step along each output, (O,)."""

    learners: tuple[Any, ...]
    step: Floats

    def direction(self, X: Any) -> Floats:
        """Return what the learners predict, (N, O)."""
        found = [np.asarray(one.predict(X), dtype=np.float64) for one in self.learners]
        return np.concatenate([one.reshape(len(one), -1) for one in found], axis=1)


@dataclass(eq=False)
class _Scores:
    """Rows with what is wanted of them and what the stages so far say, (N, O) each."""

    X: Any
    y: Floats
    mass: Floats
    score: Floats

    def loss(self, loss: BoostingLoss) -> float:
        """Return the mean loss."""
        return float(np.average(loss.rows(self.y, self.score), weights=self.mass))


class Boosting(Ensemble):
    """Gradient boosting of regressors, small networks as well as trees.

    Friedman 2001, "Greedy function approximation", Annals of Statistics 29, algorithm 1; with networks as learners,
    arXiv 2002.07971.

    Parameters
    ----------
    estimator : estimator
        A regressor, also for classes: it is fitted to the loss's negative gradient. With several targets or classes a
        regressor that takes several gets them all at once, others are fitted one per output. Weak ones serve best.
    loss : {"squared", "absolute", "log_loss"}
        What is descended; with "log_loss" the ensemble is a classifier.
    n_estimators : int
        Most stages, ≥ 1.
    learning_rate : float
        Share of the best step that is taken, in (0, 1].
    line_search : bool
        Whether a stage's step is the one along its direction with the least loss on the training rows; else 1.
    subsample : float
        Share of the rows that a stage's learner sees, drawn anew each time, in (0, 1].
    patience : int
        Stages without a lower loss on held-out rows before it stops; 0 never stops. The best number of stages is kept.
    validation_fraction : float
        Share of the rows held out for that, in [0, 1); none are below 100 rows or with ``patience=0``.
    random_state : int, None or RandomState
        Same seed, same bits.

    Attributes
    ----------
    members_ : list of Stage
        The stages that are kept.
    start_ : ndarray (O,)
        Scores before the first stage.
    train_loss_, valid_loss_ : list of float
        Mean loss after each stage that was run, the first entry before any; ``valid_loss_`` is empty without held-out
        rows.
    stop_reason_ : str
        Why there are no more stages.
    """

    members_: list[Stage]

    def __init__(
        self,
        estimator: Any,
        loss: str = "squared",
        n_estimators: int = 50,
        learning_rate: float = 0.3,
        line_search: bool = True,
        subsample: float = 1.0,
        patience: int = 5,
        validation_fraction: float = 0.15,
        random_state: Any = 0,
    ) -> None:
        self.estimator, self.loss, self.n_estimators, self.learning_rate = estimator, loss, n_estimators, learning_rate
        self.line_search, self.subsample, self.patience = line_search, subsample, patience
        self.validation_fraction, self.random_state = validation_fraction, random_state

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None
    ) -> Boosting:
        """Fit stage after stage.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …)
            Rows as the estimator takes them.
        y : array-like (N,) or (N, T)
            Targets.
        sample_weight : array-like (N,), optional
            At least 0.
        validation : (X, y), optional
            Rows that tell when to stop, instead of a share of ``X``.

        Raises
        ------
        InputError
            If rows, targets or settings cannot be used.
        """
        loss, count = find_loss(self.loss), whole("n_estimators", self.n_estimators)
        share("learning_rate", self.learning_rate), share("subsample", self.subsample)
        patience = whole("patience", self.patience, 0)
        X, y, weight = self._read(X, y, sample_weight)
        require_weight(self.estimator, weight)
        X, y, weight, valid = self._divide(X, y, weight, validation)
        mass = np.ones(len(y)) if weight is None else weight / weight.mean()
        wanted = self._outputs(y)
        self.start_ = loss.start(wanted, mass)
        train = _Scores(X, wanted, mass, np.tile(self.start_, (len(y), 1)))
        held = None
        if valid is not None:
            held = _Scores(*valid, np.ones(len(valid[1])), np.tile(self.start_, (len(valid[1]), 1)))
        self.train_loss_, self.valid_loss_ = [train.loss(loss)], [] if held is None else [held.loss(loss)]
        stages, self.stop_reason_, tried, failed = list[Stage](), "", 0, 0
        while len(stages) < count and not self.stop_reason_:
            stage = self._stage(tried, loss, train, weight)
            tried, failed = tried + 1, failed + 1 if stage is None else 0
            if stage is None:
                self.stop_reason_ = "no learner lowers the loss any further" if failed == TRIES else ""
                continue
            stages.append(stage)
            self.train_loss_.append(train.loss(loss))
            if held is not None:
                held.score = held.score + stage.step * stage.direction(held.X)
                self.valid_loss_.append(held.loss(loss))
                if 0 < patience <= len(stages) - int(np.argmin(self.valid_loss_)):
                    self.stop_reason_ = f"early stopping: no lower loss on held-out rows for {patience} stages"
        self.stop_reason_ = self.stop_reason_ or "all stages done"
        self.members_ = stages[: int(np.argmin(self.valid_loss_))] if self.valid_loss_ else stages
        return self

    def predict_members(self, X: Any) -> Floats:
        """Return what the ensemble predicts after each of its stages, (K, N, …); the last is its prediction.

        A stage by itself predicts a correction, nothing of the target. Without any stage it is the constant, K = 1.
        """
        return np.stack([self._decoded(score) for score in self._scores(X)])

    @available_if(classifies)  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Floats:
        """Return the scores that the stages add up to: a logit, (N,), or a score per class, (N, C)."""
        score = self._scores(X)[-1]
        return score[:, 0] if score.shape[1] == 1 else score

    def _scores(self, X: Any) -> list[Floats]:
        X = self._known(X)
        scores = [np.tile(self.start_, (count_rows(X), 1))]
        for stage in self.members_:
            scores.append(scores[-1] + stage.step * stage.direction(X))
        return scores[1:] or scores

    def _decoded(self, score: Floats) -> Floats:
        if not self._classifies():
            return score.reshape(len(score), *self._row_shape())
        if score.shape[1] == 1:
            return np.asarray(np.concatenate([expit(-score), expit(score)], axis=1))
        return np.asarray(softmax(score, axis=1))

    def _combine(self, members: Floats, X: Any) -> Floats:
        return np.asarray(members[-1])

    def _weights(self, count: int) -> Floats | None:
        return None

    def _member_names(self, count: int) -> list[str]:
        return [f"after stage {k + 1}" for k in range(count)]

    def _spreading(self, members: Floats) -> tuple[Floats, Floats]:
        """Return the later half of the stages: a virtual ensemble (arXiv 2006.10562)."""
        later = members[len(members) // 2 :]
        return later, np.full(len(later), 1 / len(later))

    def _stage(self, k: int, loss: BoostingLoss, train: _Scores, weight: Floats | None) -> Stage | None:
        """Fit one stage and add it to the scores; return ``None`` if it does not lower the loss."""
        residual = loss.residual(train.y, train.score)
        rows = None
        if self.subsample < 1:
            size = max(2, round(self.subsample * len(residual)))
            rows = np.sort(numpy_rng(self._stream("rows"), k).choice(len(residual), min(size, len(residual)), False))
        X = train.X if rows is None else take_rows(train.X, rows)
        part, mass = (residual, weight) if rows is None else (residual[rows], None if weight is None else weight[rows])
        outputs = part.shape[1]
        if outputs > 1 and not takes_several_targets(self.estimator):
            columns = list(part.T)
        else:
            columns = [part if outputs > 1 else part[:, 0]]
        learners = tuple(
            fit_member(fresh(self.estimator, self._stream("stage", k, o)), X, column, mass)
            for o, column in enumerate(columns)
        )
        direction = Stage(learners, np.ones(outputs)).direction(train.X)
        step = self._step(loss, train, direction) if self.line_search else np.ones(outputs)
        if not step.any():
            return None
        stage = Stage(learners, self.learning_rate * step)
        train.score = train.score + stage.step * direction
        return stage

    def _step(self, loss: BoostingLoss, train: _Scores, direction: Floats) -> Floats:
        """Return the step along each output with the least training loss, (O,)."""

        def along(part: Floats) -> float:
            """Search along a part of the direction, which is 0 elsewhere."""

            def slope(step: float) -> float:
                residual = loss.residual(train.y, train.score + step * part)
                return -float(train.mass @ (residual * part).sum(axis=1))

            return best_step(slope, loss.most)

        outputs = np.eye(direction.shape[1])
        if not loss.separable:
            return np.full(len(outputs), along(direction))
        return np.array([along(direction * output) for output in outputs])

    def _divide(
        self, X: Any, y: NDArray[Any], weight: Floats | None, validation: Any
    ) -> tuple[Any, NDArray[Any], Floats | None, tuple[Any, Floats] | None]:
        """Return training rows, targets and weights, and held-out rows with their outputs (or ``None``)."""
        fraction = share("validation_fraction", self.validation_fraction, zero=True, one=False)
        if validation is not None:
            truth = as_array(validation[1])
            truth = class_column(truth) if self._classifies() else truth.astype(np.float64)
            return X, y, weight, (read_rows(self, validation[0], reset=False), self._outputs(truth))
        if not self.patience or not fraction or len(y) < SMALL:
            return X, y, weight, None
        strata = np.unique(y, return_inverse=True)[1] if self._classifies() else None
        train, held = hold_out(len(y), strata, fraction, self._stream("validation") % 2**32)
        if not len(held):
            return X, y, weight, None
        valid = (take_rows(X, held), self._outputs(y[held]))
        return take_rows(X, train), y[train], None if weight is None else weight[train], valid

    def _outputs(self, y: NDArray[Any]) -> Floats:
        """Return targets as the loss takes them, (N, O)."""
        if not isinstance(self.target_, ClassTarget):
            return y.reshape(len(y), -1)
        number = self.target_.encode(y).astype(np.int64)
        return number[:, None].astype(np.float64) if self.target_.outputs == 2 else np.eye(self.target_.outputs)[number]

    def _estimators(self) -> list[Any]:
        return [self.estimator]

    def _classifies(self) -> bool:
        return bool(self.loss == "log_loss")

    def _splits_targets(self) -> bool:
        return True

    def _check_kinds(self) -> None:
        if not is_regressor(self.estimator):
            raise InputError(
                "boosting is made of regressors, also for classes",
                type(self.estimator).__name__,
                "hand in a regressor and set the loss to log_loss, or use AdaBoost",
            )
