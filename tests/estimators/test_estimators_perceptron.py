"""The perceptron: Novikoff's bound, and that it never settles where no plane separates."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_iris

from glia import Perceptron
from glia.core.errors import InputError


def separable(seed, count=80, gap=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, 3))
    side = X @ [1.0, -2.0, 0.5] / np.linalg.norm([1.0, -2.0, 0.5])
    keep = np.abs(side) > gap
    return X[keep], np.where(side[keep] > 0, "right", "left")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fit_bias", [True, False])
def test_it_converges_within_the_bound(seed, fit_bias):
    X, y = separable(seed)
    model = Perceptron(preparation="none", fit_bias=fit_bias, random_state=seed).fit(X, y)
    assert model.converged_ and model.score(X, y) == 1.0
    assert model.mistakes_ <= model.mistake_bound_ < np.inf
    # Novikoff by hand, with the plane that was found.
    signs = np.where(y == "right", 1.0, -1.0)
    rows = np.hstack([X, np.ones((len(X), 1))]) if fit_bias else X
    plane = np.append(model.fit_.weights, model.fit_.bias) if fit_bias else model.fit_.weights
    margin = (signs * (rows @ plane)).min() / np.linalg.norm(plane)
    assert model.mistake_bound_ == pytest.approx((np.linalg.norm(rows, axis=1).max() / margin) ** 2, rel=1e-4)


def test_it_never_settles_on_xor():
    X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    for epochs in (1, 10, 200):
        model = Perceptron(epochs=epochs).fit(X, y)
        assert not model.converged_ and model.n_iter_ == epochs and model.mistake_bound_ == np.inf
        assert model.score(X, y) <= 0.75 and model.mistakes_ >= epochs
    assert Perceptron().fit(X, y & X[:, 0].astype(int) | (X.sum(1) == 2)).converged_  # AND: the control


def test_several_classes():
    X, y = load_iris(return_X_y=True)
    model = Perceptron(epochs=200).fit(X, y)
    assert model.score(X, y) > 0.93 and model.decision_function(X).shape == (150, 3)
    assert model.mistake_bound_ == np.inf
    assert Perceptron().fit(X[:100], y[:100]).converged_  # two species that a plane separates


def test_network_and_rule_agree():
    X, y = separable(0)
    model = Perceptron().fit(X, y)
    output = model.forward(model.prepare(X))[:, 0].detach().numpy()
    np.testing.assert_array_equal(model.classes_[output.astype(int)], model.predict(X))


def test_order_and_repetition_do_not_matter():
    X, y = separable(1)
    order = np.random.default_rng(0).permutation(len(X))
    one, other = Perceptron().fit(X, y), Perceptron().fit(np.vstack([X, X])[order], np.append(y, y)[order])
    other = Perceptron().fit(X[order], y[order])
    np.testing.assert_array_equal(one.fit_.weights, other.fit_.weights)
    twice, weighed = Perceptron().fit(np.vstack([X, X]), np.append(y, y)), Perceptron().fit(X, y, np.full(len(X), 2.0))
    np.testing.assert_allclose(twice.decision_function(X), weighed.decision_function(X))


def test_words_are_learned():
    frame = pl.DataFrame({"town": ["Ulm", "Bonn", "Jena"] * 20, "size": list(range(60))})
    y = np.array([1, 0, 0] * 20)
    model = Perceptron().fit(frame, y)
    assert model.converged_ and model.score(frame, y) == 1.0


def test_wrong_input_is_refused():
    X, y = separable(0)
    with pytest.raises(InputError, match="one column of classes"):
        Perceptron().fit(X, np.stack([y == "right", y == "left"], axis=1).astype(int))
    with pytest.raises(InputError, match="at least two classes"):
        Perceptron().fit(X, np.full(len(X), "left"))
    with pytest.raises(InputError, match="there must be rows"):
        Perceptron().fit(X, y).predict(X[:0])
