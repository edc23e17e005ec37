"""Delimited text: parsed once by Polars, told beforehand how the file is written."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from glia.core.errors import InputError
from glia.data.findings import marker_findings
from glia.data.markers import MARKERS, WEAK_MARKERS, strip_and_clear
from glia.data.read_shape import check_short_rows, drop_blank, ragged
from glia.data.read_sniff import MANY_ROWS, NO_DELIMITER, Dialect, sniff, spaced_quote
from glia.data.schema import Finding

_DELIMITER_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar", NO_DELIMITER: "nothing"}
_LARGE = 1 << 23


def read_delimited(path: Path, *, zipped: bool = False, limit: int | None = None) -> tuple[pl.DataFrame, list[Finding]]:
    """Read comma-, semicolon-, tab- or bar-separated text.

    Parameters
    ----------
    path : Path
        The file.
    zipped : bool
        Whether it is compressed with gzip.
    limit : int, optional
        Largest number of rows to read.

    Returns
    -------
    frame : polars.DataFrame
    findings : list of Finding
        How the file was understood, where that was not plain.

    Raises
    ------
    InputError
        If the file is binary or empty, holds no rows, or has a row of another length than the header.
    """
    dialect = sniff(path, zipped)
    source = _source(path, dialect, zipped)
    frame, findings = _parse(source, path, dialect, limit, zipped)
    if frame.width != len(dialect.names):
        raise ragged(path, dialect, zipped)
    frame.columns = list(dialect.names)
    if not frame.height:
        raise InputError(
            "a table must have at least one row",
            f"only a header in {str(path)!r}",
            "hand in a file with rows below its names",
        )
    if frame.width > 1 and frame.get_column(frame.columns[-1]).null_count():
        check_short_rows(source, path, dialect, zipped, limit, frame.height)
    frame, blank = drop_blank(frame, source, path, dialect, zipped)
    counted = any(finding.code == "missing-marker" and dialect.padded for finding in findings)
    return frame, [*_notes(dialect, counted), *blank, *findings]


def _source(path: Path, dialect: Dialect, zipped: bool) -> Path | bytes:
    """Return what Polars is to parse: the file itself, or its text as UTF-8 where it is written otherwise."""
    if dialect.encoding in ("utf-8", "utf-8-sig") and not dialect.spaced_quotes:
        return path
    data = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    try:
        text = data.decode(dialect.encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # every byte is a character there
    if dialect.spaced_quotes:  # Polars takes a quotation mark after a space for a character like any other
        text = spaced_quote(dialect.separator).sub("", text)
    return text.removeprefix("\ufeff").encode()


def _parse(
    source: Path | bytes, path: Path, dialect: Dialect, limit: int | None, zipped: bool
) -> tuple[pl.DataFrame, list[Finding]]:
    try:
        if dialect.padded:
            raise pl.exceptions.ComputeError("spaces around values")
        frame = _typed(source, dialect, limit)
    except pl.exceptions.NoDataError as error:
        raise InputError(
            "a table must have a header and rows", f"the empty file {str(path)!r}", "choose another file"
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.ComputeError) as error:
        return _as_strings(source, path, dialect, limit, zipped, error)
    raw = set(dialect.as_text)
    late = [name for name, dtype in frame.schema.items() if dtype == pl.String and name in raw]
    frame, counts = settle(frame, late, dialect.decimal_comma)
    return frame, marker_findings(counts)


def _typed(source: Path | bytes, dialect: Dialect, limit: int | None) -> pl.DataFrame:
    try:
        return _polars(source, dialect, limit, typed=True)
    except pl.exceptions.ComputeError as error:
        if "more fields" in str(error) or (dialect.lookahead >= MANY_ROWS and not dialect.as_date):
            raise
        return _polars(source, replace(dialect, lookahead=MANY_ROWS, as_date=()), limit, typed=True)


def _as_strings(
    source: Path | bytes, path: Path, dialect: Dialect, limit: int | None, zipped: bool, first: Exception
) -> tuple[pl.DataFrame, list[Finding]]:
    """Read all fields as strings, then find their types over all rows: for files that change their mind midway."""
    if "more fields" in str(first):
        raise ragged(path, dialect, zipped) from first
    if "utf-8" in str(first) and isinstance(source, Path):
        data = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
        try:
            source = data.decode("cp1252").encode()
        except UnicodeDecodeError:
            source = data.decode("latin-1").encode()
    findings: list[Finding] = []
    try:
        frame = _polars(source, dialect, limit, typed=False)
    except pl.exceptions.PolarsError as error:
        if "more fields" in str(error):
            raise ragged(path, dialect, zipped) from error
        try:
            frame = _polars(source, dialect, limit, typed=False, quote=None)
        except pl.exceptions.PolarsError:
            raise InputError(
                "a text file must be a table",
                f"{str(path)!r}, in which a quotation mark is not closed or a row is not whole",
                "correct the file; fields that hold a delimiter or a line end must be quoted",
            ) from error
        message = "Quotation marks are not balanced, so they were read as ordinary characters."
        findings = [Finding("quotes", None, message)]
    frame, counts = settle(frame, frame.columns, dialect.decimal_comma)
    names = dict(zip(frame.columns, dialect.names, strict=False))
    return frame, [*findings, *marker_findings({names.get(name, name): words for name, words in counts.items()})]


def _polars(
    source: Path | bytes, dialect: Dialect, limit: int | None, *, typed: bool, quote: str | None = '"'
) -> pl.DataFrame:
    texts = dict.fromkeys(dialect.as_text, pl.String)
    settings: dict[str, Any] = {
        "separator": dialect.separator,
        "eol_char": dialect.newline,
        "has_header": dialect.header,
        "quote_char": quote,
        "decimal_comma": dialect.decimal_comma and typed,
        "null_values": list(dialect.markers) if typed else None,
        "infer_schema": typed,
        "infer_schema_length": dialect.lookahead,
        "schema_overrides": dict.fromkeys(dialect.as_date, pl.Date) | texts if typed else None,
        "n_rows": limit,
        "glob": False,
    }
    if isinstance(source, bytes) or source.stat().st_size < _LARGE:
        return pl.read_csv(source, **settings)
    return pl.scan_csv(source, **settings).collect(engine="streaming")  # the same, a tenth faster


def settle(
    frame: pl.DataFrame, names: list[str], decimal_comma: bool = False
) -> tuple[pl.DataFrame, dict[str, dict[str, int]]]:
    """Give string columns the type that all of their values have: whole numbers, numbers, or truth values.

    Missing markers are cleared and counted, the weak ones (``-``, ``.``) where all else is a number. Codes with leading
    zeros stay strings.
    """
    if not names:
        return frame, {}
    frame, counts = strip_and_clear(frame, set(frame.columns) - set(names), weak=())
    for name in names:
        old = frame.get_column(name)
        new = _settled(old, decimal_comma)
        if new.dtype != pl.String and new.null_count() > old.null_count():
            words = old.filter(new.is_null() & old.is_not_null()).value_counts().sort(name).rows()
            counts.setdefault(name, {}).update(words)
        frame = frame.with_columns(new)
    return frame, counts


def _settled(column: pl.Series, decimal_comma: bool) -> pl.Series:
    known = column.filter(column.is_not_null() & ~column.is_in([*MARKERS, *WEAK_MARKERS]))
    if not len(known) or known.str.contains(r"^0\d+$").any():
        return column
    if decimal_comma:
        column, known = (series.str.replace(",", ".", literal=True) for series in (column, known))
    for dtype in (pl.Int64, pl.Float64):
        if (
            not known.head(50).cast(dtype, strict=False).null_count()
            and not known.cast(dtype, strict=False).null_count()
        ):
            return column.cast(dtype, strict=False)
    folded = known.str.to_lowercase()
    if folded.is_in(["true", "false"]).all():
        lower = column.str.to_lowercase()
        return pl.DataFrame({column.name: lower}).select(
            pl.when(pl.col(column.name).is_in(["true", "false"])).then(pl.col(column.name) == "true").alias(column.name)
        )[column.name]
    return column


def _notes(dialect: Dialect, counted: bool) -> list[Finding]:
    notes = []
    if dialect.encoding not in ("utf-8", "utf-8-sig"):
        notes.append(Finding("encoding", None, f"The file was read as {dialect.encoding}.", "info"))
    if dialect.separator != ",":
        name = _DELIMITER_NAMES[dialect.separator]
        notes.append(Finding("delimiter", None, f"Fields are separated by {name}.", "info"))
    if dialect.decimal_comma:
        notes.append(Finding("decimal-comma", None, "Decimals are written with a comma.", "info"))
    if not dialect.header:
        shown = f"{dialect.names[0]} to {dialect.names[-1]}"
        notes.append(Finding("no-header", None, f"The first row is data, so the columns are called {shown}."))
    by_marker: dict[str, list[str]] = {}
    for name, marker in dialect.marked:
        if marker in MARKERS:
            by_marker.setdefault(marker, []).append(name)
    for marker, names in by_marker.items() if not counted else ():
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        column = names[0] if len(names) == 1 else None
        notes.append(Finding("missing-marker", column, f"{marker!r} was read as missing in {shown}.", "info"))
    return notes
