import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from glia.core.errors import InputError, ModelFileError
from glia.data.preparation import Preparation

ROLES = {
    "n": "numeric",
    "i": "numeric",
    "c": "categorical",
    "b": "categorical",
    "o": "ordinal",
    "d": "datetime",
    "s": "datetime",
    "t": "text",
    "left": "ignored",
}
CELLS = {
    "n": st.floats(allow_nan=True, allow_infinity=True),
    "i": st.integers(-(2**62), 2**62),
    "c": st.sampled_from(["a", "b", "", "ä", " a"]) | st.text(max_size=3),
    "b": st.booleans(),
    "o": st.sampled_from(["lo", "mid", "hi"]),
    "d": st.datetimes(datetime(1700, 1, 1), datetime(2300, 1, 1)),
    "s": st.dates(date(1700, 1, 1), date(2300, 1, 1)).map(str),
    "t": st.text(max_size=20),
    "left": st.integers(0, 3),
}
TYPES = {"n": pl.Float64, "i": pl.Int64, "b": pl.Boolean, "d": pl.Datetime("us"), "left": pl.Int64}
SETTINGS = {
    "impute": st.sampled_from(["auto", "mean", "mode", "constant"]),
    "scale": st.sampled_from(["auto", "zscore", "minmax", "quantile", "none"]),
    "encode": st.sampled_from(["auto", "onehot", "ordinal", "embedding"]),
    "indicator": st.sampled_from(["auto", "always"]),
    "numeric_bins": st.sampled_from([0, 3]),
}


def tables(least=1):
    def build(rows):
        return pl.DataFrame(rows, schema={name: TYPES.get(name, pl.String) for name in CELLS}, orient="row")

    row = st.tuples(*(st.none() | cells for cells in CELLS.values()))
    return st.lists(row, min_size=least, max_size=12).map(build)


def fit(frame, chosen=None):
    try:
        return Preparation(text_features=8, roles=ROLES, **(chosen or {})).fit(frame)
    except InputError:
        return None


@settings(max_examples=60, deadline=None)
@given(tables(), tables(), st.fixed_dictionaries(SETTINGS))
def test_any_table_gives_finite_rows_and_the_state_gives_the_same_bits(train, rows, chosen):
    fitted = fit(train, chosen)
    assert fitted is not None
    state, arrays = fitted.to_state()
    again = Preparation.from_state(
        json.loads(json.dumps(state, allow_nan=False)), {k: a.copy() for k, a in arrays.items()}
    )
    for frame in (train, rows):
        found = fitted.transform(frame)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        assert found.shape == (len(frame), *fitted.layout_.shape)
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(again.transform(frame), found)
        if chosen["encode"] == "onehot":
            assert not fitted.layout_.indices("code")
        for i in fitted.layout_.indices("code"):
            assert set(found[:, i]) <= set(range(fitted.layout_.features[i].cardinality))
        for i in fitted.layout_.indices("onehot", "indicator"):
            assert set(found[:, i]) <= {0.0, 0.5, 1.0}
    assert again.layout_ == fitted.layout_
    assert set(fitted.layout_.groups()) <= set(fitted.feature_names_in_) == set(ROLES) - {"left"}


@settings(max_examples=25, deadline=None)
@given(tables(), tables(), tables())
def test_only_training_rows_are_learned_from(train, other, another):
    fitted = fit(train)
    assert fitted is not None
    alone = fitted.transform(train)
    for rows in (other, another):  # rows prepared together with others, or after them, come out the same
        np.testing.assert_array_equal(fitted.transform(pl.concat([train, rows]))[: len(train)], alone)
    again = fit(train)
    assert json.dumps(again.to_state()[0]) == json.dumps(fitted.to_state()[0])


def test_negative_control_other_training_rows_change_what_is_learned():
    train, more = np.arange(10.0)[:, None], np.r_[np.arange(10.0), 1000.0, 1000.0][:, None]
    assert not np.array_equal(Preparation().fit(train).transform(train), Preparation().fit(more).transform(train))


@settings(max_examples=40, deadline=None)
@given(tables(), st.permutations(list(CELLS)), st.integers(0, 5))
def test_rows_are_independent_and_columns_may_come_in_any_order(train, order, shift):
    fitted = fit(train)
    assert fitted is not None
    found = fitted.transform(train)
    np.testing.assert_array_equal(fitted.transform(train.select(order)), found)
    rolled = np.roll(np.arange(len(train)), shift)
    np.testing.assert_array_equal(fitted.transform(train[rolled.tolist()]), found[rolled])


def test_every_flat_dtype():
    frame = pl.DataFrame(
        {
            "int": pl.Series([1, 2, None], dtype=pl.Int8),
            "unsigned": pl.Series([1, 2**63, 3], dtype=pl.UInt64),
            "float": pl.Series([0.5, None, 1.5], dtype=pl.Float32),
            "decimal": [Decimal("1.25"), Decimal("-3.50"), None],
            "bool": [True, False, None],
            "date": [date(2020, 1, 1), None, date(2021, 6, 1)],
            "datetime": [datetime(2020, 1, 1, 5), datetime(2020, 5, 1, 6), None],
            "time": [time(1), time(13), None],
            "duration": [timedelta(hours=1), timedelta(days=2), None],
            "string": ["a", "b", ""],
            "categorical": pl.Series(["u", "v", None], dtype=pl.Categorical),
            "enum": pl.Series(["p", "q", None], dtype=pl.Enum(["q", "p"])),
            "null": [None, None, None],
        }
    )
    fitted = Preparation(scale="none").fit(frame)
    assert list(fitted.feature_names_in_) == [name for name in frame.columns if name != "null"]
    found = fitted.transform(frame)
    names = {name: i for i, name in enumerate(fitted.get_feature_names_out())}
    np.testing.assert_array_equal(found[:, names["decimal"]], [1.25, -3.5, -1.125])
    np.testing.assert_array_equal(found[:, names["duration"]], [3600, 172800, 88200])
    np.testing.assert_array_equal(found[:, names["bool=true"]], [1, 0, 0])
    np.testing.assert_array_equal(found[:, names["enum=q"]], [0, 1, 0])
    np.testing.assert_array_equal(found[:, names["string is missing"]], [0, 0, 1])
    assert found[1, names["unsigned"]] == 2.0**63


@pytest.mark.parametrize("role", ["numeric", "categorical", "datetime", "text"])
@pytest.mark.parametrize(
    "values", [["1", None, "x"], [True, False, None], [Decimal("2"), None, Decimal("3")], [1.5, None, 2.5]]
)
def test_odd_pairs_of_role_and_dtype(role, values):
    frame = pl.DataFrame({"c": values})
    try:
        found = Preparation(roles={"c": role}).fit_transform(frame)
    except InputError as error:
        assert role == "datetime"
        assert "must hold dates" in str(error)
    else:
        assert np.isfinite(found).all()


def test_numbers_as_text():
    frame = pl.DataFrame({"p": ["1,234.5", " 2 ", "12%"], "q": ["1.234,5", "2", "x"]})
    comma = type("Given", (), {"role": "numeric", "format": "number, decimal comma"})
    found = Preparation(scale="none", indicator="never").fit_transform(frame, roles={"p": "numeric", "q": comma})
    np.testing.assert_array_equal(found, [[1234.5, 1234.5], [2, 2], [12, 618.25]])


@pytest.mark.parametrize(
    "bad",
    [pl.Series([[1], [2]]), pl.Series([{"a": 1}, {"a": 2}]), pl.Series([b"a", b"b"]), pl.Series([object(), object()])],
    ids=["list", "struct", "binary", "object"],
)
def test_nested_cells_are_refused(bad):
    with pytest.raises(InputError, match=r"every column must hold single values · got 'bad' \("):
        Preparation().fit(pl.DataFrame({"x": [1, 2], "bad": bad}))
    fitted = Preparation().fit(pl.DataFrame({"bad": [1, 2]}))
    with pytest.raises(InputError, match="every column must hold single values"):
        fitted.transform(pl.DataFrame({"bad": bad}))
    left_out = Preparation().fit_transform(pl.DataFrame({"x": [1, 2], "bad": bad}), roles={"x": "numeric"})
    assert left_out.shape == (2, 1)


def test_missing_columns_are_all_named_with_the_nearest_names():
    fitted = Preparation().fit(pl.DataFrame({"age": [1, 2], "income": [3, 4], "zip": [5, 6]}))
    with pytest.raises(InputError) as caught:
        fitted.transform(pl.DataFrame({"Age": [1], "incme": [2], "zip": [3], "extra": [4]}))
    assert str(caught.value) == (
        "the table must have all columns that are used · got a table without 'age', 'income' · "
        "for 'age': did you mean 'Age'?; for 'income': did you mean 'incme'?"
    )


def test_wrong_types_are_coerced_or_missing():
    fitted = Preparation(scale="none").fit(pl.DataFrame({"x": [1.0, 2.0, 3.0]}))
    found = fitted.transform(pl.DataFrame({"x": ["7", "seven", None]}))
    np.testing.assert_array_equal(found[:, 0], [7, 2, 2])


def test_arrays_and_frames_agree():
    values = np.random.default_rng(0).normal(size=(50, 3))
    values[0, 0], values[1, 1] = np.nan, np.inf
    frame = pl.DataFrame(values, schema=["x0", "x1", "x2"])
    by_array, by_frame = Preparation(numeric_bins=4).fit(values), Preparation(numeric_bins=4).fit(frame)
    assert by_array.layout_ == by_frame.layout_
    expected = by_array.transform(values)
    for fitted in (by_array, by_frame):
        for rows in (values, frame, np.asfortranarray(values)):
            np.testing.assert_array_equal(fitted.transform(rows), expected)
    assert by_array.transform(np.zeros((0, 3))).shape == by_frame.transform(frame[:0]).shape == (0, 5)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float16, np.bool_])
def test_arrays_of_any_numbers(kind):
    values = (np.arange(12).reshape(6, 2) % 7).astype(kind)
    expected = Preparation().fit_transform(values.astype(np.float64))
    np.testing.assert_array_equal(Preparation().fit_transform(values), expected)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.array([["a"]], dtype=object), "must be 2-D and hold numbers"),
        (np.zeros(3), r"got shape \(3,\)"),
        (np.zeros((0, 2)), "at least one training row"),
        (np.zeros((2, 0)), "at least one training row and one column"),
        (pl.DataFrame({"a": []}), "at least one training row"),
        (pl.DataFrame({"a": [None]}), "at least one column must be usable"),
        ([[1]], "got list"),
    ],
)
def test_data_that_cannot_be_used(data, words):
    with pytest.raises(InputError, match=words):
        Preparation().fit(data)


def test_arrays_must_fit_what_was_learned():
    fitted = Preparation().fit(np.zeros((3, 2)))
    with pytest.raises(InputError, match="3 columns for 2"):
        fitted.transform(np.zeros((1, 3)))
    mixed = Preparation().fit(pl.DataFrame({"c": ["a", "b"]}))
    with pytest.raises(InputError, match="all numeric"):
        mixed.transform(np.zeros((1, 1)))


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(InputError) as caught:
        Preparation(impute="medain", scale="z-score", rare=0, fill_value=np.nan).fit(np.zeros((2, 1)))
    message = str(caught.value)
    for part in (
        "impute='medain'",
        "did you mean 'median'?",
        "'zscore'",
        "rare=0",
        "whole number from 1",
        "fill_value=nan",
    ):
        assert part in message


def test_unknown_roles_and_columns_are_refused():
    frame = pl.DataFrame({"age": [1, 2]})
    with pytest.raises(InputError, match=r"age='numerical' · did you mean 'numeric'"):
        Preparation(roles={"age": "numerical"}).fit(frame)
    with pytest.raises(InputError, match=r"without 'aeg' · for 'aeg': did you mean 'age'"):
        Preparation(roles={"aeg": "numeric"}).fit(frame)


def test_it_is_a_scikit_learn_estimator():
    preparation = Preparation(scale="minmax", roles={"a": "numeric"})
    assert clone(preparation).get_params() == preparation.get_params()
    assert len(preparation.get_params()) <= 12
    preparation.set_params(scale="zscore")
    assert preparation.scale == "zscore"
    with pytest.raises(NotFittedError):
        preparation.transform(pl.DataFrame({"a": [1]}))


def test_transform_changes_neither_the_rows_nor_what_was_learned():
    values = np.array([[1.0, np.nan], [2.0, 5.0], [9.0, 7.0]])
    before = values.copy()
    fitted = Preparation().fit(values)
    first = fitted.transform(values)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(fitted.transform(values), first)


def test_many_rows_are_done_in_pieces_with_the_same_result():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"n": rng.normal(size=140_000), "c": rng.choice(["a", "b", "c"], 140_000)})
    fitted = Preparation().fit(frame)
    found = fitted.transform(frame)
    for rows in (slice(0, 5), slice(131_070, 131_075), slice(139_990, 140_000)):
        np.testing.assert_array_equal(found[rows], fitted.transform(frame[rows]))


def test_many_columns_are_not_quadratic():
    frame = pl.DataFrame({f"c{i}": [0.0, 1.0, float(i)] for i in range(3000)})
    fitted = Preparation().fit(frame)
    assert fitted.transform(frame).shape == (3, 3000)
    with pytest.raises(InputError, match="and 2980 more"):
        fitted.transform(pl.DataFrame({"other": [1]}))


@pytest.fixture(scope="module")
def saved():
    frame = pl.DataFrame(
        {
            "n": [1.0, 2.0, None],
            "c": ["a", "b", "c"],
            "d": [date(2020, 1, 1), date(2021, 2, 2), None],
            "t": ["one", "two", ""],
        }
    )
    return (
        Preparation(rare=1)
        .fit(frame, roles={"n": "numeric", "c": "categorical", "d": "datetime", "t": "text"})
        .to_state()
    )


def test_a_state_of_another_version_is_refused(saved):
    with pytest.raises(ModelFileError, match="format version 1 · got version=99"):
        Preparation.from_state({**saved[0], "version": 99}, saved[1])


@pytest.mark.parametrize("key", ["params", "roles", "parts", "layout"])
def test_an_incomplete_state_is_refused(saved, key):
    state = {name: value for name, value in saved[0].items() if name != key}
    with pytest.raises(ModelFileError, match="must be whole"):
        Preparation.from_state(state, saved[1])


def test_missing_or_misshapen_arrays_are_refused(saved):
    state, arrays = saved
    assert Preparation.from_state(state, arrays).layout_.in_features > 5
    for name in arrays:
        with pytest.raises(ModelFileError):
            Preparation.from_state(state, {key: array for key, array in arrays.items() if key != name})
        if name != "numeric.flagged":
            with pytest.raises(ModelFileError):
                Preparation.from_state(state, {**arrays, name: np.zeros((2, 7))})


def test_contradicting_categories_are_refused(saved):
    state = json.loads(json.dumps(saved[0]))
    state["parts"]["category"]["columns"][0][4] = 99
    with pytest.raises(ModelFileError, match="contradict"):
        Preparation.from_state(state, saved[1])
