import io
import tempfile

import numpy as np
import polars as pl
import pytest

from glia import Regressor
from glia.core.errors import InputError
from glia.data.stream import Parts, Stream, pools, row_store
from glia.data.stream.block_reader import BlockReader
from glia.data.stream.file_set import FileSet
from glia.data.stream.kept_blocks import KeptBlocks, keep_blocks
from glia.data.stream.row_store import temporary_folder
from glia.data.stream.scratch import Scratch
from glia.engine.stream_source import StreamSource
from glia.estimators.stream_fit import PreparedStream


class Made:
    """Blocks that count how often each was read."""

    counts = np.array([3, 0, 5, 2])

    def __init__(self):
        self.asked = []

    def read(self, block):
        self.asked.append(block)
        rng, n = np.random.default_rng(block), self.counts[block]
        return rng.normal(size=(n, 2, 2)).astype(np.float32), rng.integers(0, 9, n), rng.random(n)

    def fingerprint(self):
        return "made"


def test_kept_blocks_are_read_once_and_stay_the_same_to_the_bit():
    made = Made()
    kept = KeptBlocks(made, Scratch())
    for block in (2, 0, 1, 3, 2, 3, 0, 1, 2):
        for found, wanted in zip(kept.read(block), Made().read(block), strict=True):
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)
            found[:] = 0  # what is handed out may be written over
    assert made.asked == [2, 0, 1, 3]
    assert kept.fingerprint() == "made" and kept.counts is made.counts
    for _ in range(2):
        rows = sum(len(pool[0]) for pool in pools(kept, 4, seed=0, number=0))
        assert rows == 10 and made.asked == [2, 0, 1, 3]


def test_a_full_disk_ends_the_keeping_and_nothing_else():
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() + len(data) > 100:
                raise OSError(28, "No space left on device")
            return super().write(data[:7])  # a file without a buffer may take a part

    made = Made()
    kept = KeptBlocks(made, Scratch())
    kept.place._file.close()
    kept.place._file = Full()
    for block in (0, 3, 2, 0, 3, 2):
        for found, wanted in zip(kept.read(block), Made().read(block), strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert made.asked == [0, 3, 2, 3, 2]


def test_what_the_disk_lost_is_read_again():
    made = Made()
    kept = KeptBlocks(made, Scratch())
    for block in (0, 2, 3):
        kept.read(block)
    kept.place._file.truncate(kept.place._places[2][0] + 30)
    for block in (0, 2, 3, 2):
        for found, wanted in zip(kept.read(block), Made().read(block), strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert made.asked == [0, 2, 3, 2, 3, 2]


def test_auto_does_without_a_folder_for_temporary_files(monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("glia.data.stream.scratch.tempfile.TemporaryFile", refused)
    made = Made()
    assert keep_blocks(made, 32) is made
    with pytest.raises(InputError, match=r"keep='disk' needs a folder .* Permission denied .* keep='none'"):
        keep_blocks(made, 32, "disk")


def test_auto_keeps_where_the_disk_has_room():
    made = Made()
    assert isinstance(keep_blocks(made, 32), KeptBlocks)
    assert keep_blocks(made, 10**18) is made  # more than any disk
    assert keep_blocks(made, 32, "none") is made
    with pytest.raises(InputError, match="keep must be one of auto, disk, none · got keep='dsk'"):
        keep_blocks(made, 32, "dsk")


def packed(folder, rows=6000, group=3000):
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(rng.normal(size=(rows, 2)), schema=["a", "b"]).with_columns(
        word=pl.Series(rng.choice(["one", "a word of more than twelve letters", None], rows)), row=pl.arange(rows)
    )
    for part in range(2):
        frame.with_columns(pl.col("row") + part * rows).write_parquet(
            folder / f"{part}.parquet", row_group_size=group, data_page_size=1 << 20
        )
    return frame


def test_parts_of_row_groups_are_unpacked_once(tmp_path, monkeypatch):
    packed(tmp_path)
    files = FileSet(tmp_path)
    blocks = files.blocks(700)
    asked, plain = [], FileSet.read
    monkeypatch.setattr(FileSet, "read", lambda self, block, names: asked.append(block) or plain(self, block, names))
    columns = list(files.schema)
    wanted = [plain(files, block, columns) for block in blocks]
    for keep, together in (("none", 0), ("disk", 0), ("disk", 2000), ("auto", 10**6)):
        reader = BlockReader(files, blocks, together, keep)
        for (block, frame, ids), (expected, numbers) in zip(reader.in_order(columns), wanted, strict=True):
            assert frame.equals(expected) and block.first == ids[0]
            np.testing.assert_array_equal(ids, numbers)
        runs = {0: 20, 2000: 8, 10**6: 2}[together]  # blocks of 600 rows, ten to a file
        assert len(asked) == runs, "neighbours of one file are read at once"
        asked.clear()
        for number in (3, 0, len(blocks) - 1, 3):
            frame, ids = reader.read(number, ["row", "word"])
            assert frame.equals(wanted[number][0].select("row", "word"))
            np.testing.assert_array_equal(ids, frame["row"])
        assert len(asked) == (4 if keep == "none" else 0)
        asked.clear()


def test_columns_that_were_left_out_and_pieces_that_the_disk_lost_come_from_the_files(tmp_path):
    packed(tmp_path)
    files = FileSet(tmp_path)
    reader = BlockReader(files, files.blocks(700), 2000, "disk")
    for _ in reader.in_order(["a", "row"]):
        pass
    wanted = files.read(reader.blocks[2], ["b", "row"])[0]
    assert reader.read(2, ["b", "row"])[0].equals(wanted)
    reader._unpacked._file.truncate(100)
    for _ in range(2):
        assert reader.read(2, ["row"])[0].equals(wanted.select("row"))


def test_whole_row_groups_and_other_files_are_not_unpacked_first(tmp_path):
    frame = packed(tmp_path, group=500)
    frame.write_csv(tmp_path / "rows.csv")
    for files in (FileSet(sorted(tmp_path.glob("*.parquet"))), FileSet(tmp_path / "rows.csv")):
        reader = BlockReader(files, files.blocks(700), 2000, "disk")
        assert sum(frame.height for _, frame, _ in reader.in_order(["a"])) == len(files)
        assert reader._unpacked is None


def test_large_temporary_files_lie_where_the_user_says_and_else_on_a_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is looked up once
    assert temporary_folder(None) == tmp_path
    assert temporary_folder(tmp_path / "run" / "new") == tmp_path
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(row_store, "_LARGE", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert temporary_folder(None) == tmp_path
    (tmp_path / "large").mkdir()
    monkeypatch.setattr(row_store, "_LARGE", str(tmp_path / "large"))
    assert temporary_folder(None) == tmp_path / "large"


def test_a_thread_that_only_reads_what_is_kept_leaves_training_its_cores():
    made = Made()
    source = StreamSource(made, 4, shape=(2, 2))
    kept = source.over(KeptBlocks(made, Scratch()))
    assert (source.helpers(1e6), kept.helpers(1e6)) == (1, 0)
    assert (source.helpers(1e3), kept.helpers(1e3)) == (1, 1)  # reading outweighs so light a step
    assert source.over(KeptBlocks(made, Scratch())).x.shape == (0, 2, 2)


@pytest.mark.parametrize("group", [500, 6000])
def test_a_fit_is_the_same_wherever_its_rows_are_kept(tmp_path, monkeypatch, group):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 3))
    frame = pl.DataFrame(x, schema=["a", "b", "c"]).with_columns(
        word=pl.Series(rng.choice(["u", "v", "w"], 6000)), y=pl.Series(x[:, 0] * x[:, 1])
    )
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=group)
    parts = Parts(sample=1000, test_fraction=0.1, validation_fraction=0.1)
    read, plain = [], PreparedStream.read
    monkeypatch.setattr(PreparedStream, "read", lambda self, block: read.append(block) or plain(self, block))
    answers, asked = [], []
    for keep in ("none", "disk"):
        stream = Stream(tmp_path / "rows.parquet", target="y", parts=parts, keep=keep)
        model = Regressor("mlp", epochs=3, random_state=0).fit(stream)
        answers.append(model.predict(frame.head(50)))
        asked.append(sorted(read))
        read.clear()
    np.testing.assert_array_equal(*answers)
    assert asked[0] == sorted(3 * asked[1]) and len(set(asked[1])) == len(asked[1]) > 1
