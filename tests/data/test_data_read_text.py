"""Text files of all sorts: written by hand, read to known values."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from glia.data import Table, read, unify


def table(folder: Path, text: str | bytes, name: str = "t.csv", **arguments: object) -> Table:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, **arguments)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_and_line_ends(tmp_path: Path, separator: str, end: str) -> None:
    rows = ["name,age,note", 'Ann,31,"a, b; c | d"', "Bob,45,plain", "Cid,,last"]
    text = end.join(row if '"' in row else row.replace(",", separator) for row in rows)
    text = text.replace('Ann,31,"', f'Ann{separator}31{separator}"')
    frame = table(tmp_path, text).frame
    assert frame.rows() == [("Ann", 31, "a, b; c | d"), ("Bob", 45, "plain"), ("Cid", None, "last")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings(tmp_path: Path, encoding: str, packed: bool) -> None:
    word = "10 €" if encoding == "cp1252" else "grün"
    data = f"Größe,v\né,1.5\n{word},2.5\n".encode(encoding)
    got = table(tmp_path, gzip.compress(data) if packed else data, "t.csv.gz" if packed else "t.csv")
    assert got.name == "t"
    assert got.frame.columns == ["Größe", "v"]
    assert got.frame.rows() == [("é", 1.5), (word, 2.5)]


def test_encoding_that_shows_late(tmp_path: Path) -> None:
    data = b"a,b\n" + b"x,1\n" * 200_000 + "é,2\n".encode("latin-1")
    assert table(tmp_path, data).frame.row(-1) == ("é", 2)


def test_old_line_ends(tmp_path: Path) -> None:
    assert table(tmp_path, "n,x\r1,1.5\r2,2\r").frame.rows() == [(1, 1.5), (2, 2.0)]


def test_markers_of_missing_values_are_found_and_told(tmp_path: Path) -> None:
    text = "a,b,c\n1,x,2.5\n?,NA,N/A\nnull,None,NaN\n,nan,-\n5,y,.\n"
    got = table(tmp_path, text)
    assert got.frame.rows() == [
        (1, "x", 2.5),
        (None, None, None),
        (None, None, None),
        (None, None, None),
        (5, "y", None),
    ]
    told = {finding.message for finding in got.schema.findings("missing-marker")}
    assert "'?' was read as missing in a." in told
    assert {message.split(" ")[0] for message in told} == {
        "'?'", "'NA'", "'N/A'", "'null'", "'None'", "'NaN'", "'nan'", "'-'", "'.'",
    }  # fmt: skip


def test_a_dash_beside_a_plus_is_a_value_also_when_rows_come_alone(tmp_path: Path) -> None:
    got = table(tmp_path, "sign,size,word\n+,1,a\n-,-,-\n+,3,b\n")
    assert got.frame.rows() == [("+", 1, "a"), ("-", None, None), ("+", 3, "b")]
    alone = table(tmp_path, "sign,size,word\n-,-,-\n", infer=False)
    assert unify(alone, got.schema).rows() == [("-", None, None)]


def test_spaces_around_values(tmp_path: Path) -> None:
    text = "age, job , income\n39, State-gov, <=50K\n 50,?, >50K\n38 , Private, <=50K\n"
    got = table(tmp_path, text)
    assert got.frame.columns == ["age", "job", "income"]
    assert got.frame.rows() == [(39, "State-gov", "<=50K"), (50, None, ">50K"), (38, "Private", "<=50K")]


def test_quotes_after_spaces(tmp_path: Path) -> None:
    assert table(tmp_path, '"a", "b"\n1, "x, y"\n2, "z"\n').frame.rows() == [(1, "x, y"), (2, "z")]


def test_decimal_comma_and_thousands(tmp_path: Path) -> None:
    got = table(tmp_path, "p;q;r\n1,5;a;1.234,56\n2,25;b;7,5\n")
    assert got.frame.rows() == [(1.5, "a", 1234.56), (2.25, "b", 7.5)]
    assert {finding.code for finding in got.schema.warnings} >= {"decimal-comma", "delimiter"}
    # a tab-separated file in which commas group thousands has no decimal comma
    assert table(tmp_path, "p\tq\n1,234\ta\n12,500\tb\n").frame["p"].to_list() == [1234.0, 12500.0]


def test_numbers_with_signs(tmp_path: Path) -> None:
    got = table(tmp_path, 'p,q,r\n12%,$3.5,"1,234"\n15%,"$1,000.25","2,000"\n')
    assert got.frame.rows() == [(12.0, 3.5, 1234.0), (15.0, 1000.25, 2000.0)]


def test_leading_zeros_stay(tmp_path: Path) -> None:
    assert table(tmp_path, "zip,v\n01234,1\n00567,2\n").frame["zip"].to_list() == ["01234", "00567"]


def test_types_that_change_far_down(tmp_path: Path) -> None:
    head = "a,b,c\n" + "1,2,true\n3,4,false\n" * 4000
    assert table(tmp_path, head + "1.5,x,true\n").frame.dtypes == [pl.Float64, pl.Float64, pl.Boolean]
    frame = table(tmp_path, head + "NA,6,\n").frame
    assert frame.dtypes == [pl.Int64, pl.Int64, pl.Boolean]
    assert frame.row(-1) == (None, 6, None)


def test_one_column(tmp_path: Path) -> None:
    assert table(tmp_path, "text\nhello, world\nfoo\nbar, baz, bat\n").frame["text"].to_list() == [
        "hello, world",
        "foo",
        "bar, baz, bat",
    ]
    assert table(tmp_path, "v\n1\n2\n\n4\n").frame["v"].to_list() == [1, 2, None, 4]


def test_blank_lines_are_left_out(tmp_path: Path) -> None:
    got = table(tmp_path, "a,b\n1,2\n\n3,4\n\n")
    assert got.frame.rows() == [(1, 2), (3, 4)]
    kept = table(tmp_path, "a,b\n1,2\n,\nNA,?\n\n3,4\n", infer=False).frame  # these rows are to be predicted too
    assert kept.rows() == [(1, 2), (None, None), (None, None), (3, 4)]
    assert [finding.message for finding in got.schema.findings("blank-rows")] == ["2 blank lines were left out."]


def test_no_header(tmp_path: Path) -> None:
    got = table(tmp_path, "5.1,3.5,1\n4.9,3.0,2\n")
    assert got.frame.rows() == [(5.1, 3.5, 1), (4.9, 3.0, 2)]
    assert got.columns == ("x0", "x1", "x2")
    assert got.schema.findings("no-header")
    # years as names are names
    assert table(tmp_path, "2019,2020\n5.5,6\n").columns == ("2019", "2020")


def test_unbalanced_quotes(tmp_path: Path) -> None:
    got = table(tmp_path, 'a,b\nx"y,2\nz,4\n')
    assert got.frame.rows() == [('x"y', 2), ("z", 4)]
    assert got.schema.findings("quotes")


def test_unnamed_columns_get_names(tmp_path: Path) -> None:
    assert table(tmp_path, ",a\n1,2\n2,5\n").columns == ("column_0", "a")


def test_json_lines(tmp_path: Path) -> None:
    text = '{"a":1,"b":"x"}\n' + '{"a":2,"b":"y"}\n' * 300 + '{"a":2.5,"late":3}\n'
    frame = table(tmp_path, text, "t.jsonl").frame
    assert frame.row(0) == (1.0, "x", None)
    assert frame.row(-1) == (2.5, None, 3)
    assert table(tmp_path, '[{"a":1},{"a":2}]', "t.json").frame.rows() == [(1,), (2,)]


def test_limit_and_rows_without_target(tmp_path: Path) -> None:
    text = "a,y\n1,no\n2,\n3,yes\n4,no\n"
    got = table(tmp_path, text, target="y")
    assert got.frame.rows() == [(1, "no"), (3, "yes"), (4, "no")]
    assert [finding.message for finding in got.schema.findings("target-missing")] == [
        "1 of 4 rows have no target and were left out."
    ]
    assert len(table(tmp_path, text, limit=2)) == 2


def test_table_shows_and_takes_rows(tmp_path: Path) -> None:
    got = table(
        tmp_path, "a,w,g,y\n1,0.5,u,no\n2,1.5,v,yes\n3,1,u,no\n", target="y", roles={"w": "weight", "g": "group"}
    )
    assert repr(got) == "Table 't': 3 rows × 4 columns, target 'y' (1 numeric, 1 weight, 1 group)"
    few = got.take([2, 0])
    assert few.target is not None and few.target.to_list() == ["no", "no"]
    assert few.weight is not None and few.weight.to_list() == [1.0, 0.5]
    assert few.group is not None and few.group.to_list() == ["u", "u"]
    assert few.inputs.rows() == [(3,), (1,)]


@pytest.mark.parametrize(
    "early, late, dtype",
    [("7", "0.5", "Float64"), ("", "5", "Int64"), ("7", "red", "String"), ("true", "no", "String")],
)
@pytest.mark.parametrize("row", [150, 3000, 90_000])
def test_types_that_show_below_the_first_rows(tmp_path: Path, early: str, late: str, dtype: str, row: int) -> None:
    """Row 150 is in the sample that is looked at first, row 3,000 in what Polars may look at, row 90,000 in neither."""
    values = [early] * 100_000
    values[row:] = [late] * (len(values) - row)
    path = tmp_path / "late.csv"
    path.write_text("a,b\n" + "".join(f"{value},{i % 7}.5\n" for i, value in enumerate(values)))
    column = read(path, infer=False).frame["a"]
    # what is blank for 5,000 rows is text for Polars, and only then told by its values
    assert str(column.dtype) == ("String" if not early and row > 5000 else dtype)
    known = column.drop_nulls().cast(pl.String).to_list()
    assert known[-1] == late and len(known) == (len(values) if early else len(values) - row)
