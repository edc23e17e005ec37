"""Snapshot ensemble: one training whose rate falls and starts again; the weights at the end of each fall are kept."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from glia.core.errors import InputError
from glia.ensemble.base import Ensemble
from glia.ensemble.members import fit_member, fresh, require_weight
from glia.ensemble.rows import whole

NEEDED = ("warm_start", "epochs", "schedule")


class Snapshot(Ensemble):
    """Snapshot ensemble (arXiv 1704.00109): M networks for the price of one training.

    In each cycle the rate falls from the estimator's ``lr`` to 0 along half a cosine; then it jumps back, which takes
    the network out of the minimum it has found and into another one.

    Parameters
    ----------
    estimator : estimator
        A network that can go on training: with the parameters ``warm_start``, ``epochs`` and ``schedule``, as Glia's
        classifier and regressor. The end of a cycle is what is kept, so early stopping is switched off.
    n_cycles : int
        Falls of the rate, ≥ 1.
    cycle_epochs : int
        Epochs of a fall, ≥ 1.
    keep : int, optional
        How many of the last cycles are members; all by default. The paper keeps the later ones.
    random_state : int, None or RandomState
        Same seed, same bits.

    Attributes
    ----------
    members_ : list
        The estimator as it was at the end of each kept cycle, oldest first.
    cycle_loss_ : list of float
        Training loss at the end of every cycle, where the estimator keeps a history.
    """

    def __init__(
        self, estimator: Any, n_cycles: int = 5, cycle_epochs: int = 10, keep: int | None = None, random_state: Any = 0
    ) -> None:
        self.estimator, self.n_cycles, self.cycle_epochs = estimator, n_cycles, cycle_epochs
        self.keep, self.random_state = keep, random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Snapshot:
        """Train through all cycles.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …)
            Rows as the estimator takes them.
        y : array-like (N,) or (N, T)
            Targets.
        sample_weight : array-like (N,), optional
            At least 0.

        Raises
        ------
        InputError
            If rows, targets or settings cannot be used.
        """
        cycles, epochs = whole("n_cycles", self.n_cycles), whole("cycle_epochs", self.cycle_epochs)
        kept = cycles if self.keep is None else whole("keep", self.keep)
        if kept > cycles:
            raise InputError("keep must be at most n_cycles", f"keep={kept} and n_cycles={cycles}")
        X, y, weight = self._read(X, y, sample_weight)
        require_weight(self.estimator, weight)
        going = fresh(self.estimator, self._stream("training"))
        wanted: dict[str, Any] = {"warm_start": True, "epochs": epochs, "schedule": "cosine", "early_stopping": False}
        known = going.get_params(deep=False)
        if known.get("members") == "auto":  # an ensemble by itself: one network is what has snapshots
            wanted["members"] = 1
        going.set_params(**{name: value for name, value in wanted.items() if name in known})
        self.members_, self.cycle_loss_ = [], []
        for cycle in range(cycles):
            if cycle and "random_state" in known:  # another order of rows in each cycle
                going.set_params(random_state=self._stream("cycle", cycle) % 2**32)
            fit_member(going, X, y, weight)
            if len(getattr(going, "history_", ())):
                self.cycle_loss_.append(float(going.history_[-1]["train/loss"]))
            if cycle >= cycles - kept:
                self.members_.append(deepcopy(going))
        return self

    def _member_names(self, count: int) -> list[str]:
        return [f"cycle {self.n_cycles - count + k + 1}" for k in range(count)]

    def _check_kinds(self) -> None:
        super()._check_kinds()
        lacking = [name for name in NEEDED if name not in self.estimator.get_params(deep=False)]
        if lacking:
            raise InputError(
                "snapshots need a network that goes on training, with warm_start, epochs and schedule",
                f"{type(self.estimator).__name__} without {', '.join(lacking)}",
                "hand in a Glia classifier or regressor",
            )

    def _estimators(self) -> list[Any]:
        return [self.estimator]
