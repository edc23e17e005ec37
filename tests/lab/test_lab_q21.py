"""Question 21: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest

from glia.lab import q21_dropout as q21
from glia.lab.bench import Bench
from glia.lab.made import made, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q21, "_LEVELS", (q21._LEVELS[0], q21._LEVELS[-1]))
        yield


def by_heart(rows, columns=15, wrong=0.2, shares=(0.6, 0.2)):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    return made("noise", x, ((x[:, 0] > 0) ^ (rng.uniform(size=rows) < wrong)).astype(float), "binary", shares=shares)


def test_dropout_narrows_the_gap_where_noise_is_learned_and_not_at_rate_0():
    verdicts = words(q21.CLAIMS, q21.measure(Bench(by_heart(500)), SEEDS))
    assert {key for key, verdict in verdicts.items() if verdict == "supported"} >= {
        "gap made", "gap", "expectation", "one for many",
    }  # fmt: skip
    without = words(q21.CLAIMS, q21.measure(Bench(by_heart(300)), SEEDS, rate=1e-6, divide=False))
    assert {key for key, verdict in without.items() if verdict == "refuted"} >= {
        "gap made", "gap", "expectation", "one for many", "thinned are worse",
    }  # fmt: skip
    assert without["as good"] == "supported"


def test_dropout_of_one_half_hurts_a_network_that_has_to_follow_a_function():
    verdicts = words(q21.CLAIMS, q21.measure(Bench(waves(1000, noise=0.0)), SEEDS))
    assert verdicts["better"] == "refuted" and verdicts["thinned are worse"] == "supported"


def test_dropout_is_better_where_most_columns_are_noise():
    data = by_heart(4000, columns=20, wrong=0.25, shares=(0.15, 0.05))
    assert words(q21.CLAIMS, q21.measure(Bench(data), SEEDS))["better"] == "supported"
