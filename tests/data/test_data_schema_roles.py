"""Golden cases of schema inference: columns whose role a person would name at once."""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data import Schema, infer_schema, unify
from glia.data.roles_dates import find_date_format
from glia.data.roles_numbers import number_share
from glia.data.roles_scales import find_order

N = 200
RNG = np.random.default_rng(7)
SENTENCES = [f"the {a} went to the {b} on day {i}" for i, (a, b) in enumerate([("cat", "sea"), ("dog", "hill")] * 100)]


def pick(*words: object) -> list[object]:
    return [words[i] for i in RNG.integers(0, len(words), N)]


GOLDEN: dict[str, tuple[str, list[object], str]] = {
    "amount": ("amount", list(RNG.normal(size=N)), "numeric"),
    "age": ("age", [int(v) for v in RNG.integers(17, 90, N)], "numeric"),
    "yes or no as 0 and 1": ("flag", pick(0, 1), "numeric"),
    "unique whole numbers that measure": ("population", [int(v) for v in RNG.permutation(10**6)[:N]], "numeric"),
    "a percentage": ("share", [f"{v}%" for v in RNG.integers(0, 100, N)], "numeric"),
    "money": ("cost", [f"${v:,}" for v in RNG.integers(500, 5000, N)], "numeric"),
    "numbers, some missing": ("x", [None, 1.5, 2.5, 3.25] * 50, "numeric"),
    "words": ("colour", pick("red", "green", "blue"), "categorical"),
    "truth values": ("member", pick(True, False), "categorical"),
    "codes with a telling name": ("region_code", pick(3, 7, 11, 20), "categorical"),
    "codes with leading zeros": ("zip", pick("01234", "00501", "90210"), "categorical"),
    "repeated identifiers": ("userId", [int(v) for v in RNG.integers(0, 20, N)], "categorical"),
    "person names that repeat": ("who", pick("Ann Lee", "Bo Cox", "Cy Day"), "categorical"),
    "low, medium, high": ("risk", pick("low", "medium", "high"), "ordinal"),
    "agreement": ("answer", pick("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree"), "ordinal"),
    "age bands": ("band", pick("<18", "18-24", "25-34", "35-64", "65+"), "ordinal"),
    "numbered steps": ("step", pick("1 - poor", "2 - fair", "3 - good"), "ordinal"),
    "stars": ("rating", pick(1, 2, 3, 4, 5), "ordinal"),
    "dates": ("day", [date(2020, 1, 1) + timedelta(days=i) for i in range(N)], "datetime"),
    "dates as words": ("day", [f"{i % 28 + 1:02}.{i % 12 + 1:02}.2020" for i in range(N)], "datetime"),
    "moments as words": ("at", [f"2020-03-04T05:{i % 60:02}:00Z" for i in range(N)], "datetime"),
    "dates as numbers": ("date", [20200101 + i % 28 for i in range(N)], "datetime"),
    "sentences": ("remark", list(SENTENCES), "text"),
    "a counter": ("anything", list(range(1, N + 1)), "id"),
    "an identifier by name": ("customer_id", [int(v) for v in RNG.permutation(10**6)[:N]], "id"),
    "universal identifiers": ("u", [str(uuid.UUID(int=i * 7919)) for i in range(N)], "id"),
    "mail addresses": ("mail", [f"p{i}@example.org" for i in range(N)], "id"),
    "full names, all different": ("name", [f"Ann{i} Lee" for i in range(N)], "id"),
    "one value": ("kind", ["a"] * N, "ignored"),
    "no value": ("nothing", [None] * N, "ignored"),
    "lists": ("list", [[1, 2]] * N, "ignored"),
    "a span of time": ("took", [timedelta(seconds=i) for i in range(N)], "numeric"),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_roles(case: str) -> None:
    name, values, role = GOLDEN[case]
    frame = pl.DataFrame({name: values, "other": RNG.normal(size=N)})
    column = infer_schema(frame).column(name)
    assert (column.role, bool(column.reason)) == (role, True)


def test_the_whole_record_of_a_column() -> None:
    frame = pl.DataFrame({"cut": ["Good", "Ideal", None, "Fair"], "x": ["1,234", "12", None, "7.5"], "y": [1, 2, 3, 4]})
    schema = infer_schema(frame, target="y")
    cut, x, y = schema.columns
    assert cut.order == ("Fair", "Good", "Ideal")
    assert cut.reason == "words that have an order: Fair < Good < Ideal"
    assert (cut.missing, cut.unique, cut.dtype) == (1, 3, "String")
    assert (x.role, x.dtype, x.format, x.reason) == ("numeric", "Float64", "number", "numbers written as text")
    assert (y.role, y.reason, schema.target) == ("target", "to be predicted", "y")
    assert schema.inputs() == ("cut", "x")
    assert schema.names("target", "ordinal") == ("cut", "y")
    assert schema.role("x") == "numeric"
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_roles_as_asked() -> None:
    frame = pl.DataFrame(
        {"a": [3, 1, 2, 1], "b": ["lo", "hi", "mid", "lo"], "c": [1, 2, 1, 2], "d": ["1", "2", "x", "4"]}
    )
    schema = infer_schema(frame, roles={"a": "ordinal", "b": "ordinal", "c": "group", "d": "categorical"})
    assert schema.column("a").order == ("1", "2", "3")
    assert schema.column("b").order == ("hi", "lo", "mid")
    assert "order of the alphabet" in schema.column("b").note
    assert [column.role for column in schema.columns] == ["ordinal", "ordinal", "group", "categorical"]
    assert infer_schema(frame, drop=["d"]).column("d").role == "ignored"
    with pytest.raises(InputError, match="did you mean 'b1'"):
        infer_schema(pl.DataFrame({"b1": [1, 2]})).column("b")


def test_array_columns_are_numeric() -> None:
    X = np.column_stack([np.arange(50), np.arange(50) % 3])
    assert [column.role for column in infer_schema(X).columns] == ["numeric", "numeric"]


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["high", "LOW", "Medium"], ("LOW", "Medium", "high")),
        (["M", "S", "XL", "L"], ("S", "M", "L", "XL")),
        (["often", "never"], ()),
        (["low", "high"], ("low", "high")),
        (["0-9", "10-19", "20-29"], ("0-9", "10-19", "20-29")),
        (["100+", "5-99", "<5"], ("<5", "5-99", "100+")),
        (["red", "low"], ()),
        (["level 2", "level 10", "level 1"], ()),
        (["level 2", "level 3", "level 1"], ("level 1", "level 2", "level 3")),
        (["2020-01", "2020-02", "2019-12"], ()),
        (["medium", "average", "low"], ()),
    ],
)
def test_orders(values: list[str], order: tuple[str, ...]) -> None:
    assert find_order(values) == order


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-01-31", datetime(2020, 1, 31)),
        ("31/01/2020", datetime(2020, 1, 31)),
        ("01/31/2020", datetime(2020, 1, 31)),
        ("31.01.20", datetime(2020, 1, 31)),
        ("2020-01-31 13:45", datetime(2020, 1, 31, 13, 45)),
        ("2020-01-31T13:45:10.5Z", datetime(2020, 1, 31, 13, 45, 10, 500_000)),
        ("2020-01-31T13:45:10+02:00", datetime(2020, 1, 31, 11, 45, 10)),
        ("Jan 31, 2020", datetime(2020, 1, 31)),
        ("31 January 2020", datetime(2020, 1, 31)),
        ("31-Jan-2020", datetime(2020, 1, 31)),
        ("2020/01/31", datetime(2020, 1, 31)),
    ],
)
def test_dates_are_read(text: str, moment: datetime) -> None:
    frame = pl.DataFrame({"when": [text] * 3 + [None], "v": [1, 2, 3, 5]})
    schema = infer_schema(frame, roles={"when": "datetime"})
    assert schema.column("when").format
    assert unify(frame, schema)["when"].to_list() == [moment] * 3 + [None]


def test_dates_that_can_be_read_in_two_ways_are_reported() -> None:
    frame = pl.DataFrame({"day": [f"{i % 12 + 1:02}/{i % 11 + 1:02}/2020" for i in range(60)], "v": range(60)})
    schema = infer_schema(frame)
    assert [finding.message for finding in schema.findings("ambiguous-date")] == [
        "Dates in 'day' may be %m/%d/%Y or %d/%m/%Y; they were read as %m/%d/%Y."
    ]
    assert find_date_format(["12.5 kg", "13.1 kg"]) is None
    assert find_date_format(["hello", "world"]) is None


@pytest.mark.parametrize(
    ("values", "share", "style"),
    [
        (["1", "2.5", "-3e5", ".5", "inf"], 1.0, "number"),
        (["1,234", "12"], 1.0, "number"),
        (["1.234,56", "7"], 1.0, "number, decimal comma"),
        (["1,5", "2,75"], 1.0, "number, decimal comma"),
        (["€ 3.50", "12 %"], 1.0, "number"),
        (["one", "2"], 0.5, "number"),
        (["007", "2"], 0.0, ""),
        (["12 kg", "1-2"], 0.0, "number"),
    ],
)
def test_numbers_in_words(values: list[str], share: float, style: str) -> None:
    assert number_share(values) == (share, style)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int16, pl.Int32, pl.UInt64])
def test_dates_in_columns_of_short_whole_numbers_are_looked_for_without_overflow(dtype):
    frame = pl.DataFrame({"date_month": pl.Series([1, 2, 3, 12] * 20, dtype=dtype), "y": list(range(80))})
    column = next(one for one in infer_schema(frame, target="y").columns if one.name == "date_month")
    assert column.role in ("numeric", "categorical", "ordinal")
