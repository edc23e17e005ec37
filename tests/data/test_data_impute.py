import numpy as np
import polars as pl
import pytest
from sklearn.impute import MissingIndicator, SimpleImputer

from glia.core.errors import InputError
from glia.data.preparation import Preparation


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    values = rng.integers(-5, 6, size=(80, 4)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 3] = rng.normal(size=80)  # nothing is missing here
    return values


@pytest.mark.parametrize(
    ("how", "strategy"),
    [("mean", "mean"), ("median", "median"), ("mode", "most_frequent"), ("constant", "constant"), ("auto", "median")],
)
def test_agrees_with_scikit_learn(table, how, strategy):
    peer = SimpleImputer(strategy=strategy, fill_value=7.5).fit(table[:60])
    found = Preparation(impute=how, fill_value=7.5, scale="none", indicator="never").fit(table[:60])
    np.testing.assert_allclose(found.transform(table[60:]), peer.transform(table[60:]), rtol=1e-6)


def test_indicators_agree_with_scikit_learn(table):
    found = Preparation().fit(table)
    where = list(found.layout_.indices("indicator"))
    np.testing.assert_array_equal(found.transform(table)[:, where], MissingIndicator().fit_transform(table))
    assert [found.layout_.features[i].source for i in where] == ["x0", "x1", "x2"]


@pytest.mark.parametrize(("indicator", "width"), [("auto", 7), ("always", 8), ("never", 4)])
def test_which_columns_get_an_indicator(table, indicator, width):
    assert Preparation(indicator=indicator).fit(table).layout_.shape == (width,)


def test_infinities_count_as_missing():
    train = pl.DataFrame({"a": [1.0, 2.0, 3.0, None]})
    fitted = Preparation(scale="none").fit(train)
    found = fitted.transform(pl.DataFrame({"a": [np.inf, -np.inf, np.nan, None]}))
    np.testing.assert_array_equal(found, [[2, 1]] * 4)


def test_a_column_without_values_becomes_the_constant():
    train = pl.DataFrame({"a": [1.0, 2.0], "b": [None, None]}, schema={"a": pl.Float64, "b": pl.Float64})
    found = Preparation(scale="none", fill_value=9.0).fit_transform(train)
    np.testing.assert_array_equal(found, [[1, 9], [2, 9]])
    assert (Preparation().fit_transform(train)[:, 1] == 0).all()


def test_deletion_learns_from_complete_rows_only():
    frame = pl.DataFrame(
        {
            "a": [0.0, 2.0, 4.0, 1000.0, None, np.inf],
            "c": ["x", "y", "x", None, "z", "z"],
            "d": ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-01"],
        }
    )
    roles = {"a": "numeric", "c": "categorical", "d": "datetime"}
    preparation = Preparation(impute="delete", scale="none", roles=roles)
    keep = preparation.rows_to_keep(frame)
    np.testing.assert_array_equal(keep, [True, True, True, False, False, False])
    prepared = preparation.fit(frame, np.arange(6)).transform(frame)
    np.testing.assert_array_equal(prepared, preparation.fit(frame.filter(keep)).transform(frame))
    assert prepared[4, 0] == 2  # at prediction time the median of the kept rows stands in
    assert not preparation.layout_.indices("indicator")


def test_deletion_that_leaves_nothing_is_refused():
    with pytest.raises(InputError, match="every one with a missing value"):
        Preparation(impute="delete").fit(pl.DataFrame({"a": [1.0, None], "b": [None, 2.0]}))
    with pytest.raises(InputError, match="every one with a missing value"):
        Preparation(impute="delete").fit(np.array([[1.0, np.nan], [np.nan, 1.0]]))


def test_the_mode_also_replaces_missing_categories():
    train = pl.DataFrame({"c": ["b", "b", "a", "c", "c", "b", None] * 5})
    found = Preparation(impute="mode").fit(train)
    assert list(found.get_feature_names_out()) == ["c=a", "c=b", "c=c"]
    np.testing.assert_array_equal(found.transform(pl.DataFrame({"c": [None, "c"]})), [[0, 1, 0], [0, 0, 1]])
