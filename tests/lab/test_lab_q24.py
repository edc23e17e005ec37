"""Question 24: convolutions gain where neighbours tell something together, and nothing where they do not."""

import numpy as np
import pytest
import torch

from glia.lab import q24_cnn_and_dense as q24
from glia.lab.bench import Bench
from glia.lab.made import made
from glia.lab.made_shapes import digits, moved, shaped, strewn
from glia.lab.verdict import judge, weigh


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of the dense networks three widths will do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q24, "_WIDTHS", (4, q24._ALIKE, 64))
        yield


def verdict(key, pair):
    claim = next(claim for claim in q24.CLAIMS if claim.key == key)
    return judge([weigh(claim, *map(np.asarray, pair))])[0][0]


def bumps(rows=700, seed=0):
    """Tables whose columns are a series: a narrow bump somewhere, upright or upside down, in noise."""
    x = q24.motif(seed, rows)
    rows_ = [part.x.flatten(1).numpy() for part in (x.train, x.valid, x.test)]
    labels = [part.y.numpy() for part in (x.train, x.valid, x.test)]
    return made("columns in order", np.concatenate(rows_), np.concatenate(labels), "binary")


def plain(rows=600, seed=0):
    x = np.random.default_rng(seed).normal(size=(rows, 6))
    x[:, :3] += 3.0 * np.sign(x.sum(axis=1, keepdims=True))
    return made("a table", x, (x.sum(axis=1) > 0).astype(float), "binary")


def spots(rows=500, seed=0):
    """Images 8 × 8 in which one pixel, always the same, tells the class alone: nothing is gained by its neighbours."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    x = 0.1 * rng.normal(size=(rows, 1, 8, 8))
    x[:, 0, 3, 3] += 2.0 * y
    return shaped("one pixel", x, y.astype(float), "binary")


@pytest.fixture(scope="module")
def found():
    return q24.measure(Bench(plain()), range(5), digits(0, 1400))


@pytest.fixture(scope="module")
def without():
    return q24.measure(Bench(bumps(500)), range(4), spots(), q24.motif(0, 300, anywhere=False))


@pytest.mark.parametrize("key", ["fewer weights", "shifted", "neighbours", "series", "table"])
def test_digits_and_patterns_have_neighbours_and_a_table_has_none(found, key):
    assert verdict(key, found.pairs[key]) == "supported"


@pytest.mark.parametrize("key", ["fewer weights", "more accurate", "neighbours", "series"])
def test_one_pixel_and_a_fixed_place_need_no_convolution(without, key):
    assert verdict(key, without.pairs[key]) == "refuted"


def test_columns_that_are_a_series_do_have_neighbours(without):
    assert verdict("table", without.pairs["table"]) == "refuted"


def test_shifts_that_hide_what_matters_hurt_both():
    """A dense network on spots that are where they were: nothing to bear."""
    bench = Bench(spots())
    nets = [
        q24._trained(bench, make, range(3))
        for make in (lambda: q24.convolutional((1, 8, 8), 1), lambda: q24.dense(64, 1))
    ]
    pair = [q24.points_of(bench, found, bench.data.test) for found in nets]
    assert verdict("shifted", pair) == "refuted"


def test_a_dense_network_that_is_as_good_by_chance_decides_nothing(found):
    """The size needed jumps between widths from seed to seed; over many seeds it is what the mean says."""
    conv, dense = found.pairs["more accurate"]
    assert conv.mean() > dense.mean() - 1.0 and verdict("more accurate", (conv, dense)) != "refuted"


def test_images_are_moved_as_said():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert moved(x, 1, 0)[0, 0].tolist() == [[0, 0, 0], [0, 1, 2], [3, 4, 5]]
    assert moved(x, 0, -1)[0, 0].tolist() == [[1, 2, 0], [4, 5, 0], [7, 8, 0]]
    data = digits(0, 50)
    assert data.layout.shape == (1, 12, 12) and data.outputs == 10
    assert torch.equal(strewn(data.test.x, 0, 1), data.test.x)
    np.testing.assert_allclose(strewn(data.test.x, 2, 1).sum((1, 2, 3)), data.test.x.sum((1, 2, 3)), rtol=1e-5)


def test_shuffling_keeps_every_value():
    data = spots(50)
    mixed = q24.shuffled(data, 3)
    assert torch.equal(mixed.train.x.flatten(1).sort(1).values, data.train.x.flatten(1).sort(1).values)
    assert not torch.equal(mixed.train.x, data.train.x)
