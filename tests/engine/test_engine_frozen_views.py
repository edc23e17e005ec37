"""Features of varied rows that are computed once: what chance would make, in turns, drawn as the rows are."""

import pytest
import torch
from torch import nn

from glia.core.seeds import torch_rng
from glia.engine.augmented import AugmentedRows
from glia.engine.balanced import BalancedRows
from glia.engine.frozen_features import what_learns
from glia.engine.frozen_views import VIEWS, views_of
from glia.engine.indexed_rows import IndexedRows
from glia.engine.mixing import Mixing
from glia.engine.rows import Rows


class Net(nn.Module):
    """Frozen: the mean of three values, and a line through it."""

    frozen = True

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 1)

    def at_once(self, shape):
        return 16

    def encode(self, x):
        return x.mean(1, keepdim=True)


X, Y, WEIGHT = torch.randn(40, 3), torch.arange(40) % 10 // 9, torch.rand(40)


def shifted(x, chance):
    return x + torch.rand(len(x), 1, generator=chance)


def streamed():
    return IndexedRows(lambda index: X.numpy()[index], Y, WEIGHT, (3,), str)


@pytest.mark.parametrize("kind", ["plain", "balanced", "streamed", "streamed balanced"])
def test_variants_are_what_chance_makes_of_the_rows(kind):
    made = {
        "plain": lambda: Rows(X, Y, WEIGHT), "balanced": lambda: BalancedRows(X, Y, WEIGHT), "streamed": streamed,
        "streamed balanced": lambda: streamed().evenly(),
    }  # fmt: skip
    rows = made[kind]()
    found = views_of(Net(), AugmentedRows(rows, shifted), epochs=9, seed=3)
    assert len(found.variants) == VIEWS == 4 and len(found) == 40
    features = [
        torch.cat([Net().encode(shifted(X[i : i + 16], torch_rng(3, "view", v, i))) for i in (0, 16, 32)])
        for v in range(VIEWS)
    ]
    for epoch in (0, 3, 6):  # the last one sees the third variant again, in another order
        by_hand = (BalancedRows if "balanced" in kind else Rows)(features[epoch % VIEWS], Y, WEIGHT).epoch(
            8, 1, epoch, 2
        )
        pairs = list(zip(found.epoch(8, 1, epoch, 2), by_hand, strict=True))
        assert len(pairs) == 3 and all(torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))
    assert not torch.equal(features[0], features[1])


def test_how_many(monkeypatch):
    rows = AugmentedRows(Rows(X, Y), shifted)
    assert len(views_of(Net(), rows, epochs=100, seed=0).variants) == VIEWS
    assert len(views_of(Net(), rows, epochs=3, seed=0).variants) == 3
    assert views_of(Net(), rows, epochs=1, seed=0) is None
    monkeypatch.setattr("glia.engine.frozen_views._BYTES", 40 * 4 * 2)
    assert len(views_of(Net(), rows, epochs=100, seed=0).variants) == 2
    monkeypatch.setattr("glia.engine.frozen_views._BYTES", 40 * 4)
    assert views_of(Net(), rows, epochs=100, seed=0) is None


def test_what_cannot_be_computed_once_is_left_as_it_is():
    network, plain = Net(), Rows(X, Y)
    for source in (AugmentedRows(plain, None, Mixing("mixup", 0.4)), AugmentedRows(plain, shifted, Mixing())):
        assert what_learns(network, source, None, 10).train is source
    assert what_learns(network, AugmentedRows(plain, shifted), None, 1).network is network
    learned = what_learns(network, AugmentedRows(plain, shifted), plain, 10, seed=1)
    assert learned.network is network.head and learned.valid.x.shape == (40, 1) and len(learned.train.variants) == VIEWS
    same = what_learns(network, AugmentedRows(plain, shifted), plain, 10, seed=1).train
    other = what_learns(network, AugmentedRows(plain, shifted), plain, 10, seed=2).train
    assert torch.equal(same.x, learned.train.x) and not torch.equal(other.x, learned.train.x)
