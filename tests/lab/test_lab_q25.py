"""Question 25: pooling does what it is for, unless the position is what matters or there is none."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from glia.lab import q25_pooling as q25
from glia.lab.bench import Bench
from glia.lab.made import line
from glia.lab.made_shapes import shaped
from glia.lab.runs import Runs
from glia.lab.verdict import judge, weigh

BENCH = Bench(line(60))  # no claim is on the user's data


@dataclass(frozen=True)
class Remembering(Bench):
    """A bench for one table, which trains a part of a network only once."""

    trained: dict[q25.Part, Runs] = field(default_factory=dict)

    def train(self, make, seeds, **options):
        part = make.func.__self__
        if part not in self.trained:
            self.trained[part] = super().train(make, seeds, **options)
        return self.trained[part]


ON_BARS = Remembering(line(60))


def verdict(key, pair):
    claim = next(claim for claim in q25.CLAIMS if claim.key == key)
    return judge([weigh(claim, *map(np.asarray, pair))])[0][0]


def bars(rows=400, seed=0):
    """A short bar somewhere, upright or lying: the class is the direction, wherever it lies."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    x = 0.1 * rng.normal(size=(rows, 1, 10, 10))
    for image, upright, (a, b) in zip(x[:, 0], y, rng.integers(3, 6, (rows, 2)), strict=True):
        where = (slice(a, a + 3), b) if upright else (a, slice(b, b + 3))
        image[where] += 1.5
    return shaped("bars", x, y.astype(float), "binary")


def parity(rows=400, seed=0):
    """One bright pixel of a pair, always the same pair: which of the two it is, a pool of both cannot say."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    x = 0.1 * rng.normal(size=(rows, 1, 8, 8))
    x[np.arange(rows), 0, 4, 4 + y] += 1.5
    return shaped("which of two pixels", x, y.astype(float), "binary")


class Blind(nn.Module):
    """Gives the mean of the whole image, everywhere."""

    def __init__(self, size, ceil_mode=False):
        super().__init__()
        self.pool = nn.MaxPool2d(size, ceil_mode=ceil_mode)

    def forward(self, x):
        return self.pool(x).amax((2, 3), keepdim=True).expand_as(self.pool(x))


@pytest.fixture(scope="module")
def found():
    """Average pooling and stride are not asked about here: what stands in their places is trained anyway."""
    parts = q25.PARTS | {"average pooling": q25.Part(), "stride": q25.Part()}
    return q25.measure(ON_BARS, range(5), bars(), parts)


@pytest.fixture(scope="module")
def swapped():
    """What is called pooling has none; what is called none, average or stride has it: everything is reversed."""
    pool = q25.Part(nn.MaxPool2d)
    parts = {
        "maximum pooling": q25.Part(),
        "none": pool,
        "average pooling": q25.Part(),
        "global average": q25.Part(),
        "stride": pool,
    }
    return q25.measure(ON_BARS, range(5), bars(), parts)


@pytest.mark.parametrize("key", ["less computation", "no accuracy lost", "small shifts"])
def test_bars_that_lie_anywhere_are_served_by_pooling(found, key):
    assert verdict(key, found.pairs[key]) == "supported"


@pytest.mark.parametrize("key", ["less computation", "small shifts", "global", "stride"])
def test_without_pooling_nothing_is_claimed_for_it(swapped, key):
    assert verdict(key, swapped.pairs[key]) == "refuted"


def test_more_than_one_outcome_for_shifts(found, swapped):
    """What pooling gains on shifted images here, its absence loses there."""
    ahead, behind = (np.nanmean(np.subtract(*one.pairs["shifted accuracy"])) for one in (found, swapped))
    assert ahead > 0 > behind
    without = found.pairs["shifted accuracy"][1]
    assert verdict("shifted accuracy", (without - 1.0, without)) == "refuted"
    assert verdict("shifted accuracy", (without + 5.0, without)) == "supported"


def test_pooling_that_throws_away_what_matters_costs_accuracy():
    parts = {"maximum pooling": q25.Part(Blind), "none": q25.Part(), "average pooling": q25.Part(Blind)}
    parts |= {"global average": q25.Part(), "stride": q25.Part()}
    found = q25.measure(BENCH, range(4), parity(200), parts)
    assert verdict("no accuracy lost", found.pairs["no accuracy lost"]) == "refuted"


def test_a_global_average_bears_large_shifts_of_what_may_lie_anywhere(found):
    assert verdict("global", found.pairs["global"]) == "supported"


@pytest.mark.parametrize("key, down, same", [("average", "refuted", "supported"), ("stride", "supported", "refuted")])
def test_two_ways_to_shrink_come_out_as_they_are(swapped, key, down, same):
    left = np.array([60.0, 65.0, 70.0, 62.0, 66.0])
    assert verdict(key, (left - 20.0 + 0.1 * np.arange(5), left)) == down
    kept = swapped.pairs["average"][1]  # one of two that are the same network, by another name
    assert verdict(key, (kept, swapped.pairs["average"][0])) == same if key == "average" else True


def test_multiplications_are_those_worked_out_by_hand():
    network = q25.Part(nn.MaxPool2d).network((1, 8, 8), 3)
    first, second, last = 6 * 64 * 9, 12 * 16 * 6 * 9, 12 * 4 * 3
    assert q25.multiplications(network, torch.zeros(1, 1, 8, 8)) == first + second + last


def test_features_that_ignore_the_place_do_not_change():
    x = torch.zeros(4, 1, 8, 8)
    x[:, 0, 3:5, 3:5] = 1.0
    total = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(64, 1, bias=False)))
    nn.init.ones_(total[0][1].weight)
    assert q25.change(total, x) == 0.0
    keep = nn.Sequential(nn.Flatten())
    assert q25.change(keep, x) == pytest.approx(100.0)  # of four pixels two go and two come: √4 of √4
