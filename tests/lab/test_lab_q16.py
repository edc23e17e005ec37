"""Question 16: claims are supported where the mechanism acts, and refuted where it does not."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from glia.lab import q16_batch_normalisation as q16
from glia.lab.bench import Bench
from glia.lab.made import line, made, rings
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q16, "_RATES", (q16._RATES[0], q16._RATES[-1]))
        yield


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


@dataclass(frozen=True)
class Without(Bench):
    """A bench whose networks lack one part, whatever is asked for."""

    lacking: str = "norm"

    def network(self, hidden=(64, 64), **settings):
        settings.pop(self.lacking, None)
        return super().network(hidden, **settings)


def large(data):
    """The same with columns 30 times as large."""
    return replace(data, **{p: replace(data.part(p), x=30 * data.part(p).x) for p in ("train", "valid", "test")})


def by_heart(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 15))
    return made("noise", x, ((x[:, 0] > 0) ^ (rng.uniform(size=rows) < 0.2)).astype(float), "binary")


def test_batch_normalisation_is_found_to_help_with_columns_that_are_large_and_not_where_it_is_left_out():
    found = words(q16.CLAIMS, q16.measure(Bench(large(by_heart())), SEEDS))
    assert found["faster"] == found["larger rates"] == found["regularises"] == "supported"
    without = words(q16.CLAIMS, q16.measure(Without(large(by_heart(100)), lacking="norm"), SEEDS))
    assert set(without.values()) == {"refuted"}  # all effects are exactly 0


def test_batch_normalisation_forgives_large_first_weights():
    assert words(q16.CLAIMS, q16.measure(Bench(rings(400)), SEEDS))["initialisation"] == "supported"


@pytest.fixture(scope="module")
def data():
    return line(400)
