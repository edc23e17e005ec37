"""Delimited text, one stretch of rows at a time."""

from __future__ import annotations

import csv
import io
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from glia.core.errors import InputError
from glia.data.read_sniff import sniff, spaced_quote
from glia.data.stream.columnar import Stretch
from glia.data.stream.csv_index import STEP, Ints, index_rows

_LOOKAHEAD = 5000
_ONE_BYTE = ("utf-8", "utf-8-sig", "cp1252", "latin-1")


class TypesChanged(Exception):
    """Values that do not go with the types so far: ``schema`` has types that hold both."""

    def __init__(self, schema: dict[str, pl.DataType]) -> None:
        super().__init__("the types of a text file changed")
        self.schema = schema


class CsvFile:
    """A file of delimited text; how it is written is found out as by ``glia.read``.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    rows : int
        Lines below the header; blank ones count, though they are left out when read.
    schema : dict
        Column → Polars type, as the first 5,000 rows suggest.

    Raises
    ------
    InputError
        If it is no table, or written in UTF-16.
    """

    kind = "CSV"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dialect = sniff(path, False)
        if self.dialect.encoding not in _ONE_BYTE:
            got = f"{str(path)!r} in {self.dialect.encoding}"
            raise InputError("text that is streamed must be UTF-8 or of one byte per character", got, "convert it")
        if not self.rows:
            raise InputError("a table must have at least one row", f"only a header in {str(path)!r}", "give rows")
        head = 0, min(self.rows, _LOOKAHEAD // STEP * STEP)
        self.schema = self._types(self._bytes(head), head)

    @cached_property
    def _index(self) -> tuple[Ints, int]:
        return index_rows(self.path, self.dialect)

    @property
    def rows(self) -> int:
        """Number of lines below the header."""
        return self._index[1]

    def stretches(self, most: int) -> list[Stretch]:
        """Return stretches of at most ``most`` rows, rounded to the grid of the index."""
        step = max(STEP, most // STEP * STEP)
        return [(start, min(step, self.rows - start)) for start in range(0, self.rows, step)]

    def read(self, stretch: Stretch, schema: dict[str, pl.DataType], columns: list[str]) -> pl.DataFrame:
        """Return columns for the rows of a stretch, in the types that ``schema`` has for all; no blank lines.

        Raises
        ------
        TypesChanged
            If values are not of these types.
        InputError
            If a row has another length than the header, or a quotation mark is not closed.
        """
        data = self._bytes(stretch)
        try:
            # All columns are parsed, whichever are wanted: what counts as a blank line, and whether values go with the
            # types, must not depend on that.
            frame = self._polars(data, {name: schema[name] for name in self.dialect.names}, None)
        except pl.exceptions.PolarsError as error:
            self._check_rows(data, stretch)
            raise self._changed(data, stretch, schema, error) from error
        if frame.get_column(frame.columns[-1]).null_count():
            self._check_rows(data, stretch)  # Polars fills up short rows in silence
        if frame.width > 1 and self._blank_lines(data):
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return frame.select(columns)

    def _changed(
        self, data: bytes, stretch: Stretch, schema: dict[str, pl.DataType], error: Exception
    ) -> TypesChanged | InputError:
        found = self._types(data, stretch, None)
        wider = {name: common(dtype, found[name]) for name, dtype in schema.items()}
        return self._no_table(stretch, error) if wider == schema else TypesChanged(wider)

    def _no_table(self, stretch: Stretch, error: Exception) -> InputError:
        start, count = stretch
        got = f"{str(self.path)!r}, rows {start + 1:,} to {start + count:,}: {str(error).splitlines()[0]}"
        return InputError("a text file must be a table", got, "correct these rows")

    def _bytes(self, stretch: Stretch) -> bytes:
        places = self._index[0]
        first = stretch[0] // STEP
        start = int(places[first])
        end = int(places[min(len(places) - 1, -(-(stretch[0] + stretch[1]) // STEP))])
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
        dialect = self.dialect
        if dialect.encoding.startswith("utf-8"):
            try:
                data.decode()
            except UnicodeDecodeError:  # the beginning was, this is not: as in a file that is read whole
                data = data.decode("latin-1").encode()
        else:
            data = data.decode(dialect.encoding, "replace").encode()
        if dialect.spaced_quotes:
            data = spaced_quote(dialect.separator).sub("", data.decode()).encode()
        return data

    def _types(self, data: bytes, stretch: Stretch, rows: int | None = _LOOKAHEAD) -> dict[str, pl.DataType]:
        """Return the types that the values suggest; columns in which numbers would lose something stay text."""
        dialect = self.dialect
        text = dict.fromkeys(dialect.names, pl.String())
        if dialect.padded:
            return dict(text)
        kept = {name for raw, name in zip(dialect.raw_names, dialect.names, strict=True) if raw in dialect.as_text}
        try:
            frame = self._polars(data, None, rows)
        except pl.exceptions.PolarsError as error:
            self._check_rows(data, stretch)
            raise self._no_table(stretch, error) from error
        return {name: text[name] if name in kept else dtype for name, dtype in frame.schema.items()}

    def _polars(self, data: bytes, schema: dict[str, pl.DataType] | None, rows: int | None) -> pl.DataFrame:
        dialect = self.dialect
        return pl.read_csv(
            io.BytesIO(data),
            separator=dialect.separator,
            eol_char=dialect.newline,
            has_header=False,
            new_columns=None if schema else list(dialect.names),
            schema=schema,
            decimal_comma=dialect.decimal_comma and not dialect.padded,
            null_values=list(dialect.markers),
            infer_schema_length=rows,
        )

    def _blank_lines(self, data: bytes) -> bool:
        end = self.dialect.newline.encode()
        return end + end in data or b"\n\r\n" in data or data.startswith((b"\r\n", b"\n"))

    def _check_rows(self, data: bytes, stretch: Stretch) -> None:
        """Raise for the first row of another length than the header's; counting spares most stretches the search."""
        dialect = self.dialect
        width = len(dialect.names)
        counted = np.frombuffer(data, np.uint8)
        separator = counted == ord(dialect.separator)
        if b'"' in data:
            separator &= np.bitwise_xor.accumulate((counted == 34).view(np.uint8)) == 0
        if int(np.count_nonzero(separator)) == stretch[1] * (width - 1):
            return
        text = io.StringIO(data.decode(errors="replace"), newline="")
        reader = csv.reader(text, delimiter=dialect.separator)
        for row in reader:
            if row and len(row) != width:
                line = self._lines_before(stretch[0]) + reader.line_num
                fields = f"{len(row)} field{'s' * (len(row) != 1)}"
                raise InputError(
                    "every row must have as many fields as the header",
                    f"{fields} in line {line:,} of {str(self.path)!r}, where the header has {width}",
                    "correct that line; a field that holds the delimiter must be quoted",
                )

    def _lines_before(self, row: int) -> int:
        """Return how many lines stand before a row on the grid: fields with line ends make them more than rows."""
        with self.path.open("rb") as file:
            return file.read(int(self._index[0][row // STEP])).count(self.dialect.newline.encode())


def common(one: pl.DataType, other: pl.DataType) -> pl.DataType:
    """Return a type that holds the values of both: numbers widen, everything else becomes text."""
    if one == other or other == pl.Null:
        return one
    if one == pl.Null:
        return other
    if one.is_numeric() and other.is_numeric():
        both_whole = one.is_integer() and other.is_integer()
        return pl.Int64() if both_whole else pl.Float64()
    return pl.String()
