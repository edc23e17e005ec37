"""Question 43: gaps are filled well where columns are related, and by nothing where they are not."""

import numpy as np
import pytest

from glia.data.impute import Mean
from glia.lab import q43_missing_data as q43
from glia.lab.bench import Bench
from glia.lab.made import made
from glia.lab.verdict import judge, weigh

MADE = [claim.key for claim in q43.CLAIMS if claim.on == "made"]


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q43, "_RATES", (q43._RATE,))
        yield


def verdict(key, pair):
    claim = next(claim for claim in q43.CLAIMS if claim.key == key)
    return judge([weigh(claim, *map(np.asarray, pair))])[0][0]


def many_columns(rows, columns, seed=0, related=0.0):
    x = q43.linked(seed, rows, columns, related)
    return made("columns", x, (x.sum(axis=1) > 0).astype(float), "binary")


@pytest.fixture(scope="module")
def related():
    return q43.measure(Bench(many_columns(600, 8, related=0.8)), range(5))


@pytest.fixture(scope="module")
def strangers():
    one = np.random.default_rng(0).normal(size=(600, 1))
    data = made("one column", one, (one[:, 0] > 0).astype(float), "binary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q43, "coverages", lambda *_: (95.0, 90.0))  # which is not asked for here
        return q43.measure(Bench(data), range(5), correlation=0.0, period=1.37)


@pytest.mark.parametrize("key", [key for key in MADE if key != "coverage"])
def test_made_columns_that_are_related(related, key):
    assert verdict(key, related.pairs[key]) == "supported"


@pytest.mark.parametrize("key", ["regression", "neighbours", "autoencoder", "interpolation", "deletion is biased"])
def test_made_columns_that_are_strangers(strangers, key):
    assert verdict(key, strangers.pairs[key]) == "refuted"


def test_your_columns_tell_of_one_another_or_not(related, strangers):
    assert verdict("yours regression", related.pairs["yours regression"]) == "supported"
    assert np.isnan(strangers.pairs["yours regression"]).all() and "fewer than two" in strangers.notes[0]
    alone = many_columns(1000, 6)
    pair = np.array([q43.own_cells(alone, seed) for seed in range(6)]).T
    assert verdict("yours regression", pair) == "refuted"


def test_what_is_hidden_by_its_own_value_is_repaired_only_where_another_column_says_the_same():
    mnar, mar = (np.array([q43.mean_errors(seed, how, 0.999)[0] for seed in range(6)]) for how in ("mnar", "mar"))
    assert verdict("nothing repairs", (mnar, mar)) == "refuted"


def test_intervals_of_several_sets_hold_the_truth_and_those_of_one_do_not():
    found = np.array([q43.coverages(100 * seed, 0.8, repeats=80) for seed in range(6)])
    assert verdict("coverage", (found[:, 0], np.full(6, 95.0))) == "supported"
    # the same intervals around sets that are all filled by the mean: no spread between them
    sure = np.array([q43.coverages(100 * seed, 0.8, lambda **_: Mean()) for seed in range(6)])
    assert verdict("coverage", (sure[:, 0], np.full(6, 95.0))) == "refuted"
    assert verdict("one set is too sure", (sure[:, 1], sure[:, 0])) == "refuted"


def test_rows_are_worth_keeping_where_most_have_a_gap():
    bench = Bench(many_columns(600, 12))
    pair = np.array([q43.dropping(bench, seed) for seed in range(5)]).T
    assert verdict("yours deletion", pair) == "supported"


def test_rows_may_be_dropped_where_a_few_say_it_all():
    sign = np.sign(np.random.default_rng(3).normal(size=(800, 1)))
    bench = Bench(made("a sign", sign, (sign[:, 0] > 0).astype(float), "binary"))
    pair = np.array([q43.dropping(bench, seed) for seed in range(5)]).T
    assert verdict("yours deletion", pair) == "refuted"


def test_indicators_tell_what_is_hidden_by_its_value_unless_it_is_known_anyway():
    told = Bench(many_columns(1500, 4))
    pair = np.array([q43.indicating(told, seed) for seed in range(5)]).T
    assert verdict("yours indicators", pair) == "supported"
    x = np.random.default_rng(3).normal(size=(800, 1))
    again = np.repeat(np.sign(x), 12, axis=1)  # twelve columns that say the same: one of them is always there
    known = Bench(made("copies", again, (x[:, 0] > 0).astype(float), "binary"))
    pair = np.array([q43.indicating(known, seed) for seed in range(5)]).T
    assert verdict("yours indicators", pair) == "refuted"


def test_errors_and_filled_rows_are_as_worked_out_by_hand():
    x = np.array([[1.0], [2.0], [3.0], [6.0]])
    mask = np.array([[False], [False], [False], [True]])  # filled by 2; off by 4, in units of the spread √3.5
    assert q43.hidden_error(Mean(), x, mask) == pytest.approx(100 * 4 / np.sqrt(3.5))
    data = many_columns(60, 3)
    mask, groups = q43.cells(data, data.train.x, "mcar", 0.3, 0)
    assert mask.shape == (36, 3) and groups == [(0,), (1,), (2,)]
    filled = q43.gapped(data.train.x, mask, groups, q43._means(data.train.x, mask, groups)).numpy()
    plain = data.train.x.numpy()
    np.testing.assert_array_equal(filled[~mask], plain[~mask])
    means = np.nanmean(np.where(mask, np.nan, plain), axis=0)
    np.testing.assert_allclose(filled[mask], np.broadcast_to(means, mask.shape)[mask], rtol=1e-5)
