"""What a classifier does about rare classes: training rows, what their shares were changed by, and its decisions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.decision_rule import Rule, as_rule
from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.data.balance import Balance, Balanced, balance_rows, balancers
from glia.objectives import Decision, choose_threshold, mean_cost
from glia.objectives.cost_matrix import cost_threshold

Floats = NDArray[np.float64]


def as_balance(balance: Any) -> Balance | str | None:
    """Return the settings of a resampling, ``"batches"``, or ``None`` where nothing is balanced.

    Raises
    ------
    InputError
        If it is no known way.
    """
    if isinstance(balance, Balance):
        return balance.check()
    if balance in (None, "none", "batches"):
        return "batches" if balance == "batches" else None
    known = ("none", "batches", *balancers.names())
    if not isinstance(balance, str) or balance not in known:
        raise InputError(
            "balance must be a known way or Balance settings", f"balance={balance!r}", near(str(balance), known)
        )
    return Balance(balance)


def check_settings(balance: Any, threshold: Any, class_weight: Any, values: NDArray[Any], held: bool) -> None:
    """Check, before anything is trained, that what is asked for can be done with these rows.

    Raises
    ------
    InputError
        If settings are unknown, contradict each other, or need rows that are not there.
    """
    wanted, rule, several = as_balance(balance), as_rule(threshold), values.ndim > 1
    if wanted is not None and class_weight is not None:
        got = f"balance={balance!r} and class_weight={class_weight!r}"
        raise InputError("rare classes are made to count in one way", got, "leave one of them away")
    if several and wanted is not None:
        raise InputError(
            "balancing needs one class per row", f"balance={balance!r} with several labels", "leave it away"
        )
    classes = 0 if several else len(np.unique(values))
    if several and rule.name == "cost":
        raise InputError("costs need one class per row", f"threshold={threshold!r} with several labels", "use a number")
    if classes > 2 and rule.name not in ("auto", "balanced", "cost"):
        got = f"threshold={threshold!r} for {classes} classes"
        raise InputError("a threshold divides two classes", got, "use 'auto', 'balanced' or {'cost': matrix}")
    if rule.cost is not None and classes > 1 and len(rule.cost) != classes:
        got = f"{len(rule.cost)} rows of costs for {classes} classes"
        raise InputError("costs need a row and a column per class", got, "give them in the order of the sorted classes")
    if rule.needs_rows and not held and not (classes > 2):
        raise InputError(
            f"threshold={threshold!r} is chosen on validation rows",
            "none: there are fewer than 100 rows, or early stopping is off",
            "hand in validation=(X, y), or give a number",
        )


def resampled(
    balance: Any, x: NDArray[np.float32], y: NDArray[Any], layout: Layout, classes: int, seed: int
) -> tuple[Balanced | None, Floats | None, dict[str, Any] | None]:
    """Resample training rows.

    Returns
    -------
    rows : Balanced or None
        ``None`` where rows stay as they are.
    factors : ndarray (C,) or None
        By how much the share of each class in training differs from that among the rows.
    done : dict or None
        What was done, for the record: the method, and rows by class before and after.
    """
    wanted = as_balance(balance)
    codes = np.asarray(y).astype(np.intp)
    if wanted is None:
        return None, None, None
    before = np.bincount(codes, minlength=classes)
    if isinstance(wanted, str):
        even = np.where(before > 0, len(codes) / np.maximum((before > 0).sum() * before, 1), 1.0)
        return None, even, {"method": wanted, "before": before.tolist(), "after": before.tolist(), "synthetic": 0}
    found = balance_rows(x, codes, layout, wanted, seed)
    after = np.bincount(found.y, minlength=classes)
    done = {"method": wanted.method, "before": before.tolist(), "after": after.tolist()}
    with np.errstate(invalid="ignore", divide="ignore"):
        factors = np.where(before > 0, (after / after.sum()) / (before / before.sum()), 1.0)
    return found, factors, {**done, "synthetic": int(found.synthetic.sum())}


def combined(classes: int, *parts: Sequence[float] | Floats | None) -> list[float] | None:
    """Return the product of factors of classes, scaled to geometric mean 1.

    ``None`` where there are none, or where a class was not learned at all (a factor of 0 cannot be undone).
    """
    product = np.ones(classes)
    for part in parts:
        if part is not None:
            product = product * np.asarray(part, dtype=np.float64)
    if not (np.isfinite(product).all() and (product > 0).all()) or np.ptp(np.log(product)) < 1e-12:
        return None
    return [float(v) for v in np.exp(np.log(product) - np.log(product).mean())]


def offset_of(factors: Sequence[float] | None, task: Task) -> Any:
    """Return what is added to scores / T to put the shares of the classes back: (C,), or a number for two classes."""
    if factors is None:
        return None
    logs = -np.log(np.asarray(factors, dtype=np.float64))
    return float(logs[1] - logs[0]) if task == "binary" else logs


def decide(
    rule: Rule,
    task: Task,
    factors: Sequence[float] | None,
    shares: Floats,
    held: tuple[Floats, NDArray[Any]] | None,
) -> Decision:
    """Return how a fitted model decides.

    Parameters
    ----------
    rule : Rule
        What was asked for.
    task : Task
    factors : sequence of C floats, optional
        By how much classes counted more in training than they are common.
    shares : ndarray (C,)
        Of the classes among the training rows, before any balancing.
    held : (probabilities, class codes), optional
        Of validation rows.
    """
    if rule.name == "number":
        level = float(rule.level or 0.0)
        return Decision(rule.text, (level,) * len(shares) if task == "multilabel" else level, why="as it was set")
    if rule.cost is not None:
        limit = cost_threshold(rule.cost) if task == "binary" else None
        return Decision("cost", limit, cost=rule.cost, why=_why_cost(rule, task, held))
    if rule.needs_rows and task == "multiclass":
        return Decision(rule.text, factors=tuple(1.0 / shares), why="all classes count the same, whatever their share")
    if not rule.needs_rows:
        return _auto(task, factors)
    if held is None:
        warnings.warn(
            f"threshold={rule.text!r} needs validation rows: there are none, it is left at auto", stacklevel=4
        )
        return _auto(task, factors)
    if task == "multilabel":
        found = [_searched(rule, held[1][:, i], held[0][:, i], f"label {i}") for i in range(held[0].shape[1])]
        why = f"{rule.words} is greatest there on {len(held[1]):,} validation rows, label by label"
        return Decision(rule.text, tuple(t for t, _ in found), why=why)
    threshold, why = _searched(rule, held[1], held[0][:, 1], "the second class")
    return Decision(rule.text, threshold, why=why)


def _auto(task: Task, factors: Sequence[float] | None) -> Decision:
    if factors is None or task == "multilabel":
        words = (
            "each label on which probability is above one half" if task == "multilabel" else "the most probable class"
        )
        return Decision("auto", why=words)
    why = "training counted rare classes more: decided as if classes were as common as they were in training"
    if task == "multiclass":
        return Decision("auto", factors=tuple(factors), why=why)
    return Decision("auto", float(factors[0] / (factors[0] + factors[1])), why=why)


def _searched(rule: Rule, y: NDArray[Any], score: Floats, name: str) -> tuple[float, str]:
    if len(np.unique(y)) < 2:
        why = f"the validation rows hold one class only of {name}, on which {rule.words} says nothing"
        warnings.warn(f"{why}; the threshold is left at one half", stacklevel=5)
        return 0.5, f"{why}; one half"
    found = choose_threshold(y, score, rule)
    if not found.reached:
        warnings.warn(f"{rule.words} is out of reach on the validation rows: the nearest is taken", stacklevel=5)
    why = f"{rule.words} is greatest there on {found.n_rows:,} validation rows, {found.n_positive:,} of them positive"
    if not found.reached:
        why = f"{rule.words} is out of reach on {found.n_rows:,} validation rows; this comes nearest"
    return found.threshold, f"{why} (precision {found.precision:.3g}, recall {found.recall:.3g})"


def _why_cost(rule: Rule, task: Task, held: tuple[Floats, NDArray[Any]] | None) -> str:
    why = "the class of least expected cost"
    if held is None or rule.cost is None:
        return why
    codes = held[1].astype(np.intp)
    paid = mean_cost(codes, Decision(cost=rule.cost).codes(held[0], task), rule.cost)
    plain = mean_cost(codes, held[0].argmax(axis=1), rule.cost)
    return (
        f"{why}: {paid:.3g} per row on {len(codes):,} validation rows; the most probable class would cost {plain:.3g}"
    )
