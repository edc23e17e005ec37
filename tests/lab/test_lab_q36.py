"""Question 36: networks win where classic models cannot follow, and lose where those know the shape beforehand."""

import numpy as np
import pytest
import torch

from glia.lab import q36_deep_against_classic as q36
from glia.lab.bench import Bench
from glia.lab.made import made, rings
from glia.lab.verdict import judge, weigh

SEEDS = range(5)


def words(data, **settings):
    found = q36.measure(Bench(data), SEEDS, shares=(0.125, 1.0), steps=300, **settings)
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in q36.CLAIMS}


def plane(rows=400, columns=12):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    return made("a plane", x, x @ rng.normal(size=columns) + rng.normal(size=rows), "regression")


def test_a_network_beats_what_cannot_follow_rings():
    ringed = words(rings(700, noise=0.25))
    assert ringed["constant"] == ringed["linear"] == "supported"
    assert ringed["few rows"] == "refuted"  # even few rows are enough to see that no line parts rings


def test_a_plane_is_left_to_linear_models():
    found = words(plane())
    assert found["linear"] == "refuted" and found["few rows"] == "supported"
    assert found["neighbours"] == found["boosting"] == "supported"  # those follow a plane only in steps


def test_trees_win_where_corners_decide_among_many_useless_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 20))
    y = (x[:, 0] > 0.3) ^ (x[:, 1] > -0.2)
    found = words(made("corners", x, y.astype(float), "binary"))
    assert found["boosting"] == "refuted"


@pytest.mark.parametrize("gain, expected", [(80.0, "supported"), (0.0, "refuted")])
def test_gains_and_costs_are_compared(monkeypatch, gain, expected):
    """A network that scores 10 with few rows and ``gain`` more with all; trees gain some 20 on this plane."""
    few = iter([True] * len(SEEDS) + [False] * len(SEEDS))
    seconds = 5.0 if gain else 0.0
    monkeypatch.setattr(q36, "_network", lambda *_: (10.0 if next(few) else 10.0 + gain, seconds))
    found = words(plane(600, 2))
    assert found["rows"] == found["cost"] == expected


def test_a_network_that_is_a_constant_beats_none():
    class Constant(Bench):
        def train(self, make, seeds, **options):
            runs = super().train(make, seeds, **options)
            with torch.no_grad():
                for network in runs.networks:
                    network.output.weight.zero_()
                    network.output.bias.zero_()
            return runs

    x = np.random.default_rng(0).normal(size=(400, 2))
    rare = made("rare", x, (x[:, 0] > 0.8).astype(float), "binary")
    found = q36.measure(Constant(rare), SEEDS, shares=(0.5, 1.0), steps=20)
    verdicts = {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in q36.CLAIMS}
    assert verdicts["constant"] == verdicts["neighbours"] == "refuted"


def test_all_models_get_the_same_rows():
    bench = Bench(rings(300))
    index = q36._rows(bench, 3, 100)
    assert len(index) == 80 and len(set(index.tolist())) == 80
    assert torch.equal(index, q36._rows(bench, 3, 100)) and not torch.equal(index, q36._rows(bench, 4, 100))
