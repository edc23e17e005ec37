from datetime import date, datetime, time, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data.datetimes import find_formats
from glia.data.preparation import Preparation

DAYS = [date(2024, 1, 15), date(2024, 7, 1), date(2025, 4, 10), date(2023, 11, 30)]


def when(values):
    return pl.DataFrame({"d": values})


def test_cyclic_parts_by_hand():
    fitted = Preparation(scale="none").fit(when(DAYS))
    parts = ["month", "weekday", "day of the year"]
    expected = ["d (years)", *(f"d ({part}, {wave})" for part in parts for wave in ("sine", "cosine"))]
    assert list(fitted.get_feature_names_out()) == expected
    assert fitted.layout_.groups() == {"d": tuple(range(7))}
    row = fitted.transform(when([date(2024, 4, 3)]))[0]  # a Wednesday, the 94th day
    angles = [2 * np.pi * 3 / 12, 2 * np.pi * 2 / 7, 2 * np.pi * 93 / 365.2425]
    np.testing.assert_allclose(row[1:], [f(a) for a in angles for f in (np.sin, np.cos)], atol=1e-6)
    assert row[0] == pytest.approx((date(2024, 4, 3) - date(1970, 1, 1)).days / 365.2425, rel=1e-6)


def test_only_the_parts_that_vary_are_kept():
    firsts = [datetime(2024, month, 1, 12) for month in range(1, 13)]
    names = list(Preparation().fit(when(firsts)).get_feature_names_out())
    assert names == ["d (years)", "d (month, sine)", "d (month, cosine)"]  # the weekday of the 1st is an accident
    weeks = [date(2024, 1, 1) + timedelta(days=7 * week) for week in range(20)]
    names = list(Preparation().fit(when(weeks)).get_feature_names_out())
    assert not [name for name in names if "weekday" in name]
    assert "d (day of the year, sine)" in names
    hours = [datetime(2024, 5, 6, hour) for hour in range(24)]
    names = list(Preparation().fit(when(hours)).get_feature_names_out())
    assert names == ["d (years)", "d (hour, sine)", "d (hour, cosine)"]


def test_the_clock_is_round():
    fitted = Preparation().fit(when([time(h) for h in range(24)]))
    assert list(fitted.get_feature_names_out()) == ["d (hour, sine)", "d (hour, cosine)"]
    late, early, noon = fitted.transform(when([time(23, 59, 59), time(0), time(12)]))
    assert np.linalg.norm(late - early) < 1e-3 < np.linalg.norm(noon - early)


def test_a_missing_date_is_the_centre_of_the_circle_and_is_indicated():
    fitted = Preparation().fit(when([*DAYS, None]))
    features = {feature.name: i for i, feature in enumerate(fitted.layout_.features)}
    row = fitted.transform(when(pl.Series([None], dtype=pl.Date)))[0]
    assert row[features["d is missing"]] == 1
    assert row[features["d (years)"]] == 0  # the median
    assert (np.delete(row, features["d is missing"]) == 0).all()


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d %b %Y", "%B %d, %Y", "%m/%d/%y", "%d.%m.%y"],
)
def test_written_dates_give_what_dates_give(form):
    expected = Preparation().fit(when(DAYS)).transform(when(DAYS))
    written = when([f" {day.strftime(form)}" for day in DAYS])
    fitted = Preparation(roles={"d": "datetime"}).fit(written)
    np.testing.assert_array_equal(fitted.transform(written), expected)
    np.testing.assert_array_equal(fitted.transform(when(DAYS)), expected)  # the dtype may differ from training
    moments = [datetime(d.year, d.month, d.day) for d in DAYS]
    np.testing.assert_array_equal(fitted.transform(when(moments)), expected)


def test_written_times_and_mixed_formats():
    assert find_formats(pl.Series(["2024-01-31", "2024-01-31T10:00:00", None, ""]))[0] == "%Y-%m-%d"
    mixed = when(["2024-01-31", "2024-03-31T18:30:00", "2024-05-31"])
    fitted = Preparation(scale="none", indicator="always", roles={"d": "datetime"}).fit(mixed)
    where = list(fitted.layout_.indices("indicator"))
    np.testing.assert_array_equal(fitted.transform(mixed)[:, where], 0)
    clock = when(["09:30", "18:05"])
    names = list(Preparation().fit(clock, roles={"d": "datetime"}).get_feature_names_out())
    assert names == ["d (hour, sine)", "d (hour, cosine)"]


def test_the_format_of_a_schema_is_taken():
    class Given:
        role = "datetime"
        format = "%d/%m/%Y"

    ambiguous = when(["01/02/2024", "03/02/2024", "05/03/2024"])
    expected = Preparation().fit_transform(when([date(2024, 2, 1), date(2024, 2, 3), date(2024, 3, 5)]))
    np.testing.assert_array_equal(Preparation().fit_transform(ambiguous, roles={"d": Given()}), expected)


@pytest.mark.parametrize(
    ("numbers", "form"),
    [
        ([1990, 2024], "year"),
        ([19900101, 20240315], "%Y%m%d"),
        ([631152000, 1710460800], "epoch s"),
        ([631152000000, 1710460800000], "epoch ms"),
        ([631152000000000, 1710460800000000], "epoch us"),
        ([631152000000000000, 1710460800000000000], "epoch ns"),
    ],
)
def test_numbers_as_dates(numbers, form):
    assert find_formats(pl.Series("d", numbers)) == (form,)
    found = Preparation(scale="none").fit_transform(when(numbers), roles={"d": "datetime"})
    last = date(2024, 1, 1) if form == "year" else date(2024, 3, 15)
    expected = [(day - date(1970, 1, 1)).days / 365.2425 for day in (date(1990, 1, 1), last)]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_time_zones_keep_the_local_hour():
    zone = timezone(timedelta(hours=5))
    local = [datetime(2024, 1, 1, hour, tzinfo=zone) for hour in range(0, 24, 6)]
    aware = pl.DataFrame({"d": pl.Series(local).dt.convert_time_zone("Asia/Karachi")})
    naive = when([moment.replace(tzinfo=None) for moment in local])
    np.testing.assert_array_equal(Preparation().fit_transform(aware), Preparation().fit_transform(naive))


def test_a_column_without_dates_is_refused():
    with pytest.raises(InputError, match=r"'d' with values like 'soon' · write them as"):
        Preparation(roles={"d": "datetime"}).fit(when(["soon", "later"]))


def test_a_constant_or_empty_date_leaves_nothing():
    frame = pl.DataFrame({"d": [date(2024, 1, 1)] * 3, "x": [1, 2, 3]})
    assert list(Preparation().fit(frame).get_feature_names_out()) == ["x"]
    nothing = pl.DataFrame({"d": pl.Series([None] * 3, dtype=pl.Date), "x": [1, 2, 3]})
    assert list(Preparation().fit(nothing).get_feature_names_out()) == ["x"]
