"""How a classifier decides, and whether its accuracy misleads: for the record, and in words for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from glia.objectives import imbalance
from glia.report.words import is_number, number, percent, shorten

_MADE = {
    "oversample": "rows of rare classes came more than once",
    "undersample": "rows of common classes were left out",
    "batches": "every mini-batch held as many rows of each class",
    "tomek": "rows among another class were left out",
    "enn": "rows among another class were left out",
}


def decided(estimator: Any, y: ArrayLike, prediction: ArrayLike, weight: ArrayLike | None = None) -> dict[str, Any]:
    """Return what a record holds of decisions: ``decision``, ``balance`` and ``imbalance``.

    Parameters
    ----------
    estimator : Classifier
        Fitted.
    y, prediction : array-like
        True and predicted classes of test rows.
    weight : array-like, optional
        Of the rows.
    """
    found: dict[str, Any] = {"decision": estimator.decision_.to_dict(), "balance": estimator.balance_}
    if estimator.task_ != "multilabel":
        found["imbalance"] = imbalance(y, prediction, estimator.classes_, weight).to_dict()
    return found


def decision_remarks(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what a reader must know about decisions: a warning where accuracy misleads, notes on what was set."""
    found: list[dict[str, str]] = []
    uneven = record.get("imbalance") or {}
    if uneven.get("message"):
        severity = "note" if uneven.get("finding") == "by choice" else "warning"
        found.append({"severity": severity, "message": str(uneven["message"])})
    decision, classes = record.get("decision") or {}, [str(c) for c in record.get("classes") or []]
    threshold, why = decision.get("threshold"), str(decision.get("why") or "")
    if is_number(threshold) and len(classes) == 2:
        said = f"A row counts as '{shorten(classes[1], 40)}' from a probability of {percent(threshold)} on"
        found.append({"severity": "note", "message": f"{said}: {why}."})
    elif decision.get("cost") or decision.get("factors"):
        found.append({"severity": "note", "message": f"What is answered is not always the most probable class: {why}."})
    made = record.get("balance") or {}
    if made.get("method"):
        found.append({"severity": "note", "message": _balanced(made, classes)})
    return found


def _balanced(made: Mapping[str, Any], classes: list[str]) -> str:
    """Return what was done to the training rows, with numbers."""
    method, before, after = str(made["method"]), made.get("before") or [], made.get("after") or []
    what = _MADE.get(method, f"{number(made.get('synthetic') or 0)} synthetic rows were made of rare ones")
    counts = [f"'{shorten(c, 30)}' {number(a)} → {number(b)}" for c, a, b in zip(classes, before, after, strict=False)]
    shown = f" ({', '.join(counts[:6])}{', …' if len(counts) > 6 else ''})" if before != after else ""
    return (
        f"Training rows were balanced by {method}: {what}{shown}. Validation and test rows are as they were, and "
        "probabilities are corrected for it."
    )
