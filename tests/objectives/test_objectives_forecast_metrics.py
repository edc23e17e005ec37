"""Errors of forecasts by hand."""

import numpy as np
import pytest

from glia.objectives.forecast_metrics import absolute_scaled_error, quantile_score, symmetric_percentage_error


def test_errors_by_hand():
    truth, forecast = np.array([[10.0, 0.0, np.nan]]), np.array([[8.0, 0.0, 5.0]])
    np.testing.assert_allclose(absolute_scaled_error(truth, forecast, 4.0), [[0.5, 0, np.nan]])
    np.testing.assert_allclose(symmetric_percentage_error(truth, forecast), [[200 * 2 / 18, 0, np.nan]])
    assert symmetric_percentage_error(np.array([1.0]), np.array([-1.0])).tolist() == [200.0]


def test_the_quantile_score_by_hand():
    levels = np.array([0.1, 0.5])
    found = quantile_score(np.array([[4.0]]), np.array([[[1.0, 5.0]]]), levels)
    assert found[0, 0] == pytest.approx(2 * (0.1 * 3 + 0.5 * 1) / 2)
    truth = np.array([[3.0, -2.0]])
    alone = quantile_score(truth, np.zeros((1, 2, 1)), np.array([0.5]))
    np.testing.assert_allclose(alone, np.abs(truth))
