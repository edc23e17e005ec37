"""Question 42: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest

from glia.lab import q42_complexity as q42
from glia.lab.bench import Bench
from glia.lab.made import made, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """The widest network and the middle numbers of rows cost most; claims are as true of one of width 64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q42, "_WIDTHS", (1, 4, 16, 64))
        patch.setattr(q42, "_SHARES", (0.125, 1.0))
        yield


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


def planes(rows=900, columns=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    return made("planes", x, (x[:, 0] + x[:, 1] > 0).astype(float), "binary")


def noisy(rows=900, wrong=0.25, columns=10):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    y = (x[:, 0] + x[:, 1] > 0) ^ (rng.uniform(size=rows) < wrong)
    return made("wrong labels", x, y.astype(float), "binary", shares=(0.5, 0.3))


def noisy_line(rows=800, noise=2.0, columns=10):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    y = x[:, 0] + noise * rng.normal(size=rows)
    return made("noisy line", x, y, "regression", shares=(0.5, 0.3))


def test_wide_networks_learn_noise_by_heart():
    found = words(q42.CLAIMS, q42.measure(Bench(noisy_line()), SEEDS, decay=3.0))
    assert found == dict.fromkeys(found, "supported")


def test_nothing_turns_without_noise_and_decay_of_0_moves_nothing():
    clean = waves(1600, noise=0.0)
    found = words(q42.CLAIMS, q42.measure(Bench(clean), SEEDS, noisy=clean, decay=0.0))
    for key in ("validation turns", "validation turns made", "moves the turn", "flattens", "error too"):
        assert found[key] == "refuted"
    assert found["training falls"] == "supported"


def test_more_rows_close_no_gap_where_there_is_none():
    """All inputs are 0: no width can tell rows apart, more rows close no gap."""
    x = np.zeros((600, 3))
    data = made("blind", x, (np.arange(600) % 2).astype(float), "binary")
    found = words(q42.CLAIMS, q42.measure(Bench(data), SEEDS, noisy=data, epochs=8))
    assert found["rows close the gap"] == "refuted"


def test_training_error_does_not_fall_where_all_networks_are_equally_wide():
    class Narrow(Bench):
        def network(self, hidden=(64, 64), **settings):
            return super().network((4,))

    found = words(q42.CLAIMS, q42.measure(Narrow(planes(200)), SEEDS, epochs=4))
    assert found["training falls"] == found["validation turns"] == "refuted"


@pytest.mark.slow  # a second confirmation
def test_strong_decay_moves_the_turn_to_wider_networks():
    found = q42.measure(Bench(noisy(wrong=0.3)), SEEDS, decay=30.0)
    assert words(q42.CLAIMS, found)["moves the turn"] == "supported"
