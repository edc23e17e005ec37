"""Occlusion by segments: worked examples, a mask that stays, and a burst that alone decides."""

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia import InputError, SequenceClassifier
from glia.data.series import SequencePreparation
from glia.explain import check, integrated_gradients, occlusion, quick_check, saliency
from glia.explain.segments import Segments, in_segments
from glia.explain.stand_in import StandIn
from glia.nn import GRU

BURST = slice(20, 26)
STEPS = 48


class Weighted(nn.Module):
    """Σ weight · x over all but the batch."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return (x * self.weight).flatten(1).sum(1, keepdim=True)


def test_segments_cover_each_value_once():
    grid = Segments.even((7, 3), (3, 2))
    assert grid.first == (0, 2, 5, 7) and grid.second == (0, 2, 3) and grid.count == 6
    unit = grid.units_of((8, 3)).reshape(8, 3)
    assert unit[0].tolist() == [0, 0, 1] and unit[4].tolist() == [2, 2, 3] and unit[6].tolist() == [4, 4, 5]
    assert unit[7].tolist() == [6, 6, 6]  # beyond the last edge: nobody's
    values = np.arange(21.0).reshape(1, 7, 3)
    assert grid.sums(values)[0, 0] == 0 + 1 + 3 + 4 and grid.sums(values).sum() == values.sum()
    with pytest.raises(InputError, match="at least one segment"):
        Segments.even((4, 0), (2, 2))


@pytest.mark.parametrize("shape", [(6, 4), (2, 6, 4)])
def test_of_a_sum_it_is_each_summand(shape):
    rng = torch.Generator().manual_seed(0)
    weight, x = torch.randn(shape, generator=rng), torch.randn(5, *shape, generator=rng)
    found = occlusion(glia.wrap(Weighted(weight), task="regression"), x, segments=(3, 2), checks=False)
    products = (x * weight).numpy().astype(float)
    assert found.values.shape == x.shape
    grid = Segments.of(found)
    np.testing.assert_allclose(grid.sums(found.values), grid.sums(products), atol=1e-5)
    exact = occlusion(glia.wrap(Weighted(weight), task="regression"), x, segments=(6, 4), checks=False)
    whole = products if len(shape) == 2 else np.broadcast_to(products.mean(axis=1, keepdims=True), x.shape)
    np.testing.assert_allclose(exact.values, whole, atol=1e-5)  # of a picture, spread over its colours


def test_of_tables_it_takes_out_columns():
    rng = np.random.default_rng(0)
    weight = torch.tensor([2.0, 0.0, -1.0])
    x = torch.from_numpy(rng.normal(size=(6, 3)).astype(np.float32))
    found = occlusion(glia.wrap(Weighted(weight), task="regression"), x, checks=False)
    np.testing.assert_allclose(found.values, (x * weight).numpy(), atol=1e-5)


class Prepared:
    """A predictor of sequences whose network counts the steps that are there."""

    task_ = "regression"

    def __init__(self, X):
        self.preparation_ = SequencePreparation().fit(X)
        self.layout_ = self.preparation_.layout_
        self.network_ = Weighted(torch.tensor([0.0, 0.0, 0.0, 1.0]))  # two channels, one of gaps, and the mask
        self.feature_names = ["a", "b"]

    def prepare(self, X):
        return torch.from_numpy(self.preparation_.transform(X))

    def forward(self, x):
        return self.network_(x)


def test_the_mask_is_never_moved_and_gaps_belong_to_their_channel():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in (9, 5, 7)]
    X[0][3, 1] = np.nan
    predictor = Prepared(X)
    assert predictor.preparation_.owners_ == (0, 1, 1, -1)
    for method in (occlusion, integrated_gradients, saliency):
        found = method(predictor, X)
        assert found.values.shape == (3, 9, 2) and not found.values.any()  # what the mask says is no one's share
    assert found.outputs.tolist() == [9.0, 5.0, 7.0]
    predictor.network_ = Weighted(torch.tensor([0.0, 0.0, 1.0, 0.0]))  # the indicator of the gap
    shares = occlusion(predictor, X, segments=9, checks=False).values
    assert shares[0, 3, 1] == 1.0 and shares.sum() == 1.0


def planted(count, seed=0):
    """Noise in three channels; a burst in the second one at known steps is the class."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(count, STEPS, 3)), np.arange(count) % 2
    X[y == 1, BURST, 1] += 3.0
    return X, np.array(["no", "yes"])[y]


@pytest.fixture(scope="module")
def fitted():
    X, y = planted(160)
    return SequenceClassifier(network=GRU(hidden=16, pooling="max"), epochs=15, batch_size=16, random_state=0).fit(X, y)


def inside(values):
    """Share of all sizes within the burst, and one step around it, of its channel."""
    sizes = np.abs(values)
    return float((sizes[:, 19:27, 1].sum(axis=1) / sizes.sum(axis=(1, 2))).mean())


def test_a_burst_that_decides_gets_most_and_with_scrambled_weights_it_does_not(fitted):
    X, y = planted(24, 9)
    rows = X[y == "yes"]
    assert fitted.score(*planted(80, 5)) > 0.95
    found = occlusion(fitted, rows)
    assert inside(found.values) > 0.6  # of 6 per cent of the places
    assert found.checks["deletion gain"] > 0.1 and found.checks["insertion gain"] > 0.1
    assert found.checks["agreement"] > 0.3 and not found.warnings
    scrambled = SequenceClassifier(network=GRU(hidden=16, pooling="max"), epochs=1).fit(*planted(40))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in scrambled.network_.parameters():
            parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel(), generator=rng)].view_as(parameter))
    assert inside(occlusion(StandIn(fitted, scrambled.network_), rows, checks=False).values) < 0.35


def test_other_methods_find_it_too_and_checks_compare_segments_with_segments(fitted):
    rows = planted(12, 9)[0][1::2]
    told = occlusion(fitted, rows, checks=False)
    other = integrated_gradients(fitted, rows, tolerance=1e-3, checks=False)
    assert inside(other.values) > 0.4 and other.values.shape == (6, STEPS, 3)
    assert in_segments(other, told).values.shape == (6, 24 * 3)
    np.testing.assert_allclose(in_segments(other, told).values.sum(axis=1), other.values.sum(axis=(1, 2)))
    whole = check(fitted, rows, "occlusion", against=("input_x_gradient",), rows=3, segments=(8, 3))
    assert {"sensitivity", "similarity after randomisation", "agreement"} <= set(whole.checks)
    one = quick_check(fitted, rows, told, against=())
    assert one.checks["infidelity"] < 0.6 and "agreement" not in one.checks


def test_what_is_wrong_is_said(fitted):
    X = planted(4)[0]
    with pytest.raises(InputError, match="replaced by one value"):
        occlusion(fitted, X, baseline="rows", background=X)
    with pytest.raises(InputError, match="batch_rows"):
        occlusion(fitted, X, batch_rows=0)
    with pytest.raises(InputError, match="at least one segment"):
        occlusion(fitted, X, segments=0)
