"""The CORAL distance against its formula, and its gradient."""

import numpy as np
import pytest
import torch

from glia.core.errors import InputError
from glia.objectives.coral import coral_distance, covariance
from glia.transfer.alignment import scaled_coral


def test_against_the_formula():
    chance = np.random.default_rng(0)
    a, b = chance.normal(size=(7, 3)), chance.normal(size=(5, 3)) * [1, 2, 3]
    expected = np.square(np.cov(a.T) - np.cov(b.T)).sum() / (4 * 3**2)
    found = coral_distance(torch.from_numpy(a), torch.from_numpy(b))
    assert found.item() == pytest.approx(expected, rel=1e-12)
    assert np.allclose(covariance(torch.from_numpy(a)), np.cov(a.T))
    means = expected + np.square(a.mean(0) - b.mean(0)).sum() / 3
    assert coral_distance(torch.from_numpy(a), torch.from_numpy(b), means=True).item() == pytest.approx(means)


def test_equal_covariances_are_no_distance_apart_wherever_they_are():
    a = torch.randn(20, 4, dtype=torch.float64)
    turned = -a.flip(0) + 5
    assert coral_distance(a, turned).item() == pytest.approx(0, abs=1e-20)
    assert coral_distance(a, turned, means=True) > 1
    assert coral_distance(a, 2 * a) > 0


def test_the_gradient_by_finite_differences():
    torch.manual_seed(0)
    a = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    b = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, y: coral_distance(x, y, means=True), (a, b))
    assert torch.autograd.gradcheck(scaled_coral, (a, b))


def test_in_units_of_deviations_scale_does_not_count():
    a, b = torch.randn(30, 4, dtype=torch.float64), torch.randn(30, 4, dtype=torch.float64) * 2 + 1
    assert scaled_coral(a, b).item() == pytest.approx(scaled_coral(1e-3 * a, 1e-3 * b).item(), rel=1e-9)
    dead = torch.cat([a, torch.zeros(30, 1, dtype=torch.float64)], 1)
    other = torch.cat([a, torch.full((30, 1), 1e-9, dtype=torch.float64)], 1)
    assert scaled_coral(dead, other) < 1e-6


@pytest.mark.parametrize("shapes", [((1, 3), (5, 3)), ((4, 3), (5, 2)), ((4,), (5,))])
def test_sets_that_do_not_fit_are_refused(shapes):
    with pytest.raises(InputError, match="at least two rows"):
        coral_distance(*(torch.zeros(shape) for shape in shapes))
