"""An estimator that tunes itself: scikit-learn's contract, for Glia's networks and for any others."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from glia.core.errors import InputError
from glia.estimators.classifier import Classifier
from glia.nn import MLP
from glia.tuning.halving import Halving
from glia.tuning.tuned import TunedEstimator
from glia.tuning.validation import draw_folds

pytest.importorskip("optuna", reason="tuning needs the extra glia-nn[tune]")

GRID = [1e-4, 1e-2, 1.0, 100.0]


def rows(n=120):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5))
    return x, (x[:, 0] + x[:, 1] + rng.normal(size=n) > 0).astype(int)


@parametrize_with_checks(
    [
        TunedEstimator(LogisticRegression(), {"C": [0.1, 1.0]}, trials=2),
        TunedEstimator(Ridge(), {"alpha": [0.1, 1.0]}, trials=2),
    ]
)
def test_the_contract(estimator, check):
    check(estimator)


def test_it_chooses_what_a_grid_search_does():
    x, y = rows()
    folds = draw_folds(len(y), y, folds=4)
    grid = GridSearchCV(LogisticRegression(), {"C": GRID}, cv=folds, scoring="neg_log_loss").fit(x, y)
    mine = TunedEstimator(LogisticRegression(), {"C": GRID}, trials=20, folds=folds).fit(x, y)
    assert mine.best_params_ == grid.best_params_ and mine.best_score_ == pytest.approx(grid.best_score_)
    expected = dict(zip(GRID, grid.cv_results_["mean_test_score"], strict=True))
    for setting, score in zip(mine.cv_results_["param_C"], mine.cv_results_["mean_test_score"], strict=True):
        assert score == pytest.approx(expected[setting])
    assert mine.cv_results_["rank_test_score"][mine.best_index_] == 1
    assert np.allclose(mine.predict_proba(x), grid.predict_proba(x)) and mine.score(x, y) == grid.best_estimator_.score(
        x, y
    )
    named = TunedEstimator(LogisticRegression(), {"C": GRID}, trials=20, folds=folds, scoring="roc_auc").fit(x, y)
    other = GridSearchCV(LogisticRegression(), {"C": GRID}, cv=folds, scoring="roc_auc").fit(x, y)
    assert named.best_score_ == pytest.approx(other.best_score_) and named.score(x, y) == other.score(x, y)


def test_it_works_inside_and_outside_of_other_estimators():
    x, y = rows(60)
    piped = TunedEstimator(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": GRID}, 3)
    assert cross_val_score(piped, x, y, cv=2).mean() > 0.6
    assert clone(piped).get_params()["space"] == {"logisticregression__C": GRID}
    margins = TunedEstimator(LinearSVC(), {"C": GRID}, trials=2).fit(x, y)
    assert not hasattr(margins, "predict_proba") and margins.decision_function(x).shape == (60,)
    weighted = TunedEstimator(Ridge(), {"alpha": GRID}, trials=2).fit(x, y, sample_weight=np.ones(60))
    assert weighted.predict(x).shape == (60,)


def test_glias_own_networks():
    x, y = rows(200)
    base = Classifier(network=MLP((8,)), epochs=6, batch_size=32)
    space = {"lr": {"low": 1e-3, "high": 1e-1, "log": True}, "dropout": {"low": 0.0, "high": 0.4}}
    mine = TunedEstimator(base, space, trials=6, halving=Halving(6, 3, 2, 6)).fit(x, y)
    assert mine.best_estimator_.lr == mine.best_params_["lr"]
    assert mine.best_estimator_.network.dropout == mine.best_params_["dropout"]
    assert log_loss(y, mine.predict_proba(x)) < 0.6 and list(mine.classes_) == [0, 1]
    whole = TunedEstimator(base, space, trials=2, halving=False).fit(x, y)
    assert whole.result_.metric == "log loss" and whole.result_.epochs == ()
    assert base.lr == "auto" and base.network.dropout == 0.0


def test_what_fails_is_said():
    x, y = rows(60)
    with pytest.raises(InputError, match="a search space must be given"):
        TunedEstimator(LogisticRegression()).fit(x, y)
    some = TunedEstimator(LogisticRegression(), {"C": [-1.0, 1.0]}, trials=8, sampler="random").fit(x, y)
    assert some.best_params_ == {"C": 1.0}
    assert {t.state for t in some.result_.trials if t.settings["C"] < 0} == {"failed"}
    assert "must be a float" in next(t.why for t in some.result_.trials if t.state == "failed")
    with pytest.raises(ValueError, match="must be a float"):
        TunedEstimator(LogisticRegression(), {"C": [-1.0]}, trials=2).fit(x, y)
