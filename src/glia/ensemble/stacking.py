"""Stacking: a model of models, learned from predictions that were made without the rows they are for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression, RidgeCV

from glia.core.errors import InputError
from glia.ensemble.members import fit_member, fresh, probabilities, require_weight, takes_weight, values
from glia.ensemble.named import NamedEnsemble
from glia.ensemble.out_of_fold import covered, flat, folds, out_of_fold

Floats = NDArray[np.float64]


class Stacking(NamedEnsemble):
    """Stacked generalisation. Wolpert 1992, Neural Networks 5.

    The meta-model learns from out-of-fold predictions: every row is predicted by estimators that have not seen it. For
    new rows the estimators are fitted again on all rows.

    Parameters
    ----------
    estimators : list of (str, estimator)
        All classifiers or all regressors.
    final_estimator : estimator, optional
        The meta-model; by default logistic regression for classes, ridge regression for values.
    cv : int, splitter or iterable of (train, held)
        The folds. A number makes shuffled ones, stratified for classes; with ``groups`` in ``fit`` no group is divided.
    random_state : int, None or RandomState
        Of the folds, and of estimators that set none.

    Attributes
    ----------
    members_ : list
        The estimators, fitted on all rows.
    names_ : list of str
        Their names.
    final_estimator_ : estimator
        The fitted meta-model.
    out_of_fold_ : ndarray (N, columns)
        What the meta-model learned from: probabilities (of the second class alone where there are two), or values; NaN
        in rows that no fold holds out.
    columns_ : list of str
        What its columns are.
    """

    def __init__(self, estimators: Any, final_estimator: Any = None, cv: Any = 5, random_state: Any = 0) -> None:
        self.estimators, self.final_estimator = estimators, final_estimator
        self.cv, self.random_state = cv, random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, groups: Any = None) -> Stacking:
        """Fit the estimators within folds, the meta-model on what they predict, and the estimators on all rows.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …)
            Rows as the estimators take them.
        y : array-like (N,) or (N, T)
            Targets.
        sample_weight : array-like (N,), optional
            At least 0. A meta-model that takes none does without.
        groups : array-like (N,), optional
            Rows of one group are never on both sides of a fold.

        Raises
        ------
        InputError
            If rows, targets, folds or settings cannot be used.
        """
        given = y
        X, y, weight = self._read(X, y, sample_weight)
        made, final = self._fresh(), self._final()
        for one in made:
            require_weight(one, weight)
        parts = folds(self.cv, given, groups, self._kept_rows, classes=self._classifies(), seed=self._stream("folds"))
        matrix = flat(self._meta(out_of_fold(one, X, y, weight, parts, self._of_member)) for one in made)
        rows = covered(matrix)
        if len(rows) < 2:
            raise InputError("the folds must hold out rows", f"{len(rows)}", "choose another cv")
        own = weight[rows] if weight is not None and takes_weight(final) else None
        self.final_estimator_ = fit_member(final, matrix[rows], y[rows], own)
        self.out_of_fold_ = np.full((self._rows_in, matrix.shape[1]), np.nan)
        self.out_of_fold_[self._kept_rows] = matrix
        self.members_ = [fit_member(one, X, y, weight) for one in made]
        each = matrix.shape[1] // len(made)
        self.columns_ = [f"{name} {k}" if each > 1 else name for name in self.names_ for k in range(each)]
        return self

    def meta_features(self, X: Any) -> Floats:
        """Return what the meta-model is given for rows, (N, columns)."""
        return flat(self._meta(one) for one in self.predict_members(X))

    def _meta(self, predictions: Floats) -> Floats:
        """Leave out the first of two classes: it says the same as the second."""
        return predictions[:, 1:] if self._classifies() and predictions.shape[1] == 2 else predictions

    def _combine(self, members: Floats, X: Any) -> Floats:
        matrix = flat(self._meta(one) for one in members)
        if self._classifies():
            return probabilities(self.final_estimator_, matrix, self.classes_)
        return values(self.final_estimator_, matrix, self._row_shape())

    def _weights(self, count: int) -> Floats | None:
        return None

    def _final(self) -> Any:
        given = self.final_estimator
        if given is None:
            return LogisticRegression(max_iter=1000) if self._classifies() else RidgeCV(np.logspace(-4, 4, 17))
        fits = is_classifier(given) if self._classifies() else is_regressor(given)
        if not fits:
            wanted = "classifier" if self._classifies() else "regressor"
            raise InputError(f"the meta-model must be a {wanted}, as the estimators are", type(given).__name__)
        return fresh(given, self._stream("final"), keep=True)
