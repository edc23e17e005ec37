"""The forecaster: what it may know, what comes out in order, and how it is judged."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

import glia
from glia import Forecaster, rolling_origin
from glia.core.errors import InputError, MissingExtraError
from glia.estimators import classic_forecasts
from glia.estimators.classic_forecasts import classics, naive, seasonal_naive
from glia.estimators.earlier_origin import corrected, learn_trust
from glia.estimators.rolling_origin import mean_interval

SIMPLE = {"naive": naive, "seasonal naive": seasonal_naive}
QUICK = {"horizon": 6, "id": "store", "effort": "quick", "epochs": 2, "members": 2, "calibrate": False}


def shops(count=5, months=70, seed=0, noise=0.05):
    rng = np.random.default_rng(seed)
    day = pl.datetime_range(dt.datetime(2015, 1, 1), dt.datetime(2035, 1, 1), "1mo", eager=True)[:months].cast(pl.Date)
    t, parts = np.arange(months), []
    for shop in range(count):
        level = 10.0 ** (shop % 3 + 1)
        y = level * (1 + 0.4 * np.sin(2 * np.pi * (t + shop) / 12) + 0.005 * t + noise * rng.normal(size=months))
        parts.append(pl.DataFrame({"store": [f"shop {shop}"] * months, "ds": day, "y": y}))
    return pl.concat(parts)


FRAME = shops()


@pytest.fixture(scope="module")
def model():
    return Forecaster(**QUICK).fit(FRAME)


def test_quantiles_never_cross_and_all_forms_agree(model):
    quantiles = model.predict_quantiles()
    assert quantiles.shape == (5, 6, 7) and (np.diff(quantiles, axis=2) >= 0).all()
    assert np.array_equal(model.predict(), quantiles[..., 3])
    assert np.array_equal(model.predict_quantiles(FRAME), quantiles)
    low, high = model.predict_interval(coverage=0.8)
    assert np.array_equal(low, quantiles[..., 1]) and np.array_equal(high, quantiles[..., 5])
    frame = model.predict_frame()
    assert frame.columns[:4] == ["store", "ds", "prediction", "quantile_0.05"] and frame.height == 30
    assert frame["ds"][0] == dt.date(2020, 11, 1) and frame["ds"].dtype == pl.Date
    assert model.predict_members().shape == (2, 5, 6)
    with pytest.raises(InputError, match=r"needs the levels 0.025 and 0.975"):
        model.predict_interval(coverage=0.95)


@pytest.mark.parametrize("network", ["auto", "gru", "linear"])
def test_models_come_back_to_the_bit_and_fits_repeat(network, tmp_path):
    made = Forecaster(**{**QUICK, "members": 1, "epochs": 1}, network=network, identity=network == "auto").fit(FRAME)
    glia.save(made, tmp_path / "model.glia")
    again = glia.load(tmp_path / "model.glia")
    assert np.array_equal(again.predict_quantiles(), made.predict_quantiles())
    assert again.predict_frame(FRAME).equals(made.predict_frame(FRAME))
    assert np.array_equal(clone(made).fit(FRAME).predict(), made.predict())
    assert again.get_params()["id"] == "store"


def test_series_that_were_not_fitted_and_of_any_size(model):
    other = FRAME.filter(pl.col("store") == "shop 1").with_columns(pl.lit("new").alias("store"), pl.col("y") * 1e6)
    own = model.predict(FRAME.filter(pl.col("store") == "shop 1"))
    np.testing.assert_allclose(model.predict(other), own * 1e6, rtol=1e-5)
    short = other.head(3)
    assert np.isfinite(model.predict_quantiles(short)).all()


def test_an_untrained_network_says_what_the_simple_forecast_says():
    made = Forecaster(**{**QUICK, "epochs": 1}, lr=1e-12, base="seasonal").fit(FRAME)
    last = FRAME["y"].to_numpy().reshape(5, 70)[:, -12:-6]
    np.testing.assert_allclose(made.predict(), last, rtol=1e-4)


def test_it_learns_what_is_known_of_the_steps_to_come():
    rng = np.random.default_rng(0)
    n = 400
    promo = (rng.random(n + 6) < 0.3).astype(float)
    y = 20 + 10 * promo + 0.1 * rng.normal(size=n + 6)
    frame = pl.DataFrame({"ds": np.arange(n + 6), "y": [*y[:n], *[None] * 6], "promo": promo})
    options = {"horizon": 6, "season": 1, "input_length": 8, "members": 1, "epochs": 30, "lr": 5e-3}
    knows = Forecaster(covariates=["promo"], **options).fit(frame)
    assert np.abs(knows.predict()[0] - y[n:]).mean() < 1.5
    blind = Forecaster(**options).fit(frame.drop("promo"))
    assert np.abs(blind.predict()[0] - y[n:]).mean() > 3
    assert knows.predict_frame().columns[:2] == ["ds", "prediction"]
    with pytest.raises(InputError, match="covariates 'promo' of the next 6 steps must be known"):
        knows.predict(frame.head(n))


def test_judging_never_sees_what_comes_after_an_origin():
    planted = FRAME.with_columns(
        pl.when(pl.int_range(pl.len()).over("store") >= 64).then(pl.col("y") + 1e6).otherwise(pl.col("y")).alias("y")
    )
    seen = {}
    for name, frame in (("as it was", FRAME), ("planted", planted)):
        given = []

        def spy(history, horizon, season, given=given):
            given.append(history.copy())
            return naive(history, horizon, season)

        seen[name] = rolling_origin(Forecaster(**QUICK), frame, origins=1, methods={"spy": spy}), given
    was, now = seen["as it was"], seen["planted"]
    assert all(np.array_equal(a, b) and len(a) == 64 for a, b in zip(was[1], now[1], strict=True))
    model = Forecaster(**QUICK)
    past = [model.series(frame).cut(6) for frame in (FRAME, planted)]
    forecasts = [clone(model).fit(table).predict(table) for table in past]
    assert np.array_equal(*forecasts)
    assert now[0].score("network").mase > 100 * was[0].score("network").mase  # only the truth has changed


def test_the_figures_of_rolling_origins_by_hand():
    frame = pl.DataFrame({"ds": np.arange(40), "y": np.arange(40.0) % 4 + np.repeat(np.arange(10), 4)})
    found = rolling_origin(Forecaster(horizon=4, season=4, epochs=1, members=1), frame, origins=2, methods=SIMPLE)
    assert (found.series, found.origins, found.horizon) == (1, 2, 4)
    # the last season again is 1 too low everywhere, which is also the seasonal change of the past
    assert found.score("seasonal naive").mase == pytest.approx(1.0)
    truth = np.array([8.0, 9, 10, 11, 9, 10, 11, 12])
    assert found.score("seasonal naive").smape == pytest.approx(np.mean(200 / (2 * truth - 1)))
    assert found.score("naive").mase == pytest.approx(np.mean([2, 1, 0, 1]))
    assert found.by_step["naive"] == [2.0, 1.0, 0.0, 1.0]
    assert found.best in SIMPLE and found.outcome in ("better", "worse", "tie")
    assert found.tables()[0].rows[0][1] == min(s.mase for s in found.scores)
    own = found.score("network").mase
    assert found.difference.value == pytest.approx(found.score(found.best).mase - own)


def test_verdicts_in_words():
    better = rolling_origin(Forecaster(**QUICK, base="seasonal"), FRAME, origins=2, methods={"naive": naive})
    assert better.outcome == "better" and str(better).startswith("The network beats all classic methods: MASE")

    def oracle(history, horizon, season):
        number = int(np.argmin(np.abs(history[:5, None] - FRAME["y"].to_numpy().reshape(5, 70)[:, :5].T).sum(0)))
        return FRAME["y"].to_numpy().reshape(5, 70)[number][len(history) : len(history) + horizon]

    worse = rolling_origin(Forecaster(**QUICK), FRAME, origins=2, methods={"oracle": oracle})
    assert worse.outcome == "worse" and str(worse).startswith("Do not use this network: oracle forecasts better")


def test_intervals_of_means_draw_whole_groups():
    values = np.repeat([0.0, 1.0, 2.0, 3.0], 25)
    grouped, alone = mean_interval(values, np.repeat(range(4), 25)), mean_interval(values, np.arange(100))
    assert grouped.value == alone.value == 1.5
    assert grouped.high - grouped.low > 4 * (alone.high - alone.low)
    assert grouped.low >= 0 and grouped.high <= 3


def test_trust_and_stretch_by_hand():
    levels = np.array([0.1, 0.5, 0.9])
    answers = np.array([[[1.0, 2.0, 4.0]]])
    np.testing.assert_allclose(corrected(answers, levels, 0.5, 2.0), [[[-1, 1, 5]]])
    assert np.array_equal(corrected(answers, levels, 1.0, 1.0), answers)
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(500, 4))
    answers = np.stack([middle - 1, middle, middle + 1], 2)
    truth = 0.6 * middle + 0.02 * rng.normal(size=(500, 4))
    trust, stretch = learn_trust(answers, truth, levels)
    assert trust == pytest.approx(0.6) and stretch == 0.5
    wide = 0.3 * middle + rng.uniform(-2, 2, size=(500, 4))
    trust, stretch = learn_trust(answers, wide, levels)
    shaped = corrected(answers, levels, trust, stretch)
    inside = (wide >= shaped[..., 0]) & (wide <= shaped[..., 2])
    assert inside.mean() == pytest.approx(0.8, abs=0.01) and abs(trust - 0.3) < 0.11
    assert learn_trust(answers[:2], truth[:2], levels) == (1.0, 1.0)  # too few to learn from
    assert learn_trust(answers, np.full((500, 4), np.nan), levels) == (1.0, 1.0)


def test_an_earlier_origin_decides_how_far_to_trust():
    made = Forecaster(**{**QUICK, "calibrate": True, "horizon": 24}).fit(FRAME)
    assert 0 <= made.windows_.trust_ <= 1 and 0.5 <= made.windows_.stretch_ <= 3
    assert made.choices_["trust"]["value"] == made.windows_.trust_


def test_classic_methods_by_hand_and_where_they_come_from(monkeypatch):
    history = np.array([1.0, 2, 3, 4, 5])
    assert naive(history, 2, 3).tolist() == [5, 5]
    assert seasonal_naive(history, 4, 3).tolist() == [3, 4, 5, 3]
    assert seasonal_naive(history[:2], 2, 3).tolist() == [2, 2]

    def missing(module, extra):
        raise MissingExtraError(f"pip install 'glia-nn[{extra}]'")

    monkeypatch.setattr(classic_forecasts, "require", missing)
    found, left_out = classics()
    assert list(found) == ["naive", "seasonal naive"] and "glia-nn[series]" in left_out


def test_ets_and_theta_follow_trend_and_season():
    pytest.importorskip("statsmodels", reason="statsmodels is an extra (series)")
    t = np.arange(48)
    values = 100 + t + 20 * np.sin(2 * np.pi * t / 12) + np.random.default_rng(0).normal(size=48)
    later = 100 + np.arange(48, 54) + 20 * np.sin(2 * np.pi * np.arange(48, 54) / 12)
    found, left_out = classics()
    assert not left_out
    error = {name: np.abs(method(values, 6, 12) - later).mean() for name, method in found.items()}
    assert error["ETS"] < 3 and error["Theta"] < 8 < error["seasonal naive"] < error["naive"]
    assert np.isfinite(found["ETS"](values[:2], 6, 12)).all()  # far too short: something sensible all the same


@pytest.mark.parametrize(
    ("options", "frame", "words"),
    [
        ({"horizon": 70}, FRAME, "two values more than the horizon · got 70 in the longest of 5 series"),
        ({"target": "z"}, FRAME, "the table must have the column · got 'z'"),
        ({"id": None}, FRAME, "every time in 'ds' once"),
        ({"levels": (0.9, 0.1)}, FRAME, "quantile levels must increase"),
        ({"effort": "huge"}, FRAME, "effort must be quick, default or best"),
        ({"horizon": 1.5}, FRAME, "horizon must be a whole number"),
    ],
)
def test_what_cannot_be_forecast_is_told(options, frame, words):
    with pytest.raises(InputError, match=words):
        Forecaster(**{**QUICK, **options}).fit(frame)


def test_what_cannot_be_judged_is_told(model):
    with pytest.raises(InputError, match="origins must be a whole number"):
        rolling_origin(model, FRAME, origins=0)
    with pytest.raises(InputError, match="twice the horizon and two values more"):
        rolling_origin(Forecaster(**{**QUICK, "horizon": 40}), FRAME)
    for call in (model.evaluate, model.partial_fit):
        with pytest.raises(InputError):
            call(FRAME)
    with pytest.raises(InputError, match="one month apart"):
        model.predict(FRAME.with_columns(pl.col("ds").dt.offset_by("3d").alias("ds")).vstack(FRAME.head(1)))


def test_a_series_that_is_too_short_is_forecast_all_the_same():
    frame = pl.concat([FRAME, shops(1, 4).with_columns(pl.lit("young").alias("store"))])
    made = Forecaster(**QUICK).fit(frame)
    assert made.predict().shape == (6, 6) and np.isfinite(made.predict()).all()
    found = rolling_origin(Forecaster(**QUICK), frame, origins=1, methods=SIMPLE)
    assert found.series == 5
