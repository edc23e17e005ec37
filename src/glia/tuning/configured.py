"""An estimator with other settings: its own parameters, and by their plain names those of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from glia.core.errors import InputError
from glia.data.preparation import Preparation
from glia.engine.optimizer_settings import Optimizer
from glia.estimators.base import NetworkEstimator
from glia.estimators.choices import usual_optimizer
from glia.estimators.large_rows import LargeRows
from glia.nn import MLP, Spec
from glia.nn.numeric_embeddings import BY_BINS
from glia.objectives import Objective

_SHAPE = ("hidden", "activation", "norm", "dropout", "numeric_embedding", "residual", "init", "embedding_dim")
_PREPARE = ("impute", "scale", "encode")
_OBJECTIVE = ("loss", "l1", "l2", "label_smoothing")
BINS = 32
"""Bins of piecewise-linear embeddings, as ``glia fit --numeric-embedding piecewise_linear`` has them."""


def known_settings(estimator: Any) -> list[str]:
    """Return the names that ``configured`` takes for an estimator."""
    own = [str(name) for name in estimator.get_params(deep=True)]
    if not isinstance(estimator, NetworkEstimator):
        return own
    plain = [name for name in own if "__" not in name and name not in ("random_state", "verbose", "checkpoint")]
    shaped = _SHAPE if isinstance(estimator.network, (str, Spec)) else ()
    judged = _OBJECTIVE if "objective" in own else ()
    return [*plain, *shaped, *_PREPARE, *judged, "weight_decay"]


def configured(estimator: Any, settings: Mapping[str, Any]) -> Any:
    """Return an unfitted copy with some settings.

    Parameters
    ----------
    estimator : Any
        With scikit-learn's ``get_params``. Of Glia's networks, ``hidden``, ``activation``, ``norm``, ``dropout`` and
        ``numeric_embedding`` are those of the network, ``weight_decay`` of the optimizer, ``loss``, ``l1`` and ``l2``
        of the objective, ``impute``, ``scale`` and ``encode`` of the preparation.
    settings : mapping
        Name → value.

    Raises
    ------
    InputError
        If the network is a module of one's own and its sizes are asked for.
    """
    made = clone(estimator)
    if not isinstance(estimator, NetworkEstimator):
        return made.set_params(**settings)
    own = made.get_params(deep=False)
    rest = {name: value for name, value in settings.items() if name not in own}
    made.set_params(**{name: value for name, value in settings.items() if name in own})
    shape, prepare, objective = (_some(rest, names) for names in (_SHAPE, _PREPARE, _OBJECTIVE))
    if shape:
        if isinstance(made.network, Spec):
            made.network = clone(made.network).set_params(**shape)
        elif isinstance(made.network, Mapping):
            made.network = {**made.network, **shape}
        elif made.network == "auto" or made.network == "mlp":
            made.network = MLP(**shape)
        else:
            raise InputError("sizes can be searched of Glia's networks", f"network={made.network!r}"[:80])
    if shape.get("numeric_embedding") in BY_BINS:
        prepare["numeric_bins"] = BINS
    if prepare:
        given = made.preparation
        made.preparation = (
            clone(given).set_params(**prepare) if isinstance(given, Preparation) else Preparation(**prepare)
        )
    if "weight_decay" in rest:
        rule = made.optimizer
        if isinstance(rule, Optimizer):
            made.optimizer = clone(rule).set_params(weight_decay=rest["weight_decay"])
        else:
            made.optimizer = usual_optimizer(rule, rest["weight_decay"], table=not isinstance(estimator, LargeRows))
    if objective:
        given = made.objective
        if not isinstance(given, Objective):
            given = Objective(given)
        made.objective = clone(given).set_params(**objective)
    return made


def _some(settings: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}
