"""Question 37: ensembles gain where members differ, and nothing where they are one network several times."""

from functools import partial

import numpy as np
import pytest
import torch

from glia.lab import q37_ensembles as q37
from glia.lab.bench import Bench
from glia.lab.made import made, rings, waves
from glia.lab.verdict import judge, weigh


def verdict(key, with_, without):
    claim = next(claim for claim in q37.CLAIMS if claim.key == key)
    return judge([weigh(claim, np.asarray(with_), np.asarray(without))])[0][0]


@pytest.fixture(scope="module")
def found():
    return q37.measure(Bench(waves(400, noise=0.5)), range(6))


def test_noisy_values_gain_from_averaging(found):
    assert verdict("average", *found.pairs["average"]) == "supported"
    assert verdict("variance", *found.pairs["variance"]) == "supported"
    assert found.sweeps[0].lines["mean of members"].shape == (6, 5)
    np.testing.assert_allclose(found.sweeps[0].lines["mean of members"][:, -1], found.pairs["average"][0])


def test_one_network_several_times_gains_nothing():
    bench, seeds = Bench(waves(400, noise=0.5)), range(5)
    make = partial(bench.network, (32,))
    same = q37.trained(bench, seeds, lambda seed, k: bench.number("one", seed), 4, make)
    assert verdict("average", q37.scores(bench, same), q37.sized(bench, same, 1)) == "refuted"
    # groups of four that are one network each: a mean of them varies as much as one network
    groups = q37.trained(bench, seeds, lambda seed, k: bench.number("one", seed, k // 4), 12, make)
    assert verdict("variance", q37.between(bench, groups, 4), np.full(5, 100.0)) == "refuted"


def test_the_variance_of_independent_means_is_that_of_the_law_of_large_numbers():
    members = torch.randn(3, 12, 4000, 1, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(q37.between(Bench(waves(50)), members, 4), 25.0, rtol=0.1)


def test_mean_of_probabilities_decides():
    data = rings(100)
    sure = torch.where(data.test.y > 0.5, 4.0, -4.0)[:, None]
    wrong = -0.5 * sure.sign()  # two members that are hardly wrong against one that is surely right
    members = q37.likely(torch.stack([sure, wrong, wrong])[None], "binary")
    assert q37.scores(Bench(data), members)[0] == 100.0


def cuts(seed, features, rows=700):
    """Two classes by the sum of inputs (one cut cannot say it), or by one input alone (one cut says it all)."""
    x = np.random.default_rng(seed).normal(size=(rows, 6))
    return made("cuts", x, (x[:, :features].sum(axis=1) > 0).astype(float), "binary")


@pytest.mark.parametrize("features, expected", [(6, "supported"), (1, "refuted")])
def test_boosting_helps_where_one_cut_is_not_enough(features, expected):
    pairs = np.array([q37.boosting(Bench(cuts(seed, features)), seed) for seed in range(6)])
    assert verdict("boosting", pairs[:, 0], pairs[:, 1]) == expected


def test_a_stack_keeps_up_with_its_best_member(found):
    assert verdict("stacking", *found.pairs["stacking"]) == "supported"
    assert verdict("stacking", found.pairs["stacking"][1] - 30.0, found.pairs["stacking"][1]) == "refuted"


def test_snapshots_of_a_rate_that_is_zero_are_all_one():
    bench = Bench(rings(200))
    found = q37.cycles(bench, range(3), partial(bench.network, (8,)))
    assert found.shape == (3, 4, 40, 1) and (found[:, 0] != found[:, 1]).any()
    one = found[:, -1:].expand(-1, 4, -1, -1)
    assert verdict("snapshots", q37.scores(bench, one), q37.scores(bench, found[:, -1:])) == "refuted"


def test_a_snapshot_that_is_noisy_gains_from_the_others():
    """Members that err by themselves around the truth: the mean of four is better than the last."""
    data = waves(300)
    noise = torch.randn(6, 4, len(data.test), 1, generator=torch.Generator().manual_seed(1))
    members = data.test.y + 0.7 * noise
    bench = Bench(data)
    assert verdict("snapshots", q37.scores(bench, members), q37.scores(bench, members[:, -1:])) == "supported"


def test_kinds_and_a_wide_network_can_come_out_both_ways():
    """Members whose errors are alike gain less from averaging than members whose errors differ."""
    data = waves(300)
    bench, normal = Bench(data), partial(torch.randn, generator=torch.Generator().manual_seed(2))
    alike = data.test.y + 0.7 * normal(6, 1, len(data.test), 1).expand(-1, 4, -1, -1)
    differ = data.test.y + 0.7 * normal(6, 4, len(data.test), 1)
    for key, of in (("different kinds", q37.gain), ("larger network", q37.scores)):
        assert verdict(key, of(bench, differ), of(bench, alike)) == "supported"
        assert verdict(key, of(bench, alike), of(bench, differ)) == "refuted"


def test_classes_and_several_classes_are_measured():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    for classes in (2, 3):
        y = np.digitize(x[:, 0], [0.0, 0.7][: classes - 1])
        data = made("one column", x, y.astype(float), "binary" if classes == 2 else "multiclass")
        found = q37.measure(Bench(data), range(2))
        assert set(found.pairs) == {claim.key for claim in q37.CLAIMS}
        for key, pair in found.pairs.items():
            assert np.isfinite(pair).all(), key
