"""What all ensembles share: reading rows and targets, and members' predictions as a mean with its spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags, check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.seeds import derive
from glia.ensemble.diversity import DiversityResult, diversity
from glia.ensemble.members import probabilities, takes_several_targets, values
from glia.ensemble.rows import count_rows, read_rows, read_weight, take_rows
from glia.ensemble.uncertainty import UncertaintyResult, split_entropy
from glia.estimators.targets import ClassTarget, ValueTarget, as_array, class_column

Floats = NDArray[np.float64]


def classifies(ensemble: Any) -> bool:
    """Tell whether an ensemble, fitted or not, predicts classes."""
    return bool(ensemble._classifies())


class Ensemble(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Base of all ensembles; whether they tell classes apart or predict values follows from what they are given.

    Attributes
    ----------
    members_ : list
        Fitted estimators.
    target_ : ClassTarget or ValueTarget
        What is predicted.
    n_features_in_ : int
        Columns of the rows that were fitted.
    """

    random_state: Any
    members_: list[Any]
    target_: Any
    n_features_in_: int
    _root: int

    @property
    def task_(self) -> Task:
        """What is predicted."""
        return self.target_.task  # type: ignore[no-any-return]

    @property
    def classes_(self) -> NDArray[Any]:
        """Sorted labels, once a classifier is fitted."""
        if not hasattr(self, "target_") or not isinstance(self.target_, ClassTarget):
            raise AttributeError("classes_ are known after a fit to classes")
        return self.target_.classes

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable labels, (N,), or values, (N,) or (N, T)."""
        combined = self._combined(X)
        return np.asarray(self.target_.decide(combined)) if self._classifies() else combined

    @available_if(classifies)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:
        """Return probabilities in the order of ``classes_``, (N, C)."""
        return self._combined(X)

    def predict_members(self, X: Any) -> Floats:
        """Return every member's own predictions: probabilities (K, N, C), or values (K, N) or (K, N, T)."""
        X = self._known(X)
        return np.stack([self._of_member(member, X) for member in self.members_])

    def predict_spread(self, X: Any) -> Floats:
        """Return the standard deviation over the members, with their weights, of what ``predict_members`` returns.

        Where members disagree the training rows did not settle the matter: the model does not know.
        """
        members, share = self._spreading(self.predict_members(X))
        mean = np.tensordot(share, members, axes=1)
        return np.sqrt(np.tensordot(share, (members - mean) ** 2, axes=1))

    def uncertainty(self, X: Any) -> UncertaintyResult:
        """Split the predictive entropy of each row into expected entropy and the members' disagreement.

        Raises
        ------
        InputError
            If values are predicted: their uncertainty is ``predict_spread``.
        """
        if not self._classifies():
            raise InputError("entropies are of classes", "predictions of values", "use predict_spread")
        return split_entropy(*self._spreading(self.predict_members(X)))

    def diversity(self, X: Any, y: Any, sample_weight: Any = None) -> DiversityResult:
        """Compare the members' errors on rows with the ensemble's, and say how far members differ.

        Raises
        ------
        InputError
            If the targets do not belong to the rows or the classes.
        """
        members = self.predict_members(X)
        combined = self._combine(members, X)
        truth = self._truth(y, combined)
        weight = read_weight(len(combined), sample_weight)
        return diversity(
            members,
            combined,
            truth,
            classes=self._classifies(),
            weights=self._weights(len(members)),
            names=self._member_names(len(members)),
            sample_weight=weight,
        )

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, or R² averaged over the targets."""
        return self._score(as_array(y), self.predict(X), sample_weight)

    def _score(self, truth: NDArray[Any], predicted: NDArray[Any], weight: Any) -> float:
        judge = accuracy_score if self._classifies() else r2_score
        return float(judge(truth, predicted, sample_weight=weight))

    def _truth(self, y: Any, combined: Floats) -> NDArray[Any]:
        truth = as_array(y)
        if self._classifies():
            return np.asarray(self.target_.encode(class_column(truth)), dtype=np.int64)
        if truth.size != combined.size:
            raise InputError("there must be a target for every prediction", f"{truth.shape} for {combined.shape}")
        return np.asarray(truth.reshape(combined.shape), dtype=np.float64)

    # What kinds of ensembles differ in.

    def _estimators(self) -> list[Any]:
        """Return the estimators that were handed in."""
        raise TypeError(f"{type(self).__name__} does not say what it is made of")

    def _classifies(self) -> bool:
        """Tell whether classes are predicted: that is so where the estimators are classifiers."""
        return all(is_classifier(one) for one in self._estimators())

    def _weights(self, count: int) -> Floats | None:
        """Return the members' shares in the prediction, (K,), or ``None`` where it is not a mean of theirs."""
        return np.full(count, 1 / count)

    def _member_names(self, count: int) -> list[str]:
        return [f"member {k + 1}" for k in range(count)]

    def _combine(self, members: Floats, X: Any) -> Floats:
        """Return the ensemble's prediction, (N, …), from its members', (K, N, …)."""
        share = self._weights(len(members))
        return np.asarray(members.mean(axis=0) if share is None else np.tensordot(share, members, axes=1))

    def _spreading(self, members: Floats) -> tuple[Floats, Floats]:
        """Return the members that tell of the ensemble's uncertainty, and their shares."""
        found = self._weights(len(members))
        return members, np.full(len(members), 1 / len(members)) if found is None else found

    # Reading.

    def _combined(self, X: Any) -> Floats:
        return self._combine(self.predict_members(X), X)

    def _known(self, X: Any) -> Any:
        check_is_fitted(self, "members_")
        return read_rows(self, X, reset=False)

    def _of_member(self, member: Any, X: Any) -> Floats:
        """Return one member's predictions, (N, …)."""
        if self._classifies():
            return probabilities(member, X, self.classes_)
        return values(member, X, self._row_shape())

    def _row_shape(self) -> tuple[int, ...]:
        """Return the shape of one row's target: () or (T,)."""
        return () if self.target_.single else (self.target_.outputs,)

    def _read(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, NDArray[Any], Floats | None]:
        """Read training rows, targets and weights; rows of weight 0 are left out."""
        self._check_kinds()
        state = self.random_state  # an int, None or a RandomState; the latter is asked once per fit
        drawn = isinstance(state, (int, np.integer))
        self._root = int(state if drawn else check_random_state(state).randint(2**31))
        values, X = as_array(y), read_rows(self, X, reset=True)
        rows = count_rows(X)
        if len(values) != rows:
            raise InputError(
                "there must be one target per row", f"inconsistent numbers: {rows} rows and {len(values)} targets"
            )
        weight = read_weight(rows, sample_weight)
        self._kept_rows, self._rows_in = np.arange(rows), rows
        if weight is not None and not weight.all():
            self._kept_rows = np.flatnonzero(weight)
            X, values, weight = take_rows(X, self._kept_rows), values[self._kept_rows], weight[self._kept_rows]
        if len(values) < 2:
            raise InputError("training needs at least two rows", "1 sample (n_samples=1)", "hand in more rows")
        return X, self._read_target(values), weight

    def _read_target(self, y: NDArray[Any]) -> NDArray[Any]:
        if self._classifies():
            labels = class_column(y)
            check_classification_targets(labels)
            self.target_ = ClassTarget().fit(labels)
            if self.task_ == "multilabel":
                raise InputError("an ensemble's target must be one column of classes", f"shape {labels.shape}")
            return labels
        several = all(takes_several_targets(one) for one in self._estimators())
        if y.ndim == 2 and y.shape[1] == 1 and not several:
            y = np.asarray(column_or_1d(y, warn=True))
        if y.ndim > 1 and not (several or self._splits_targets()):
            names = ", ".join(sorted({type(one).__name__ for one in self._estimators()}))
            raise InputError(
                "several targets need estimators that take several", names, "wrap them in MultiOutputRegressor"
            )
        self.target_ = ValueTarget().fit(y, standardise=False)
        return y.astype(np.float64)

    def _splits_targets(self) -> bool:
        """Tell whether several targets are fitted one by one."""
        return False

    def _check_kinds(self) -> None:
        for one in self._estimators():
            if not (hasattr(one, "fit") and hasattr(one, "get_params")):
                raise InputError("an ensemble is made of estimators", repr(one), "hand in an object with fit")
        if not self._classifies() and not all(is_regressor(one) for one in self._estimators()):
            raise InputError(
                "the estimators must all be classifiers, or all be regressors",
                ", ".join(type(one).__name__ for one in self._estimators()),
            )

    def _stream(self, *names: str | int) -> int:
        """Return the seed of a named stream of this fit."""
        return derive(self._root, *names)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "members_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = [get_tags(one) for one in self._estimators() if hasattr(one, "get_params")]
        classifies = self._classifies()
        tags.estimator_type = "classifier" if classifies else "regressor"
        tags.classifier_tags = ClassifierTags() if classifies else None
        tags.regressor_tags = None if classifies else RegressorTags()
        tags.target_tags.required = True
        tags.target_tags.multi_output = not classifies and (
            self._splits_targets() or all(one.target_tags.multi_output for one in inner)
        )
        for name in ("allow_nan", "sparse", "string", "categorical"):
            setattr(tags.input_tags, name, all(getattr(one.input_tags, name) for one in inner))
        return tags
