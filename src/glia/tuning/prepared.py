"""Rows as an estimator would train on them, without the training: what members of a population then share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.hardware import pick_device
from glia.engine.rows import Rows
from glia.engine.sources import Source
from glia.estimators.base import NetworkEstimator
from glia.estimators.choices import Choices
from glia.estimators.training import to_rows
from glia.tuning.answers import answers_of

Part = tuple[Any, Any, NDArray[np.float64] | None]
"""Rows, targets and weights."""


@dataclass(frozen=True)
class Prepared:
    """Training and validation rows of one fold as tensors, with what their preparation found out.

    Parameters
    ----------
    estimator : NetworkEstimator
        Not trained: it knows the layout, the target and the objective.
    x : ndarray (N, …), or what has rows by their numbers
        Prepared training rows; pictures that stay on disk are prepared as they are asked for.
    train : Source
        The same with targets and weights.
    held : Rows
        Validation rows; their weights, if any, are (M, 1): the same for every member.
    judges : ndarray of int (M,), optional
        Which of the validation rows these are, where there were too many.
    """

    estimator: Any
    x: Any
    train: Source
    held: Rows
    judges: NDArray[np.intp] | None = None

    def choices(self, estimator: Any) -> Choices:
        """Return what an estimator's "auto" settings mean for these rows."""
        found: Choices = self.estimator.choose(estimator.get_params(deep=False), len(self.x))
        return found


class _Untrained(NetworkEstimator):
    """Stops a fit where the training would begin."""

    prepared: Prepared

    def _build(self, x: NDArray[np.float32], weighted: bool) -> None:
        self._resolve(weighted)
        self._device = pick_device(self.device)

    def _train(self, x: Any, values: Any, weight: Any, valid: Any, *rest: Any, **more: Any) -> None:
        self._choose(self.get_params(deep=False), len(x), 1)  # which rows of some kinds are drawn by
        train = self._drawn(self._as_rows(x, self.target_.encode(values), weight))
        judges = self._judges(x, len(valid[1]))
        rows, targets = self._judged_by(x, valid)
        encoded = self.target_.encode(self._check_y(targets))
        held = to_rows(self._transform(rows), encoded, self._held_weight(encoded), self._device)
        self.prepared = Prepared(self, x, train, held, judges)


def is_network(estimator: Any) -> bool:
    """Tell whether an estimator is one of Glia's that train networks, so that several can be trained at once."""
    return isinstance(estimator, NetworkEstimator)


def prepare(estimator: Any, train: Part, held: Part) -> Prepared:
    """Return the rows as ``estimator.fit`` would train on them; the estimator itself is left alone.

    Parameters
    ----------
    estimator : NetworkEstimator
        Its settings count, all but the network's sizes and the training's.
    train, held : tuple
        Rows, targets and weights (or ``None``).

    Raises
    ------
    InputError
        If rows, targets or settings cannot be used.
    """
    kind = type(estimator)
    params = estimator.get_params(deep=False)
    alone = {name: value for name, value in _ALONE.items() if name in params}
    probe = type(kind.__name__, (_Untrained, kind), {})(**{**params, **alone})
    rows, targets, weight = train
    if len(held[1]) == 0:
        raise InputError("tuning needs rows to validate on", "none", "hold out a larger share")
    probe.fit(rows, targets, weight, validation=(held[0], held[1]))
    found: Prepared = probe.prepared
    given = held[2] if held[2] is None or found.judges is None else held[2][found.judges]
    weight = _judging(found.held, given, answers_of(estimator).worth(found.held.y))
    return replace(found, held=replace(found.held, weight=weight))


def _judging(held: Rows, weight: NDArray[np.float64] | None, worth: Any) -> Any:
    """Return the weights by which validation rows judge, (M, 1): of their classes, their own, what each is worth."""
    own = None if weight is None else held.y.new_tensor(np.asarray(weight), dtype=held.x.dtype)
    given = [one.to(held.x.dtype) for one in (held.weight, own, worth) if one is not None]
    return math.prod(given[1:], start=given[0]).reshape(-1, 1) if given else None


class Preparations:
    """Keeps prepared rows, so that configurations with one preparation prepare once for each fold.

    Parameters
    ----------
    folds : sequence of (train, held)
        Rows, targets and weights of either part.
    """

    def __init__(self, folds: list[tuple[Part, Part]], make: Callable[[dict[str, Any]], Any]) -> None:
        self.folds, self.make = folds, make
        self._kept: dict[str, list[Prepared]] = {}

    def of(self, settings: dict[str, Any]) -> list[Prepared]:
        """Return the rows of every fold as the estimator with these settings prepares them."""
        estimator = self.make(settings)
        params = estimator.get_params(deep=False)
        network = params.pop("network")
        spelt = {name: repr(value) for name, value in params.items() if name not in _TRAINING}
        kind = network.get("numeric_embedding") if isinstance(network, Mapping) else ""  # bins hang on it
        key = repr((type(estimator), spelt, network if isinstance(network, str) else type(network), kind))
        if key not in self._kept:
            self._kept[key] = [prepare(estimator, train, held) for train, held in self.folds]
        return self._kept[key]

    def any(self) -> Prepared:
        """Return rows that are prepared already, or as the estimator without further settings prepares them."""
        return next(iter(self._kept.values()))[0] if self._kept else self.of({})[0]


_ALONE: dict[str, Any] = {"members": 1, "warm_start": False, "checkpoint": None}
_TRAINING = (
    "optimizer", "lr", "schedule", "batch_size", "epochs", "early_stopping", "effort", "precision", "verbose",
    "members", "bootstrap", "radial", "checkpoint", "warm_start", "threshold",
)  # fmt: skip
"""Settings that rows and their preparation do not depend on."""
