"""Question 17: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest
import torch

from glia.lab import q17_weight_initialisation as q17
from glia.lab.bench import Bench
from glia.lab.made import line, made, rings
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Fewer rows of rings: symmetry is seen on any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q17, "rings", lambda seed: rings(240, seed))
        yield


def by_heart(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 15))
    return made("noise", x, ((x[:, 0] > 0) ^ (rng.uniform(size=rows) < 0.2)).astype(float), "binary")


@pytest.fixture(scope="module")
def initialisations():
    return words(q17.CLAIMS, q17.measure(Bench(by_heart(400)), SEEDS))


def test_symmetry_is_broken_by_random_weights_alone(initialisations):
    assert initialisations["symmetry"] == initialisations["symmetry costs"] == "supported"
    random = words(q17.CLAIMS, q17.measure(Bench(line(300)), range(5), constant="xavier_normal"))
    assert random["symmetry"] == "refuted" and random["symmetry costs"] == "refuted"


def test_constant_weights_cost_nothing_where_one_unit_is_enough_and_much_where_it_is_not(monkeypatch):
    monkeypatch.setattr(q17, "_signal", lambda *_: np.ones(q17._DEPTH))  # which is not asked for here
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


def test_a_deep_network_learns_only_from_weights_that_are_large_enough(monkeypatch):
    monkeypatch.setattr(q17, "_signal", lambda *_: np.ones(q17._DEPTH))  # which is not asked for here
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


@pytest.fixture(scope="module")
def data():
    return line(400)
