"""The fit of a network to rows, shared by the tasks: read, hold out, prepare, choose, train, calibrate."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.hardware import pick_device
from glia.core.protocols import Task
from glia.core.seeds import derive
from glia.data.stream import Stream, must_map
from glia.engine.history import History
from glia.engine.loop import Trainer
from glia.engine.rows import Rows
from glia.estimators.choices import SMALL, Choices, choose, choose_members
from glia.estimators.folds import Folds
from glia.estimators.holdout import hold_out
from glia.estimators.inference import member_outputs, network_outputs
from glia.estimators.inputs import RowsIn, canonical, check_lengths, count, read_weight, take, without_zeros
from glia.estimators.population_fit import averaged, build_members, fit_members, survivors
from glia.estimators.prepared import PreparedEstimator
from glia.estimators.radial_member import add_radial_member, drop_radial_member
from glia.estimators.stream_fit import fit_mapped, fit_stream
from glia.estimators.targets import as_array
from glia.estimators.training import build_network, to_rows, train_network
from glia.nn import Spec
from glia.nn.ensemble import MeanNetwork
from glia.objectives import Objective, ResolvedObjective

Floats = NDArray[np.float64]


class NetworkEstimator(PreparedEstimator):
    """Base of ``Classifier`` and ``Regressor``.

    Attributes
    ----------
    network_ : nn.Module
        The trained network, in evaluation mode.
    history_ : History
        One entry per epoch.
    n_iter_ : int
        Epochs that were run.
    choices_ : dict
        What was chosen for each setting that was "auto", and why.
    members_ : int
        Networks whose mean answers, a radial one among them counted.
    events_ : list of dict
        What went wrong in training and was put right; also where it was cut off and taken up again.
    """

    network: Any
    objective: Any
    validation_fraction: float
    early_stopping: Any
    random_state: Any
    warm_start: bool
    checkpoint: Any
    members: Any
    bootstrap: bool
    network_: nn.Module
    history_: History
    target_: Any
    members_: int
    _kept: tuple[str, torch.optim.Optimizer] | None

    @property
    def task_(self) -> Task:
        """What is predicted."""
        return self.target_.task  # type: ignore[no-any-return]

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None
    ) -> Any:
        """Fit to rows.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …), or Stream
            Rows as they are: numbers, words, dates, missing values. A ``Stream`` and a memory-mapped array that would
            not fit into memory stay on disk.
        y : array-like (N,) or (N, T)
            Targets; of a stream the column's name, unless it knows its target.
        sample_weight : array-like (N,), optional
            At least 0; a row of weight 0 is as good as absent.
        validation : (X, y), optional
            Rows for early stopping and calibration, instead of a share of ``X``.

        Raises
        ------
        InputError
            If the rows, targets or settings cannot be used.
        TrainingError
            If the loss stops being finite.
        """
        if isinstance(X, Stream):
            return fit_stream(self, X, y)
        if must_map(X):
            return fit_mapped(self, X, y, sample_weight, validation)
        rows, values, weight, valid = self._parts(X, y, sample_weight, validation)
        complete = self._complete(rows)
        if complete is not None:
            rows, values = take(rows, complete), values[complete]
            weight = None if weight is None else weight[complete]
            valid = valid.take(complete) if isinstance(valid, Folds) else valid
        fresh = not (self.warm_start and hasattr(self, "network_"))
        if fresh:
            self.target_ = self._new_target(values)
            onehot = not isinstance(self.network, (str, Spec, Mapping))
            x = self._fit_preparation(rows, values, onehot=onehot)
        else:
            x = self._transform(rows)
        x, values, weight = self._rebalance(x, values, weight)
        if fresh:
            self._build(x, weight is not None)
        self._train(x, values, weight, valid, checkpoint=self.checkpoint if fresh else None)
        self._kept = None
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Take one pass over further rows; the first call learns preparation and classes from its rows.

        The optimizer goes on where the call before left it, and the history grows by one entry.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        classes : array-like, optional
            All classes that will ever come; needed in the first call where its rows lack some.
        """
        first = not hasattr(self, "network_")
        several = self._choose_members(0) > 1
        if several or (not first and isinstance(self.network_, MeanNetwork)):
            raise InputError("partial_fit needs one network", f"members={self.members!r}", "use fit, or members=1")
        self.members_ = 1
        rows = self._read_new(X) if first else self._read_known(X)
        values = self._check_y(y)
        check_lengths(rows, values)
        rows, values, weight = without_zeros(rows, values, read_weight(rows, sample_weight))
        weight = self._row_weight(values, weight)
        if first:
            self.target_ = self._new_target(values, classes)
            x = self._fit_preparation(rows, values, onehot=not isinstance(self.network, (str, Spec, Mapping)))
            self._build(x, weight is not None)
        else:
            x = self._transform(rows)
        params = {**self.get_params(deep=False), "epochs": 1, "schedule": "constant"}
        self._train(x, values, weight, None, params, further=not first)
        return self

    def _parts(self, X: Any, y: Any, sample_weight: Any, validation: Any) -> tuple[RowsIn, Any, Any, Any]:
        """Return training rows, targets and weights, and the validation rows and targets (or ``None``)."""
        warm = self.warm_start and hasattr(self, "network_")
        rows = self._read_known(X) if warm else self._read_new(X)
        values = self._check_y(y)
        check_lengths(rows, values)
        rows, values, weight = without_zeros(rows, values, read_weight(rows, sample_weight))
        if count(rows) < 2:
            raise InputError("training needs at least two rows", "1 sample (n_samples=1)", "hand in more rows")
        if not warm:
            self.members_ = self._choose_members(count(rows))
        if validation is not None:
            return rows, values, self._row_weight(values, weight), (self._read_known(validation[0]), validation[1])
        if count(rows) < SMALL or self.early_stopping is False or not self.validation_fraction:
            if count(rows) < SMALL:
                index, weight = canonical(rows, values, weight)
                rows, values = take(rows, index), values[index]
            return rows, values, self._row_weight(values, weight), None
        seed = self._seed("validation") % 2**32
        if self._folded():
            folds = Folds.draw(len(values), self._strata(values), self.members_, seed)
            return rows, values, self._row_weight(values, weight), folds
        train, held = hold_out(len(values), self._strata(values), self.validation_fraction, seed)
        if not len(held):
            return rows, values, self._row_weight(values, weight), None
        part = None if weight is None else weight[train]
        valid = (take(rows, held), values[held])
        return take(rows, train), values[train], self._row_weight(values[train], part), valid

    def _folded(self) -> bool:
        """Whether every member holds out other rows: they are Glia's to choose, and the rows stay what they are."""
        plain = not self.bootstrap and getattr(self, "balance", "none") in (None, "none")
        return plain and self.members_ > 1 and self.members == "auto" and not self.warm_start

    def _build(self, x: NDArray[np.float32], weighted: bool) -> None:
        self._resolve(weighted)
        self._device = pick_device(self.device)
        outputs = self._resolved.out_features(self.target_.outputs)
        members, seed = self.members_, self._seed()
        choices = self._choose(self.get_params(deep=False), len(x), members)
        self.spec_, self.specs_ = choices.network, choices.specs(members)
        if members == 1:
            network = build_network(choices.network, self.layout_, outputs, seed, x)
        else:
            network = build_members(
                choices,
                self.layout_,
                outputs,
                seed,
                x,
                task=self.task_,
                members=members,
                bootstrap=self.bootstrap,
                of=averaged(self.members),
            )
        self.network_ = network.to(self._device)

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        """Return the settings of a fit to so many prepared rows; every "auto" is settled."""
        return choose(params, rows=rows, task=self.task_, layout=self.layout_, members=members)

    def choose(self, params: dict[str, Any], rows: int, members: int = 1) -> Choices:
        """Return what settings mean for so many prepared rows of this fitted estimator's layout; it is left as it is.

        Parameters
        ----------
        params : dict
            As of ``get_params(deep=False)``, of this estimator or of one of its kind.
        rows : int
            Training rows.
        members : int
            Networks that are trained.
        """
        other = copy.copy(self)  # kinds of rows note on themselves what they choose
        for name, value in params.items():
            setattr(other, name, value)
        return other._choose(params, rows, members)

    def _choose_members(self, rows: int) -> int:
        """Return how many networks are trained."""
        return choose_members(self.get_params(deep=False), rows, classes=is_classifier(self))

    def _resolve(self, weighted: bool = False) -> None:
        objective = Objective() if self.objective == "auto" else self.objective
        objective = objective if isinstance(objective, Objective) else Objective(objective)
        self._resolved: ResolvedObjective = objective.resolve(self.task_, weighted=weighted)

    def _train(
        self,
        x: NDArray[np.float32],
        values: Any,
        weight: Any,
        valid: Any,
        params: dict[str, Any] | None = None,
        *,
        further: bool = False,
        checkpoint: Any = None,
    ) -> None:
        params = params or self.get_params(deep=False)
        if isinstance(self.network_, MeanNetwork) and drop_radial_member(self.network_):
            self.specs_, self.members_ = self.specs_[:-1], len(self.network_.networks)
        members = len(self.network_.networks) if isinstance(self.network_, MeanNetwork) else 1
        choices = self._choose(params, len(x), members)
        train = self._drawn(self._as_rows(x, self.target_.encode(values), weight))
        valid = self._judged_by(x, valid)
        held, folds = None, valid if isinstance(valid, Folds) else None
        if folds is not None:
            train, held = folds.parts(train, self._held_weight(train.y.cpu().numpy()))
        elif valid is not None:
            held_y = self.target_.encode(self._check_y(valid[1]))
            held = to_rows(self._transform(valid[0]), held_y, self._held_weight(held_y), self._device)
        if isinstance(self.network_, MeanNetwork):
            self._train_members(self.network_, choices, train, held, checkpoint, folds, weight)
            return
        before = list(self.history_) if further else []
        rule = repr((choices.optimizer, choices.lr))
        kept = getattr(self, "_kept", None) if further else None
        history, trainer, stopping = train_network(
            self.network_,
            self._resolved,
            choices,
            train,
            held,
            seed=self._seed("training", *(["after", str(len(before))] if further else [])),
            precision=self.precision,
            verbose=self.verbose,
            optimizer=kept[1] if kept and kept[0] == rule else None,
            checkpoint=checkpoint,
        )
        self._kept = rule, trainer.optimizer
        whole = History([*before, *({**e, "epoch": e["epoch"] + len(before)} for e in history)])
        self._note(whole, trainer, stopping.best_epoch, choices)
        self._calibrate(None if held is None else (network_outputs(self.network_, held.x), held.y.cpu().numpy()))

    def _train_members(
        self,
        network: MeanNetwork,
        choices: Choices,
        train: Rows,
        held: Rows | None,
        checkpoint: Any,
        folds: Folds | None = None,
        weight: Any = None,
    ) -> None:
        if (
            held is not None and held.weight is not None and held.weight.ndim == 1
        ):  # members are judged by a column each
            held = replace(held, weight=held.weight.unsqueeze(1).repeat(1, len(network.networks)))
        history, trainer, best = fit_members(
            network,
            self._resolved,
            choices,
            train,
            held,
            seed=self._seed("training"),
            precision=self.precision,
            verbose=self.verbose,
            bootstrap=self.bootstrap,
            checkpoint=checkpoint,
        )
        self._note(history, trainer, best, choices)
        left = survivors(trainer)
        self.specs_ = [self.specs_[k] for k in left]
        if folds is not None and held is not None:
            unseen = folds.unseen(network, left, held)
            if choices.radial and unseen is not None and len(unseen[0]) == len(held) and not self.interrupted_:
                unseen = self._join_radial(network, held, weight, unseen[0]), unseen[1]
            self._calibrate(unseen)
            return
        self._calibrate(None if held is None else (network_outputs(self.network_, held.x), held.y.cpu().numpy()))

    def _join_radial(
        self, network: MeanNetwork, held: Rows, weight: Any, unseen: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Let a radial network join the members where it is of use; return what they say of unseen rows, (N, O)."""
        counts = None if weight is None else torch.from_numpy(np.asarray(weight, dtype=np.float32)).to(held.x.device)
        rows = Rows(held.x, held.y, None if counts is None else counts / counts.mean())
        found = add_radial_member(
            network, rows, unseen, layout=self.layout_, task=self.task_, seed=self._seed("radial") % 2**32
        )
        if found is None:
            return unseen
        self.specs_.append(found.spec)
        self.members_ = len(network.networks)
        self.choices_["radial"] = {
            "value": f"{found.share:.0%} of the mean",
            "why": "a network of distances to the rows errs elsewhere; the model's file then holds prepared rows",
        }
        return found.unseen

    def _note(self, history: History, trainer: Trainer, best_epoch: int, choices: Choices) -> None:
        """Keep what is known of a training once it has ended; ``best_epoch`` is 0 where none was judged."""
        self.history_, self.choices_, self.n_iter_ = history, dict(choices.why), len(history)
        if self.precision == "auto" and trainer.precision != "float32":
            why = "the processor multiplies it faster, and classifiers of these layers are as good (docs/speed.md)"
            self.choices_["precision"] = {"value": trainer.precision, "why": why}
        self.stop_reason_, self.best_epoch_ = trainer.stop_reason, best_epoch or len(history)
        self.interrupted_, self.events_ = trainer.stop_reason == "interrupted", trainer.events

    def _seed(self, *names: str) -> int:
        """Return the seed of a named stream; ``random_state`` may be an int, ``None`` or a RandomState."""
        state = self.random_state
        number = state if isinstance(state, (int, np.integer)) else check_random_state(state).randint(2**31)
        return derive(int(number), *names)

    def _outputs(self, X: Any) -> NDArray[np.float32]:
        """Return raw network outputs for rows, (N, O)."""
        check_is_fitted(self, "network_")
        return network_outputs(self.network_, self.prepare(X))

    def _member_outputs(self, X: Any) -> NDArray[np.float32]:
        """Return raw outputs of every member, (K, N, O)."""
        check_is_fitted(self, "network_")
        return member_outputs(self.network_, self.prepare(X))

    def predict_spread(self, X: Any) -> Floats:
        """Return the standard deviation over the members of what ``predict_members`` returns.

        Where members disagree the training rows did not settle the matter: the model does not know. 0 for one member.
        """
        return np.asarray(self.predict_members(X).std(axis=0))

    def predict_members(self, X: Any) -> Floats:
        """Return every member's own predictions, with the members on the first axis."""
        raise TypeError(f"{type(self).__name__} does not say what its members predict")

    def prepare(self, X: Any) -> Tensor:
        """Return rows as the network takes them, (N, *shape), on the network's device."""
        check_is_fitted(self, "network_")
        rows = self._read_known(X)
        if count(rows) == 0:
            raise InputError("there must be rows to predict", "0 sample(s) while a minimum of 1 is required")
        return torch.from_numpy(self._transform(rows)).to(self._device)

    def forward(self, batch: Tensor) -> Tensor:
        """Run the network in evaluation mode: (B, *shape) → (B, outputs), raw scores."""
        check_is_fitted(self, "network_")
        self.network_.eval()
        return self.network_(batch)  # type: ignore[no-any-return]

    def _target_names(self, count: int) -> list[str]:
        """Return the names of several targets, or their numbers where they have none."""
        named = getattr(self, "target_name_", None)
        return list(named) if isinstance(named, list) and len(named) == count else [str(i) for i in range(count)]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_") and hasattr(self, "history_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags

    def _check_y(self, y: Any) -> NDArray[Any]:
        return as_array(y)

    def _strata(self, values: NDArray[Any]) -> NDArray[Any] | None:
        return None

    def _row_weight(self, values: NDArray[Any], weight: Floats | None) -> Floats | None:
        return weight

    def _rebalance(
        self, x: NDArray[np.float32], values: NDArray[Any], weight: Floats | None
    ) -> tuple[NDArray[np.float32], NDArray[Any], Floats | None]:
        """Return the training rows, targets and weights that are learned from: others where classes are balanced."""
        return x, values, weight

    def _as_rows(self, x: NDArray[np.float32], y: NDArray[Any], weight: Floats | None) -> Rows:
        """Return prepared rows, encoded targets and weights as tensors."""
        return to_rows(x, y, weight, self._device)

    def _drawn(self, train: Rows) -> Rows:
        """Return the rows as mini-batches are drawn from them."""
        return train

    def _judges(self, x: Any, rows: int) -> NDArray[np.intp] | None:
        """Return the numbers of those of the validation rows that judge, ``None`` for all."""
        return None

    def _judged_by(self, x: Any, valid: Any) -> Any:
        """Return the validation rows and targets by which training is judged."""
        if valid is None or isinstance(valid, Folds):
            return valid
        chosen = self._judges(x, count(valid[0]))
        return valid if chosen is None else (take(valid[0], chosen), take(self._check_y(valid[1]), chosen))

    def _held_weight(self, encoded: NDArray[Any]) -> Floats | None:
        """Return weights by which the validation loss judges what the training loss does."""
        return None

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> Any:
        raise TypeError(f"{type(self).__name__} does not say how targets are encoded")

    def _calibrate(self, held: tuple[NDArray[Any], NDArray[Any]] | None) -> None:
        raise TypeError(f"{type(self).__name__} does not say how predictions are calibrated")
