import threading
import time

import numpy as np
import pytest

from glia.data.stream.prefetch import Prefetch
from glia.data.stream.shuffle import cut, fill_pool, plan_pools, pools


class Numbers:
    """Blocks of the numbers 0, 1, …; counts what is read."""

    def __init__(self, counts):
        self.counts = np.asarray(counts)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)])
        self.asked = []

    def read(self, block):
        self.asked.append(block)
        rows = np.arange(self.starts[block], self.starts[block + 1])
        return rows[:, None].astype(np.float32), rows


@pytest.mark.parametrize("counts", [[5], [3, 0, 4], [100] * 64, [1000, 1, 1, 7] * 30, list(range(200))])
@pytest.mark.parametrize("capacity", [10, 1000, 10**6])
def test_every_row_once_and_never_more_than_the_buffer(counts, capacity):
    blocks = Numbers(counts)
    plan = plan_pools(blocks.counts, capacity, 0, 3)
    assert sorted(np.concatenate(plan).tolist()) == np.flatnonzero(blocks.counts).tolist()
    assert max(int(blocks.counts[pool].sum()) for pool in plan) <= max(capacity, max(counts))
    rows = np.concatenate([y for _, y in pools(blocks, capacity, 0, 3)])
    assert sorted(rows.tolist()) == list(range(sum(counts)))


def test_order_depends_on_seed_and_epoch_only():
    def order(seed, number):
        return np.concatenate([y for _, y in pools(Numbers([50] * 100), 600, seed, number)])

    first = order(1, 0)
    assert np.array_equal(first, order(1, 0))
    assert not np.array_equal(first, order(1, 1))
    assert not np.array_equal(first, order(2, 0))


@pytest.mark.parametrize("skip", [0, 1, 599, 600, 601, 2000, 4999, 5000])
def test_skipped_rows_are_not_read(skip):
    every = Numbers([50] * 100)
    whole = np.concatenate([y for _, y in pools(every, 600, 0, 0)])
    rest = Numbers([50] * 100)
    parts = [y for _, y in pools(rest, 600, 0, 0, skip)]
    assert np.array_equal(np.concatenate(parts) if parts else np.zeros(0), whole[skip:])
    assert len(rest.asked) <= -(-(5000 - skip) // 50) + 12


def test_every_pool_stands_for_the_whole_of_sorted_files():
    """Sorted rows are the worst case: a pool of whole neighbours would hold one class only (the negative control)."""
    blocks = Numbers([100] * 400)
    stratified, neighbours = [], []
    for seed in range(5):
        for pool in plan_pools(blocks.counts, 2000, seed, 0):
            stratified.append(np.mean(pool >= 200))
        rng = np.random.default_rng(seed)
        neighbours += [np.mean(rng.permutation(400)[:20] >= 200) for _ in range(20)]
    assert max(abs(share - 0.5) for share in stratified) <= 1 / 20 + 1e-9
    assert max(abs(share - 0.5) for share in neighbours) > 0.15


def test_neighbours_on_disk_are_no_neighbours_in_a_batch():
    """The mean distance on disk of rows that follow one another is that of rows drawn at random: N / 3."""
    rows = np.concatenate([y for _, y in pools(Numbers([100] * 200), 4000, 0, 0)]).astype(float)
    assert np.abs(np.diff(rows)).mean() == pytest.approx(20_000 / 3, rel=0.02)


@pytest.mark.parametrize("total", [1, 7, 64, 65, 640, 641])
@pytest.mark.parametrize("pieces", [[1000], [10] * 65, [100, 3, 300, 237, 1]])
def test_batches_are_cut_alike_however_the_pieces_come(pieces, total):
    rows = np.arange(sum(pieces))
    parts = [(part, part * 2) for part in np.split(rows, np.cumsum(pieces)[:-1])]
    batches = list(cut(iter(parts), 64, total))
    left = total - 1 if total % 64 == 1 and total > 64 else total
    assert [len(x) for x, _ in batches] == [64] * (left // 64) + [left % 64] * (left % 64 > 0)
    assert np.array_equal(np.concatenate([x for x, _ in batches]), rows[:left])
    assert all(np.array_equal(2 * x, y) for x, y in batches)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "glia-prefetch"]


def test_prefetch_keeps_the_order_and_the_bound():
    alive, most = 0, 0

    class Item:
        def __init__(self, i):
            nonlocal alive, most
            self.i = i
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    def make(stop):
        for i in range(30):
            yield Item(i)

    seen = []
    with Prefetch(make) as ahead:
        for item in ahead:
            seen.append(item.i)
            time.sleep(0.002)
            del item
    assert seen == list(range(30))
    assert most <= 3  # in use, ready, and for a moment the one that replaces what was in use
    assert not threads()


@pytest.mark.parametrize("fault", [ValueError("bad block"), KeyboardInterrupt(), MemoryError()])
def test_a_failure_of_the_thread_reaches_the_consumer_in_its_place(fault):
    def make(stop):
        yield 1
        yield 2
        raise fault

    seen = []
    with pytest.raises(type(fault)), Prefetch(make) as ahead:
        for item in ahead:
            seen.append(item)
    assert seen == [1, 2]
    assert not threads()


@pytest.mark.parametrize("leave", ["break", "error", "interrupt", "forget"])
def test_no_thread_is_left_behind(leave):
    def make(stop):
        i = 0
        while not stop.is_set():
            yield (i := i + 1)

    def consume():
        with Prefetch(make) as ahead:
            yield from ahead

    items = consume()
    assert next(items) == 1
    assert len(threads()) == 1
    if leave == "break":
        items.close()
    elif leave == "forget":
        del items
    else:
        with pytest.raises((ValueError, KeyboardInterrupt)):
            items.throw(ValueError() if leave == "error" else KeyboardInterrupt())
    assert not threads()


def test_stopping_does_not_wait_for_the_whole_pool():
    stop = threading.Event()

    class Slow(Numbers):
        def read(self, block):
            stop.set()
            return super().read(block)

    blocks = Slow([10] * 1000)
    assert fill_pool(blocks, np.arange(1000), np.random.default_rng(0), stop) is None
    assert blocks.asked == [0]


def test_an_iterator_that_is_over_stays_over():
    with Prefetch(lambda stop: iter([1])) as ahead:
        assert list(ahead) == [1]
        assert list(ahead) == []
