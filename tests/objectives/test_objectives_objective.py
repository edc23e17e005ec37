"""The settings object and weights of classes."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.class_weight import compute_sample_weight

from glia.core.errors import InputError
from glia.objectives import CrossEntropy, Huber, Objective, Penalties, class_weights


def test_settings_are_a_scikit_learn_citizen():
    made = Objective(loss=Huber(2.0), l1=0.1)
    assert made.get_params() == {"loss": Huber(2.0), "l1": 0.1, "l2": 0.0, "label_smoothing": 0.0}
    again = clone(made).set_params(l2=0.5)
    resolved = again.resolve("regression")
    assert resolved.loss == Huber(2.0) and resolved.penalties == Penalties(0.1, 0.5)
    assert made.l2 == 0.0


def test_weighted_mean_equals_repeated_rows():
    o, y = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    goal = Objective().resolve("multiclass")
    repeats = torch.tensor([1, 0, 3, 2])
    weighted = goal.mean(o, y, repeats.float())
    torch.testing.assert_close(weighted, goal.mean(o.repeat_interleave(repeats, 0), y.repeat_interleave(repeats)))
    assert not torch.isclose(weighted, goal.mean(o, y))
    assert float(goal.mean(o, y, torch.zeros(4))) == 0.0


def test_outputs_of_the_network():
    assert Objective().resolve("binary").out_features(2) == 1
    assert Objective().resolve("multiclass").out_features(5) == 5
    assert Objective("quantile").resolve("regression").out_features(2) == 6
    assert Objective("gaussian_nll").resolve("regression").out_features(1) == 2


def test_label_smoothing_reaches_the_loss_or_is_refused():
    assert Objective(label_smoothing=0.1).resolve("multiclass").loss == CrossEntropy(0.1)
    with pytest.raises(InputError, match="label_smoothing needs a cross-entropy"):
        Objective("hinge", label_smoothing=0.1).resolve("binary")
    with pytest.raises(InputError, match="label_smoothing must be"):
        Objective(label_smoothing=1.5).resolve("binary")
    with pytest.raises(InputError, match="strength of a penalty"):
        Objective(l1=-1.0).resolve("binary")


def test_a_scalar_loss_cannot_be_weighted():
    o, y, w = torch.randn(4, 1), torch.randn(4, 1), torch.ones(4)
    goal = Objective(torch.nn.MSELoss()).resolve("regression")
    torch.testing.assert_close(goal.mean(o, y), (o - y).square().mean())
    with pytest.raises(InputError, match="when rows are weighted"):
        goal.mean(o, y, w)
    with pytest.raises(InputError, match="when rows are weighted"):
        Objective(torch.nn.MSELoss()).resolve("regression", weighted=True).loss(o, y)
    rows = Objective(torch.nn.MSELoss(reduction="none")).resolve("regression", weighted=True)
    torch.testing.assert_close(rows.mean(o, y, w), (o - y).square().mean())


def test_class_weights_equal_scikit_learns():
    y = np.array(["a"] * 6 + ["b"] * 3 + ["c"])
    np.testing.assert_allclose(class_weights(y, "balanced"), compute_sample_weight("balanced", y))
    np.testing.assert_allclose(class_weights(y, "balanced", ["a", "b", "c", "d"]), compute_sample_weight("balanced", y))
    wish = {"a": 2.0, "c": 5.0}
    np.testing.assert_allclose(class_weights(y, wish, ["a", "b", "c"]), compute_sample_weight(wish, y))
    np.testing.assert_array_equal(class_weights(y, None), np.ones(10))
    per_class = [class_weights(y, "balanced")[y == c].sum() for c in "abc"]
    np.testing.assert_allclose(per_class, 10 / 3)
    np.testing.assert_allclose(class_weights([0, 1, 1], {0: 3, 1: 1}), [3, 1, 1])


@pytest.mark.parametrize(
    ("y", "weight", "classes", "words"),
    [
        (["a", "b"], {"aa": 1.0}, ["a", "b"], "every key of class_weight"),
        (["a", "x"], "balanced", ["a", "b"], "every label must be one of the classes"),
        (["a", "b"], {"a": -1.0}, None, "finite and at least 0"),
        (["a", "b"], "balance", None, "must be 'balanced', a mapping or None"),
        (["a", "b"], 3, None, "must be 'balanced', a mapping or None"),
        ([[0, 1], [1, 0]], "balanced", None, "one label per row"),
    ],
)
def test_bad_class_weights_are_refused(y, weight, classes, words):
    with pytest.raises(InputError, match=words):
        class_weights(y, weight, classes)
