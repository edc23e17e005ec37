"""The curves and counts behind the figures of what a network gets wrong, as plain data for a run's record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.results import jsonable

MOST_POINTS = 200
MOST_CLASSES = 20
MOST_ROWS = 2000
Floats = NDArray[np.float64]


def curves(
    task: Task, y: ArrayLike, prediction: ArrayLike, probability: ArrayLike | None, classes: Sequence[Any] | None
) -> dict[str, Any]:
    """Return the curves of predictions on held-out rows.

    Parameters
    ----------
    task : {"binary", "multiclass", "multilabel", "regression"}
        What was predicted.
    y, prediction : array-like
        True and predicted classes or class indices, (N,); 0/1 indicators, (N, L), for ``multilabel``; values, (N,)
        or (N, T), for ``regression``.
    probability : array-like or None
        (N,) of the second class or (N, 2) for ``binary``; (N, C) for ``multiclass``; (N, L) for ``multilabel``.
    classes : sequence or None
        The C classes or L labels in the order of the columns; for ``regression`` the names of the T targets.

    Returns
    -------
    dict
        Classes: ``roc`` (``class, auc, fpr, tpr``), ``pr`` (``class, ap, base, recall, precision``), each with at
        most 200 points a curve, and ``confusion`` (``labels, counts``, rows are true classes, the rarest beyond 20
        joined as "other") or ``label_confusion`` (``label, tp, fp, fn, tn``).
        Regression: ``predicted_vs_true`` (``target, true, predicted, rows``; at most 2,000 rows, drawn with a fixed
        seed) and ``residuals`` (``target, edges, counts, mean, std, median_absolute``; predicted minus true).

    Raises
    ------
    InputError
        If the task is unknown or there are no rows.
    """
    if len(np.asarray(y)) == 0:
        raise InputError("curves need at least one row", "none")
    if task == "regression":
        return _regression(y, prediction, classes)
    if task == "multilabel":
        return _multilabel(y, prediction, probability, classes)
    if task in ("binary", "multiclass"):
        return _classes(y, prediction, probability, classes)
    raise InputError("the task must be known", f"task={task!r}", "binary, multiclass, multilabel or regression")


def _classes(
    y: ArrayLike, prediction: ArrayLike, probability: ArrayLike | None, classes: Sequence[Any] | None
) -> dict[str, Any]:
    named = list(classes) if classes is not None else sorted(set(np.asarray(y).tolist()), key=str)
    true, guess = codes_of(y, named), codes_of(prediction, named)
    labels = [str(name) for name in named]
    found: dict[str, Any] = {"confusion": _confusion(true, guess, labels)}
    if probability is None:
        return found
    scores = np.asarray(probability, dtype=np.float64)
    if scores.ndim == 1 or scores.shape[1] == 1:
        scores = np.column_stack([1 - scores.ravel(), scores.ravel()])
    which = [1] if len(labels) == 2 else list(range(len(labels)))
    return found | _ranking([(labels[c], true == c, scores[:, c]) for c in which])


def codes_of(values: ArrayLike, classes: Sequence[Any]) -> NDArray[np.int64]:
    """Return the index of every value among ``classes``; values that are indices already are kept.

    Raises
    ------
    InputError
        If a value is neither a class nor an index of one.
    """
    listed = np.asarray(values).ravel().tolist()
    for key in (lambda v: v), str:
        lookup = {key(c): i for i, c in enumerate(classes)}
        found = [lookup.get(key(v)) for v in listed]
        if None not in found:
            return np.asarray(found, dtype=np.int64)
    if all(isinstance(v, (int, float)) and int(v) == v and 0 <= v < len(classes) for v in listed):
        return np.asarray(listed, dtype=np.int64)
    strange = next(v for v, code in zip(listed, found, strict=True) if code is None)
    raise InputError("every value must be one of the classes", f"{strange!r}", f"the classes are {list(classes)[:20]}")


def _confusion(true: NDArray[np.int64], guess: NDArray[np.int64], labels: list[str]) -> dict[str, Any]:
    size = len(labels)
    counts = confusion_matrix(true, guess, labels=list(range(size)))
    if size > MOST_CLASSES:
        kept = np.sort(np.argsort(-counts.sum(1), kind="stable")[: MOST_CLASSES - 1])
        place = np.full(size, MOST_CLASSES - 1)
        place[kept] = np.arange(MOST_CLASSES - 1)
        counts = confusion_matrix(place[true], place[guess], labels=list(range(MOST_CLASSES)))
        labels = [*(labels[i] for i in kept), f"other ({size - MOST_CLASSES + 1})"]
    return {"labels": labels, "counts": counts.tolist()}


def _ranking(scored: Sequence[tuple[str, NDArray[np.bool_], Floats]]) -> dict[str, Any]:
    roc, pr = [], []
    known = [s for s in scored if 0 < int(s[1].sum()) < len(s[1]) and bool(np.isfinite(s[2]).all())]
    known = sorted(known, key=lambda s: -int(s[1].sum()))[:MOST_CLASSES]
    for name, positive, score in known:
        fpr, tpr, _ = roc_curve(positive, score)
        area = float(roc_auc_score(positive, score))
        x, y = _thin(fpr, tpr)
        roc.append({"class": name, "auc": area, "fpr": x, "tpr": y})
        precision, recall, _ = precision_recall_curve(positive, score)
        x, y = _thin(recall[::-1], precision[::-1])
        average, base = float(average_precision_score(positive, score)), float(positive.mean())
        pr.append({"class": name, "ap": average, "base": base, "recall": x, "precision": y})
    return {"roc": roc, "pr": pr} if roc else {}


def _thin(x: Floats, y: Floats) -> tuple[list[float], list[float]]:
    """Keep at most 200 points, evenly spread along the curve's length: corners survive, flat runs go."""
    if len(x) > MOST_POINTS:
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        places = np.searchsorted(length, np.linspace(0.0, length[-1], MOST_POINTS - 1))
        keep = np.unique(np.concatenate([[0], np.minimum(places, len(x) - 1), [len(x) - 1]]))[:MOST_POINTS]
        keep[-1] = len(x) - 1
        x, y = x[keep], y[keep]
    return np.round(x, 5).tolist(), np.round(y, 5).tolist()


def _multilabel(
    y: ArrayLike, prediction: ArrayLike, probability: ArrayLike | None, classes: Sequence[Any] | None
) -> dict[str, Any]:
    true, guess = np.asarray(y) > 0.5, np.asarray(prediction) > 0.5
    labels = [str(c) for c in classes] if classes is not None else [f"label {i + 1}" for i in range(true.shape[1])]
    counted = [
        {
            "label": name,
            "tp": int((true[:, i] & guess[:, i]).sum()),
            "fp": int((~true[:, i] & guess[:, i]).sum()),
            "fn": int((true[:, i] & ~guess[:, i]).sum()),
            "tn": int((~true[:, i] & ~guess[:, i]).sum()),
        }
        for i, name in enumerate(labels)
    ]
    found: dict[str, Any] = {"label_confusion": counted}
    if probability is None:
        return found
    scores = np.asarray(probability, dtype=np.float64)
    return found | _ranking([(name, true[:, i], scores[:, i]) for i, name in enumerate(labels)])


def _regression(y: ArrayLike, prediction: ArrayLike, names: Sequence[Any] | None) -> dict[str, Any]:
    true, guess = _columns(y), _columns(prediction)
    if true.shape != guess.shape:
        raise InputError("predictions must have the shape of the truth", f"{guess.shape} for {true.shape}")
    width = true.shape[1]
    given = [str(n) for n in names] if names is not None and len(names) == width else None
    labels = given or (["target"] if width == 1 else [f"target {i + 1}" for i in range(width)])
    agreement, residuals = [], []
    for i, name in enumerate(labels):
        known = np.isfinite(true[:, i]) & np.isfinite(guess[:, i])
        t, p = true[known, i], guess[known, i]
        if not len(t):
            continue
        drawn = np.arange(len(t))
        if len(t) > MOST_ROWS:
            drawn = np.sort(np.random.default_rng(0).choice(len(t), MOST_ROWS, replace=False))
        agreement.append({"target": name, "true": t[drawn], "predicted": p[drawn], "rows": len(t)})
        residuals.append({"target": name, **_residuals(p - t)})
    return dict(jsonable({"predicted_vs_true": agreement, "residuals": residuals}))


def _columns(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array.reshape(len(array), -1)


def _residuals(error: Floats) -> dict[str, Any]:
    # the outermost half per cent on each side would squeeze everything else into one bin: it joins the end bins
    low, high = np.quantile(error, [0.005, 0.995])
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    bins = int(np.clip(np.sqrt(len(error)), 8, 40))
    counts, edges = np.histogram(np.clip(error, low, high), bins=bins, range=(float(low), float(high)))
    return {
        "edges": edges,
        "counts": counts,
        "mean": error.mean(),
        "std": error.std(),
        "median_absolute": np.median(np.abs(error)),
    }
