"""What can be learned from these rows: a random forest's out-of-bag answers, which no bad training spoils."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from torch import Tensor

from glia.core.protocols import Task
from glia.core.seeds import derive
from glia.diagnose.skill import Floats, row_errors

FEWEST_ROWS, MOST_ROWS, MOST_COLUMNS = 60, 2000, 1000
_TREES, _LEAF = 64, 10


@dataclass(frozen=True)
class Reference:
    """Out-of-bag answers of a random forest to the rows that a network learned from.

    Parameters
    ----------
    rows : ndarray (R,)
        Which rows were used.
    errors : ndarray (R,)
        Wrong labels, or squared errors over the variance, of answers by trees that had not seen the row.
    probability : ndarray (R, C) or None
        Out-of-bag probabilities of classes; ``None`` for other tasks.
    prediction : ndarray (R, T) or None
        Out-of-bag values of a regression.
    """

    rows: NDArray[np.int64]
    errors: Floats = field(repr=False)
    probability: Floats | None = field(repr=False, default=None)
    prediction: Floats | None = field(repr=False, default=None)

    @property
    def error(self) -> float:
        """Mean of ``errors``."""
        return float(self.errors.mean())


def forest_reference(task: Task, x: Tensor, y: Tensor, *, random_state: int = 0) -> Reference | None:
    """Return the reference, or ``None`` where a forest says nothing: few rows, very many columns, several labels.

    Parameters
    ----------
    task : Task
    x, y : Tensor
        Prepared rows, (N, *shape), flattened here, and their targets. At most 2,000 rows are used.

    Notes
    -----
    Every tree is grown on a bootstrap sample, so that about a third of the trees have not seen a row; their mean is an
    answer to an unseen row without a further split (Breiman 2001).
    """
    flat = x.detach().reshape(len(x), -1).double().cpu().numpy()
    if len(x) < FEWEST_ROWS or flat.shape[1] > MOST_COLUMNS or task == "multilabel" or not np.isfinite(flat).all():
        return None
    rng = np.random.default_rng(derive(random_state, "reference"))
    rows = np.sort(rng.permutation(len(x))[:MOST_ROWS])
    truth = y.detach().cpu().numpy()[rows]
    seed = int(rng.integers(2**31))
    common = {
        "n_estimators": _TREES,
        "min_samples_leaf": max(2, min(_LEAF, len(rows) // 50)),
        "oob_score": True,
        "random_state": seed,
        "n_jobs": 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a row that every tree has seen: it is left out below
        if task == "regression":
            values = truth.reshape(len(truth), -1).astype(np.float64)
            target = values[:, 0] if values.shape[1] == 1 else values
            found = RandomForestRegressor(max_features=1 / 3 if flat.shape[1] > 3 else 1.0, **common)
            guess = np.asarray(found.fit(flat[rows], target).oob_prediction_).reshape(len(rows), -1)
            errors = row_errors(task, torch.from_numpy(guess), torch.from_numpy(values))
            return Reference(rows, errors, prediction=guess)
        labels = truth.astype(np.int64)
        if len(np.unique(labels)) < 2:
            return None
        forest = RandomForestClassifier(max_features="sqrt", **common).fit(flat[rows], labels)
    raw = np.asarray(forest.oob_decision_function_)
    good = np.isfinite(raw).all(axis=1) & (raw.sum(axis=1) > 0)
    rows, labels, raw = rows[good], labels[good], raw[good]
    wide = np.zeros((len(rows), int(labels.max(initial=1)) + 1))
    wide[:, forest.classes_[forest.classes_ < wide.shape[1]]] = raw[:, forest.classes_ < wide.shape[1]]
    wide /= wide.sum(axis=1, keepdims=True).clip(1e-12)
    return Reference(rows, (wide.argmax(axis=1) != labels).astype(np.float64), probability=wide)
