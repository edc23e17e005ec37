"""What Glia chooses where a setting is "auto": every choice with its reason, kept on the estimator and in the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.engine.mixing import Mixing
from glia.engine.optimizer_settings import Optimizer
from glia.nn import MLP
from glia.objectives import Objective

EFFORTS = {"quick": 0.3, "default": 1.0, "best": 3.0}
"""Effort → share of the default number of optimizer steps."""
MEMBERS = {"quick": 1, "default": 4, "best": 8}
"""Effort → networks whose mean answers where a quantity is predicted."""
CLASS_MEMBERS = {"quick": 1, "default": 6, "best": 9}
"""The same for classes: a third of them are companions, see ``Choices.companion``."""
FOLDED_ROWS = 50_000
"""Up to so many rows there are several networks, and each holds out a fold of its own.

With more, one that is wider is nearly as good in 0.6 of the time: of 36,631 training rows of Adult, 1 - ROC area 0.0699
against 0.0684; of 37,500 of diamonds, error 0.1298 against 0.1294."""
BINNED_ROWS, BINNED_COLUMNS = 500, 100
"""Numbers get piecewise-linear embeddings from so many rows, up to so many columns."""
EXCESS = 0.1
"""Several networks end before the last epoch when the validation losses of all were so much above their best: of 248
networks on twelve tables none would have had a better epoch later, and 0.78 of the epochs were run."""
RADIAL_ROWS, RADIAL_VALUES = 8_000, 600
"""With fewer rows, up to so many values each, a radial network joins several others: it takes N³ steps to fit, and with
more rows (flights, adult, diamonds) it brought nothing."""
SMALL = 100
"""Below this many rows none are held out for validation: they would cost more than they tell."""


@dataclass
class Choices:
    """Settled values of a fit; ``why`` says how those that were "auto" came about.

    ``companion`` is the network of every third member, where that is another one than ``network``; ``mixing`` mixes
    rows of a batch on their way into several networks; ``excess`` ends a fit when all members' losses are by that share
    above their best: see ``MemberStopping``. ``radial``: whether a radial network joins them at the end.
    """

    network: Any
    optimizer: Optimizer
    lr: float | None
    schedule: Any
    batch_size: int
    epochs: int
    patience: int
    why: dict[str, dict[str, Any]]
    companion: Any = None
    mixing: Mixing | None = None
    excess: float | None = None
    radial: bool = False

    def kinds(self, members: int) -> tuple[int, ...]:
        """Return how many members are of one architecture: all, or those of ``network`` and then its companions."""
        others = 0 if self.companion is None else members // 3
        return (members - others, others) if others else (members,)

    def specs(self, members: int) -> list[Any]:
        """Return the settings of each member's network."""
        return [
            spec
            for spec, count in zip((self.network, self.companion), self.kinds(members), strict=False)
            for _ in range(count)
        ]


def usual_optimizer(name: str = "auto", weight_decay: float = 0.02, *, table: bool = False) -> Optimizer:
    """Return the rule that trains where nothing else is said, with another name or decay where that is given.

    Parameters
    ----------
    name : str
        "auto" is "adamw".
    weight_decay : float
    table : bool
        Whether rows are those of a table: adamw then also learns how much each number counts.
    """
    own = name in ("auto", "adamw")
    if own and table:
        return Optimizer("adamw", weight_decay, clip_norm=0.3, feature_rate=3.0)
    return Optimizer("adamw" if own else name, weight_decay, clip_norm=1.0)


def bins_for(columns: int) -> int:
    """Return the bins of each number's embedding: about 256 in all, since every one costs time, but 16 to 48 each."""
    return min(48, max(16, 256 // max(columns, 1)))


def changes_of(network: Any) -> Mapping[str, Any] | None:
    """Return what is changed of Glia's own network: nothing for "auto"; ``None`` where a network is given instead."""
    if isinstance(network, str) and network == "auto":
        return {}
    return network if isinstance(network, Mapping) else None


def choose_members(params: dict[str, Any], rows: int, *, classes: bool) -> int:
    """Return how many networks "auto" means: several only where everything else about the network is Glia's choice.

    Parameters
    ----------
    params : dict
        ``get_params(deep=False)``; where ``members`` is a number, that is returned.
    rows : int
        Training rows.
    classes : bool
        Whether classes are predicted.
    """
    members = params.get("members", 1)
    if not (isinstance(members, str) and members == "auto"):
        return check_members(members)
    given = changes_of(params.get("network")) is None
    alone = given or params.get("warm_start") or not SMALL <= rows <= FOLDED_ROWS
    usual = CLASS_MEMBERS if classes else MEMBERS
    return 1 if alone else usual.get(str(params.get("effort", "default")), 1)


def check_members(members: Any) -> int:
    """Return the number of networks.

    Raises
    ------
    InputError
        If it is not a whole number of at least 1.
    """
    if isinstance(members, bool) or not isinstance(members, (int, np.integer)) or members < 1:
        raise InputError("members must be 'auto' or a whole number of at least 1", f"members={members!r}")
    return int(members)


def choose(params: dict[str, Any], *, rows: int, task: Task, layout: Layout, members: int = 1) -> Choices:
    """Settle every "auto" of an estimator's parameters.

    Parameters
    ----------
    params : dict
        ``get_params(deep=False)``.
    rows : int
        Training rows.
    task : Task
        What is predicted.
    layout : Layout
        Of the prepared rows.
    members : int
        Networks that are trained; of several, each can be narrower.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    why: dict[str, dict[str, Any]] = {}

    def settle(name: str, auto: Any, reason: str) -> Any:
        value = params.get(name, "auto")
        if isinstance(value, str) and value == "auto":
            why[name] = {"value": auto if isinstance(auto, (int, float, str)) else repr(auto), "why": reason}
            return auto
        return value

    effort = params.get("effort", "default")
    if effort not in EFFORTS:
        raise InputError("effort must be quick, default or best", f"effort={effort!r}")
    batch = _whole("batch_size", settle("batch_size", *_batch_size(rows)))
    steps_per_epoch = max(1, math.ceil(rows / batch))
    share = EFFORTS[effort] * (2.0 if task == "regression" else 1.0)  # quantities gain from training longer
    steps = int((600 + 12 * math.sqrt(rows)) * share)
    auto_epochs = max(8, min(300, round(steps / steps_per_epoch)))
    reason = f"about {steps} steps of {batch} rows ({effort} effort)"
    epochs = _whole("epochs", settle("epochs", auto_epochs, reason))
    if params.get("members") == "auto":
        reason = (
            "the mean of several is better than one, and each holds out other rows" if members > 1 else "one will do"
        )
        why["members"] = {"value": members, "why": reason}
    mixing = None
    if params.get("members") == "auto" and members > 1 and task != "regression":
        mixing = Mixing("mixup", alpha=0.5, chance=0.25)
        reason = "rows between two others teach networks to be less sure there"
        why["mixing"] = {"value": "a quarter of the batches", "why": reason}
    width = 256 if rows >= 2000 and members == 1 else 128
    own = MLP(
        hidden=(width, width),
        activation="silu",
        dropout=0.0 if rows < 500 else 0.1 if mixing else 0.15,
        numeric_embedding="piecewise_linear" if any(f.bins for f in layout.features) else "none",
    )
    reason = f"two layers of {width} for {rows} rows and {layout.in_features} prepared columns"
    changes = changes_of(params.get("network", "auto"))
    companion = None
    if params.get("members") == "auto" and members > 2 and task != "regression" and changes is not None:
        companion = _companion(own, changes)
    if changes:
        network = _changed(own, changes)
        why["network"] = {"value": repr(network), "why": f"{reason}, but with the {', '.join(changes)} that was given"}
    else:
        network = settle("network", own, reason)
    rule = settle("optimizer", usual_optimizer(table=True), "the usual rule for tables, with a scale for each number")
    optimizer = rule if isinstance(rule, Optimizer) else Optimizer(rule)
    lr = settle("lr", 4e-3 if optimizer.name == "adamw" else None, "the usual rate of this optimizer at this width")
    if lr is not None and not (_is_number(lr) and lr > 0 and math.isfinite(lr)):
        raise InputError("lr must be a finite number above 0", f"lr={lr!r}")
    schedule = settle("schedule", "cosine", "a slow end lets the weights settle")
    stopping, excess = params.get("early_stopping", "auto"), None
    if stopping == "auto" and params.get("epochs", "auto") == "auto":
        patience, excess = 0, EXCESS  # the best epoch is kept all the same
    elif stopping == "auto" or stopping is True:
        patience = max(8, epochs // 4)
    else:
        patience = 0 if stopping in (None, False) else _whole("early_stopping", stopping)
    if stopping == "auto":
        reason = "a quarter of the epochs, at least 8"
        if not patience:
            reason = "the rate falls to the end; the best epoch is kept"
            reason += f", and training ends when all got {EXCESS:.0%} worse" if members > 1 else ""
        why["early_stopping"] = {"value": patience, "why": reason}
    if companion is not None:
        why["companions"] = {
            "value": members // 3,
            "why": "networks that take a number's place among bins err elsewhere",
        }
    radial = params.get("members") == "auto" and members > 1 and changes is not None
    radial = radial and rows < RADIAL_ROWS and _can_be_radial(params, task, layout)
    return Choices(network, optimizer, lr, schedule, batch, epochs, patience, why, companion, mixing, excess, radial)


def _can_be_radial(params: dict[str, Any], task: Task, layout: Layout) -> bool:
    """Tell whether a radial network would learn what the others do, from rows of a width that it can take."""
    objective = params.get("objective", "auto")
    if isinstance(objective, Objective):
        objective = "other" if objective.label_smoothing else objective.loss
    usual = isinstance(objective, str) and objective == "auto" and params.get("class_weight") is None
    usual = usual and bool(params.get("radial", True))
    values = sum(max(1, feature.cardinality) for feature in layout.features) or layout.in_features
    return usual and task != "multilabel" and len(layout.shape) == 1 and values <= RADIAL_VALUES


def _companion(own: MLP, changes: Mapping[str, Any]) -> MLP | None:
    """Return the network of every third member, which takes one value of a number and so errs elsewhere.

    ``None`` where there are no bins, or how numbers are taken was said.
    """
    if own.numeric_embedding == "none" or "numeric_embedding" in changes:
        return None
    return _changed(clone(own), {**changes, "numeric_embedding": "bin_place"})


def _changed(own: MLP, changes: Mapping[str, Any]) -> MLP:
    known = own.get_params(deep=False)
    for name in changes:
        if name not in known:
            raise InputError("what is changed of the network must be a setting of MLP", repr(name), near(name, known))
    own.set_params(**changes)
    return own


def _batch_size(rows: int) -> tuple[int, str]:
    size = min(512, max(32, 2 ** round(math.log2(max(rows, 1) / 64 + 1e-9)))) if rows > 200 else max(rows, 1)
    return size, "about 64 steps per epoch, within 32 to 512" if rows > 200 else "all rows at once, they are few"


def _whole(name: str, value: Any) -> int:
    if not _is_number(value) or not math.isfinite(value) or value != int(value) or value < 1:
        raise InputError(f"{name} must be 'auto' or a whole number of at least 1", f"{name}={value!r}")
    return int(value)


def _is_number(value: Any) -> bool:
    """Tell whether a value is a number of Python or NumPy, as grids of settings hold them."""
    return isinstance(value, Real) and not isinstance(value, bool)
