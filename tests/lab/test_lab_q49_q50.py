"""Questions 49 and 50: claims are supported where they are true, and refuted where they are not."""

import numpy as np
import pytest
import torch

from glia.engine.gradients import Autograd
from glia.lab import q49_batch_size as q49
from glia.lab import q50_limitations as q50
from glia.lab.bench import Bench
from glia.lab.made import line, made, rings, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


def wrong_pieces(network, loss, x, y, piece):
    """Average the pieces' gradients as if the last, short one were as long as the others."""
    total, count = 0, 0
    for part, target in zip(x.split(piece), y.split(piece), strict=True):
        Autograd(network, loss)(part, target, None)
        total, count = total + q49._flat(network), count + 1
    return total / count


@pytest.fixture(scope="module")
def short():
    """A function that takes many steps to learn: large batches take too few in the same epochs."""
    return q49.measure(Bench(waves(1200)), SEEDS)


def test_small_batches_are_better_where_steps_are_short(short):
    found = words(q49.CLAIMS, short)
    assert found["same epochs"] == found["memory"] == found["time"] == found["noise"] == "supported"
    assert found["accumulation"] == "supported" and found["with batch norm"] == "refuted"
    assert short.suggestion["batch_size"] <= 64


def test_equal_sizes_make_no_difference_and_wrong_accumulation_is_found_out():
    found = words(q49.CLAIMS, q49.measure(Bench(line(300)), SEEDS, pieces=wrong_pieces, sizes=(32,) * 5 + (33,)))
    assert found["accumulation"] == "refuted"
    assert found["same epochs"] != "supported" and found["memory"] == "refuted"


def test_the_gradient_of_a_batch_is_accumulated_exactly_without_a_norm_only():
    whole = lambda network, loss, x, y, piece: q49._gradient(network, loss, x, y)  # noqa: E731
    found = words(q49.CLAIMS, q49.measure(Bench(line(200)), range(5), pieces=whole))
    assert found["accumulation"] == found["with batch norm"] == "supported"


def test_large_batches_are_better_where_single_rows_are_mostly_noise():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 10))
    data = made("noise", x, x[:, 0] + 3 * rng.normal(size=1500), "regression", shares=(0.2, 0.1))
    found = words(q49.CLAIMS, q49.measure(Bench(data), SEEDS, sizes=(2, 8, 16, 32, 64)))
    assert found["same epochs"] == "refuted" and found["same rows, scaled rate"] == "supported"


def test_noise_that_does_not_fall_is_found_out(monkeypatch):
    monkeypatch.setattr(torch, "randint", lambda top, size, generator: torch.arange(size[0] * 16).reshape(size[0], 16))
    found = q49.measure(Bench(line(300)), range(5))
    assert words(q49.CLAIMS, found)["noise"] == "refuted"


def test_memory_kept_for_the_backward_pass_is_proportional_to_rows():
    bench = Bench(line(300))
    network, loss = bench.network((8,)), lambda output, y: (output - y).square()[:, 0]
    kept = [q49._kept(network, loss, bench.data.train.x[:n], bench.data.train.y[:n]) for n in (10, 20, 40)]
    assert kept[2] - kept[1] == pytest.approx(2 * (kept[1] - kept[0])) and kept[0] >= 10 * 4 * (5 + 8)


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


def test_the_same_task_once_more_is_not_forgotten(parted):
    found = words(q50.CLAIMS, q50.measure(Bench(parted), SEEDS, second="same", noise=0.0, share=1.0, rows=300))
    for key in ("hungry", "noise", "noise like linear", "forgets"):
        assert found[key] == "refuted"


def test_remedies_that_are_not_applied_save_nothing(parted):
    found = words(q50.CLAIMS, q50.measure(Bench(parted), SEEDS, kept=0.0, anchor=0.0, rows=400))
    assert found["consolidation"] == "refuted" and found["consolidation costs"] == "supported"


def test_holding_on_too_hard_costs_the_second_task(limits, parted):
    found = words(q50.CLAIMS, q50.measure(Bench(parted), SEEDS, anchor=1e3, rows=600))
    assert found["consolidation costs"] == "refuted"


def test_shift_harms_where_the_function_bends_and_not_where_it_goes_on():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (1500, 1))
    bent = made("bent", x, np.abs(x[:, 0]) + 0.5 * x[:, 0], "regression")
    assert words(q50.CLAIMS, q50.measure(Bench(bent), SEEDS))["shift"] == "supported"
    y = ((x[:, 0] * 8).astype(int) % 2 == 0) & False | (x[:, 0] > -1)
    same = made("same", x, y.astype(float), "binary")
    assert words(q50.CLAIMS, q50.measure(Bench(same), SEEDS))["shift"] == "refuted"


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
