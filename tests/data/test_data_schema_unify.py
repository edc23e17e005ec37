"""Rows at predict time get the columns and types that were learned, whatever they come in."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data import conform, infer_schema, learn_schema, unify

LEARNED = pl.DataFrame(
    {
        "age": [20, 30, 40, 50],
        "pay": ["$1,000", "2,500.50", None, "7"],
        "code": ["a", "b", "a", "?"],
        "size_type": [1, 2, 3, 1],
        "member": [True, False, None, True],
        "day": ["2020-01-31", "2020-02-01", "2020-02-02", None],
        "risk": ["low", "high", "medium", "low"],
        "note": ["x", "x", "x", "x"],
        "y": ["no", "yes", "no", "yes"],
    }
)
SCHEMA = infer_schema(LEARNED, target="y")
WANTED = [(30, 2500.5, "b", "2", False, datetime(2020, 2, 1), "high")]


def test_learning_and_unifying_agree() -> None:
    frame, schema = learn_schema(LEARNED, target="y")
    again = unify(LEARNED, schema)
    assert again.columns == ["age", "pay", "code", "size_type", "member", "day", "risk", "y"]
    assert again.equals(frame.select(again.columns))
    assert unify(again, schema).equals(again)  # a fixed point
    assert [str(dtype) for dtype in again.dtypes] == [
        "Int64",
        "Float64",
        "String",
        "String",
        "Boolean",
        "Datetime(time_unit='us', time_zone=None)",
        "String",
        "String",
    ]
    assert frame["code"].to_list() == ["a", "b", "a", None]


NAMES = ("age", "pay", "code", "size_type", "member", "day", "risk")
ROWS = [
    (30, 2500.5, "b", 2, False, date(2020, 2, 1), "high"),
    ("30", "2,500.5", " b ", "2", "False", "2020-02-01 00:00:00", "high"),
    (30.0, "$2500.50", "b", 2.0, 0, datetime(2020, 2, 1), "high"),
]


@pytest.mark.parametrize(
    "row",
    [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    + [{**dict(reversed(list(zip(NAMES, ROWS[0], strict=True)))), "more": 1}],
)
@pytest.mark.parametrize("kind", ["dicts", "polars", "pandas"])
def test_one_row_in_many_forms(row: dict[str, object], kind: str) -> None:
    rows = {"dicts": [row], "polars": pl.DataFrame([row]), "pandas": pd.DataFrame([row])}[kind]
    assert unify(rows, SCHEMA).rows() == WANTED


def test_missing_and_new_values() -> None:
    row = {"age": None, "pay": "NA", "code": "new", "size_type": 9, "member": None, "day": "-", "risk": "extreme"}
    assert unify([row], SCHEMA).rows() == [(None, None, "new", "9", None, None, "extreme")]


def test_missing_columns_are_all_named() -> None:
    rows = LEARNED.select("Age" if name == "age" else name for name in LEARNED.columns if name != "age")
    with pytest.raises(InputError) as caught:
        unify(rows.rename({"pay": "Pay", "risk": "zzz"}), SCHEMA)
    assert str(caught.value) == (
        "rows must have the columns that the model was fitted on · got rows without 'age', 'pay', 'risk' · "
        "for 'pay' did you mean 'Pay'?"
    )


def test_values_that_cannot_be_read() -> None:
    rows = LEARNED.with_columns(age=pl.Series(["20", "old", "40", "50"]))
    frame, findings = conform(rows, SCHEMA)
    assert frame["age"].to_list() == [20.0, None, 40.0, 50.0]
    assert [finding.message for finding in findings] == [
        "1 of 4 values of 'age' cannot be read as a number and count as missing: 'old'."
    ]
    with pytest.raises(InputError) as caught:
        unify(LEARNED.with_columns(day=pl.Series(["soon"] * 4)), SCHEMA)
    assert str(caught.value) == (
        "column 'day' must hold dates · got 'soon' · "
        "correct these values, leave them blank, or give the column another role"
    )


def test_infinite_numbers_at_predict_time() -> None:
    schema = infer_schema(np.array([[1.0, 2.0], [3.0, 4.0]]))
    with pytest.raises(InputError, match=r"infinite values \(inf\) in 'x1' \(row 1\)"):
        unify(np.array([[1.0, -np.inf]]), schema)
    assert unify(np.array([[1.0, np.nan]]), schema).rows() == [(1.0, None)]


def test_floats_keep_their_width_and_are_not_cut() -> None:
    schema = infer_schema(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    assert unify(np.ones((1, 2), np.float32), schema).dtypes == [pl.Float32] * 2
    whole = infer_schema(pl.DataFrame({"a": [1, 2, 3], "b": [5, 7, 9]}))
    assert unify(pl.DataFrame({"a": [1.5], "b": [2]}), whole).rows() == [(1.5, 2)]
