"""Verdicts hold their level where nothing is to be found, and find what is there."""

import numpy as np
import pytest
from scipy import stats

from glia.lab.question import Claim
from glia.lab.verdict import control, judge, weigh

HIGHER = Claim("k", "…", "with minus without", "points", "higher", worth=0.5)


def pairs(effect, seeds, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=seeds) * 5
    return common + effect + noise * rng.normal(size=seeds), common


def word(claim, *both):
    return judge([weigh(claim, *both)])[0][0]


def test_the_figures_are_those_of_a_paired_t_test():
    with_, without = pairs(0.3, 9, 0)
    found = weigh(Claim("k", "", "", "", "higher"), with_, without)
    same = stats.ttest_rel(with_, without)
    interval = same.confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [interval.low, interval.high])
    np.testing.assert_allclose(found.for_, stats.ttest_rel(with_, without, alternative="greater").pvalue)


@pytest.mark.parametrize("seeds", [5, 20])
def test_where_there_is_nothing_at_most_one_run_in_twenty_has_a_wrong_verdict(seeds):
    """200 simulated runs of ten claims each; no effect is worth speaking of, so neither verdict would be right."""
    claim = Claim("k", "", "", "", "higher", worth=0.0)
    wrong = 0
    for run in range(200):
        evidence = [weigh(claim, *pairs(0.0, seeds, (run, i))) for i in range(10)]
        wrong += any(found != "undecided" for found, _ in judge(evidence))
    assert wrong <= 17  # of 200 at 5 % expected 10; more than 17 has a chance of 1 in 70


@pytest.mark.parametrize("direction, effect, expected", [
    ("higher", 2.0, "supported"), ("higher", -2.0, "refuted"), ("lower", -2.0, "supported"),
    ("lower", 2.0, "refuted"), ("no lower", 0.0, "supported"), ("no lower", -3.0, "refuted"),
    ("no higher", 0.0, "supported"), ("no higher", 3.0, "refuted"), ("higher", 0.0, "refuted"),
])  # fmt: skip
def test_planted_effects_are_found_both_ways(direction, effect, expected):
    claim = Claim("k", "", "", "", direction, worth=1.0)
    assert word(claim, *pairs(effect, 25, 3)) == expected


def test_an_effect_too_small_to_matter_refutes_the_claim_even_where_it_is_surely_there():
    with_, without = pairs(0.1, 30, 1, noise=0.01)
    assert weigh(HIGHER, with_, without).low > 0 and word(HIGHER, with_, without) == "refuted"


def test_few_noisy_seeds_leave_it_undecided():
    assert word(HIGHER, *pairs(0.4, 5, 0)) == "undecided"
    assert word(HIGHER, np.array([1.0]), np.array([0.0])) == "undecided"
    assert word(HIGHER, np.full(5, np.nan), np.zeros(5)) == "undecided"


def test_equal_differences_are_certain():
    assert word(HIGHER, np.full(5, 3.0), np.zeros(5)) == "supported"
    assert word(HIGHER, np.full(5, 0.1), np.zeros(5)) == "refuted"


def test_many_claims_need_stronger_evidence():
    """A p-value that is enough alone is not enough among forty."""
    one = weigh(Claim("k", "", "", "", "higher"), *pairs(1.2, 8, 5))
    nothing = [weigh(Claim("k", "", "", "", "higher"), *pairs(0.0, 8, (9, i))) for i in range(39)]
    assert judge([one])[0][0] == "supported"
    assert judge([one, *nothing])[0][0] == "undecided"


def test_the_control_finds_nothing_even_in_a_large_effect():
    assert control(*pairs(5.0, 20, 2), seed=0) < 0.12
    assert control(*pairs(0.0, 20, 2), seed=0) < 0.12
