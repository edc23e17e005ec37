"""Penalties against scikit-learn's lasso and elastic net, torch's weight decay and finite differences."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet, Lasso
from torch import nn

from glia.core.errors import InputError
from glia.objectives import Penalties, penalised_parameters, prox_l1_


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 12))
    w = np.zeros(12)
    w[:3] = (2.0, -1.5, 0.7)
    y = X @ w + 0.3 * rng.normal(size=80)
    return X - X.mean(0), y - y.mean()


def ista(X, y, penalties: Penalties, steps: int = 600, proximal: bool = True) -> np.ndarray:
    """Minimise mean squared error / 2 plus penalties by gradient steps, as the training loop does."""
    A, b = torch.tensor(X), torch.tensor(y)
    w = torch.zeros(1, X.shape[1], dtype=torch.float64, requires_grad=True)
    lr = 0.9 / (np.linalg.eigvalsh(X.T @ X / len(y)).max() + penalties.l2)
    for _ in range(steps):
        w.grad = None
        loss = 0.5 * (A @ w[0] - b).square().mean()
        (loss if proximal else loss + penalties.value([w])).backward()
        if proximal:
            penalties.add_gradient_([w])
        with torch.no_grad():
            w -= lr * w.grad
        if proximal:
            penalties.prox_([w], lr)
    return w.detach().numpy()[0]


def test_proximal_steps_solve_the_lasso_with_its_exact_zeros(problem):
    X, y = problem
    expected = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(X, y).coef_
    found = ista(X, y, Penalties(l1=0.1))
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert (found == 0).sum() == (expected == 0).sum() > 0
    by_subgradient = ista(X, y, Penalties(l1=0.1), proximal=False)  # the control: near zero, but never zero
    assert (by_subgradient == 0).sum() == 0


def test_both_penalties_solve_the_elastic_net(problem):
    X, y = problem
    l1, l2 = 0.08, 0.3
    net = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=False, tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(ista(X, y, Penalties(l1, l2)), net.fit(X, y).coef_, atol=1e-8)


def test_l2_shrinks_without_zeros_as_ridge_does(problem):
    X, y = problem
    expected = np.linalg.solve(X.T @ X / len(y) + 0.5 * np.eye(12), X.T @ y / len(y))
    found = ista(X, y, Penalties(l2=0.5))
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert (found != 0).all()


def test_l2_equals_torchs_weight_decay_under_sgd():
    torch.manual_seed(0)
    a, x = nn.Linear(4, 2, bias=False), torch.randn(8, 4)
    b = nn.Linear(4, 2, bias=False)
    b.load_state_dict(a.state_dict())
    ours, theirs = torch.optim.SGD(a.parameters(), lr=0.1), torch.optim.SGD(b.parameters(), lr=0.1, weight_decay=0.2)
    for _ in range(5):
        for net, optimizer in ((a, ours), (b, theirs)):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            if net is a:
                Penalties(l2=0.2).add_gradient_(net.parameters())
            optimizer.step()
    torch.testing.assert_close(a.weight, b.weight)


def test_soft_threshold_by_hand():
    w = torch.tensor([[-2.0, -0.5, 0.0, 0.3, 1.0, 0.5]])
    prox_l1_([w], 0.5)
    assert w.tolist() == [[-1.5, 0.0, 0.0, 0.0, 0.5, 0.0]]
    before = w.clone()
    Penalties(l2=1.0).prox_([w], 0.1)
    assert torch.equal(w, before)


def test_values_and_gradients():
    w = torch.tensor([[1.0, -2.0]], dtype=torch.float64, requires_grad=True)
    both = Penalties(0.5, 0.2)
    assert float(both.value([w]).detach()) == pytest.approx(0.5 * 3 + 0.1 * 5)
    assert float(both.smooth([w]).detach()) == pytest.approx(0.1 * 5)
    assert float(Penalties().value([w])) == 0.0
    assert torch.autograd.gradcheck(lambda p: both.value([p]), w)
    w.grad = torch.zeros_like(w)
    both.add_gradient_([w])
    (expected,) = torch.autograd.grad(both.smooth([w]), w)
    torch.testing.assert_close(w.grad, expected)
    assert not Penalties() and Penalties(l1=0.1) and Penalties(l2=0.1)


@pytest.mark.parametrize("values", [{"l1": -1.0}, {"l2": float("nan")}, {"l1": float("inf")}])
def test_strengths_out_of_range_are_refused(values):
    with pytest.raises(InputError, match="strength of a penalty"):
        Penalties(**values)


def test_biases_norms_frozen_and_shared_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
            self.b.weight = self.a.weight
            self.norm = nn.LayerNorm((2, 3))  # a norm's scale may have two dimensions
            self.batch = nn.BatchNorm1d(3)
            self.c.weight.requires_grad_(False)
            self.table = nn.Embedding(5, 3)

    net = Tied()
    assert [id(p) for p in penalised_parameters(net)] == [id(net.a.weight), id(net.table.weight)]
