"""Forecasts next to the value that a series rests at."""

import numpy as np
import polars as pl

from glia import Forecaster
from glia.data.series.resting import at_rest


def test_what_is_near_the_resting_value_is_that_value():
    day = np.array([0, 0, 0, 0, 2.0, 5, 9, 4])
    past = np.stack([np.tile(day, 4), np.tile(day, 4) + np.arange(32) * 0.01, np.full(32, 3.0), -np.tile(day, 4)])
    counts = np.full(4, 32)
    values = np.tile(np.array([[-0.3, 0.9, 1.1, 8.0]]).T, (4, 1, 2))
    found = at_rest(values, past, counts)
    np.testing.assert_array_equal(found[0, :, 0], [0.0, 0.0, 1.1, 8.0])
    np.testing.assert_array_equal(found[1:3], values[1:3])  # rests nowhere; never moves
    np.testing.assert_array_equal(found[3, :, 0], [-0.3, 0.9, 1.1, 8.0])  # its least value, -9, comes once a day


def test_padding_is_no_rest():
    past = np.concatenate([np.zeros(20), np.arange(1.0, 13.0)])[None]
    values = np.array([[[0.2], [-3.0]]])
    np.testing.assert_array_equal(at_rest(values, past, np.array([12])), values)
    assert at_rest(values, past, np.array([32]))[0, 0, 0] == 0.0


def test_nights_are_forecast_as_nights():
    hours = np.arange(24 * 30)
    sun = np.clip(np.sin((hours % 24 - 6) / 12 * np.pi), 0, None)
    y = np.round(sun * (5 + np.random.default_rng(0).random(len(hours))), 3)
    frame = pl.DataFrame({"t": hours, "y": y})
    model = Forecaster(horizon=24, time="t", season=24, epochs=3, random_state=0).fit(frame)
    said = model.predict()[0]
    night = sun[:24] == 0
    assert night.sum() > 8 and (said[night] == 0).all() and (said[~night][1:-1] > 0).all()
