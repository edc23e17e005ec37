import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from glia.core.errors import InputError
from glia.data.stream.csv_file import TypesChanged
from glia.data.stream.file_set import FileSet
from glia.data.stream.files import find_files
from glia.data.stream.footer import row_groups
from glia.data.stream.memory import parse_size, show_size


def table(rows, seed=0, start=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "i": np.arange(start, start + rows),
            "a": rng.normal(size=rows).astype(np.float32),
            "word": rng.choice(["red", "green", "blue"], rows),
            "day": np.datetime64("2024-01-01") + rng.integers(0, 300, rows),
        }
    )


def read_all(files, most, columns=None):
    """Read every block, starting again when types widen, as the survey does."""
    while True:
        try:
            parts = [files.read(block, columns or list(files.schema)) for block in files.blocks(most)]
        except TypesChanged as changed:
            files.widen(changed.schema)
        else:
            return pl.concat([frame for frame, _ in parts]), np.concatenate([ids for _, ids in parts])


@pytest.mark.parametrize("writer", ["polars", "pyarrow"])
@pytest.mark.parametrize("rows", [1, 999, 2500])
def test_the_footer_says_what_pyarrow_says(tmp_path, writer, rows):
    path = tmp_path / "a.parquet"
    if writer == "polars":
        table(rows).write_parquet(path, row_group_size=400)
    else:
        pq.write_table(table(rows).to_arrow(), path, row_group_size=400, compression="gzip")
    known = pq.ParquetFile(path).metadata
    groups = [known.row_group(i) for i in range(known.num_row_groups)]
    assert row_groups(path) == [(group.num_rows, group.total_byte_size) for group in groups]


@pytest.mark.parametrize("most", [64, 400, 1000, 10_000])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_blocks_give_every_row_once_in_order(tmp_path, kind, most):
    for i, rows in enumerate((1500, 7, 2000)):
        part = table(rows, seed=i, start=10_000 * i)
        path = tmp_path / f"part{i}.{kind}"
        if kind == "parquet":
            part.write_parquet(path, row_group_size=400)
        elif kind == "arrow":
            part.write_ipc(path)
        else:
            part.write_csv(path)
    files = FileSet(tmp_path)
    blocks = files.blocks(most)
    found, ids = read_all(files, most)
    expected = pl.concat([table(rows, seed=i, start=10_000 * i) for i, rows in enumerate((1500, 7, 2000))])
    assert found.get_column("i").equals(expected.get_column("i"))
    assert np.allclose(found["a"], expected["a"])
    assert np.array_equal(ids, np.arange(3507))
    assert len(files) == 3507
    assert max(block.stretch[1] for block in blocks) <= max(most, 512 if kind == "csv" else 1)
    assert files.read(blocks[-1], ["word"])[0].columns == ["word"]


def test_small_row_groups_are_joined_and_large_ones_divided(tmp_path):
    table(1000).write_parquet(tmp_path / "a.parquet", row_group_size=100)
    sizes = [block.stretch for block in FileSet(tmp_path / "a.parquet").blocks(250)]
    assert sizes == [(0, 200), (200, 200), (400, 200), (600, 200), (800, 200)]
    sizes = [block.stretch for block in FileSet(tmp_path / "a.parquet").blocks(60)]
    assert sizes[:4] == [(0, 50), (50, 50), (100, 50), (150, 50)]


def messy_line(i):
    name = "" if i % 9 == 0 else f"n{i % 5}" if i % 7 else f'"a; ""{i}""\nb"'
    return f"{i};{name};{i if i < 6000 else i + 0.5};{'' if i % 11 == 0 else 'NA' if i % 13 == 0 else i * 0.25}\n"


MESSY = "id;name;v;w\n" + "".join(map(messy_line, range(7000)))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_csv_in_blocks_is_the_csv_read_whole(tmp_path, ending, last):
    """Quoted line ends, doubled marks, missing markers, and a type that changes after the rows that were looked at."""
    path = tmp_path / "a.csv"
    text = MESSY if last else MESSY.rstrip("\n")
    path.write_text(text.replace("\n", ending), newline="")
    whole = pl.read_csv(path, separator=";", null_values=["NA"], infer_schema_length=None)
    found, ids = read_all(FileSet(path), 512)
    assert found.equals(whole)
    assert np.array_equal(ids, np.arange(7000))


def test_csv_in_another_encoding_and_without_a_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("".join(f"{i / 4},naïve {i},0{i}\n" for i in range(3000)).encode("cp1252"))
    found, _ = read_all(FileSet(path), 1000)
    assert found.columns == ["column_0", "column_1", "column_2"] or found.columns[0].startswith(("x", "0"))
    assert found.height in (2999, 3000)
    assert found[:, 1][-1] == "naïve 2999"
    assert found[:, 2].dtype == pl.String  # leading zeros are no numbers


def test_blank_lines_are_left_out_whatever_columns_are_wanted(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i},{'' if i % 3 else i}" for i in range(1000)]
    path.write_text("a,b\n" + "\n".join(rows[:600]) + "\n\n" + "\n".join(rows[600:]) + "\n\n")
    files = FileSet(path)
    both, ids = read_all(files, 512)
    only, others = read_all(files, 512, ["b"])
    assert both.height == only.height == 1000
    assert np.array_equal(ids, others)
    assert both["a"].to_list() == list(range(1000))


@pytest.mark.parametrize("line", ["1,2", "1,2,3,4"])
def test_a_row_of_another_length_is_named(tmp_path, line):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" + "1,2,3\n" * 6000 + line + "\n" + "1,2,3\n" * 10)
    with pytest.raises(InputError, match=r"line 6,002 .* the header has 3"):
        read_all(FileSet(path), 1000)


def test_a_quotation_mark_that_is_not_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("glia.data.stream.csv_index._LONGEST", 1 << 16)
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,"x\n' + "1,2\n" * 40_000)
    with pytest.raises(InputError, match="quotation mark is not closed"):
        FileSet(path)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def _spoil(path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 40_000] = b"\xff" * 40_000
    path.write_bytes(data)


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    table(20_000).write_parquet(path, row_group_size=2000)
    _cut(path)
    with pytest.raises(InputError, match=r"Parquet file must be whole .*a\.parquet.* does not end like one"):
        FileSet(path)
    table(20_000).write_parquet(path, row_group_size=2000)
    _spoil(path)
    with pytest.raises(
        InputError, match=r"Parquet file must be whole .*a\.parquet.* rows [\d,]+ to [\d,]+ cannot be read"
    ):
        read_all(FileSet(path), 2000)


def test_folders_that_do_not_go_together(tmp_path):
    with pytest.raises(InputError, match=r"folder must hold tables .* nothing"):
        FileSet(tmp_path)
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(InputError, match="1 other file"):
        FileSet(tmp_path)
    table(10).write_parquet(tmp_path / "a.parquet")
    assert len(FileSet(tmp_path)) == 10
    table(10).drop("word").with_columns(more=1).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"same columns .*b\.parquet' without 'word' and with 'more'"):
        FileSet(tmp_path)
    table(10).with_columns(word=1).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"one type .* 'word': String in .*a\.parquet', Int32 in .*b\.parquet"):
        FileSet(tmp_path)
    table(10).write_csv(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="must hold that format"):
        FileSet(tmp_path)
    (tmp_path / "b.parquet").unlink()
    table(10).write_csv(tmp_path / "b.csv")
    with pytest.raises(InputError, match=r"one kind .*Parquet.*CSV"):
        FileSet(tmp_path)


def test_numbers_of_different_types_are_widened(tmp_path):
    pl.DataFrame({"a": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"a": [1.5, None]}).write_parquet(tmp_path / "b.parquet")
    found, _ = read_all(FileSet(tmp_path), 10)
    assert found["a"].to_list() == [1.0, 2.0, 1.5, None]


def test_paths_patterns_and_lists(tmp_path):
    for name in ("b1.csv", "b2.csv", "c.csv"):
        (tmp_path / name).write_text("a\n1\n")
    assert [path.name for path in find_files(str(tmp_path / "b*.csv"))] == ["b1.csv", "b2.csv"]
    assert [path.name for path in find_files([tmp_path / "c.csv", tmp_path / "b1.csv"])] == ["c.csv", "b1.csv"]
    for wrong, message in (
        (tmp_path / "d*.csv", "matches none"),
        (tmp_path / "b1.cvs", r"did you mean 'b1\.csv'"),
        ([], "at least one file"),
        ([tmp_path / "c.csv"] * 2, "twice"),
        (7, "a int"),
    ):
        with pytest.raises(InputError, match=message):
            find_files(wrong)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b" + b"0" * 30, "unpack"),
        (b'{"a": 1}\n', "JSON lines"),
        (b"\x93NUMPY123", "mmap_mode"),
        (b"a,b\n", "only a header"),
    ],
)
def test_files_that_cannot_be_streamed(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        FileSet(path)


def test_sizes():
    assert [parse_size(size) for size in ("500MB", "0.5 GB", "2GiB", 20_000_000)] == [
        5 * 10**8,
        5 * 10**8,
        2**31,
        2 * 10**7,
    ]
    assert show_size(1.6e9) == "1.6 GB"
    for wrong in ("much", "1 MB", 5, True, -1):
        with pytest.raises(InputError, match="memory"):
            parse_size(wrong)
