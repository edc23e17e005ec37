"""Question 18: claims are supported where the mechanism acts, and refuted where it does not."""

from dataclasses import replace

import numpy as np
import pytest

from glia.lab import q18_momentum as q18
from glia.lab.bench import Bench
from glia.lab.made import line, made
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


MECHANISMS = ("narrow valley", "turns", "swing", "nesterov", "shallow minimum")


@pytest.fixture(scope="module")
def data():
    return line(400)


def test_momentum_on_made_landscapes(data):
    found = words(q18.CLAIMS, q18.measure(Bench(data), SEEDS))
    assert {key: found[key] for key in MECHANISMS} == {
        "narrow valley": "supported", "turns": "supported", "swing": "refuted", "nesterov": "supported",
        "shallow minimum": "supported",
    }  # fmt: skip
    round_bowl = words(q18.CLAIMS, q18.measure(Bench(data), SEEDS, narrow=1.0, barrier=8.0))
    assert round_bowl["narrow valley"] == round_bowl["shallow minimum"] == "refuted"


def test_without_momentum_nothing_is_found(data):
    found = words(q18.CLAIMS, q18.measure(Bench(data), SEEDS, momentum=0.0, nesterov=False))
    assert set(found.values()) == {"refuted"}


def test_a_little_momentum_swings_less_than_none(data):
    """At 1.8 / curvature plain descent keeps 80 % of its distance each step; with β = 0.2 about √0.2 = 45 %."""
    assert words(q18.CLAIMS, q18.measure(Bench(data), SEEDS, momentum=0.2))["swing"] == "supported"


def test_momentum_is_faster_on_data_with_a_narrow_valley():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 6)) * np.geomspace(1.0, 0.05, 6)
    y = x @ (1.0 / np.geomspace(1.0, 0.05, 6))
    found = words(q18.CLAIMS, q18.measure(Bench(made("narrow", x, y, "regression")), SEEDS))
    assert found["same rate"] == "supported" and found["best rates"] == "supported"


def test_same_seed_same_figures_in_any_round(data):
    bench = Bench(replace(data))
    both, last = q18.measure(bench, [1, 4]), q18.measure(bench, [4])
    for claim in q18.CLAIMS:
        for i in (0, 1):
            np.testing.assert_allclose(both.pairs[claim.key][i][1:], last.pairs[claim.key][i], rtol=1e-6)
