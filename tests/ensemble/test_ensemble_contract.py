"""scikit-learn's own contract for every kind of ensemble, and that the public names are the intended ones."""

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from glia import Classifier, Regressor, ensemble
from glia.core.errors import InputError
from glia.ensemble import AdaBoost, Architectural, Bagging, Boosting, Snapshot, Stacking

WEIGHTS = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
CLASSES = [("tree", DecisionTreeClassifier(max_depth=2)), ("plane", LogisticRegression())]
VALUES = [("tree", DecisionTreeRegressor(max_depth=2)), ("plane", Ridge())]


def unlike(model):
    """Rows of weight 2 are not the rows twice where rows are drawn one by one."""
    if isinstance(model, Bagging):
        return dict.fromkeys(WEIGHTS, "a bootstrap sample is drawn among the rows as they are")
    return {}


@parametrize_with_checks(
    [
        Bagging(DecisionTreeClassifier(), 3),
        Boosting(Ridge(), n_estimators=3),  # a tree's ties are broken by the last bit of the residuals
        Boosting(DecisionTreeRegressor(max_depth=2), "log_loss", n_estimators=3),
        AdaBoost(DecisionTreeClassifier(max_depth=2), 5),
        Stacking([("stump", DecisionTreeRegressor(max_depth=1)), VALUES[0]], Ridge(), cv=3),
        Architectural(CLASSES),
    ],
    expected_failed_checks=unlike,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_the_public_names_are_the_intended_ones():
    assert set(ensemble.__all__) == {
        "AdaBoost", "Architectural", "Bagging", "BalancedBagging", "Boosting", "CycleSnapshots", "DiversityResult",
        "EnsembleParts", "GreedyWeights", "Snapshot", "Stacking", "UncertaintyResult", "diversity", "from_members",
        "greedy_weights", "split_entropy", "to_members",
    }  # fmt: skip


X, Y = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]] * 5, [0, 1, 1, 0] * 5


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Bagging(DecisionTreeClassifier(), 0), "n_estimators must be a whole number of at least 1"),
        (Bagging(DecisionTreeClassifier(), max_samples=1.5), "max_samples must be in"),
        (Bagging(DecisionTreeClassifier(), sampling="weight"), "did you mean 'weights'"),
        (Bagging("tree"), "an ensemble is made of estimators"),
        (Boosting(DecisionTreeClassifier()), "boosting is made of regressors"),
        (Boosting(DecisionTreeRegressor(), "squares"), "did you mean 'squared'"),
        (Boosting(DecisionTreeRegressor(), learning_rate=0), "learning_rate must be in"),
        (AdaBoost(DecisionTreeRegressor()), "AdaBoost is made of classifiers"),
        (AdaBoost(DecisionTreeClassifier(), learning_rate=0), "learning_rate must be a finite number above 0"),
        (Stacking([]), "must be a list of"),
        (Stacking([CLASSES[0], VALUES[1]]), "must all be classifiers, or all be regressors"),
        (Stacking([CLASSES[0], CLASSES[0]]), "names of estimators must differ"),
        (Stacking(CLASSES, Ridge()), "the meta-model must be a classifier"),
        (Stacking(CLASSES, cv=1), "cv must be a whole number of at least 2"),
        (Stacking(CLASSES, cv=[(range(10), range(5, 20))]), "rows that it does not hold out"),
        (Architectural(CLASSES, metric="brie"), "did you mean 'brier'"),
        (Architectural(CLASSES, validation_fraction=0.0), "validation_fraction must be in"),
        (Snapshot(LinearSVC()), "goes on training"),
        (Snapshot(Classifier(), n_cycles=2, keep=3), "keep must be at most n_cycles"),
    ],
)
def test_wrong_settings_are_said_in_one_line(model, message):
    with pytest.raises(InputError, match=message) as error:
        model.fit(X, Y)
    assert "\n" not in str(error.value) and not hasattr(model, "members_")


def test_targets_must_suit_the_members():
    with pytest.raises(InputError, match="several targets need estimators that take several"):
        Bagging(LinearSVR(), 2).fit(X, [[a, a] for a in Y])
    with pytest.raises(InputError, match="one column of classes"):
        Bagging(DecisionTreeClassifier(), 2).fit(X, [[a, 1 - a] for a in Y])
    with pytest.raises(InputError, match="sample_weight needs estimators that take it"):
        Stacking([("knn", KNeighborsClassifier())]).fit(X, Y, [1.0] * 20)
    with pytest.raises(InputError, match="entropies are of classes"):
        Bagging(Ridge(), 2).fit(X, Y).uncertainty(X)


def test_settings_of_named_estimators_can_be_searched():
    model = Stacking(CLASSES).set_params(tree__max_depth=5, plane=LogisticRegression(C=3.0))
    assert model.get_params()["tree__max_depth"] == 5 and model.get_params()["plane__C"] == 3.0
    assert "DecisionTreeClassifier" in repr(model) and "Regressor(epochs=3)" in repr(Bagging(Regressor(epochs=3)))
