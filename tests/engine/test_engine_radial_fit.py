"""Radial networks in closed form against scikit-learn's kernel ridge and autograd; what unseen rows are told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.kernel_ridge import KernelRidge

from glia.engine import radial_fit
from glia.engine.radial_fit import fit_radial

PLAN = [radial_fit._Step(1.0, 0.1)]


def made(rows: int = 120, outputs: int = 2):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    y = np.stack([np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=rows) + k * x[:, 1] for k in range(outputs)], 1)
    weight = rng.uniform(0.3, 2.0, rows)
    folds = [torch.arange(rows)[k::3] for k in range(3)]
    return *(torch.tensor(v, dtype=torch.float32) for v in (x, y, weight / weight.mean())), folds


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_kernel_ridge_regression(monkeypatch, weighted):
    x, y, weight, folds = made()
    monkeypatch.setattr(radial_fit, "_plan", lambda *_: PLAN)
    found = fit_radial(x, y, weight if weighted else None, folds, 0)
    counts = weight.numpy() if weighted else np.ones(len(x))
    mean = np.average(y.numpy(), axis=0, weights=counts)
    kernel = np.exp(-cdist(x, x) / found.length)
    theirs = KernelRidge(alpha=0.1, kernel="precomputed").fit(kernel, y.numpy() - mean, sample_weight=counts)
    np.testing.assert_allclose(found.weight.numpy(), theirs.dual_coef_, atol=2e-3)
    np.testing.assert_allclose(found.mean.numpy(), mean, atol=1e-5)
    # The metric of no rounds is a rotation: distances are as they were.
    np.testing.assert_allclose(torch.cdist(found.centres, found.centres).numpy(), cdist(x, x), atol=2e-3)


def test_unseen_rows_are_told_by_networks_that_never_saw_their_targets(monkeypatch):
    x, y, _, folds = made()
    plan = [radial_fit._Step(1.0, 0.1)] * 3
    monkeypatch.setattr(radial_fit, "_plan", lambda *_: plan)
    before = fit_radial(x, y, None, folds, 0)
    for fold in folds:
        other = y.clone()
        other[fold] = 100.0 * torch.randn(len(fold), 2, generator=torch.Generator().manual_seed(1))
        after = fit_radial(x, other, None, folds, 0)
        assert torch.equal(after.unseen[fold], before.unseen[fold])
        assert not torch.equal(after.weight, before.weight)


def test_the_metric_is_the_root_of_the_gradients_outer_product():
    x, y, _, _ = made(60)
    part = radial_fit._Part(x, y, torch.ones(60))
    metric = torch.diag(torch.tensor([1.0, 0.5, 2.0, 1.5]))
    z = x @ metric
    distances = torch.cdist(z, z)
    found = radial_fit._next_metric(z, part, distances, PLAN[0], metric, torch.Generator().manual_seed(0))
    length = float(distances[:300].median()) + 1e-9
    alpha = part.ridge(torch.exp(-distances / length), 0.1).double()
    points = x.double().clone().requires_grad_()

    def network(at: torch.Tensor) -> torch.Tensor:
        squares = ((at @ metric.double()).unsqueeze(1) - z.double()).square().sum(2)
        far = torch.where(squares > 1e-8, squares, 1.0).sqrt()
        return torch.where(squares > 1e-8, torch.exp(-far / length), 1.0) @ alpha

    outer = torch.zeros(4, 4, dtype=torch.float64)
    for k in range(2):
        (gradient,) = torch.autograd.grad(network(points)[:, k].sum(), points)
        outer += gradient.t() @ gradient
    fourth = torch.linalg.matrix_power(found.double(), 4)  # the metric is the fourth root, up to its scale
    torch.testing.assert_close(fourth / fourth.trace(), outer / outer.trace(), atol=2e-3, rtol=2e-2)


def test_directions_that_count_are_found():
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(600, 12)), dtype=torch.float32)
    y = torch.sin(2.0 * x[:, :1]) * x[:, 1:2]
    found = fit_radial(x, y, None, [torch.arange(600)[k::3] for k in range(3)], 0)
    by_column = found.metric.square().sum(1)
    assert by_column[:2].min() > 3 * by_column[2:].max()
    plain = fit_plain(x, y)
    assert (found.unseen - y).square().mean() < 0.75 * (plain - y).square().mean()


def fit_plain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return what kernel ridge regression with its best length and ridge says of unseen rows, without a metric."""
    fold, best = np.arange(len(x)) % 3, None
    for length in (1.0, 2.0, 4.0, 8.0, 16.0):
        for ridge in (0.01, 0.1, 1.0):
            answer = np.empty(len(x))
            for k in range(3):
                learn, judge = fold != k, fold == k
                model = KernelRidge(alpha=ridge, kernel="precomputed")
                model.fit(np.exp(-cdist(x[learn], x[learn]) / length), y[learn].numpy())
                answer[judge] = model.predict(np.exp(-cdist(x[judge], x[learn]) / length)).ravel()
            loss = ((answer - y.numpy().ravel()) ** 2).mean()
            if best is None or loss < best[0]:
                best = (loss, answer)
    return torch.tensor(best[1]).unsqueeze(1)


def test_rows_that_are_alike_and_targets_that_never_change_are_no_trouble():
    x = torch.zeros(90, 3)
    folds = [torch.arange(90)[k::3] for k in range(3)]
    same = fit_radial(x, torch.full((90, 1), 2.5), None, folds, 0)
    torch.testing.assert_close(same.unseen, torch.full((90, 1), 2.5))
    twice = torch.randn(30, 3, generator=torch.Generator().manual_seed(0)).repeat(3, 1)
    found = fit_radial(twice, twice[:, :1], None, folds, 0)
    assert torch.isfinite(found.unseen).all() and torch.isfinite(found.weight).all()


def test_the_same_seed_gives_the_same_bits():
    x, y, weight, folds = made()
    one, other = (fit_radial(x, y, weight, folds, 5) for _ in range(2))
    assert torch.equal(one.weight, other.weight) and torch.equal(one.unseen, other.unseen)
