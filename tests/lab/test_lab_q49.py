"""Question 49: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest
import torch

from glia.engine.gradients import Autograd
from glia.lab import q49_batch_size as q49
from glia.lab.bench import Bench
from glia.lab.made import line, made, waves
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
    found = words(q49.CLAIMS, q49.measure(Bench(line(200)), range(5), pieces=whole, sizes=(16, 64)))
    assert found["accumulation"] == found["with batch norm"] == "supported"


def test_large_batches_are_better_where_single_rows_are_mostly_noise():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 10))
    data = made("noise", x, x[:, 0] + 3 * rng.normal(size=1500), "regression", shares=(0.2, 0.1))
    found = words(q49.CLAIMS, q49.measure(Bench(data), SEEDS, sizes=(2, 64)))
    assert found["same epochs"] == "refuted" and found["same rows, scaled rate"] == "supported"


def test_noise_that_does_not_fall_is_found_out(monkeypatch):
    monkeypatch.setattr(torch, "randint", lambda top, size, generator: torch.arange(size[0] * 16).reshape(-1, 16) % top)
    found = q49.measure(Bench(line(300)), range(5), sizes=(16, 64, 128))
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
