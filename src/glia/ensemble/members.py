"""One member of an ensemble: cloned with a seed of its own, fitted with weights, asked for what it predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from glia.core.errors import InputError
from glia.core.seeds import derive

Floats = NDArray[np.float64]


def fresh(estimator: Any, seed: int, *, keep: bool = False) -> Any:
    """Return an unfitted copy whose random states, nested ones too, are streams of ``seed``.

    Parameters
    ----------
    estimator : estimator
        Left as it is.
    seed : int
        Of this member.
    keep : bool
        Leave random states that are set; fill in those that are ``None``.
    """
    made = clone(estimator)
    states = {name: value for name, value in made.get_params(deep=True).items() if _is_state(name)}
    wanted = {name: derive(seed, name) % 2**32 for name, value in states.items() if value is None or not keep}
    return made.set_params(**wanted) if wanted else made


def _is_state(name: str) -> bool:
    return name == "random_state" or name.endswith("__random_state")


def takes_weight(estimator: Any) -> bool:
    """Tell whether ``fit`` takes ``sample_weight``."""
    return bool(has_fit_parameter(estimator, "sample_weight"))


def require_weight(estimator: Any, weight: Floats | None) -> None:
    """Raise an ``InputError`` where weights are given to an estimator that takes none."""
    if weight is not None and not takes_weight(estimator):
        raise InputError(
            "sample_weight needs estimators that take it", type(estimator).__name__, "leave the weights out"
        )


def fit_member(estimator: Any, X: Any, y: NDArray[Any], weight: Floats | None = None) -> Any:
    """Fit in place and return the estimator; weights are handed on where there are any."""
    return estimator.fit(X, y) if weight is None else estimator.fit(X, y, sample_weight=weight)


def takes_several_targets(estimator: Any) -> bool:
    """Tell whether one fit can have several targets."""
    return bool(get_tags(estimator).target_tags.multi_output)


def trains_populations(estimator: Any) -> bool:
    """Tell whether one fit can train K networks at once: it has ``members`` and ``bootstrap``, and tells them apart."""
    known = estimator.get_params(deep=False)
    return "members" in known and "bootstrap" in known and hasattr(estimator, "predict_members")


def probabilities(member: Any, X: Any, classes: NDArray[Any]) -> Floats:
    """Return a fitted classifier's probabilities in the order of ``classes``, (N, C).

    Classes that this member never saw get 0. One without probabilities gives its vote: 1 for one class.
    """
    if not hasattr(member, "predict_proba"):
        return votes(member, X, classes)
    return aligned(np.asarray(member.predict_proba(X), dtype=np.float64), member.classes_, classes)


def votes(member: Any, X: Any, classes: NDArray[Any]) -> Floats:
    """Return 1 for the class that a fitted classifier predicts and 0 for the others, (N, C)."""
    return np.eye(len(classes))[np.searchsorted(classes, np.asarray(member.predict(X)))]


def aligned(probability: Floats, own: NDArray[Any], classes: NDArray[Any]) -> Floats:
    """Return columns in the order of all classes: (…, N, C') → (…, N, C)."""
    if len(own) == len(classes):
        return probability
    whole = np.zeros((*probability.shape[:-1], len(classes)))
    whole[..., np.searchsorted(classes, own)] = probability
    return whole


def values(member: Any, X: Any, shape: tuple[int, ...]) -> Floats:
    """Return a fitted regressor's predictions, (N,) or (N, T); ``shape`` is that of one row's target."""
    found = np.asarray(member.predict(X), dtype=np.float64)
    return found.reshape(len(found), *shape)
