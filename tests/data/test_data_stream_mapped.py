import re
from pathlib import Path

import numpy as np
import pytest

from glia.core.errors import InputError
from glia.data.stream import MappedBlocks, is_mapped, must_map, open_array
from glia.data.stream.mapped import gather
from glia.data.stream.shuffle import pools


@pytest.fixture
def saved(tmp_path):
    x = np.arange(3000 * 6, dtype=np.float32).reshape(3000, 2, 3)
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy", x


def test_blocks_of_a_map_are_its_rows(saved):
    path, x = saved
    mapped, y = open_array(path), np.arange(3000)
    assert is_mapped(mapped) and is_mapped(mapped[5:]) and not is_mapped(x) and not is_mapped([1])
    blocks = MappedBlocks(mapped, y, block_bytes=4096)
    read = [blocks.read(i) for i in range(len(blocks.counts))]
    assert np.array_equal(np.concatenate([a for a, _ in read]), x)
    assert np.array_equal(np.concatenate([b for _, b in read]), y)
    assert [len(a) for a, _ in read] == blocks.counts.tolist()
    assert len(blocks.counts) >= 64


def test_rows_that_are_held_out_do_not_come(saved):
    path, _ = saved
    held = np.sort(np.random.default_rng(0).choice(3000, 900, replace=False))
    blocks = MappedBlocks(open_array(path), np.arange(3000), without=held)
    rows = np.concatenate([y for _, y in pools(blocks, 500, 0, 0)])
    assert sorted(rows.tolist()) == np.setdiff1d(np.arange(3000), held).tolist()
    chosen = blocks.sample(100, np.random.default_rng(1))
    assert len(np.unique(chosen)) == 100
    assert not np.isin(chosen, held).any()
    assert len(blocks.sample(10**6, np.random.default_rng(1))) == 2100


def test_single_rows_are_gathered(saved):
    path, x = saved
    rows = np.random.default_rng(0).permutation(3000)
    assert np.array_equal(gather(open_array(path), rows), x[rows])


def resident():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssFile:\s+(\d+)", status).group(1)) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to see resident memory")
def test_pages_that_were_read_do_not_stay(tmp_path):
    """The control reads the same rows without giving the pages back."""
    size = 24 * 2**20
    np.save(tmp_path / "x.npy", np.zeros((size // 256, 64), dtype=np.float32))
    mapped = open_array(tmp_path / "x.npy")
    blocks = MappedBlocks(mapped)
    start = resident()
    for i in range(len(blocks.counts)):
        blocks.read(i)
    assert resident() - start < 4
    float(mapped.sum())
    assert resident() - start > 16


def test_only_large_maps_must_stay_on_disk(saved, monkeypatch):
    mapped = open_array(saved[0])
    assert not must_map(mapped)
    monkeypatch.setattr("glia.data.stream.mapped.memory_bytes", lambda: 100_000)
    assert must_map(mapped) and not must_map(saved[1])


def test_what_is_no_array(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"hello")
    with pytest.raises(InputError, match=r"whole \.npy file"):
        open_array(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"whole \.npy file"):
        open_array(tmp_path / "x.npy")
    with pytest.raises(InputError, match="equally many rows"):
        MappedBlocks(np.zeros(3), np.zeros(4))
