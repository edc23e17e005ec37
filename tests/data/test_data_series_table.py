"""Series in a long table: their steps found, gaps seen, and everything odd refused by name."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data.series import Step, as_series
from glia.data.series.series_table import filled
from glia.data.series.time_steps import find_step

DAY = 86_400_000_000


def micro(*texts):
    return np.array(texts, dtype="M8[us]").astype(np.int64)


def table(times, values=None, **more):
    return pl.DataFrame({"ds": times, "y": values or [float(i) for i in range(len(times))], **more})


READ = {"time": "ds", "target": "y"}


@pytest.mark.parametrize(
    ("times", "words", "season"),
    [
        (("2024-01-31", "2024-02-29", "2024-03-31", "2024-05-31"), "month", 12),
        (("2024-01-15", "2024-02-15", "2024-03-15"), "month", 12),
        (("2020-03-31", "2020-06-30", "2020-09-30"), "quarter", 4),
        (("2019-01-01", "2020-01-01", "2021-01-01"), "year", 1),
        (("2024-01-01", "2024-01-02", "2024-01-05"), "day", 7),
        (("2024-01-01", "2024-01-08", "2024-01-15"), "week", 52),
        (("2024-01-01T00", "2024-01-01T01", "2024-01-01T02"), "hour", 24),
        (("2024-01-01T00:00", "2024-01-01T00:15", "2024-01-01T00:30"), "15 minutes", 96),
    ],
)
def test_the_step_is_found_and_its_times_come_back(times, words, season):
    moments = micro(*times)
    step = find_step([moments], numbers=False)
    assert (step.words, step.season) == (words, season)
    index = step.index(int(moments[0]), moments)
    assert step.times(int(moments[0]), index).tolist() == moments.tolist()
    assert index[-1] >= len(times) - 1


def test_numbers_are_steps():
    step = find_step([np.array([10, 12, 16])], numbers=True)
    assert step == Step("number", 2) and step.season == 1 and step.words == "2 steps"
    assert step.index(10, np.array([10, 16])).tolist() == [0, 3]
    assert step.calendar(np.arange(3))[0].shape == (3, 0)


def test_the_calendar_by_hand():
    values, names = Step("us", DAY // 24).calendar(micro("2024-01-01T06:00"))  # a Monday
    assert names[:2] == ("hour (sine)", "hour (cosine)")
    np.testing.assert_allclose(values[0, :2], [1, 0], atol=1e-12)
    week, _ = Step("us", DAY).calendar(micro("2024-01-01", "2024-01-08", "2024-01-02"))
    np.testing.assert_allclose(week[0, :2], week[1, :2])
    np.testing.assert_allclose(week[0, :2], [0, 1], atol=1e-12)
    assert not np.allclose(week[0, :2], week[2, :2])
    month, names = Step("month", 1).calendar(micro("2024-04-01"))
    np.testing.assert_allclose(month[0], [1, 0], atol=1e-12)
    assert names == ("month (sine)", "month (cosine)")


def test_rows_in_any_order_of_many_series_with_gaps_and_steps_to_come():
    frame = pl.DataFrame(
        {
            "ds": ["2024-01-04", "2024-01-01", "2024-01-02", "2024-01-01", "2024-01-02", "2024-01-03"],
            "store": ["b", "b", "b", "a", "a", "a"],
            "y": [4.0, 1.0, 2.0, 10.0, 20.0, None],
            "price": [5, 6, 7, 8, 9, 10],
        }
    )
    found = as_series(frame, **READ, id="store", covariates=["price"])
    assert found.ids == ("b", "a") and found.lengths.tolist() == [4, 3] and found.known.tolist() == [4, 2]
    np.testing.assert_array_equal(found.values, [1, 2, np.nan, 4, 10, 20, np.nan])
    assert found.covariates[:, 0].tolist() == [6, 7, 7, 5, 8, 9, 10]
    assert found.notes and found.notes[0].startswith("1 of 6 values")
    assert [one.tolist() for one in found.histories()] == [[1, 2, 2, 4], [10, 20]]
    past = found.cut(1)
    assert past.ids == ("b",) and past.known.tolist() == [3]
    np.testing.assert_array_equal(past.values, [1, 2, np.nan, np.nan])
    several = as_series(frame.with_columns(town=pl.lit("Ulm")), **READ, id=["town", "store"])
    assert several.ids == ("Ulm · b", "Ulm · a") and several.covariates.shape == (7, 0)


def test_filling_by_hand():
    nan = float("nan")
    assert filled(np.array([nan, 1, nan, nan, 3, nan])).tolist() == [1, 1, 1, 1, 3, 3]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table(["2024-01-01", "2024-01-01"]), "every time in 'ds' once · got 2024-01-01 in the series 'series'"),
        (
            table([dt.datetime(2024, 1, 1, h) for h in range(5)] + [dt.datetime(2024, 1, 1, 7, 30)]),
            "one hour apart · got 2024-01-01 07:30:00 in between .series 'series'. · correct these times",
        ),
        (table(["2024-01-01"]), "at least two times"),
        (table(["2024-01-01", None]), "every row must have a time in 'ds' · got 1 missing"),
        (table(["2024-01-01", "soon"]), "must be a date · got 'soon'"),
        (table([1.5, 2.5]), "dates or whole numbers · got fractions"),
        (table([True, False]), "dates or whole numbers · got Boolean"),
        (table([1, 2], ["a", "b"]), "must hold numbers · got 'a'"),
        (table([1, 2], [float("inf"), 1.0]), "finite numbers"),
        (table([1, 2], [None, None]).cast({"y": pl.Float64}), "every series must have values of 'y' · got none"),
        (table([1, 2, 10**9]), "mostly gaps · got 3 rows"),
        (pl.DataFrame({"ds": [1], "z": [1]}), "must have the column · got 'y'"),
        (pl.DataFrame({"ds": [], "y": []}, schema={"ds": pl.Int64, "y": pl.Float64}), "there must be rows"),
    ],
)
def test_what_cannot_be_forecast_is_told(frame, words):
    with pytest.raises(InputError, match=words):
        as_series(frame, **READ)


def test_one_column_has_one_role():
    with pytest.raises(InputError, match="one role · got 'y'"):
        as_series(table([1, 2, 3]), **READ, covariates=["y"])
