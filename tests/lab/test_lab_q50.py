"""Question 50: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest

from glia.lab import q50_limitations as q50
from glia.lab.bench import Bench
from glia.lab.made import made, rings
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


@pytest.fixture(scope="module")
def parted():
    """Classes by two columns: with them turned around, what was learned is wrong."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 6))
    return made("parted", x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(float), "binary")


@pytest.fixture(scope="module")
def limits(parted):
    return words(q50.CLAIMS, q50.measure(Bench(parted), SEEDS))


def test_networks_are_hungry_forget_and_mind_noise(limits):
    for key in ("hungry", "noise", "forgets", "rehearsal", "consolidation", "resources"):
        assert limits[key] == "supported"


@pytest.mark.usefixtures("two_tasks")
def test_the_same_task_once_more_is_not_forgotten(parted):
    found = words(q50.CLAIMS, q50.measure(Bench(parted), SEEDS, second="same", noise=0.0, share=1.0, rows=300))
    for key in ("hungry", "noise", "noise like linear", "forgets"):
        assert found[key] == "refuted"


@pytest.mark.usefixtures("two_tasks")
def test_remedies_that_are_not_applied_save_nothing(parted):
    found = words(q50.CLAIMS, q50.measure(Bench(parted), SEEDS, kept=0.0, anchor=0.0, rows=400))
    assert found["consolidation"] == "refuted" and found["consolidation costs"] == "supported"


@pytest.mark.usefixtures("two_tasks")
def test_holding_on_too_hard_costs_the_second_task(limits, parted):
    found = words(q50.CLAIMS, q50.measure(Bench(parted), SEEDS, anchor=1e3, rows=600))
    assert found["consolidation costs"] == "refuted"


@pytest.fixture
def two_tasks(monkeypatch):
    """Leave out the shift and the time, which are not asked for."""
    monkeypatch.setattr(q50, "_shift", lambda _, seeds, options: (np.zeros(len(seeds)),) * 2)
    monkeypatch.setattr(q50, "_time", lambda *_: (0.0, 0.0))


@pytest.fixture
def one_task(monkeypatch):
    """Leave out the second task and the time, which are not asked for."""
    monkeypatch.setattr(q50, "_two_tasks", lambda *_: [0.0] * 6)
    monkeypatch.setattr(q50, "_time", lambda *_: (0.0, 0.0))


@pytest.mark.usefixtures("one_task")
def test_shift_harms_where_the_function_bends_and_not_where_it_goes_on():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (1500, 1))
    bent = made("bent", x, np.abs(x[:, 0]) + 0.5 * x[:, 0], "regression")
    assert words(q50.CLAIMS, q50.measure(Bench(bent), SEEDS))["shift"] == "supported"
    y = ((x[:, 0] * 8).astype(int) % 2 == 0) & False | (x[:, 0] > -1)
    same = made("same", x, y.astype(float), "binary")
    assert words(q50.CLAIMS, q50.measure(Bench(same), SEEDS))["shift"] == "refuted"


@pytest.mark.usefixtures("one_task")
def test_noise_harms_a_network_that_follows_a_fine_pattern_more_than_a_line():
    assert words(q50.CLAIMS, q50.measure(Bench(rings(900)), SEEDS))["noise like linear"] == "supported"


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_linear_model_in_a_layer_answers_as_scikit_learn_does(task):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4))
    value = x @ rng.normal(size=4)
    y = {"binary": value > 0, "multiclass": np.digitize(value, [-1, 1]), "regression": value}[task].astype(float)
    data = made("x", x, y, task)
    layer = q50._linear(Bench(data), 0)
    score = q50.points_of(Bench(data), [layer], data.test)[0]
    assert score > 90.0
