"""Whatever is written is read back equal: property-based, over types, missing values and formats."""

from __future__ import annotations

import io
import tempfile
from datetime import date
from pathlib import Path

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from glia.data import read
from glia.data.markers import MARKERS, WEAK_MARKERS
from glia.data.read_files import read_file

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
LETTERS = "abcXYZéß漢 ,;|\"\n\t-'"
WORDS = (
    st.text(LETTERS, min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda word: word not in ("", *MARKERS, *WEAK_MARKERS) and word.lower() not in ("true", "false"))
)
COLUMNS = {
    "int": (pl.Int64, st.integers(-(2**62), 2**62)),
    "float": (pl.Float64, st.floats(allow_nan=False, allow_infinity=False)),
    "word": (pl.String, WORDS),
    "truth": (pl.Boolean, st.booleans()),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(1, 12))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=2, max_size=5))
    columns = [pl.Series("row", range(rows), pl.Int64)]  # no row is blank, and the header is no ambiguous one
    for i, kind in enumerate(kinds):
        dtype, values = COLUMNS[kind]
        cells = draw(st.lists(st.one_of(st.none(), values), min_size=rows, max_size=rows))
        columns.append(pl.Series(f"{kind} {i}", cells, dtype))
    return pl.DataFrame(columns)


def same(got: pl.DataFrame, wanted: pl.DataFrame) -> None:
    """Compare values; a column of missing values only has no type in text."""
    assert got.columns == wanted.columns
    for name in wanted.columns:
        known = wanted[name].drop_nulls()
        if len(known):
            numbers = wanted[name].dtype == pl.Float64 and got[name].dtype == pl.Int64
            assert (got[name].cast(pl.Float64) if numbers else got[name]).to_list() == wanted[name].to_list()
        else:
            assert got[name].null_count() == len(wanted)


@QUICK
@given(frames(), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_delimited_text(frame: pl.DataFrame, separator: str, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        text = frame.write_csv(separator=separator, quote_style="non_numeric")
        path.write_bytes(text.encode(encoding))
        same(read(path, infer=False).frame, frame)


@QUICK
@given(frames())
def test_binary_formats_and_json(frame: pl.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t"
        for write in (frame.write_parquet, frame.write_ipc, frame.write_ipc_stream):
            write(path)
            assert read(path, infer=False).frame.equals(frame)
        path.write_text(frame.write_ndjson())
        same(read(path, infer=False).frame, frame)


@QUICK
@given(frames())
def test_frames_in_memory(frame: pl.DataFrame) -> None:
    assert read(frame, infer=False).frame.equals(frame)
    assert read(frame.lazy(), infer=False).frame.equals(frame)
    assert read(frame.to_arrow(), infer=False).frame.equals(frame)
    same(read(frame.to_dicts(), infer=False).frame, frame)
    got = read(frame.to_pandas(), infer=False).frame
    for name in frame.columns:  # pandas knows no missing whole numbers: they come as floats
        wanted = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in frame[name]]
        back = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in got[name]]
        if frame[name].null_count() < len(frame):
            assert back == wanted


def test_dates_through_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"day": [date(2020, 1, 31), None, date(1999, 12, 1)], "v": [1, 2, 3]})
    path = tmp_path / "d.csv"
    frame.write_csv(path)
    assert read(path).frame["day"].dt.date().to_list() == frame["day"].to_list()


def test_limit_is_a_prefix(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(100), "b": [f"w{i}" for i in range(100)]})
    for name, write in (
        ("a.csv", frame.write_csv),
        ("a.parquet", frame.write_parquet),
        ("a.jsonl", frame.write_ndjson),
    ):
        held = io.BytesIO()
        write(held)
        (tmp_path / name).write_bytes(held.getvalue())
        assert read_file(tmp_path / name, 7)[0].rows() == frame.head(7).rows()


@pytest.mark.parametrize("late", ["2020-02-31", "soon", "2020-01-05 10:30", "9999-12-31"])
def test_a_late_value_that_is_no_plain_date_costs_no_other_value(tmp_path: Path, late: str) -> None:
    """Columns of plain dates are parsed with the file, until a value far down is none."""
    path = tmp_path / "t.csv"
    days = [f"2020-01-{1 + i % 28:02}" for i in range(30_000)]
    days[20_000] = late
    path.write_text("day,x\n" + "\n".join(f"{day},{i % 7}" for i, day in enumerate(days)) + "\n")
    table = read(path)
    assert [column.role for column in table.schema.columns] == ["datetime", "numeric"]
    assert table.frame["day"].dtype == pl.Datetime("us")
    read_back = table.frame["day"].dt.strftime("%Y-%m-%d")
    assert read_back.head(20_000).to_list() == days[:20_000]
    assert read_back.null_count() == (late != "2020-01-05 10:30")
    assert bool(table.schema.findings("unparsed")) == (late != "2020-01-05 10:30")
