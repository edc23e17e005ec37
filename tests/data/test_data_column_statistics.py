import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glia.data.column_statistics import ColumnStatistics

LEVELS = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf])


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=VALUES))
def test_statistics_agree_with_numpy_on_the_finite_values(matrix):
    found = ColumnStatistics(matrix)
    quantiles, mode = found.quantiles(LEVELS), found.mode()
    for j in range(matrix.shape[1]):
        values = matrix[np.isfinite(matrix[:, j]), j]
        assert found.count[j] == len(values)
        if not len(values):
            assert found.low[j] == found.high[j] == found.mean[j] == found.std[j] == mode[j] == 0
            continue
        unit = found.unit[j]
        np.testing.assert_allclose(quantiles[:, j] * unit, np.quantile(values, LEVELS), rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(found.mean[j] * unit, values.mean(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.std[j] * unit, values.std(), rtol=1e-7, atol=1e-8)
        assert (found.low[j] * unit, found.high[j] * unit) == (values.min(), values.max())
        unique, counts = np.unique(values, return_counts=True)
        assert mode[j] * unit == unique[np.argmax(counts)]


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324])
def test_extreme_magnitudes_neither_overflow_nor_vanish(size):
    found = ColumnStatistics(np.array([[1.0], [2.0], [3.0]]) * size)
    assert found.mean[0] * found.unit[0] == pytest.approx(2 * size, rel=1e-9, abs=0)
    assert found.std[0] > 0
    assert np.isfinite(found.std[0] * found.unit[0])


def test_many_rows_are_sampled_for_quantiles_but_not_for_the_ends():
    n = 200_000
    matrix = np.arange(n, dtype=np.float64)[:, None]
    found = ColumnStatistics(matrix)
    assert found.high[0] == n - 1
    np.testing.assert_allclose(found.quantiles(LEVELS)[1:-1, 0], LEVELS[1:-1] * n, atol=0.01 * n)
    np.testing.assert_array_equal(found.quantiles(LEVELS), ColumnStatistics(matrix).quantiles(LEVELS))
