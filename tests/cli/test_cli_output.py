"""What is printed and written: every format gives the frame back, tables line up, nothing is half-written."""

import io
import json
import sys

import polars as pl
import pytest

from glia.cli.output import WRITERS, Terminal, cell, check_suffix, plain, show, write_frame
from glia.core.errors import InputError
from glia.core.results import Table

FRAME = pl.DataFrame({"prediction": ["a", 'é,"x"', None], "probability_a": [0.25, 1.0, 0.0]})
READERS = {
    ".csv": pl.read_csv,
    ".tsv": lambda path: pl.read_csv(path, separator="\t"),
    ".parquet": pl.read_parquet,
    ".arrow": pl.read_ipc,
    ".feather": pl.read_ipc,
    ".jsonl": pl.read_ndjson,
}


@pytest.mark.parametrize("suffix", list(WRITERS))
@pytest.mark.parametrize("upper", [False, True])
def test_every_format_gives_the_frame_back(tmp_path, suffix, upper):
    path = tmp_path / "new folder" / f"out{suffix.upper() if upper else suffix}"
    write_frame(FRAME, str(path))
    assert READERS[suffix](path).equals(FRAME)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["out", "out.xlsx", "out.csv.gz", ""])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(InputError) as caught:
        check_suffix(name)
    assert str(caught.value) == (
        f"the output must end in one of .csv, .tsv, .parquet, .arrow, .feather, .jsonl · got {name!r} · "
        "choose one of these, e.g. predictions.parquet"
    )


def test_a_folder_is_no_output(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InputError, match="the output must be a file"):
        check_suffix(str(tmp_path / "a.csv"))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    nested = pl.DataFrame({"a": [[1, 2]]})  # CSV has no lists
    with pytest.raises(pl.exceptions.ComputeError):
        write_frame(nested, str(path))
    assert path.read_text() == "old" and [found.name for found in tmp_path.iterdir()] == ["out.csv"]


TABLE = Table("Scores", ("model", "accuracy", "rows"), (("net [b]", 0.87654, 10), ("line\nar", None, 1234)))


def test_plain_tables_line_up():
    assert plain(TABLE) == ("Scores\n  model    accuracy  rows\n  net [b]    0.8765    10\n  line ar            1234")
    assert plain(Table("Empty", ("a", "b"), ())) == "Empty\n  a  b"


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "yes"), (0.123456, "0.1235"), (7, "7"), ("a\tb", "a b")]
)
def test_cells(value, text):
    assert cell(value) == text


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_drawn_table_with_names_as_they_are(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    show(TABLE)
    drawn = sys.stdout.getvalue()
    assert "net [b]" in drawn and "0.8765" in drawn and "─" in drawn


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_it_plain_gets_it_plain(monkeypatch, name, value):
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    show(TABLE)
    assert sys.stdout.getvalue() == plain(TABLE) + "\n"


def test_json_is_one_object_of_plain_values(capsys):
    Terminal(json=True).report({"a": float("inf"), "b": (1, 2), "c": "é"}, "sentence", [TABLE])
    out = capsys.readouterr().out
    assert out == '{"a": null, "b": [1, 2], "c": "é"}\n' and json.loads(out)
