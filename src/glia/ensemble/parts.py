"""An ensemble taken apart into fitted members, plain data and arrays, for files that hold no code; and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import InputError, near
from glia.ensemble.adaboost import AdaBoost
from glia.ensemble.architectural import Architectural
from glia.ensemble.bagging import Bagging
from glia.ensemble.balanced_bagging import BalancedBagging
from glia.ensemble.base import Ensemble
from glia.ensemble.boosting import Boosting, Stage
from glia.ensemble.frozen_linear import FrozenLinear
from glia.ensemble.named import NamedEnsemble
from glia.ensemble.snapshot import Snapshot
from glia.ensemble.stacking import Stacking

KINDS: dict[str, type[Ensemble]] = {
    kind.__name__: kind for kind in (AdaBoost, Architectural, Bagging, BalancedBagging, Boosting, Snapshot, Stacking)
}
_ARRAYS = ("factors_", "member_weights_", "member_errors_", "weights_", "start_")
_PLAIN = ("stop_reason_", "train_loss_", "valid_loss_", "cycle_loss_", "oob_score_", "population_", "columns_")


@dataclass(frozen=True, eq=False)
class EnsembleParts:
    """What a fitted ensemble consists of.

    Parameters
    ----------
    kind : str
        Name of its class.
    settings : dict
        Constructor arguments that are plain JSON data; the estimators themselves are members.
    state : dict
        What else was learned, plain JSON data.
    arrays : dict of str to ndarray
        Numbers that were learned.
    target : ClassTarget or ValueTarget
        What is predicted.
    members : dict of str to estimator
        The fitted estimators, to be stored one by one.
    """

    kind: str
    settings: dict[str, Any]
    state: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    target: Any
    members: dict[str, Any]


def to_members(ensemble: Ensemble) -> EnsembleParts:
    """Take a fitted ensemble apart.

    A meta-model of ``Stacking`` becomes numbers, so it has to be linear or logistic, as the default is. What was kept
    of the training rows (out-of-fold, out-of-bag and validation predictions) is left out.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    InputError
        If it is none of Glia's ensembles, or its meta-model is not linear.
    """
    kind = type(ensemble).__name__
    if KINDS.get(kind) is not type(ensemble):
        raise InputError("only Glia's ensembles can be taken apart", kind, near(kind, KINDS))
    check_is_fitted(ensemble)
    own = {name: _plain(value) for name, value in ensemble.get_params(deep=False).items()}
    arrays = {name: np.asarray(getattr(ensemble, name)) for name in _ARRAYS if hasattr(ensemble, name)}
    state: dict[str, Any] = {name: getattr(ensemble, name) for name in _PLAIN if hasattr(ensemble, name)}
    state |= {"n_features_in_": int(ensemble.n_features_in_), "from_table": bool(ensemble._from_table)}
    state["feature_names_in_"] = [str(name) for name in getattr(ensemble, "feature_names_in_", [])]
    members = dict(zip(_names(ensemble), ensemble.members_, strict=True))
    if not ensemble.members_:
        raise InputError("an ensemble must have members", "none: no stage lowered the loss on held-out rows")
    if isinstance(ensemble, Boosting):
        arrays["steps"] = np.array([stage.step for stage in ensemble.members_])
        members = {
            f"stage {k + 1} part {i + 1}": one
            for k, stage in enumerate(ensemble.members_)
            for i, one in enumerate(stage.learners)
        }
    if isinstance(ensemble, Stacking):
        final = FrozenLinear.of(ensemble.final_estimator_)
        arrays |= {"final.weight": final.weight, "final.offset": final.offset}
    settings = {name: value for name, value in own.items() if value is not Ellipsis}
    return EnsembleParts(kind, settings, state, arrays, ensemble.target_, members)


def from_members(parts: EnsembleParts) -> Ensemble:
    """Put an ensemble together again: it predicts the same.

    The estimators it is made of (``estimator``, ``estimators``) are unfitted copies of the members.

    Raises
    ------
    InputError
        If the parts do not fit together.
    """
    if parts.kind not in KINDS:
        raise InputError("the kind of an ensemble must be known", repr(parts.kind), near(str(parts.kind), KINDS))
    kind, fitted = KINDS[parts.kind], list(parts.members.values())
    if not fitted:
        raise InputError("an ensemble must have members", "none")
    known = set(kind._get_param_names())
    if strange := sorted(set(parts.settings) - known):
        raise InputError(f"{parts.kind} must get known settings", f"{strange[0]!r}", near(strange[0], known))
    made: Any
    if issubclass(kind, NamedEnsemble):
        made = kind([(name, clone(one)) for name, one in parts.members.items()], **parts.settings)
        made.names_ = list(parts.members)
    else:
        made = kind(clone(fitted[0]), **parts.settings)
    made.target_, made.n_features_in_ = parts.target, int(parts.state["n_features_in_"])
    made._from_table = bool(parts.state["from_table"])
    if parts.state["feature_names_in_"]:
        made.feature_names_in_ = np.array(parts.state["feature_names_in_"], dtype=object)
    for name in _PLAIN:
        if name in parts.state:
            setattr(made, name, parts.state[name])
    for name in _ARRAYS:
        if name in parts.arrays:
            setattr(made, name, np.asarray(parts.arrays[name], dtype=np.float64))
    made.members_ = _stages(parts.arrays, fitted) if kind is Boosting else fitted
    if kind is Stacking:
        classes = made.classes_ if made._classifies() else None
        made.final_estimator_ = FrozenLinear(parts.arrays["final.weight"], parts.arrays["final.offset"], classes)
    _check(made)
    return made  # type: ignore[no-any-return]


def _names(ensemble: Ensemble) -> list[str]:
    if isinstance(ensemble, NamedEnsemble):
        return list(ensemble.names_)
    return [f"member {k + 1}" for k in range(len(ensemble.members_))]


def _plain(value: Any) -> Any:
    """Return a setting as JSON data, or ``Ellipsis`` where it is none."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if value is None or isinstance(value, (bool, int, float, str)) else Ellipsis


def _stages(arrays: Mapping[str, NDArray[Any]], learners: list[Any]) -> list[Stage]:
    steps = np.asarray(arrays["steps"], dtype=np.float64)
    if steps.ndim != 2 or not len(steps) or len(learners) % len(steps):
        raise InputError("every stage must have a step", f"{len(learners)} learners and steps of shape {steps.shape}")
    each = len(learners) // len(steps)
    return [Stage(tuple(learners[k * each : (k + 1) * each]), step) for k, step in enumerate(steps)]


def _check(made: Any) -> None:
    for name in ("member_weights_", "weights_"):
        if hasattr(made, name) and getattr(made, name).shape != (len(made.members_),):
            got = f"{getattr(made, name).shape} for {len(made.members_)} members"
            raise InputError("there must be one weight per member", got)
