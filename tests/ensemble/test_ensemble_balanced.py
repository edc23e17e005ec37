"""Balanced bagging: what members see, and that their mean is true to the rows as they are."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.utils.estimator_checks import check_estimator

from glia.core.errors import InputError
from glia.ensemble.bagging import Bagging
from glia.ensemble.balanced_bagging import BalancedBagging
from glia.estimators.classifier import Classifier


def gaussians(n, seed=0, share=0.06):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    X = rng.normal(size=(n, 2)) + y[:, None]
    odds = np.exp(X.sum(1) - 1) * share / (1 - share)
    return X, y, odds / (1 + odds)


def test_every_member_sees_all_rare_rows_and_as_many_common_ones():
    X, y, _ = gaussians(1000)
    rare = np.flatnonzero(y == 1)
    model = BalancedBagging(LogisticRegression(), 20).fit(X, y)
    for sample in model.samples_:
        assert len(np.unique(sample)) == len(sample) == 2 * len(rare)
        np.testing.assert_array_equal(sample[y[sample] == 1], rare)
    # 20 samples of about 60 rows: all 940 common ones were seen; the control sees no rare row in full.
    assert len(np.unique(np.concatenate(model.samples_))) == len(y)
    assert (Bagging(LogisticRegression(), 3, random_state=0).fit(X, y).in_bag_[:, rare] == 0).any()
    third = BalancedBagging(LogisticRegression(), 2, ratio=1 / 3).fit(X, y)
    assert all(np.bincount(y[s]).tolist() == [3 * len(rare), len(rare)] for s in third.samples_)


def test_probabilities_are_true_and_decisions_balanced():
    X, y, _ = gaussians(4000)
    new, truth, wanted = gaussians(20_000, 1)
    model = BalancedBagging(LogisticRegression(), 8).fit(X, y)
    found = model.predict_proba(new)[:, 1]
    assert np.abs(found - wanted).mean() < 0.01 and found.mean() == pytest.approx(truth.mean(), abs=0.01)
    wrong = np.mean([m.predict_proba(new)[:, 1] for m in model.members_], axis=0)  # the control, uncorrected
    assert np.abs(wrong - wanted).mean() > 0.2
    plain = LogisticRegression().fit(X, y).predict(new)
    assert recall_score(truth, model.predict(new)) > recall_score(truth, plain) + 0.5
    assert balanced_accuracy_score(truth, model.predict(new)) > balanced_accuracy_score(truth, plain) + 0.15
    assert (
        np.mean(model.predict(new) == (wrong > 0.5)) > 0.999
    )  # means of shifted probabilities are not quite shifted means
    assert model.predict_members(new).shape == (8, len(new), 2) and (model.predict_spread(new) >= 0).all()


def test_same_seed_same_bits_and_three_classes_of_a_frame():
    rng = np.random.default_rng(0)
    y = np.array(["a"] * 300 + ["b"] * 60 + ["c"] * 20)
    frame = pl.DataFrame({"x": rng.normal(size=380) + (y == "b") + 2 * (y == "c"), "w": rng.choice(["u", "v"], 380)})
    settings = Classifier(network="linear", epochs=3)
    model = BalancedBagging(settings, 3, random_state=4).fit(frame, y)
    again = clone(model).fit(frame, y)
    np.testing.assert_array_equal(model.predict_proba(frame), again.predict_proba(frame))
    assert all(np.unique(y[s], return_counts=True)[1].tolist() == [20, 20, 20] for s in model.samples_)
    assert np.abs(model.predict_proba(frame).mean(0) - [300 / 380, 60 / 380, 20 / 380]).max() < 0.06
    other = clone(model).set_params(random_state=5).fit(frame, y)
    assert not np.array_equal(other.samples_[0], model.samples_[0])


def test_weights_are_handed_on():
    X, y, _ = gaussians(500)
    weight = np.where(X[:, 0] > 0, 3.0, 0.0)
    model = BalancedBagging(LogisticRegression(), 2).fit(X, y, sample_weight=weight)
    assert all((weight[s] > 0).all() for s in model.samples_)  # numbered as the rows were handed in


@pytest.mark.parametrize(
    "wrong", [{"estimator": LinearRegression()}, {"n_estimators": 0}, {"ratio": 0}, {"ratio": 2}, {"estimator": "tree"}]
)
def test_bad_settings_are_refused(wrong):
    X, y, _ = gaussians(100, share=0.3)
    with pytest.raises(InputError):
        BalancedBagging(**{"estimator": LogisticRegression(), **wrong}).fit(X, y)


def test_scikit_learns_contract():
    reason = "samples are drawn by number, so a weight is not a repetition"
    names = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
    found = check_estimator(
        BalancedBagging(LogisticRegression(), 2), expected_failed_checks=dict.fromkeys(names, reason), on_skip=None
    )
    assert all(one["status"] in ("passed", "skipped", "xfail") for one in found)
