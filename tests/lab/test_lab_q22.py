"""Question 22: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np

from glia.lab import q22_learning_rate as q22
from glia.lab.bench import Bench
from glia.lab.made import line, made, rings, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


def by_heart(rows, columns=15, wrong=0.2, shares=(0.6, 0.2)):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    return made("noise", x, ((x[:, 0] > 0) ^ (rng.uniform(size=rows) < wrong)).astype(float), "binary", shares=shares)


def three_classes(rows=300):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    return made("three", x, np.digitize(x[:, 0] + 0.1 * rng.normal(size=rows), [-0.5, 0.5]).astype(float), "multiclass")


def usual(bench, seed):
    """Stand for the range test where it is not asked for."""
    return 1e-3


def test_rates_that_are_too_high_or_too_low():
    verdicts = words(q22.CLAIMS, q22.measure(Bench(waves(500)), SEEDS, find=usual, rates=(1e-5, 1e-2, 1.0)))
    assert verdicts["too high"] == verdicts["too low"] == "supported"
    narrow = words(q22.CLAIMS, q22.measure(Bench(rings(400)), SEEDS, find=usual, rates=(5e-3, 6e-3, 7e-3)))
    assert narrow["too high"] == narrow["too low"] == "refuted"


def test_the_range_test_is_believed_only_while_its_rate_works():
    assert words(q22.CLAIMS, q22.measure(Bench(rings(600)), SEEDS, rates=(1e-3, 1e-2)))["range test"] != "refuted"
    lost = q22.measure(Bench(rings(600)), SEEDS, find=lambda bench, seed: 1e-6, rates=(1e-3, 1e-2))
    verdicts = words(q22.CLAIMS, lost)
    assert verdicts["range test"] == "refuted" and lost.suggestion == {"lr": 1e-6}


def test_schedules_help_at_a_rate_that_is_high_and_not_where_every_rate_is_too_low():
    one = {"rates": (1e-2,)}  # the sweep is not asked for here
    hot = words(q22.CLAIMS, q22.measure(Bench(line(2500)), range(10), find=lambda bench, seed: 3e-2, **one))
    assert hot["warm-up"] == "supported"
    wild = q22.measure(Bench(waves(1500, noise=0.3)), range(10), find=lambda bench, seed: 2e-2, **one)
    assert words(q22.CLAIMS, wild)["one cycle"] == "supported"
    cold = words(q22.CLAIMS, q22.measure(Bench(waves(700, noise=0.0)), SEEDS, find=lambda bench, seed: 1e-6, **one))
    assert cold["decay"] == cold["one cycle"] == cold["warm-up"] == "refuted"


def test_decay_ends_better_where_a_constant_rate_keeps_jumping():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2500, 20))
    data = made("noisy line", x, x @ rng.normal(size=20) + 3 * rng.normal(size=2500), "regression")
    hot = words(q22.CLAIMS, q22.measure(Bench(data), SEEDS, find=lambda bench, seed: 1e-2, rates=(1e-2,)))
    assert hot["decay"] == "supported"
