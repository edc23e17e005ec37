"""Imputers of a matrix: parity with scikit-learn, NumPy and SciPy, known answers, leak-freeness, state."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from sklearn.impute import KNNImputer
from sklearn.preprocessing import StandardScaler

import glia.estimators.autoencoder_training  # noqa: F401  # brings the training of autoencoders
from glia.core.errors import InputError
from glia.data.impute import Block, imputer_from_state, imputers, make_imputer
from glia.data.impute.matching import match
from glia.data.impute.neighbours import squared_distances
from glia.data.impute.regression import fit_ridge
from glia.data.preparation import Preparation

FAST = {"autoencoder": {"hidden": [8], "steps": 20}}
ORDERED = ("linear", "nearest", "spline")
MIXED = (Block(0, 1), Block(1, 2), Block(2, 5, "category"), Block(5, 6))


def made(name, **options):
    return make_imputer(name, {**FAST.get(name, {}), **options})


def mixed_rows(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows)
    hot = np.eye(3)[np.digitize(z, [-0.5, 0.5])]
    x = np.column_stack([z + 0.1 * rng.normal(size=rows), 100 * z, hot, rng.normal(size=rows)])
    gaps = rng.random((rows, 4)) < 0.2
    for j, block in enumerate(MIXED):
        x[gaps[:, j], block.where] = np.nan
    return x


def low_rank(rows=400, seed=1, rate=0.15):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)) @ rng.normal(size=(2, 6)) + 3.0
    gaps = rng.random(x.shape) < rate
    return x, np.where(gaps & (gaps.sum(axis=1, keepdims=True) <= 3), np.nan, x)  # fewer values do not tell a row


@pytest.mark.parametrize("name", imputers.names())
def test_a_completed_matrix_has_no_gaps_and_keeps_what_was_seen(name):
    x = mixed_rows()
    found = made(name).fit(x, MIXED).transform(x)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
    np.testing.assert_allclose(found[:, 2:5].sum(axis=1), 1.0, atol=1e-9)


@pytest.mark.parametrize("name", imputers.names())
def test_training_rows_alone_are_learned_from(name):
    x = mixed_rows()
    train, test = x[:80], x[80:]
    imputer = made(name).fit(train, MIXED)
    before = json.dumps(imputer.to_state()[0]), {k: v.copy() for k, v in imputer.to_state()[1].items()}
    imputer.transform(test * 1000.0)
    assert json.dumps(imputer.to_state()[0]) == before[0]
    for key, array in imputer.to_state()[1].items():
        np.testing.assert_array_equal(array, before[1][key])


@pytest.mark.parametrize("name", imputers.names())
def test_company_matters_for_interpolation_only(name):
    x = mixed_rows()
    imputer = made(name).fit(x[:80], MIXED)
    together = imputer.transform(x[80:])
    alone = np.concatenate([imputer.transform(row[None]) for row in x[80:]])
    assert imputer.by_row == (name not in ORDERED)
    assert np.array_equal(together, alone) == imputer.by_row


@pytest.mark.parametrize("name", imputers.names())
def test_the_same_seed_gives_the_same_bits(name):
    x = mixed_rows()
    np.testing.assert_array_equal(*(made(name).fit_transform(x, MIXED) for _ in range(2)))


@pytest.mark.parametrize("name", imputers.names())
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_state_survives_json(name, data):
    rows, seed = data.draw(st.integers(3, 40)), data.draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3)) * 10.0 ** rng.integers(-3, 6, size=3)
    x[rng.random(x.shape) < data.draw(st.floats(0, 0.9))] = np.nan
    imputer = made(name).fit(x)
    state, arrays = imputer.to_state()
    again = imputer_from_state(json.loads(json.dumps(state)), arrays)
    other = np.where(rng.random(x.shape) < 0.3, np.nan, rng.normal(size=x.shape))
    np.testing.assert_array_equal(again.transform(other), imputer.transform(other))


@pytest.mark.parametrize("name", imputers.names())
def test_a_damaged_state_is_refused(name):
    state, arrays = made(name).fit(mixed_rows(), MIXED).to_state()
    with pytest.raises(ValueError, match="columns"):
        imputer_from_state({**state, "blocks": [[0, 1, "numeric"]]}, arrays)


def test_neighbours_agree_with_scikit_learn():
    _, x = low_rank()
    scaler = StandardScaler().fit(x[:300])
    peer = KNNImputer(n_neighbors=4).fit(scaler.transform(x[:300]))
    found = make_imputer("knn", {"neighbours": 4}).fit(x[:300]).transform(x[300:])
    np.testing.assert_allclose(found, scaler.inverse_transform(peer.transform(scaler.transform(x[300:]))), rtol=1e-9)


def test_distances_by_hand():
    a, b = np.array([[0.0, np.nan, 2.0]]), np.array([[3.0, 5.0, np.nan], [np.nan, 1.0, np.nan], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(squared_distances(a, b), [[9 * 3, np.inf, 5 * 1.5]])


def test_interpolation_agrees_with_numpy_and_scipy():
    rng = np.random.default_rng(3)
    at = np.sort(rng.choice(100, 30, replace=False)).astype(float)
    x = rng.normal(size=(30, 1))
    gaps = np.isin(np.arange(30), [0, 4, 5, 6, 17, 29])
    known, wanted = at[~gaps], at[gaps]
    hidden = np.where(gaps[:, None], np.nan, x)
    shuffled = rng.permutation(30)
    for name, expected in {
        "linear": np.interp(wanted, known, x[~gaps, 0]),
        "spline": CubicSpline(known, x[~gaps, 0], bc_type="natural")(np.clip(wanted, known[0], known[-1])),
        "nearest": x[~gaps, 0][np.abs(wanted[:, None] - known[None]).argmin(axis=1)],
    }.items():
        found = make_imputer(name).fit(hidden, None, at).transform(hidden[shuffled], at[shuffled])
        np.testing.assert_allclose(found[np.argsort(shuffled)][gaps, 0], expected, rtol=1e-9, err_msg=name)


def test_one_column_with_gaps_is_regressed_as_least_squares_does():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 4))
    x[:, 3] = x[:, :3] @ [1.0, -2.0, 0.5] + 7.0 + 0.3 * rng.normal(size=200)
    gaps = rng.random(200) < 0.3
    hidden = x.copy()
    hidden[gaps, 3] = np.nan
    design = np.column_stack([np.ones(200), x[:, :3]])
    slopes = np.linalg.lstsq(design[~gaps], x[~gaps, 3], rcond=None)[0]
    found = make_imputer("iterative").fit_transform(hidden)
    np.testing.assert_allclose(found[gaps, 3], design[gaps] @ slopes, atol=2e-3)
    exact = hidden.copy()
    exact[:, 3] = np.where(gaps, np.nan, x[:, :3] @ [1.0, -2.0, 0.5] + 7.0)
    recovered = make_imputer("iterative").fit_transform(exact)[gaps, 3]
    np.testing.assert_allclose(recovered, x[gaps, :3] @ [1.0, -2.0, 0.5] + 7.0, atol=1e-5)


def test_chained_regressions_recover_linear_data_and_the_mean_does_not():
    x, hidden = low_rank()
    gaps = np.isnan(hidden)

    def error(name):
        found = made(name).fit_transform(hidden)
        return float(np.sqrt((((found - x) / x.std(axis=0))[gaps] ** 2).mean()))

    assert error("iterative") < 0.06 < 0.8 < error("mean")


def test_ridge_without_strength_is_least_squares():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    found = fit_ridge(x, y, np.array([1e-14]))
    expected, residual, *_ = np.linalg.lstsq(np.column_stack([np.ones(50), x]), y, rcond=None)
    np.testing.assert_allclose(np.vstack([found.intercept, found.coef]), expected, atol=1e-9)
    np.testing.assert_allclose(found.residual, residual, rtol=1e-6)
    assert found.freedom == pytest.approx(46)


def test_drawn_coefficients_have_the_posterior_of_least_squares():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(80, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    y = (x @ [[2.0], [-1.0]]) + rng.normal(size=(80, 1))
    found = fit_ridge(x, y, np.array([1e-12]))
    drawn = np.array([np.r_[i, c[:, 0]] for c, i, _ in (found.draw(rng) for _ in range(4000))])
    design = np.column_stack([np.ones(80), x])
    covariance = np.linalg.inv(design.T @ design) * found.residual[0] / (77 - 2)  # of a t distribution: ν / (ν - 2)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.12, atol=6e-4)
    np.testing.assert_allclose(drawn.mean(axis=0), np.r_[found.intercept, found.coef[:, 0]], atol=0.01)


def test_matching_draws_among_the_nearest_predictions():
    predicted, values = np.array([[0.0], [1.0], [2.0], [5.0]]), np.array([[10.0], [11.0], [12.0], [15.0]])
    wanted = np.full((3000, 1), 1.2)
    found = match(wanted, predicted, values, 3, np.random.default_rng(0).random(3000))
    seen, counts = np.unique(found, return_counts=True)
    assert seen.tolist() == [10, 11, 12] and counts.min() > 900
    twice = (
        np.column_stack([wanted, wanted]),
        np.column_stack([predicted, predicted]),
        np.column_stack([values, values]),
    )
    assert set(match(*twice, 1, np.zeros(3000))[:, 0]) == {11.0}


def test_stochastic_draws_keep_the_spread_that_regression_loses():
    rng = np.random.default_rng(11)
    x = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=3000)
    hidden = x.copy()
    hidden[rng.random(3000) < 0.5, 1] = np.nan
    gaps = np.isnan(hidden[:, 1])
    drawn, guessed = (make_imputer(name).fit_transform(hidden)[gaps] for name in ("stochastic", "iterative"))
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(0.6, abs=0.06)
    assert drawn[:, 1].std() == pytest.approx(1.0, abs=0.06)
    assert guessed[:, 1].std() < 0.7  # negative control


def test_matched_columns_get_only_values_that_were_seen():
    rng = np.random.default_rng(2)
    x = np.column_stack([rng.normal(size=300), rng.exponential(size=300)])
    x[rng.random(300) < 0.3, 1] = np.nan
    found = make_imputer("stochastic").fit_transform(x)
    assert set(found[:, 1].round(12)) <= set(x[~np.isnan(x[:, 1]), 1].round(12))


def test_an_autoencoder_learns_what_the_mean_cannot():
    x, hidden = low_rank(rows=300)
    gaps = np.isnan(hidden)
    found = make_imputer("autoencoder", {"hidden": (32,), "steps": 400}).fit_transform(hidden)
    assert np.sqrt((((found - x) / x.std(axis=0))[gaps] ** 2).mean()) < 0.5


def test_options_are_checked():
    with pytest.raises(InputError, match="did you mean 'neighbours'"):
        make_imputer("knn", {"neighbors": 3})
    for name, options in (("knn", {"neighbours": 0}), ("autoencoder", {"corruption": 1.0}), ("linear", {"by": 3})):
        with pytest.raises(InputError):
            make_imputer(name, options)


# --- inside a preparation ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    z = rng.normal(size=200)
    frame = pl.DataFrame(
        {"a": z, "b": 3 * z + 0.1 * rng.normal(size=200), "c": np.where(z > 0, "up", "down"), "t": np.arange(200.0)}
    )
    gaps = rng.random(200) < 0.2
    return frame.with_columns(pl.when(~pl.Series(gaps)).then("b").alias("b"))


@pytest.mark.parametrize("name", ["knn", "iterative", "stochastic", "autoencoder", "linear", "spline", "nearest"])
def test_a_preparation_completes_and_is_saved_with_its_imputer(table, name):
    prepared = Preparation(impute={"name": name, **FAST.get(name, {})}).fit(table[:150])
    found = prepared.transform(table[150:])
    state, arrays = prepared.to_state()
    again = Preparation.from_state(json.loads(json.dumps(state)), arrays)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(again.transform(table[150:]), found)
    assert again.impute == prepared.impute


def test_a_preparation_uses_the_other_columns(table):
    truth = 3 * table["a"].to_numpy()
    gaps = np.flatnonzero(table["b"].is_null().to_numpy())
    errors = {}
    for name in ("median", "iterative", "knn"):
        found = Preparation(impute=name, scale="none", indicator="never").fit_transform(table)
        errors[name] = np.abs(found[gaps, 1] - truth[gaps]).mean()
    assert errors["iterative"] < 0.2 and errors["knn"] < 0.5 < errors["median"]


def test_a_preparation_learns_its_imputer_from_training_rows_only(table):
    fitted = [Preparation(impute="iterative").fit(table[:150]) for _ in range(2)]
    fitted[1].transform(table[150:].with_columns(pl.col("a") * 1e6))
    for first, second in zip(fitted[0].to_state()[1].values(), fitted[1].to_state()[1].values(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_rows_are_interpolated_along_a_named_column(table):
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=1)
    by = Preparation(impute={"name": "linear", "by": "t"}, scale="none", indicator="never")
    found = by.fit_transform(shuffled)[np.argsort(shuffled["t"].to_numpy()), 1]
    known = table["b"].is_not_null().to_numpy()
    expected = np.interp(np.arange(200), np.flatnonzero(known), table["b"].drop_nulls().to_numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_arrays_are_completed_too():
    x, hidden = low_rank()
    found = Preparation(impute="iterative", scale="none", indicator="never").fit_transform(hidden)
    assert np.sqrt(((found - x)[np.isnan(hidden)] ** 2).mean()) < 0.1


def test_native_leaves_a_zero_and_says_so(table):
    prepared = Preparation(impute="native").fit(table)
    found, gaps = prepared.transform(table), table["b"].is_null().to_numpy()
    names = list(prepared.get_feature_names_out())
    assert (found[gaps, names.index("b")] == 0).all()
    np.testing.assert_array_equal(found[:, names.index("b is missing")], gaps)


def test_wrong_imputers_of_a_preparation_are_refused(table):
    for wrong in ("kn", {"name": "knn", "k": 3}, {"name": "mean", "k": 3}, {"neighbours": 3}):
        with pytest.raises(InputError):
            Preparation(impute=wrong).fit(table)
    with pytest.raises(InputError, match="needs the indicators"):
        Preparation(impute="native", indicator="never").fit(table)
    with pytest.raises(InputError, match="without 'tt'"):
        Preparation(impute={"name": "linear", "by": "tt"}).fit(table)


def test_states_without_an_imputer_are_read_as_before(table):
    state, arrays = Preparation().fit(table).to_state()
    assert "imputer" not in state
    again = Preparation.from_state(state, arrays)
    np.testing.assert_array_equal(again.transform(table), Preparation().fit_transform(table))
