"""Stacking: nothing leaks from a row into its own out-of-fold prediction; and the parts are scikit-learn's."""

import numpy as np
import pytest
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from glia import Classifier
from glia.core.errors import InputError
from glia.ensemble import Stacking

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
VALUE = X @ [1.0, -2.0, 0.5, 0.0] + RNG.normal(size=150)
CLASSES = [("tree", DecisionTreeClassifier(max_depth=3, random_state=0)), ("bayes", GaussianNB())]


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_scikit_learns_with_the_same_folds(classes):
    y = np.digitize(VALUE, [0.0] if classes == 2 else [-1, 1])
    folds = list(StratifiedKFold(4).split(X, y))
    final = LogisticRegression(C=2.0)
    model = Stacking(CLASSES, final, cv=folds).fit(X, y)
    theirs = StackingClassifier(CLASSES, final, cv=folds, stack_method="predict_proba").fit(X, y)
    np.testing.assert_allclose(model.meta_features(X), theirs.transform(X), atol=1e-12)
    np.testing.assert_allclose(model.final_estimator_.coef_, theirs.final_estimator_.coef_, atol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-10)
    for k, (_, one) in enumerate(CLASSES):
        each = model.out_of_fold_.shape[1] // 2
        wanted = cross_val_predict(one, X, y, cv=folds, method="predict_proba")[:, -each:]
        np.testing.assert_allclose(model.out_of_fold_[:, k * each : (k + 1) * each], wanted, atol=1e-12)
    assert model.columns_ == (["tree", "bayes"] if classes == 2 else [f"{n} {i}" for n, _ in CLASSES for i in range(3)])


def test_values_are_scikit_learns_too():
    folds = list(KFold(3).split(X))
    parts = [("tree", DecisionTreeRegressor(max_depth=3, random_state=0)), ("plane", LinearRegression())]
    model = Stacking(parts, Ridge(), cv=folds).fit(X, VALUE)
    theirs = StackingRegressor(parts, Ridge(), cv=folds).fit(X, VALUE)
    np.testing.assert_allclose(model.predict(X), theirs.predict(X), atol=1e-10)
    both = np.stack([VALUE, X[:, 3]], axis=1)
    several = Stacking(parts, cv=folds).fit(X, both)
    assert several.predict(X).shape == (150, 2) and several.out_of_fold_.shape == (150, 4)
    wanted = np.concatenate([cross_val_predict(one, X, both, cv=folds) for _, one in parts], axis=1)
    np.testing.assert_allclose(several.out_of_fold_, wanted, atol=1e-12)


def in_sample(model, rows, y):
    """The mistake that stacking must not make: a meta-model of predictions for rows that the members know."""
    members = [one.fit(rows, y) for _, one in model.estimators]
    matrix = np.stack([one.predict_proba(rows)[:, 1] for one in members], axis=1)
    final = LogisticRegression().fit(matrix, y)
    return matrix, lambda new: final.predict_proba(np.stack([m.predict_proba(new)[:, 1] for m in members], axis=1))


@pytest.mark.parametrize("seed", range(3))
def test_a_member_that_knows_its_rows_by_heart_gains_nothing_from_noise(seed):
    rng = np.random.default_rng(seed)
    rows, noise = rng.normal(size=(600, 3)), rng.integers(0, 2, 600)
    new, later = rng.normal(size=(1000, 3)), rng.integers(0, 2, 1000)
    model = Stacking([("memory", KNeighborsClassifier(1)), ("tree", DecisionTreeClassifier(random_state=0))])
    model.random_state = seed
    model.fit(rows, noise)
    for column in model.out_of_fold_.T:  # 4 standard errors of the area without any information
        assert abs(roc_auc_score(noise, column) - 0.5) < 4 * np.sqrt(1 / (12 * 300) + 1 / (12 * 300))
    assert abs(model.score(new, later) - 0.5) < 4 * np.sqrt(0.25 / 1000)
    assert log_loss(later, model.predict_proba(new)) < 0.71
    # The control: in-sample predictions are the labels themselves, and the meta-model believes them.
    matrix, wrongly = in_sample(model, rows, noise)
    assert all(roc_auc_score(noise, column) == 1.0 for column in matrix.T)
    assert log_loss(later, wrongly(new)) > 1.2


def test_a_leak_would_cost_a_member_that_knows_something():
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(1600, 6))
    y = (rows[:, 0] + 1.5 * rng.normal(size=1600) > 0).astype(int)
    model = Stacking([("memory", KNeighborsClassifier(1)), ("plane", LogisticRegression())])
    model.fit(rows[:600], y[:600])
    _, wrongly = in_sample(model, rows[:600], y[:600])
    plane = LogisticRegression().fit(rows[:600], y[:600]).score(rows[600:], y[600:])
    leaked = (wrongly(rows[600:]).argmax(axis=1) == y[600:]).mean()
    assert model.score(rows[600:], y[600:]) > plane - 0.02 and leaked < plane - 0.05


def test_groups_are_not_divided():
    """Ten rows per person, the label is the person's: only folds of whole persons show that nothing is known."""
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(120), 10)
    rows = rng.normal(size=(120, 3))[person] + 0.01 * rng.normal(size=(1200, 3))
    y = rng.integers(0, 2, 120)[person]
    parts = [("memory", KNeighborsClassifier(1))]
    whole = Stacking(parts).fit(rows, y, groups=person)
    divided = Stacking(parts).fit(rows, y)
    given = Stacking(parts, cv=GroupKFold(5)).fit(rows, y, groups=person)
    assert roc_auc_score(y, divided.out_of_fold_[:, 0]) > 0.99
    for model in (whole, given):
        assert abs(roc_auc_score(y, model.out_of_fold_[:, 0]) - 0.5) < 0.2
    with pytest.raises(InputError, match="rows of one group"):
        Stacking(parts, cv=list(KFold(3, shuffle=True, random_state=0).split(rows))).fit(rows, y, groups=person)
    with pytest.raises(InputError, match="one value per row"):
        Stacking(parts).fit(rows, y, groups=person[:-1])


def test_weights_shift_no_fold():
    """A list of folds speaks of all rows, also of those of weight 0, which no fold uses."""
    weight = np.where(np.arange(150) % 4, 1.0, 0.0)
    y = (VALUE > 0).astype(int)
    kept = weight > 0
    folds = list(KFold(3).split(X))
    inner = [tuple(np.flatnonzero(np.isin(np.flatnonzero(kept), side)) for side in sides) for sides in folds]
    model = Stacking(CLASSES, cv=folds).fit(X, y, weight)
    without = Stacking(CLASSES, cv=inner).fit(X[kept], y[kept])
    np.testing.assert_allclose(model.out_of_fold_[kept], without.out_of_fold_, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), without.predict_proba(X), atol=1e-6)
    assert np.isnan(model.out_of_fold_[~kept]).all()


def test_rows_that_no_fold_holds_out_are_not_learned_from():
    model = Stacking([("plane", LinearRegression())], Ridge(), cv=TimeSeriesSplit(4)).fit(X, VALUE)
    known = np.isfinite(model.out_of_fold_[:, 0])
    assert known.tolist() == [False] * 30 + [True] * 120
    alone = Ridge().fit(model.out_of_fold_[known], VALUE[known])
    assert model.final_estimator_.coef_ == pytest.approx(alone.coef_)


def test_networks_and_trees_with_words_for_labels():
    y = np.array(["no", "yes"])[(VALUE > 0).astype(int)]
    parts = [("network", Classifier(epochs=4)), ("tree", DecisionTreeClassifier(max_depth=3))]
    model, again = (Stacking(parts, cv=3).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    assert model.score(X, y) > 0.8 and model.predict_members(X).shape == (2, 150, 2)
    assert model.diversity(X, y).decomposition is None and model.diversity(X, y).members[1].name == "tree"
