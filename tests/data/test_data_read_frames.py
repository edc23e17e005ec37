"""Containers in memory: the same values whatever they come in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from glia.core.errors import InputError
from glia.data import infer_schema, to_frame


def test_arrays_of_numbers_of_every_kind() -> None:
    for dtype in ("float64", "float32", "float16", "int8", "int64", "uint16", "bool"):
        X = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
        for array in (X, np.asfortranarray(X), np.ascontiguousarray(X)[::-1]):
            frame = to_frame(array)
            assert frame.columns == ["x0", "x1", "x2"]
            np.testing.assert_array_equal(frame.to_numpy(), array)
    assert to_frame(np.ones((2, 1), np.float32)).dtypes == [pl.Float32]


def test_arrays_of_objects() -> None:
    X = np.array([["a", 1, 2.5, None], ["b", "x", float("nan"), None]], dtype=object)
    frame = to_frame(X, ["word", "mixed", "number", "empty"])
    assert frame.rows() == [("a", "1", 2.5, None), ("b", "x", None, None)]
    assert to_frame(np.array([[1, 2.5], [True, 3]], dtype=object)).dtypes[1] == pl.Float64
    assert to_frame([["a", 1], ["b", 2]]).rows() == [("a", 1), ("b", 2)]
    assert to_frame(np.array([[{"k": 1}, 1], [2, 3]], dtype=object))["x0"].to_list() == ["{'k': 1}", "2"]


def test_structured_dicts_sparse_and_lists() -> None:
    wanted = [(1, "x"), (2, "y")]
    assert to_frame(np.array(wanted, dtype=[("a", "i8"), ("b", "U3")])).rows() == wanted
    assert to_frame({"a": [1, 2], "b": ["x", "y"]}).rows() == wanted
    assert to_frame([{"a": 1, "b": "x"}, {"b": "y", "a": 2}]).rows() == wanted
    X = np.array([[0.0, 1.5], [2.0, 0.0]])
    for kind in (sparse.csr_matrix, sparse.coo_array, sparse.csc_matrix):
        np.testing.assert_array_equal(to_frame(kind(X)).to_numpy(), X)
    np.testing.assert_array_equal(to_frame(X.tolist()).to_numpy(), X)


def test_pandas_types() -> None:
    frame = to_frame(
        pd.DataFrame(
            {
                "object": ["a", 1, None],
                "ordered": pd.Categorical(["lo", "hi", None], categories=["lo", "hi"], ordered=True),
                "category": pd.Categorical(["u", "v", None]),
                "nullable": pd.array([1, None, 3], dtype="Int64"),
                "string": ["x", "y", None],
                "time": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
                7: [1.5, np.nan, 2.5],
            },
            index=[9, 9, 9],
        )
    )
    assert frame["object"].to_list() == ["a", "1", None]
    assert isinstance(frame.schema["ordered"], pl.Enum)
    assert frame["category"].cast(pl.String).to_list() == ["u", "v", None]
    assert frame["nullable"].to_list() == [1, None, 3]
    assert frame["string"].to_list() == ["x", "y", None]
    assert [None if v is None else v.day for v in frame["time"]] == [1, None, 3]
    assert frame["7"].to_list() == [1.5, None, 2.5]
    order = infer_schema(frame).column("ordered")
    assert (order.role, order.order) == ("ordinal", ("lo", "hi"))


def test_arrow_and_polars() -> None:
    wanted = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    assert to_frame(pa.table({"a": [1, None], "b": ["x", "y"]})).equals(wanted)
    assert to_frame(wanted) is wanted
    assert to_frame(wanted.lazy()).equals(wanted)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            np.ones(3),
            "rows must be an array of two dimensions (rows, columns) · got shape (3,): Expected 2D array, got 1D array "
            "instead · Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row",
        ),
        (
            np.ones((0, 3)),
            "there must be at least one row · got 0 sample(s) (shape=(0, 3)) while a minimum of 1 is required. · "
            "hand in an array that is not empty",
        ),
        (
            np.ones((3, 0)),
            "there must be at least one column · got 0 feature(s) (shape=(3, 0)) while a minimum of 1 is required. · "
            "hand in an array that is not empty",
        ),
        (
            np.ones((2, 2), complex),
            "numbers must be real · got dtype=complex128: Complex data not supported · split real from imaginary",
        ),
        (
            sparse.csr_matrix((10**6, 10**4)),
            "a sparse matrix must unfold to at most 2 GiB · got shape (1000000, 10000), which unfolds to 74.5 GiB · "
            "choose columns or reduce them first (for instance with sklearn.decomposition.TruncatedSVD)",
        ),
        (
            pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]),
            "column names must be unique · got 'a' more than once · rename these columns",
        ),
        (
            object(),
            "data must be a table · got a builtins.object · hand in a path, an array, a list of rows, or a pandas, "
            "Polars or Arrow frame",
        ),
        (
            [[1, 2], [3]],
            "rows in a list must be of one length · got rows of different lengths · fill the short rows with None",
        ),
        ([], "there must be at least one row · got an empty list: 0 sample(s) · hand in rows"),
    ],
)
def test_what_is_no_table(X: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        to_frame(X)
    assert str(caught.value) == message


def test_wrong_number_of_names() -> None:
    with pytest.raises(InputError, match="3 names for 2 columns"):
        to_frame(np.ones((1, 2)), ["a", "b", "c"])
