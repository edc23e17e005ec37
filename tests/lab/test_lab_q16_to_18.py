"""Questions 16 to 18: claims are supported where the mechanism acts, and refuted where it does not."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from glia.lab import q16_batch_normalisation as q16
from glia.lab import q17_weight_initialisation as q17
from glia.lab import q18_momentum as q18
from glia.lab.bench import Bench
from glia.lab.made import line, made, rings
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


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
def initialisations():
    return words(q17.CLAIMS, q17.measure(Bench(by_heart(400)), SEEDS))


def test_symmetry_is_broken_by_random_weights_alone(initialisations):
    assert initialisations["symmetry"] == initialisations["symmetry costs"] == "supported"
    random = words(q17.CLAIMS, q17.measure(Bench(line(300)), range(5), constant="xavier_normal"))
    assert random["symmetry"] == "refuted" and random["symmetry costs"] == "refuted"


def test_constant_weights_cost_nothing_where_one_unit_is_enough_and_much_where_it_is_not():
    x = 2 * np.random.default_rng(1).normal(size=(1500, 2))
    quarters = made("quarters", x, (x[:, 0] * x[:, 1] > 0).astype(float), "binary")
    assert words(q17.CLAIMS, q17.measure(Bench(quarters), SEEDS))["symmetry costs here"] == "supported"
    x = np.random.default_rng(0).normal(size=(600, 1))
    enough = made("a threshold", x, (x[:, 0] > 0).astype(float), "binary")
    pairs = q17.measure(Bench(enough), SEEDS).pairs["symmetry costs here"]
    assert abs(np.mean(pairs[0] - pairs[1])) < 2.0


def test_variance_stays_level_under_the_initialisation_that_suits(initialisations):
    assert initialisations["xavier for tanh"] == initialisations["he for relu"] == "supported"
    assert initialisations["xavier for sigmoid"] == "refuted"  # its slope is at most a quarter
    assert initialisations["tanh wants xavier"] == "refuted"  # He's larger weights make up for what tanh takes away


def test_swapped_initialisations_turn_the_verdicts():
    other = {"he_normal": "xavier_normal", "xavier_normal": "he_normal", "normal": "xavier_normal", "lsuv": "normal"}
    swapped = {name: (act, other[init]) for name, (act, init) in q17._LINES.items()}
    swapped["tanh, Xavier"], swapped["tanh, He"] = ("tanh", "normal"), ("tanh", "he_normal")
    found = words(q17.CLAIMS, q17.measure(Bench(by_heart(400)), SEEDS, starts=swapped))
    assert found["he for relu"] == found["xavier for tanh"] == found["lsuv"] == "refuted"
    assert found["xavier for sigmoid"] == "supported"  # against a tanh network that is initialised too small
    level = q17._LINES | {"tanh, He": ("tanh", "normal"), "ReLU, LSUV": q17._LINES["ReLU, He"]}
    found = words(q17.CLAIMS, q17.measure(Bench(by_heart(400)), SEEDS, starts=level))
    assert found["tanh wants xavier"] == found["lsuv"] == "supported"


def test_a_deep_network_learns_only_from_weights_that_are_large_enough():
    bench = Bench(by_heart(1500))
    assert words(q17.CLAIMS, q17.measure(bench, SEEDS))["level learns"] == "supported"
    small = q17._LINES | {"ReLU, He": ("relu", "normal")}
    assert words(q17.CLAIMS, q17.measure(bench, SEEDS, starts=small))["level learns"] == "refuted"


def test_variance_by_layer_is_what_theory_says():
    """Of ReLU, each layer of He keeps the mean square, each layer of Xavier halves it."""
    x = torch.randn(300, 64, generator=torch.Generator().manual_seed(0))
    bench = Bench(by_heart(300))
    he, xavier = (np.mean([q17._signal(bench, x, s, "relu", i) for s in range(8)], axis=0)
                  for i in ("he_normal", "xavier_normal"))  # fmt: skip
    np.testing.assert_allclose(np.diff(np.log2(he / xavier)), 1.0, atol=1e-4)


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
