import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from glia.data.column_statistics import ColumnStatistics
from glia.data.scale import LARGEST, SCALE, Scaler, smooth_clip

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def scaled(train, rows, how):
    return Scaler.fit(ColumnStatistics(train), how).apply(np.array(rows, dtype=np.float64))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return rng.normal(size=(500, 4)) * [1, 100, 1e-6, 1e9] + [0, 5, 1e-5, -1e9]


@pytest.mark.parametrize(
    ("how", "peer"),
    [
        ("zscore", StandardScaler()),
        ("minmax", MinMaxScaler()),
        ("quantile", QuantileTransformer(output_distribution="normal", n_quantiles=500)),
    ],
)
def test_agrees_with_scikit_learn(table, how, peer):
    train, test = table[:400], np.vstack([table[400:], [[1e11] * 4], [[-1e11] * 4]])
    if how == "quantile":
        peer.set_params(n_quantiles=400)
    np.testing.assert_allclose(scaled(train, test, how), peer.fit(train).transform(test), rtol=1e-9, atol=1e-9)


def test_robust_is_scikit_learns_followed_by_smooth_clipping(table):
    expected = RobustScaler().fit(table).transform(table)
    np.testing.assert_allclose(scaled(table, table, "robust"), smooth_clip(expected), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(scaled(table, table, "auto"), scaled(table, table, "robust"))


def test_quantile_takes_the_middle_rank_of_ties_as_scikit_learn_does():
    values = np.r_[np.zeros(50), np.arange(-20, 30), [np.nan]][:, None]
    peer = QuantileTransformer(output_distribution="normal", n_quantiles=101).fit(values)
    np.testing.assert_allclose(scaled(values, values, "quantile"), peer.transform(values), atol=1e-9)
    # at the very ends scikit-learn takes the outermost rank, which throws half of these rows to -5.2: not here
    values = np.r_[np.zeros(50), np.arange(1, 51)][:, None]
    assert scaled(values, [[0.0]], "quantile")[0, 0] == pytest.approx(-0.67, abs=0.02)


def test_robust_by_hand():
    train = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 8.0]])
    # first column: median 2, quartiles 1 and 3; second: equal quartiles, so 2 / range = 1/4
    found = scaled(train, [[4.0, 8.0], [2.0, 0.0], [0.0, -8.0]], "robust")
    one, two = 1 / np.sqrt(1 + 1 / 9), 2 / np.sqrt(1 + 4 / 9)
    np.testing.assert_allclose(found, [[one, two], [0, 0], [-one, -two]], rtol=1e-12)


def test_smooth_clip_is_the_identity_near_0_and_bounded_far_away():
    x = np.linspace(-50, 50, 1001)
    y = smooth_clip(x)
    assert np.abs(y).max() < 3
    assert (np.diff(y) > 0).all()
    assert smooth_clip(np.array([0.01]))[0] == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize("how", [how for how in SCALE if how != "none"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e300, -7.0])
def test_a_constant_column_becomes_0(how, value):
    train = np.full((10, 1), value)
    assert (scaled(train, train, how) == 0).all()
    assert np.isfinite(scaled(train, [[value + 1], [1e308], [-1e308]], how)).all()


def test_rounding_noise_does_not_count_as_spread():
    train = np.array([[0.1 * 3], [0.3], [0.3]])
    assert train[0, 0] != train[1, 0]
    for how in ("zscore", "minmax", "robust"):
        assert np.abs(scaled(train, train, how)).max() < 1e-3


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(allow_nan=True)),
    arrays(np.float64, st.tuples(st.integers(1, 6), st.just(2)), elements=FINITE),
    st.sampled_from(SCALE),
)
def test_finite_values_stay_finite_whatever_the_training_rows(train, rows, how):
    found = scaled(train, rows, how)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= LARGEST


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, (20, 1), elements=st.floats(-1e3, 1e3)),
    arrays(np.float64, (8, 1), elements=st.floats(-1e4, 1e4)),
    st.sampled_from(SCALE),
)
def test_scaling_keeps_the_order(train, rows, how):
    ordered = np.sort(rows, axis=0)
    assert (np.diff(scaled(train, ordered, how), axis=0) >= -1e-9).all()
