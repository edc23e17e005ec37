"""Balanced mini-batches: even in every batch, the same again, resumable, and they raise what rare rows weigh."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.engine.balanced import BalancedRows, balanced_order
from glia.engine.fingerprint import fingerprint
from glia.engine.loop import Trainer
from glia.engine.rows import Rows
from glia.engine.sources import Source
from glia.objectives import BinaryCrossEntropy


def rows(counts, kind=torch.int64, weighted=False):
    y = torch.cat([torch.full((n,), c) for c, n in enumerate(counts)]).to(kind)
    x = torch.arange(len(y), dtype=torch.float32).unsqueeze(1)
    return BalancedRows(x, y, torch.rand(len(y)) if weighted else None)


@pytest.mark.parametrize("counts", [(95, 5), (70, 20, 10), (40, 1), (3, 3, 3, 3, 3)])
@pytest.mark.parametrize("size", [1, 4, 7, 32])
def test_every_batch_is_even(counts, size):
    source = rows(counts)
    assert isinstance(source, Source)
    batches = list(source.epoch(size, seed=0, number=0))
    assert sum(len(y) for _, y, _ in batches) in (len(source), len(source) - 1)
    for x, y, _ in batches:
        seen = torch.bincount(y, minlength=len(counts))
        assert seen.max() - seen.min() <= 1
        torch.testing.assert_close(source.y[x[:, 0].long()], y)  # rows keep their targets


def test_plain_batches_are_not_even():
    """The control."""
    source = rows((95, 5))
    plain = Rows(source.x, source.y)
    assert any((y == 1).sum() < 10 for _, y, _ in plain.epoch(32, 0, 0))


def test_rows_of_a_class_come_equally_often():
    source = rows((90, 7, 3))
    seen = torch.cat([x[:, 0] for x, _, _ in source.epoch(10, 0, 0)]).long()
    times = torch.bincount(seen, minlength=100)
    assert times[:90].max() == 1  # a sample of the common class, without repetition
    for part in (times[90:97], times[97:]):
        assert part.max() - part.min() <= 1
    other = torch.cat([x[:, 0] for x, _, _ in source.epoch(10, 0, 1)]).long()
    assert len(set(seen[seen < 90].tolist()) | set(other[other < 90].tolist())) > 50  # the next epoch has another


def test_epochs_can_be_repeated_and_entered_in_the_middle():
    source = rows((95, 6), torch.float32, weighted=True)
    whole, again = list(source.epoch(8, 3, 2)), list(source.epoch(8, 3, 2))
    rest = list(source.epoch(8, 3, 2, skip=5))
    for one, other in [*zip(whole, again, strict=True), *zip(whole[5:], rest, strict=True)]:
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(whole[0][0], next(iter(source.epoch(8, 4, 2)))[0])
    assert not torch.equal(whole[0][0], next(iter(source.epoch(8, 3, 3)))[0])
    for x, _, weight in whole:
        torch.testing.assert_close(source.weight[x[:, 0].long()], weight)


def test_a_checkpoint_tells_them_from_plain_rows():
    source = rows((9, 3))
    assert fingerprint({}, training_rows=source) != fingerprint({}, training_rows=Rows(source.x, source.y))
    assert fingerprint({}, training_rows=source) == fingerprint({}, training_rows=rows((9, 3)))
    assert isinstance(source.to(torch.device("cpu")), BalancedRows)


def test_a_network_learns_the_even_shares():
    """An intercept alone learns the log odds of the batches: 0 for balanced ones, log(1/9) for plain rows."""
    x, y = torch.zeros(200, 1), torch.cat([torch.zeros(180), torch.ones(20)])
    found = {}
    for name, kind in (("balanced", BalancedRows), ("plain", Rows)):
        network = nn.Linear(1, 1)
        nn.init.zeros_(network.bias)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
        Trainer(network, BinaryCrossEntropy(), optimizer, epochs=60, batch_size=50).fit(kind(x, y))
        found[name] = network.bias.item()
    assert abs(found["balanced"]) < 1e-5 and found["plain"] == pytest.approx(np.log(1 / 9), abs=0.1)


def test_several_targets_are_refused():
    with pytest.raises(InputError, match="one class per row"):
        BalancedRows(torch.zeros(4, 1), torch.zeros(4, 2))
    assert balanced_order(torch.zeros(0), torch.Generator()).shape == (0,)
