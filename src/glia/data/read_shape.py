"""Rows of the wrong length: Polars fills short ones up in silence and names no line for long ones."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
import polars as pl

from glia.core.errors import InputError
from glia.data.read_sniff import Dialect
from glia.data.schema import Finding

_CHUNK = 1 << 22


def drop_blank(
    frame: pl.DataFrame, source: Path | bytes, path: Path, dialect: Dialect, zipped: bool
) -> tuple[pl.DataFrame, list[Finding]]:
    """Leave out the rows that Polars makes of blank lines; a row of missing values between delimiters is a row."""
    if frame.width == 1 or not all(frame.null_count().row(0)):
        return frame, []  # in a single column a blank line is a missing value
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.all():
        raise InputError(
            "a table must have values", f"only blank or missing ones in {str(path)!r}", "choose another file"
        )
    if not empty.any() or not _has_blank_line(source, path, dialect, zipped):
        return frame, []
    with open_text(path, dialect, zipped) as file:
        rows = csv.reader(file, delimiter=dialect.separator, skipinitialspace=dialect.spaced_quotes)
        lines = islice(rows, int(dialect.header), frame.height + dialect.header)
        filled = [len(row) > 0 for row in lines]
    if len(filled) != frame.height:  # the two parsers do not agree on what a row is: leave all as it is
        return frame, []
    blank = empty & ~pl.Series(filled, dtype=pl.Boolean)
    if not blank.any():
        return frame, []
    return frame.filter(~blank), [
        Finding("blank-rows", None, f"{int(blank.sum()):,} blank lines were left out.", "info")
    ]


def _has_blank_line(source: Path | bytes, path: Path, dialect: Dialect, zipped: bool) -> bool:
    """Whether two line ends follow one another somewhere; a quick look that spares most files the slow one."""
    end = dialect.newline.encode()
    tail = b""
    with _open_bytes(source, path, zipped) as file:
        while piece := file.read(_CHUNK):
            piece = tail + piece
            if end + end in piece or b"\n\r\n" in piece:
                return True
            tail = piece[-2:]
    return False


def _open_bytes(source: Path | bytes, path: Path, zipped: bool) -> BinaryIO:
    """Open the text that Polars was given."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return io.BytesIO(gzip.decompress(path.read_bytes())) if zipped else source.open("rb")


def check_short_rows(
    source: Path | bytes, path: Path, dialect: Dialect, zipped: bool, limit: int | None, rows: int
) -> None:
    """Find rows with too few fields, which Polars fills up in silence: the delimiters outside quotes are counted.

    Rows with too many fields have been refused by then, so nothing makes up for delimiters that are missing.
    """
    if limit is not None:
        error = ragged(path, dialect, zipped, limit)
        if error.got:
            raise error
        return
    wanted = (rows + dialect.header) * (len(dialect.names) - 1)
    if isinstance(source, bytes) or zipped or _delimiters(source, ord(dialect.separator)) != wanted:
        _check_lines(source, path, dialect, zipped)


def _delimiters(file: Path, separator: int) -> int:
    """Return the number of delimiters outside quotes; pieces of the file are counted side by side."""

    def count(start: int) -> tuple[int, int, bool]:
        with file.open("rb", buffering=0) as opened:
            opened.seek(start)
            return _count(opened.read(_CHUNK) or b"", separator)

    total, inside = 0, False
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        for outer, inner, odd in pool.map(count, range(0, file.stat().st_size, _CHUNK)):
            total += inner if inside else outer
            inside ^= odd
    return total


def _count(piece: bytes, separator: int) -> tuple[int, int, bool]:
    """Return how many delimiters count if the piece starts outside quotes, how many if inside, if quotes are odd.

    Pieces can be counted in any order that way.
    """
    data = np.frombuffer(piece, np.uint8)
    found = data == separator
    total = int(np.count_nonzero(found))
    if b'"' not in piece:
        return total, 0, False
    quoted = np.bitwise_xor.accumulate((data == 34).view(np.uint8))
    inner = int(np.count_nonzero(found & (quoted == 1)))
    return total - inner, inner, bool(quoted[-1])


def _check_lines(source: Path | bytes, path: Path, dialect: Dialect, zipped: bool) -> None:
    """Do the same with nothing but the text to go by: delimiters and line ends outside quotes are counted."""
    separators = lines = 0
    inside = np.uint8(0)
    blank = False
    last = 10
    with _open_bytes(source, path, zipped) as file:
        while piece := file.read(_CHUNK):
            data = np.frombuffer(piece, np.uint8)
            separator, newline = data == ord(dialect.separator), data == ord(dialect.newline)
            if b'"' in piece or inside:
                open_ = np.bitwise_xor.accumulate((data == 34).view(np.uint8)) ^ inside
                inside = open_[-1]
                separator, newline = separator & (open_ == 0), newline & (open_ == 0)
            separators += int(np.count_nonzero(separator))
            lines += int(np.count_nonzero(newline))
            blank = blank or b"\n\n" in piece or b"\n\r\n" in piece
            last = int(data[-1])
    lines += last != ord(dialect.newline)
    if separators != lines * (len(dialect.names) - 1) or blank:
        error = ragged(path, dialect, zipped)
        if error.got:
            raise error


def ragged(path: Path, dialect: Dialect, zipped: bool, limit: int | None = None) -> InputError:
    """Return the error that names the first line whose number of fields is not the header's; empty if there is none."""
    width = len(dialect.names)
    must = "every row must have as many fields as the header"
    with open_text(path, dialect, zipped) as file:
        reader = csv.reader(file, delimiter=dialect.separator, skipinitialspace=dialect.spaced_quotes)
        try:
            for row in islice(reader, None if limit is None else limit + dialect.header):
                if row and len(row) != width:
                    fields = f"{len(row)} field{'s' * (len(row) != 1)}"
                    got = f"{fields} in line {reader.line_num} of {str(path)!r}, where the header has {width}"
                    return InputError(must, got, "correct that line; a field that holds the delimiter must be quoted")
        except csv.Error as error:
            got = f"line {reader.line_num} of {str(path)!r}: {error}"
            return InputError(must, got, "correct that line; perhaps a quotation mark is not closed")
    return InputError(must)


@contextmanager
def open_text(path: Path, dialect: Dialect, zipped: bool) -> Iterator[TextIO]:
    """Open a file as text in its encoding; bytes that are not in it are replaced."""
    opener = gzip.open if zipped else open
    with opener(path, "rt", encoding=dialect.encoding, errors="replace", newline="") as file:
        yield file
