"""Curves keep their area when thinned; the matrix and the sample hold what they say."""

import numpy as np
import pytest
from sklearn import metrics as sk

from glia.core.errors import InputError
from glia.objectives import confusion, precision_recall_points, predicted_true_sample, roc_points


@pytest.fixture(scope="module")
def ranked():
    rng = np.random.default_rng(0)
    y = rng.random(5000) < 0.2
    return y, rng.normal(size=5000) + y


def test_a_thinned_roc_curve_keeps_its_area_and_its_ends(ranked):
    y, score = ranked
    curve = roc_points(y, score)
    assert 100 < len(curve) <= 200
    assert (curve.x[0], curve.y[0]) == (0.0, 0.0) and (curve.x[-1], curve.y[-1]) == (1.0, 1.0)
    assert list(curve.threshold) == sorted(curve.threshold, reverse=True)
    assert sk.auc(curve.x, curve.y) == pytest.approx(sk.roc_auc_score(y, score), abs=1e-3)
    for x, t, threshold in list(zip(curve.x, curve.y, curve.threshold, strict=True))[::40]:
        assert (score[y] >= threshold).mean() == pytest.approx(t)
        assert (score[~y] >= threshold).mean() == pytest.approx(x)


def test_a_thinned_precision_recall_curve(ranked):
    y, score = ranked
    curve = precision_recall_points(y, score)
    assert len(curve) <= 200 and (curve.x[0], curve.y[0]) == (0.0, 1.0) and curve.x[-1] == 1.0
    for recall, precision, threshold in list(zip(curve.x, curve.y, curve.threshold, strict=True))[1::40]:
        assert (score[y] >= threshold).mean() == pytest.approx(recall)
        assert y[score >= threshold].mean() == pytest.approx(precision)
    assert sk.auc(curve.x, curve.y) == pytest.approx(sk.average_precision_score(y, score), abs=0.01)


def test_short_curves_are_left_whole_and_bad_input_is_refused():
    curve = roc_points([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.5], sample_weight=[1, 2, 1, 1])
    assert curve.y == pytest.approx((0, 2 / 3, 2 / 3, 1, 1)) and curve.x == pytest.approx((0, 0, 0.5, 0.5, 1))
    with pytest.raises(InputError, match="both classes"):
        roc_points([1, 1], [0.1, 0.2])
    with pytest.raises(InputError, match="0 or 1"):
        precision_recall_points([1, 2], [0.1, 0.2])
    with pytest.raises(InputError, match="two points"):
        roc_points(np.arange(9) % 2, np.arange(9.0), max_points=1)


def test_the_confusion_matrix_has_true_classes_as_rows():
    y, guess = ["a", "a", "b", "c", "c", "c"], ["a", "b", "b", "c", "a", "c"]
    found = confusion(y, guess)
    assert found.classes == ("a", "b", "c")
    np.testing.assert_array_equal(found.counts, sk.confusion_matrix(y, guess))
    weighted = confusion(y, guess, ["c", "b", "a"], [1, 2, 1, 1, 0.5, 1])
    np.testing.assert_allclose(
        weighted.counts, sk.confusion_matrix(y, guess, labels=["c", "b", "a"], sample_weight=[1, 2, 1, 1, 0.5, 1])
    )
    np.testing.assert_allclose(found.shares(), sk.confusion_matrix(y, guess, normalize="true"))
    assert confusion(["a"], ["a"], ["a", "b"]).shares() == ((1.0, 0.0), (0.0, 0.0))
    with pytest.raises(InputError, match="every label"):
        confusion(["a"], ["z"], ["a", "b"])


def test_the_sample_keeps_extremes_and_repeats():
    rng = np.random.default_rng(1)
    y = rng.normal(size=4000)
    guess = y + 0.1 * rng.normal(size=4000)
    guess[17] += 50.0
    found = predicted_true_sample(y, guess, 300)
    assert len(found) == 300 == len(set(found)) and found == predicted_true_sample(y, guess, 300)
    assert [t for t, _ in found] == sorted(t for t, _ in found)
    assert {(y[i], guess[i]) for i in (17, y.argmin(), y.argmax())} <= set(found)
    assert set(found) <= set(zip(y, guess, strict=True))
    assert len(predicted_true_sample(y[:5], guess[:5])) == 5
    with pytest.raises(InputError, match="at least 3"):
        predicted_true_sample(y, guess, 2)
