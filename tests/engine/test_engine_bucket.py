"""Mini-batches of like lengths: every row once an epoch, the same again, resumable, unbiased, and the same answers."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.engine.balanced import BalancedRows
from glia.engine.bucketed import BucketedRows, bucketed_order, padded_share
from glia.engine.callbacks import Callback
from glia.engine.distributed.sharding import Sharded
from glia.engine.fingerprint import fingerprint
from glia.engine.loop import Trainer
from glia.engine.rows import Rows
from glia.engine.sources import Source
from glia.estimators.by_length import by_length
from glia.nn import GRU, LSTM, RNN, TCN
from glia.nn.custom import CustomNetwork
from glia.nn.sequence_transformer import SequenceTransformer


def lengths_of(count, low=7, high=30, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(low, high, count))


def rows(lengths, channels=2, weighted=False):
    x = torch.randn(len(lengths), int(lengths.max()), channels + 1, generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(x.shape[1])[None] < lengths[:, None]).float()
    x = x * mask[..., None]
    x[..., -1] = mask
    weight = torch.rand(len(lengths)) if weighted else None
    return BucketedRows(x, torch.arange(len(lengths)), weight, lengths)


@pytest.mark.parametrize("count", [1, 5, 16, 17, 100, 129])
@pytest.mark.parametrize("size", [1, 4, 16, 200])
def test_every_row_comes_once_an_epoch(count, size):
    source = rows(lengths_of(count))
    assert isinstance(source, Source)
    batches = list(source.epoch(size, seed=0, number=3))
    seen = torch.cat([y for _, y, _ in batches]).tolist()
    lone = count > size > 1 and count % size == 1
    assert len(set(seen)) == len(seen) == count - lone
    assert all(len(y) == size for _, y, _ in batches[:-1])
    for x, y, _ in batches:
        torch.testing.assert_close(x, source.x[y], rtol=0, atol=0)


def test_batches_hold_like_lengths_and_plain_ones_do_not():
    lengths = lengths_of(540, 10, 1000)
    chance = torch.Generator().manual_seed(0)
    ours = padded_share(lengths, bucketed_order(lengths, 16, chance), 16)
    plain = padded_share(lengths, torch.randperm(540, generator=chance), 16)
    assert ours < 0.15 < 0.4 < plain


def test_padded_share_by_hand():
    # two batches: lengths (2, 4) → 8 computed, 6 real; (3,) → 3 of 3
    assert padded_share(torch.tensor([2, 3, 4]), torch.tensor([0, 2, 1]), 2) == pytest.approx(1 - 9 / 11)


def test_places_are_left_to_chance():
    """Over epochs every row is as often early as late, in the incomplete batch, and meets many others."""
    lengths, size, epochs = lengths_of(52), 8, 400
    order = [bucketed_order(lengths, size, torch.Generator().manual_seed(i)) for i in range(epochs)]
    batch = torch.stack([(torch.argsort(one) // size).float() for one in order]).mean(0)  # (N,): mean number
    assert (batch - batch.mean()).abs().max() < 4 * 2 / epochs**0.5
    late = torch.zeros(52)
    for one in order:
        late[one[48:]] += 1
    share = late / epochs
    assert (share - 4 / 52).abs().max() < 4.5 * (4 / 52 * 48 / 52 / epochs) ** 0.5
    shortest = int(lengths.argmin())
    batches = [one[:48].view(-1, size) for one in order]
    met = {int(v) for one in batches for v in one[(one == shortest).any(1)].flatten()}
    assert len(met) > 15


def test_epochs_can_be_repeated_and_entered_in_the_middle():
    source = rows(lengths_of(101), weighted=True)
    whole, again, rest = (list(source.epoch(8, 3, 2, skip=skip)) for skip in (0, 0, 5))
    for one, other in [*zip(whole, again, strict=True), *zip(whole[5:], rest, strict=True)]:
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(whole[0][1], next(iter(source.epoch(8, 3, 3)))[1])


class _Stop(Exception):
    pass


class _Restored(Callback):
    def __init__(self, kept):
        self.kept = kept

    def on_fit_start(self, trainer):
        trainer.restore(self.kept)


@pytest.mark.parametrize("stop", [3, 11])
def test_a_resumed_fit_takes_the_very_steps(stop):
    lengths = lengths_of(50)
    source = rows(lengths)
    source = BucketedRows(source.x, (lengths > 15).long(), None, lengths)

    def trainer():
        torch.manual_seed(0)
        network = TCN(channels=8, dropout=0.2, causal=False, pooling="mean").build(Layout(tuple(source.x.shape[1:])), 2)
        loss = nn.CrossEntropyLoss(reduction="none")
        return Trainer(network, loss, torch.optim.Adam(network.parameters()), epochs=3, batch_size=8, random_state=5)

    whole, cut, resumed = trainer(), trainer(), trainer()
    whole.fit(source)
    cut.callbacks = [Callback()]
    step = cut.train_step
    states = []

    def counted(*batch):
        if cut.step == stop:
            states.append(cut.state())
            raise _Stop
        return step(*batch)

    cut.train_step = counted
    with pytest.raises(_Stop):
        cut.fit(source)
    resumed.callbacks = [_Restored(states[0])]
    resumed.fit(source)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)


SPECS = [
    RNN(hidden=8),
    GRU(hidden=8, bidirectional=True),
    LSTM(hidden=8, layers=2),
    TCN(channels=8, norm="batch"),
    TCN(channels=8, causal=False, pooling="max"),
    SequenceTransformer(dim=16, num_heads=2, dropout=0.0),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: repr(s)[:30])
def test_cutting_common_padding_changes_no_answer_and_no_gradient(spec):
    """The control computes all steps."""
    lengths = torch.tensor([3, 5, 4, 6])
    x = torch.nn.functional.pad(rows(lengths).x, (0, 0, 0, 30))  # (4, 36, 3)
    network = spec.build(Layout(tuple(x.shape[1:])), 3)
    for mode in (network.eval, network.train):
        mode()
        for module in network.modules():
            if isinstance(module, (nn.Dropout, nn.Dropout1d)):
                module.p = 0.0
        answers, slopes = [], []
        for trims in (True, False):
            network.trims = trims
            network.zero_grad()
            answers.append(network(x))
            answers[-1].square().sum().backward()
            slopes.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
        torch.testing.assert_close(*answers, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "balanced", "bucketed"])
def test_workers_share_the_order_that_one_process_has(kind):
    lengths = lengths_of(37)
    made = rows(lengths, weighted=True)
    y = (torch.arange(37) < 5).long()
    source = {
        "plain": Rows(made.x, y, made.weight),
        "balanced": BalancedRows(made.x, y, made.weight),
        "bucketed": BucketedRows(made.x, y, made.weight, lengths),
    }[kind]
    for skip in (0, 2):
        parts = [list(Sharded(source, rank, 2).epoch(6, 4, 1, skip)) for rank in (0, 1)]
        whole = list(source.epoch(6, 4, 1, skip))
        assert len(parts[0]) == len(parts[1]) == len(whole)
        for one, two, both in zip(*parts, whole, strict=True):
            if len(both[0]) == 1:
                continue  # a worker without a row gets one all the same
            for a, b, c in zip(one, two, both, strict=True):
                torch.testing.assert_close(torch.cat([a, b]), c, rtol=0, atol=0)


def test_rows_are_drawn_by_length_only_where_that_saves_something():
    spread, network = rows(lengths_of(200, 5, 60)), GRU(hidden=4)
    plain = Rows(spread.x, spread.y)
    found, why = by_length(plain, network, 16)
    assert isinstance(found, BucketedRows) and "need not be computed" in why
    torch.testing.assert_close(found.lengths, lengths_of(200, 5, 60))
    even = rows(torch.full((200,), 30))
    for train, net, size in (
        (Rows(even.x, even.y), network, 16),  # one length
        (plain, CustomNetwork(nn.Linear(3, 2)), 16),  # a network that computes all steps
        (plain, network, 500),  # one batch
        (BalancedRows(spread.x, spread.y), network, 16),  # classes in turns come first
    ):
        assert by_length(train, net, size) == (train, "")


def test_another_order_is_another_fit_and_lengths_must_be_there():
    made = rows(lengths_of(20))
    one, two = (fingerprint({}, rows=source) for source in (made, Rows(made.x, made.y)))
    assert one != two
    assert isinstance(made.to(torch.device("cpu")), BucketedRows)
    with pytest.raises(InputError, match="every row must have a length"):
        BucketedRows(made.x, made.y)
