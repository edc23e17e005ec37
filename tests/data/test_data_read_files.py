"""Bad files: every message word for word."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data import read

QUOTE = "correct that line; a field that holds the delimiter must be quoted"
KINDS = "CSV, TSV, Parquet, Arrow, Feather or JSON lines"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(name: str, data: bytes | str | None = None, **arguments: object) -> str:
    if data is not None:
        Path(name).write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(InputError) as caught:
        read(name, **arguments)
    return str(caught.value)


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
    return held.getvalue()


def test_missing_file_offers_the_nearest_name(folder: Path) -> None:
    (folder / "people.csv").write_text("a,b\n1,2\n")
    assert refusal("peple.csv") == "the file must exist · got 'peple.csv' · did you mean 'people.csv'?"
    assert refusal("zzz") == "the file must exist · got 'zzz' · the folder holds: people.csv"
    assert refusal("no/x.csv") == "the file must exist · got 'no/x.csv' · there is no folder 'no'"


def test_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.csv").write_text("a\n1\n")
    assert refusal("sub") == "a table must be a file · got the folder 'sub' · name one file, for instance 'a.csv'"


@pytest.mark.parametrize("data", ["", "\n", " \n\n  \n", gzip.compress(b"", mtime=0)])
def test_empty(folder: Path, data: bytes | str) -> None:
    assert refusal("e.csv", data) == (
        "a table must have a header and rows · got the empty file 'e.csv' · choose another file"
    )


def test_header_only(folder: Path) -> None:
    assert refusal("h.csv", "a,b\n") == (
        "a table must have at least one row · got only a header in 'h.csv' · hand in a file with rows below its names"
    )


@pytest.mark.parametrize(
    ("data", "noun", "advice"),
    [
        (zipped(), "a zip archive", "unpack it; of a spreadsheet, save the sheet as CSV"),
        (b"%PDF-1.7\n", "a PDF document", "hand in the table itself"),
        (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV or Parquet"),
        (
            pickle.dumps({"a": 1}),
            "a pickle",
            "it is not opened, because opening a pickle can run code; export the table as Parquet",
        ),
    ],
)
def test_binary_file_named_csv(folder: Path, data: bytes, noun: str, advice: str) -> None:
    assert refusal("b.csv", data) == f"a table must be {KINDS} · got 'b.csv', which is {noun} · {advice}"


def test_zero_bytes(folder: Path) -> None:
    assert refusal("n.csv", b"a,b\n1,\x00\x01\n") == (
        "a table must be text, Parquet, Arrow or JSON lines · got 'n.csv' with zero bytes: a binary file · "
        "hand in the table itself"
    )


def test_parquet_named_csv_is_read(folder: Path) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": [2.5, None]})
    frame.write_parquet("q.csv")
    assert read("q.csv").frame.equals(frame)


def test_truncated_and_misnamed_parquet(folder: Path) -> None:
    pl.DataFrame({"a": [1, 2]}).write_parquet("whole.parquet")
    message = refusal("t.parquet", Path("whole.parquet").read_bytes()[:40])
    assert message.startswith("a Parquet file must be whole · got 't.parquet': ")
    assert message.endswith(" · write or download it again")
    assert refusal("c.parquet", "a,b\n1,2\n") == (
        "a .parquet file must hold that format · got 'c.parquet', which does not start like one · "
        "write it again, or name it after what it holds"
    )


def test_truncated_gzip(folder: Path) -> None:
    message = refusal("g.csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000)[:30])
    assert message.startswith("a .gz file must be whole · got 'g.csv.gz': ")
    assert message.endswith(" · download or compress it again")


@pytest.mark.parametrize(
    ("data", "line", "fields", "width"),
    [
        ("a,b\n1,2\n3,4,5\n6,7\n", 3, "3 fields", 2),
        ("a,b,c\n1,2,3\n3,4\n6,7,8\n", 3, "2 fields", 3),
        ('a,b,c\n1,"x,\ny",3\n3\n6,7,8\n', 4, "1 field", 3),
        ("a,b,c\n1,2,3\n\n3,4,5\n6,7\n", 5, "2 fields", 3),
        ("a,b,c\n1,2,3\n3,4", 3, "2 fields", 3),
        ("a,b\n" + "1,2\n" * 30_000 + "1,2,3\n", 30_002, "3 fields", 2),
        ("a,b\n" + "1,2\n" * 30_000 + "1\n", 30_002, "1 field", 2),
    ],
)
def test_ragged_rows_are_named_by_line(folder: Path, data: str, line: int, fields: str, width: int) -> None:
    expected = f"every row must have as many fields as the header · got {fields} in line {line} of 'r.csv', "
    assert refusal("r.csv", data) == f"{expected}where the header has {width} · {QUOTE}"


def test_ragged_rows_within_a_limit(folder: Path) -> None:
    data = "a,b,c\n1,2,3\n3,4\n6,7,8\n1,2,3,4\n"
    assert "2 fields in line 3" in refusal("r.csv", data, limit=3)
    assert "2 fields in line 3" in refusal("r.csv", data.replace("1,2,3,4\n", ""), limit=2)
    assert len(read("r.csv", limit=1)) == 1


def test_empty_last_fields_are_not_short_rows(folder: Path) -> None:
    Path("q.csv").write_text('a,b,c\n1,"x,\ny",\n3,4,\n6,7,8\n')
    assert read("q.csv").frame.rows() == [(1, "x,\ny", None), (3, "4", None), (6, "7", 8)]


def test_duplicate_names(folder: Path) -> None:
    assert refusal("d.csv", "a,b,a\n1,2,3\n") == (
        "column names must be unique · got 'a' 2 times in 'd.csv' · rename these columns"
    )


def test_unknown_names_offer_the_nearest(folder: Path) -> None:
    table = "age,income\n1,2\n3,4\n"
    assert refusal("p.csv", table, target="incom") == (
        "the target must be a column of the table · got target='incom' · did you mean 'income'?"
    )
    assert refusal("p.csv", table, drop=["agee"]) == (
        "drop must name columns of the table · got drop='agee' · did you mean 'age'?"
    )
    assert refusal("p.csv", table, roles={"ag": "numeric"}) == (
        "roles must name columns of the table · got roles='ag' · did you mean 'age'?"
    )
    assert refusal("p.csv", table, roles={"age": "numerical"}) == (
        "a role must be a known name · got age='numerical' · did you mean 'numeric'?"
    )
    assert refusal("p.csv", table, drop=["age"], target="age") == (
        "a column must have one role · got 'age' as target and as ignored · choose one of them"
    )


def test_target_with_missing_values_only(folder: Path) -> None:
    assert refusal("t.csv", "a,y\n1,\n2,NA\n", target="y") == (
        "the target must have values · got target='y' with only missing ones in 2 rows · "
        "choose another target, or fill it in"
    )


def test_no_column_beside_the_target(folder: Path) -> None:
    assert refusal("t.csv", "y\n1\n2\n", target="y") == (
        "there must be at least one column to learn from · got none beside the target · "
        "hand in a table with further columns"
    )


def test_all_columns_missing(folder: Path) -> None:
    assert refusal("m.csv", "a,b,y\n,,2\n,NA,3\n", target="y") == (
        "at least one column must have values · got only missing ones in 'a', 'b' · hand in a table with values"
    )
    assert refusal("m.csv", "a,b\n,\n,NA\n") == (
        "a table must have values · got only blank or missing ones in 'm.csv' · choose another file"
    )


def test_infinities_are_named_by_column_and_row(folder: Path) -> None:
    assert refusal("i.csv", "a,b,c\n1.5,2,1\ninf,4,1\n-inf,5,Infinity\n3,6,2\n") == (
        "numbers must be finite · got infinite values (inf) in 'a' (rows 2, 3), 'c' (row 3) · "
        "replace them, leave them blank, or leave the columns out"
    )
    assert read("i.csv", drop=["a", "c"]).schema.inputs() == ("b",)
    with pytest.raises(InputError, match=r"'x1' \(row 2\)"):
        read(np.array([[1.0, 2.0], [3.0, np.inf]]))


def test_words_where_numbers_were_asked_for(folder: Path) -> None:
    assert refusal("w.csv", "a,b\nx,1\ny,2\n", roles={"a": "numeric"}) == (
        "column 'a' must hold numbers · got 'x', 'y' · "
        "correct these values, leave them blank, or give the column another role"
    )


def test_bad_json_line(folder: Path) -> None:
    assert refusal("j.jsonl", '{"a":1,"b":"x"}\n{"a":2.5,\n') == (
        "every line must be one JSON object · got line 2 of 'j.jsonl', column 10: "
        "Expecting property name enclosed in double quotes · correct that line"
    )


def test_limit_below_one(folder: Path) -> None:
    assert refusal("p.csv", "a\n1\n", limit=0) == (
        "limit must be at least 1 · got limit=0 · leave it out to read all rows"
    )
