import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glia.core.errors import InputError
from glia.data.bins import edges_of_columns, piecewise_linear, quantile_edges, tree_edges
from glia.data.preparation import Preparation


def test_piecewise_linear_by_hand():
    found = piecewise_linear(np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0]), (0.0, 1.0, 3.0))
    expected = [[-1, 0], [0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [1, 2]]
    np.testing.assert_allclose(found, expected)


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 40), elements=st.floats(-100, 100)),
    arrays(np.float64, st.integers(1, 10), elements=st.floats(-200, 200)),
    st.integers(1, 8),
)
def test_a_piecewise_linear_code_gives_the_value_back(values, rows, bins):
    edges = quantile_edges(values, bins)
    if not edges:
        assert len(np.unique(values.astype(np.float32))) == 1
        return
    assert 2 <= len(edges) <= bins + 1
    assert (np.diff(edges) > 0).all()
    code = piecewise_linear(rows, edges)
    # summed up, the parts of the bins that are filled are the distance from the first edge
    np.testing.assert_allclose(edges[0] + code @ np.diff(edges), rows, rtol=1e-6, atol=1e-6)


def test_quantile_edges_hold_equally_many_values():
    values = np.random.default_rng(0).exponential(size=1000)
    counts, _ = np.histogram(values, quantile_edges(values, 10))
    assert np.abs(counts - 100).max() <= 1


def test_tree_edges_find_the_planted_steps():
    values = np.random.default_rng(0).uniform(0, 1, 2000)
    for y in (
        (values > 0.3) & (values < 0.8),
        np.where(values > 0.3, "a", "b"),
        (values > 0.3).astype(np.float32) * 2.5,
    ):
        edges = np.array(tree_edges(values, np.asarray(y), 3))
        assert np.abs(edges - 0.3).min() < 0.01
    blind = np.array(tree_edges(values, np.random.default_rng(1).integers(0, 2, 2000), 3))
    assert np.abs(blind[1:-1] - 0.3).min() > 0.01


def test_classes_as_numbers_split_like_their_indicator():
    values = np.random.default_rng(0).normal(size=500)
    y = (values + np.random.default_rng(1).normal(size=500) > 0).astype(np.int64)
    assert tree_edges(values, y, 6) == tree_edges(values, y.astype(np.float32), 6)


def test_fine_edges_let_a_line_jump_between_round_amounts():
    rng = np.random.default_rng(0)
    amounts = np.array([0.0, 1000.0, 1100.0, 5000.0, 5400.0, 9000.0], dtype=np.float32)
    means = np.array([0.1, 0.9, 0.2, 0.8, 0.1, 0.7])
    which = rng.integers(0, 6, 4000)
    y = (rng.random(4000) < means[which]).astype(np.int64)
    fine, usual = (tree_edges(amounts[which], y, 8, fine=fine) for fine in (True, False))
    assert set(fine) == set(amounts.tolist())  # neighbouring gaps share an edge
    assert len(usual) == 7 and not set(usual[1:-1]) & set(amounts.tolist())
    # every amount has a code of its own, one bin apart from its neighbour
    np.testing.assert_allclose(np.diff(piecewise_linear(amounts, fine), axis=0), np.eye(5), atol=1e-6)


def test_fine_edges_of_numbers_without_gaps_are_the_splits():
    rng = np.random.default_rng(0)
    values = rng.normal(size=5000).astype(np.float32)
    y = (np.sin(3 * values) + rng.normal(size=5000) > 0).astype(np.int64)
    edges = np.array(tree_edges(values, y, 12, fine=True))
    assert len(edges) == 13
    assert np.diff(edges).min() > 0.01


def test_bins_are_fine_where_rows_are_many_for_the_whole_table():
    rng = np.random.default_rng(0)
    amounts = rng.choice([0.0, 10.0, 200.0, 210.0, 1000.0], size=(1000, 6)).astype(np.float32)
    y = (amounts.sum(1) + rng.normal(0, 300, 1000) > 1700).astype(np.int64)
    own = [tree_edges(column, y, 16, fine=True) for column in amounts.T]
    assert sum(len(edges) - 1 for edges in own) == 24
    assert edges_of_columns(amounts, y, 16, "tree") == own
    few = 16 * 24 - 1  # rows: one too few for that many bins
    part, target = amounts[:few], y[:few]
    assert edges_of_columns(part, target, 16, "tree") == [tree_edges(column, target, 16) for column in part.T]
    assert edges_of_columns(amounts, None, 4, "tree") == [quantile_edges(column, 4) for column in amounts.T]


@pytest.mark.parametrize("bins", ["quantile", "tree"])
def test_bins_are_in_prepared_units_and_belong_to_numbers_only(bins):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(1000, 50, 300), "k": np.ones(300), "c": rng.choice(["u", "v"], 300)})
    fitted = Preparation(numeric_bins=5, bins=bins).fit(frame, (frame["a"].to_numpy() > 1010).astype(np.int64))
    a, k, c = fitted.layout_.features
    prepared = fitted.transform(frame)[:, 0]
    assert (a.bins[0], a.bins[-1]) == (prepared.min(), prepared.max())
    assert k.bins == c.bins == ()
    if bins == "tree":
        step = fitted.transform(frame.with_columns(a=pl.lit(1010.0)))[0, 0]
        assert np.abs(np.array(a.bins) - step).min() < 0.02


def test_tree_bins_need_the_target():
    with pytest.raises(InputError, match="bins='tree' without y · give y to fit"):
        Preparation(numeric_bins=4, bins="tree").fit(np.zeros((3, 1)))
