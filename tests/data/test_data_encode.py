from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from glia.core.errors import InputError
from glia.core.layout import Feature
from glia.data.encode import CategoryLimits
from glia.data.preparation import Preparation


def column(values, dtype=None):
    return pl.DataFrame({"c": pl.Series(values, dtype=dtype)})


def test_one_hot_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"p": rng.choice(["u", "v", "w"], 90), "q": rng.choice(["1", "2", "3", "4"], 90)})
    peer = OneHotEncoder(sparse_output=False).fit(frame.to_numpy())
    found = Preparation().fit(frame)
    np.testing.assert_array_equal(found.transform(frame), peer.transform(frame.to_numpy()))
    assert found.layout_.groups() == {"p": (0, 1, 2), "q": (3, 4, 5, 6)}
    assert {feature.kind for feature in found.layout_.features} == {"onehot"}


def test_ordinal_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"p": rng.choice(["u", "v", "w"], 90), "q": rng.choice(["9", "10", "3"], 90)})
    peer = OrdinalEncoder().fit_transform(frame.to_numpy())
    found = Preparation(encode="ordinal", scale="none").fit_transform(frame)
    np.testing.assert_array_equal(found, peer)


def test_an_ordinal_column_is_ranked_by_the_order_given():
    frame = column(["low", "high", "mid", None, "new"])

    class Given:
        role = "ordinal"
        order = ("low", "mid", "high")

    fitted = Preparation(scale="none").fit(frame, roles={"c": Given()})
    assert [feature.name for feature in fitted.layout_.features] == ["c", "c is missing"]
    np.testing.assert_array_equal(fitted.transform(frame), [[0, 0], [2, 0], [1, 0], [1, 1], [1, 1]])


def test_an_ordinal_enum_keeps_its_order_and_an_ordinal_number_its_value():
    sizes = pl.Enum(["small", "large"])
    frame = pl.DataFrame({"c": pl.Series(["large", "small"], dtype=sizes), "n": [10, 30]})
    found = Preparation(scale="none").fit_transform(frame, roles={"c": "ordinal", "n": "ordinal"})
    np.testing.assert_array_equal(found, [[1, 10], [0, 30]])


@pytest.mark.parametrize("order", [("a", "a"), ("a", "")])
def test_an_order_names_each_category_once(order):
    given = type("Given", (), {"role": "ordinal", "order": order})
    with pytest.raises(InputError, match="order of a column must name each category once"):
        Preparation().fit(column(["a", "b"]), roles={"c": given})


def test_two_categories_make_one_column_and_an_unseen_one_stands_between():
    fitted = Preparation().fit(column(["no", "yes", "no"]))
    assert fitted.layout_.features == (Feature("c=yes", "c", "onehot"),)
    found = fitted.transform(column(["yes", "no", "perhaps", None]))
    np.testing.assert_array_equal(found[:, 0], [1, 0, 0.5, 0.5])


def test_missing_is_a_category_of_its_own():
    fitted = Preparation().fit(column(["a", "b", None, "", "  ", "b", "a"]))
    assert list(fitted.get_feature_names_out()) == ["c=a", "c=b", "c is missing"]
    np.testing.assert_array_equal(fitted.transform(column([None, "", " a "])), [[0, 0, 1], [0, 0, 1], [1, 0, 0]])
    one = Preparation().fit(column(["a", None, "a"]))
    assert list(one.get_feature_names_out()) == ["c is missing"]
    np.testing.assert_array_equal(one.transform(column(["a", None])), [[0], [1]])


def test_rare_categories_are_pooled_and_unseen_ones_join_them():
    train = column(["a"] * 50 + ["b"] * 50 + ["r", "s"])
    fitted = Preparation().fit(train)
    assert list(fitted.get_feature_names_out()) == ["c=(other)", "c=a", "c=b"]
    np.testing.assert_array_equal(fitted.transform(column(["r", "new", "b"])), [[1, 0, 0], [1, 0, 0], [0, 0, 1]])
    all_kept = Preparation(rare=1).fit(train)
    assert list(all_kept.get_feature_names_out()) == ["c=a", "c=b", "c=r", "c=s"]
    np.testing.assert_array_equal(all_kept.transform(column(["new"])), [[0, 0, 0, 0]])


def test_only_the_most_frequent_categories_are_kept():
    train = column(["a"] * 2 + ["b"] * 3 + ["c"] * 4 + ["d"] * 2)
    fitted = Preparation(max_categories=3).fit(train)
    assert list(fitted.get_feature_names_out()) == ["c=(other)", "c=a", "c=b", "c=c"]


def test_many_categories_become_codes():
    names = [f"k{i:02d}" for i in range(12)]
    fitted = Preparation().fit(column(names * 3 + [None]))
    assert fitted.layout_.features == (Feature("c", "c", "code", cardinality=14),)
    found = fitted.transform(column(["k00", "k11", "unseen", None]))
    np.testing.assert_array_equal(found[:, 0], [1, 12, 0, 13])


@pytest.mark.parametrize(
    ("encode", "kinds"), [("onehot", {"onehot"}), ("embedding", {"code"}), ("ordinal", {"numeric"})]
)
def test_the_encoding_can_be_chosen(encode, kinds):
    frame = pl.DataFrame({"c": [f"k{i % 12}" for i in range(60)], "b": [i % 2 == 0 for i in range(60)]})
    fitted = Preparation(encode=encode).fit(frame)
    assert {feature.kind for feature in fitted.layout_.features} == kinds


def test_one_hot_keeps_a_bounded_number_of_categories():
    names = [f"k{i}" for i in range(300)]
    fitted = Preparation(encode="onehot").fit(column(names * 3))
    assert fitted.layout_.shape == (129,)
    assert (fitted.transform(column(names)).sum(axis=1) == 1).all()


def test_ten_thousand_categories():
    names = np.array([f"k{i}" for i in range(10_000)], dtype=object)
    train = column(np.repeat(names, 10).tolist())
    fitted = Preparation().fit(train)
    codes = fitted.transform(column([*names.tolist(), "new"]))[:, 0]
    assert fitted.layout_.features[0].cardinality == 10_001
    assert codes[-1] == 0
    assert len(set(codes[:-1].tolist())) == 10_000


def test_the_same_category_in_different_dtypes():
    fitted = Preparation().fit(column([1, 2, 3] * 3), roles={"c": "categorical"})
    expected = [[1, 0, 0], [0, 0, 1]]
    enum = pl.Enum(["1", "3"])
    decimals = column([Decimal("1.00"), Decimal("3.00")])
    for rows in (column([1.0, 3.0]), column(["1", "3"]), column(["1", "3"], enum), decimals, column([1, 3], pl.Int8)):
        np.testing.assert_array_equal(fitted.transform(rows), expected)


def test_booleans_make_one_column():
    found = Preparation().fit_transform(column([True, False, True]))
    np.testing.assert_array_equal(found, [[1], [0], [1]])


@pytest.mark.parametrize(("rows", "least"), [(49, 1), (50, 2), (4000, 4), (10**6, 10)])
def test_what_is_rare_grows_with_the_rows(rows, least):
    assert CategoryLimits().least(rows) == least
    assert CategoryLimits(rare=3).least(rows) == 3


def test_a_column_of_one_value_or_of_none():
    assert Preparation().fit_transform(column(["a", "a"])).tolist() == [[1], [1]]
    assert Preparation().fit_transform(column([None, None], pl.String)).tolist() == [[1], [1]]
