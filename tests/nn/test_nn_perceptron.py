"""The perceptron rule: Novikoff's bound, row-by-row references, scikit-learn's perceptron, and XOR as the control."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Perceptron as PeerPerceptron

from glia.core.errors import InputError
from glia.nn import (
    PerceptronNetwork,
    mistake_bound,
    multiclass_mistake_bound,
    multiclass_perceptron_rule,
    perceptron_rule,
)

XOR_X, XOR_Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


def separable(seed, n=150, d=4, gap=0.2):
    g = np.random.default_rng(seed)
    w = g.normal(size=d + 1)
    w[-1] *= 0.3
    X = g.normal(size=(4 * n, d))
    score = (X @ w[:-1] + w[-1]) / np.linalg.norm(w)
    X, score = X[np.abs(score) > gap][:n], score[np.abs(score) > gap][:n]
    return X, np.where(score > 0, 1, -1), w


def one_by_one(X, y, epochs):
    """The rule as in the textbook, with a loop over rows."""
    rows, w, mistakes = np.column_stack([X, np.ones(len(X))]), np.zeros(X.shape[1] + 1), 0
    for _ in range(epochs):
        for x, sign in zip(rows, np.where(y > 0, 1, -1), strict=True):
            if sign * (w @ x) <= 0:
                w = w + sign * x
                mistakes += 1
    return w, mistakes


@pytest.mark.parametrize("seed", range(8))
def test_mistakes_stay_within_the_bound_in_any_order(seed):
    X, y, w = separable(seed)
    bound = mistake_bound(X, y, w)
    for order in (None, 0, 1):
        fit = perceptron_rule(X, y, random_state=order)
        assert fit.converged and fit.mistakes <= bound and fit.mistakes_per_epoch[-1] == 0
        assert (np.where(X @ fit.weights + fit.bias > 0, 1, -1) == y).all()
    order = np.argsort(y)
    assert perceptron_rule(X[order], y[order]).mistakes <= bound


def test_bound_worked_example():
    # R² = 1² + 1² = 2 with the constant feature; w = (1, 0): margin 1.
    assert mistake_bound([[1.0], [-1.0]], [1, -1], [1.0, 0.0]) == pytest.approx(2)
    assert mistake_bound([[1.0], [-1.0]], [1, -1], [1.0]) == pytest.approx(1)
    assert mistake_bound([[1.0], [-1.0]], [1, -1], [-1.0]) == np.inf


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_loop_over_rows(seed):
    g = np.random.default_rng(seed)
    X, y = g.integers(-9, 9, size=(400, 3)), g.integers(0, 2, size=400)  # whole numbers: exact sums
    w, mistakes = one_by_one(X, y, 5)
    fit = perceptron_rule(X, y, max_epochs=5)
    assert (*fit.weights, fit.bias) == tuple(w) and fit.mistakes == mistakes and not fit.converged


def test_equals_scikit_learn():
    X, y, _ = separable(3)
    fit = perceptron_rule(X, y, max_epochs=4)
    peer = PeerPerceptron(max_iter=fit.epochs, tol=None, shuffle=False).fit(X, y)
    np.testing.assert_allclose(fit.weights, peer.coef_[0])
    np.testing.assert_allclose(fit.bias, peer.intercept_[0])


def test_never_settles_on_xor_and_keeps_the_best():
    fit = perceptron_rule(XOR_X, XOR_Y, max_epochs=500)
    assert not fit.converged and fit.epochs == 500 and min(fit.mistakes_per_epoch) > 0
    assert "did not settle" in fit.summary() and len(fit.tables()[0].rows) == 500
    best = perceptron_rule(XOR_X, XOR_Y, max_epochs=50, keep_best=True)
    assert ((XOR_X @ best.weights + best.bias > 0) == XOR_Y).mean() >= 0.5
    assert perceptron_rule(XOR_X, [0, 0, 0, 1], max_epochs=100).converged  # the control: AND


def test_pocket_is_no_worse_than_the_last():
    g = np.random.default_rng(0)
    X = g.normal(size=(200, 3))
    y = np.where(X[:, 0] + 0.5 * g.normal(size=200) > 0, 1, -1)

    def errors(fit):
        return (np.where(X @ fit.weights + fit.bias > 0, 1, -1) != y).sum()

    last = [errors(perceptron_rule(X, y, max_epochs=e)) for e in range(1, 21)]
    assert errors(perceptron_rule(X, y, max_epochs=20, keep_best=True)) == min(last)


def test_batch_updates_do_not_depend_on_order_and_weights_mean_repetition():
    X, y, _ = separable(5, n=60)
    weight = np.random.default_rng(0).integers(0, 4, 60)
    fit = perceptron_rule(X, y, update="batch", sample_weight=weight, max_epochs=20)
    repeated = np.random.default_rng(1).permutation(np.repeat(np.arange(60), weight))
    same = perceptron_rule(X[repeated], y[repeated], update="batch", max_epochs=20)
    np.testing.assert_allclose(fit.weights, same.weights)
    assert perceptron_rule(X, y, update="batch").converged
    several = {"update": "batch", "max_epochs": 20}
    fit = multiclass_perceptron_rule(X, (y > 0) * 2, 3, sample_weight=weight, **several)
    same = multiclass_perceptron_rule(X[repeated], (y[repeated] > 0) * 2, 3, **several)
    np.testing.assert_allclose(fit.weights, same.weights)


def test_going_on_from_given_weights():
    X, y, _ = separable(1)
    half = perceptron_rule(X, y, max_epochs=1)
    rest = perceptron_rule(X, y, initial=[*half.weights, half.bias])
    whole = perceptron_rule(X, y)
    np.testing.assert_allclose(rest.weights, whole.weights)
    assert half.mistakes + rest.mistakes == whole.mistakes


def clusters(seed, classes=4):
    g = np.random.default_rng(seed)
    centres = 6 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[:classes]
    y = g.integers(0, classes, 200)
    return centres[y] + np.clip(g.normal(size=(200, 2)), -1.8, 1.8), y, np.column_stack([centres, np.zeros(classes)])


@pytest.mark.parametrize("seed", range(4))
def test_kesler_stays_within_its_bound(seed):
    X, y, W = clusters(seed)
    fit = multiclass_perceptron_rule(X, y, 4)
    assert fit.converged and fit.mistakes <= multiclass_mistake_bound(X, y, W) < np.inf
    assert ((X @ fit.weights.T + fit.bias).argmax(1) == y).all()
    assert multiclass_mistake_bound(X, y, -W) == np.inf


def test_kesler_equals_the_loop_over_rows():
    g = np.random.default_rng(0)
    X, y = g.integers(-5, 5, size=(200, 3)), g.integers(0, 3, 200)
    W, mistakes = np.zeros((3, 4)), 0
    for _ in range(3):
        for row, c in zip(np.column_stack([X, np.ones(200)]), y, strict=True):
            scores = W @ row
            right, scores[c] = scores[c], -np.inf
            if right <= scores.max():
                W[c] += row
                W[scores.argmax()] -= row
                mistakes += 1
    fit = multiclass_perceptron_rule(X, y, 3, max_epochs=3)
    assert (np.column_stack([fit.weights, fit.bias]) == W).all() and fit.mistakes == mistakes


def test_one_against_the_rest_is_so_many_binary_problems():
    X, y, _ = clusters(0)
    fit = multiclass_perceptron_rule(X, y, 4, scheme="one_vs_rest")
    assert fit.converged and ((X @ fit.weights.T + fit.bias).argmax(1) == y).all()
    for c in range(4):
        single = perceptron_rule(X, y == c)
        np.testing.assert_allclose(fit.weights[c], single.weights)
        np.testing.assert_allclose(fit.bias[c], single.bias)


def test_the_network_classifies_as_the_rule_learned():
    X, y, _ = separable(2)
    network = PerceptronNetwork.from_fit(perceptron_rule(X, y))
    x = torch.as_tensor(X, dtype=torch.float32)
    assert (network(x)[:, 0].detach().numpy() == (y > 0)).all() and network.scores(x).shape == (150, 1)
    X, y, _ = clusters(1)
    network = PerceptronNetwork.from_fit(multiclass_perceptron_rule(X, y, 4))
    assert (network(torch.as_tensor(X, dtype=torch.float32)).argmax(1).numpy() == y).all()
    with pytest.raises(InputError, match="network's shape"):
        network.load_weights(perceptron_rule(X, y > 1))


@pytest.mark.parametrize(
    ("X", "y", "options", "match"),
    [
        ([[1.0], [np.nan]], [0, 1], {}, "finite"),
        ([[1.0], [2.0]], [0, 3], {}, "0 and 1"),
        ([[1.0], [2.0]], [0, -1], {}, "0 and 1"),
        ([[1.0]], [0, 1], {}, "as many rows"),
        ([[1.0], [2.0]], [0, 1], {"max_epochs": 0}, "max_epochs"),
        ([[1.0], [2.0]], [0, 1], {"sample_weight": [0, 0]}, "sample weights"),
        ([[1.0], [2.0]], [0, 1], {"initial": [1.0]}, "initial"),
    ],
)
def test_bad_input(X, y, options, match):
    with pytest.raises(InputError, match=match):
        perceptron_rule(X, y, **options)


def test_bad_classes():
    with pytest.raises(InputError, match="n_classes"):
        multiclass_perceptron_rule([[1.0]], [2], 2)
    with pytest.raises(InputError, match="initial"):
        multiclass_perceptron_rule([[1.0]], [1], 2, initial=[[0.0]])
