"""The loss that is minimised sets the optimum: found here by Newton-free bisection on the slope of a constant."""

import numpy as np
import pytest
import torch

from glia.objectives import Huber, Quantile, losses


def best_constant(loss, y: torch.Tensor, low: float = -50.0, high: float = 400.0) -> float:
    """Minimise a convex function of one number: bisection on its derivative."""
    for _ in range(80):
        middle = torch.tensor(0.5 * (low + high), dtype=torch.float64, requires_grad=True)
        loss(middle.expand(len(y), 1), y).mean().backward()
        here = middle.item()
        low, high = (low, here) if middle.grad > 0 else (here, high)
    return 0.5 * (low + high)


@pytest.fixture(scope="module")
def y():
    values = np.random.default_rng(0).gamma(1.5, 4.0, 301)
    values[:10] += 300.0  # outliers, so that mean and median are far apart
    return torch.tensor(values)


def test_mean_median_and_quantiles(y):
    v = y.numpy()
    assert best_constant(losses.get("mse")(), y) == pytest.approx(v.mean(), abs=1e-6)
    assert best_constant(losses.get("mae")(), y) == pytest.approx(np.median(v), abs=1e-6)
    assert abs(v.mean() - np.median(v)) > 5  # the control: the two are not the same thing
    for q in (0.05, 0.5, 0.9):
        best = best_constant(Quantile((q,)), y)
        assert (v < best - 1e-6).mean() <= q <= (v <= best + 1e-6).mean()


def test_mean_of_logarithms_and_of_counts(y):
    assert best_constant(losses.get("msle")(), y) == pytest.approx(np.expm1(np.log1p(y.numpy()).mean()), abs=1e-6)
    log_rate = best_constant(losses.get("poisson")(), y, -10.0, 10.0)
    assert np.exp(log_rate) == pytest.approx(y.numpy().mean(), rel=1e-6)


def test_robust_losses_lie_between_mean_and_median(y):
    mean, median = y.numpy().mean(), np.median(y.numpy())
    for loss in (Huber(1.0), losses.get("log_cosh")()):
        assert median - 1 < best_constant(loss, y) < 0.5 * (mean + median)
    assert best_constant(Huber(1e4), y) == pytest.approx(mean, abs=1e-5)
    assert best_constant(Huber(1e-6), y) == pytest.approx(median, abs=1e-3)


@pytest.mark.parametrize("name", ["binary_cross_entropy", "focal", "hinge", "squared_hinge"])
def test_what_a_constant_score_says_about_the_share_of_positives(name):
    y = torch.tensor([1.0] * 70 + [0.0] * 30, dtype=torch.float64)
    score = best_constant(losses.get(name)(), y, -20.0, 20.0)
    p = 1 / (1 + np.exp(-score))
    if name == "binary_cross_entropy":
        assert p == pytest.approx(0.7, abs=1e-6)
    elif name == "focal":
        assert 0.5 < p < 0.69  # documented: less sure than it should be
    elif name == "hinge":
        assert score == pytest.approx(1.0, abs=1e-6)  # the majority's margin, whatever its share
    else:
        assert score == pytest.approx(2 * 0.7 - 1, abs=1e-6)


def test_gaussian_likelihood_finds_mean_and_variance(y):
    loss = losses.get("gaussian_nll")()
    z = (y - y.mean()) / 10.0 + 2.0
    theta = torch.tensor([[0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([theta], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(theta.expand(len(z), 2), z).mean()
        value.backward()
        return value

    optimizer.step(closure)
    assert float(theta[0, 0].detach()) == pytest.approx(2.0, abs=1e-4)
    assert float(loss.variance(theta.detach())) == pytest.approx(float(z.var(correction=0)), rel=1e-4)
