"""Windows around origins: what they hold by hand, what they must not hold, and simple forecasts from them."""

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError, ModelFileError
from glia.data.series import Gatherer, WindowPreparation, as_series, seasonal_scale
from glia.data.series.bases import base_forecast
from glia.data.series.seasons import is_seasonal, seasonal_places


def series(*parts, **more):
    frames = [pl.DataFrame({"id": [f"s{i}"] * len(p), "t": range(len(p)), "y": p}) for i, p in enumerate(parts)]
    return as_series(pl.concat(frames).with_columns(**more), time="t", target="y", id="id")


def theta_by_hand(values, horizon, season):
    """The theta method for one series of values above 0, step by step, with the rates that are tried."""
    n = len(values)
    weights = np.r_[0.5, np.ones(season - 1), 0.5] / season
    half = season // 2
    average = np.convolve(values, weights, "valid")
    ratio = values[half : n - half] / average
    factors = np.array([ratio[(np.arange(len(ratio)) + half) % season == p].mean() for p in range(season)])
    factors /= factors.mean()
    adjusted = values / factors[np.arange(n) % season]
    slope = np.polyfit(np.arange(n), adjusted, 1)[0]
    found = []
    for rate in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99):
        level, squared = adjusted[0], 0.0
        for value in adjusted[1:]:
            squared += (value - level) ** 2
            level += rate * (value - level)
        found.append((squared, level, rate))
    _, level, rate = min(found)
    drift = 0.5 * slope * (np.arange(horizon) + (1 - (1 - rate) ** n) / rate)
    return (level + drift) * factors[(n + np.arange(horizon)) % season]


def test_the_theta_method_by_hand_and_whatever_stands_before_the_start():
    rng = np.random.default_rng(0)
    t = np.arange(60)
    values = 100 + t + 20 * np.sin(2 * np.pi * t / 12) + rng.normal(size=60)
    wanted = theta_by_hand(values, 15, 12)
    for pad in (0, 40):
        window = np.concatenate([np.full(pad, values[0]), values])[None]
        found = base_forecast(window, np.array([60]), 15, 12, "theta")
        np.testing.assert_allclose(found[0], wanted, rtol=1e-9)
    both = base_forecast(np.stack([values, values[::-1] - 150]), np.array([60, 60]), 15, 12, "theta")
    np.testing.assert_allclose(both[0], wanted, rtol=1e-9)
    assert np.isfinite(both).all()


def test_the_theta_method_agrees_with_statsmodels():
    theta = pytest.importorskip("statsmodels.tsa.forecasting.theta", reason="statsmodels is an extra (series)")
    rng = np.random.default_rng(1)
    t = np.arange(96)
    values = (50 + 0.5 * t) * (1 + 0.3 * np.cos(2 * np.pi * t / 12)) + rng.normal(size=96)
    own = base_forecast(values[None], np.array([96]), 12, 12, "theta")[0]
    other = np.asarray(theta.ThetaModel(values, period=12, method="mul").fit().forecast(12))
    assert np.abs(own - other).mean() < 0.02 * values.mean()
    naive = np.full(12, values[-1])
    assert np.abs(naive - other).mean() > 5 * np.abs(own - other).mean()  # which is no matter of course


def test_other_simple_forecasts_by_hand():
    window, count = np.array([[1.0, 2, 3, 4, 5, 9]]), np.array([6])
    assert base_forecast(window, count, 4, 3, "last").tolist() == [[9, 9, 9, 9]]
    assert base_forecast(window, count, 4, 3, "mean").tolist() == [[6, 6, 6, 6]]
    assert base_forecast(window, count, 4, 3, "seasonal").tolist() == [[4, 5, 9, 4]]
    with pytest.raises(InputError, match="did you mean 'theta'"):
        base_forecast(window, count, 4, 3, "thet")


def test_a_season_is_seen_where_there_is_one():
    rng = np.random.default_rng(0)
    t, n = np.arange(72), np.full(1, 72)
    wave = 10 + np.sin(2 * np.pi * t / 12)[None] + 0.1 * rng.normal(size=(1, 72))
    assert is_seasonal(wave, n, 12).all()
    noise = 10 + rng.normal(size=(200, 72))
    assert is_seasonal(noise, np.full(200, 72), 12).mean() < 0.25
    factors, places = seasonal_places(np.concatenate([wave, -wave]), np.array([72, 72]), 12)
    assert factors.tolist() == [True, False]
    np.testing.assert_allclose(places.mean(axis=1), [1, 0], atol=1e-12)
    np.testing.assert_allclose(places[0], (10 + np.sin(2 * np.pi * np.arange(12) / 12)) / 10, atol=0.02)


def test_what_a_window_holds():
    table = series([1.0, 2, 3, 4, 5], [10.0, 20, 30])
    gather = Gatherer(table, 2)
    found = gather.at(np.array([0, 0, 1]), np.array([3, 5, 1]), 4)
    assert found.past.tolist() == [[1, 1, 2, 3], [2, 3, 4, 5], [10, 10, 10, 10]]
    assert found.counts.tolist() == [3, 4, 1]
    np.testing.assert_array_equal(found.future, [[4, 5], [np.nan, np.nan], [20, 30]])
    assert gather.future_times(np.array([0]), np.array([5])).tolist() == [[5, 6]]
    numbers, origins = gather.learning_origins(2, 100)
    assert list(zip(numbers.tolist(), origins.tolist(), strict=True)) == [(0, 2), (0, 3)]  # the second is too short
    few = Gatherer(series(np.arange(100.0)), 2).learning_origins(10, 20)[1]
    assert len(few) <= 20 and few[-1] == 98 and set(np.diff(few)) == {5}
    with pytest.raises(InputError, match="two values more than the horizon · got 5 in the longest"):
        Gatherer(table, 6).learning_origins(2, 10)


def test_scales_by_hand():
    assert seasonal_scale(np.array([1.0, 2, 4, 7]), 2) == pytest.approx(4.0)
    assert seasonal_scale(np.array([1.0, 2, 4]), 12) == pytest.approx(1.5)
    assert seasonal_scale(np.array([3.0, 3, 3]), 1) == 3.0 and seasonal_scale(np.zeros(4), 1) == 1.0


@pytest.mark.parametrize("form", ["vector", "sequence"])
def test_rows_know_nothing_of_what_comes_after_the_origin(form):
    rng = np.random.default_rng(0)
    values = rng.normal(10, 1, 60)
    later = values.copy()
    later[50:] += 1000.0
    made = WindowPreparation(horizon=5, season=4, form=form).fit(series(values[:50]))
    for origin in (20, 45, 50):
        rows = []
        for own in (values, later):
            table = series(own)
            windows = Gatherer(table, 5).at(np.array([0]), np.array([origin]), made.memory)
            rows.append(made.prepare(windows, table))
        assert np.array_equal(rows[0].x, rows[1].x) and np.array_equal(rows[0].base, rows[1].base)
        assert np.array_equal(rows[0].unit, rows[1].unit)
    past, cut = made.ends(series(values[:50])), made.ends(series(later).cut(10))
    assert np.array_equal(past.x, cut.x)
    assert not np.array_equal(past.x, made.ends(series(later)).x)  # the planted change would be seen


def test_targets_and_values_are_each_others_inverse_whatever_the_size():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=80)) + 50
    made = WindowPreparation(horizon=3, season=4).fit(series(values, 1e6 * values))
    prepared, weight = made.training(series(values, 1e6 * values))
    np.testing.assert_allclose(prepared.values(prepared.targets()[..., None])[..., 0], prepared.windows.future)
    half = len(prepared.x) // 2
    np.testing.assert_allclose(prepared.x[:half], prepared.x[half:], atol=1e-4)
    assert weight.mean() == pytest.approx(1.0)
    assert prepared.x.shape[1:] == made.layout_.shape and len(made.layout_.features) == made.layout_.shape[0]


def test_sequences_of_short_series_have_padding_at_the_end():
    table = series(np.arange(1.0, 60), [1.0, 2.0, 3.0])
    made = WindowPreparation(horizon=2, input_length=6, season=1, form="sequence").fit(table)
    x = made.transform(table)
    assert x.shape == (2, *made.layout_.shape) and made.layout_.shape == (8, 3)
    assert x[:, :, -1].tolist() == [[1] * 8, [1] * 5 + [0] * 3]
    assert x[1, :, 1].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]  # three values, then two steps to come
    assert float(np.abs(x[1, 5:]).max()) == 0


def test_state_comes_back_to_the_bit_and_must_fit():
    table = series(np.random.default_rng(0).normal(size=40), np.arange(30.0))
    made = WindowPreparation(horizon=3, season=5, identity=True).fit(table)
    state, arrays = made.to_state()
    again = WindowPreparation.from_state(state, arrays)
    assert np.array_equal(again.transform(again.tail_), made.transform(table))
    with pytest.raises(ModelFileError, match="format version"):
        WindowPreparation.from_state({**state, "version": 0}, arrays)
    with pytest.raises(ModelFileError, match="fit together"):
        WindowPreparation.from_state(state, {**arrays, "known": arrays["known"] + 99})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizon": 0}, "horizon must be a whole number of at least 1"),
        ({"season": 0}, "season must be 'auto' or a whole number"),
        ({"input_length": 1.5}, "input_length must be 'auto'"),
        ({"base": "thta"}, "did you mean 'theta'"),
        ({"form": "table"}, "form must be one of"),
    ],
)
def test_wrong_settings_are_told(options, words):
    with pytest.raises(InputError, match=words):
        WindowPreparation(**options).fit(series(np.arange(30.0)))
