"""What kind of file it is, by its content rather than by its name, and the reader for that kind."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from glia.core.errors import InputError, near
from glia.data.read_csv import read_delimited
from glia.data.schema import Finding

_TABLES = "CSV, TSV, Parquet, Arrow, Feather or JSON lines"
_BINARY: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", "unpack it; of a spreadsheet, save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save the sheet as CSV"),
    (b"%PDF", "a PDF document", "hand in the table itself"),
    (b"\x89PNG", "a PNG picture", "hand in a table"),
    (b"\xff\xd8\xff", "a JPEG picture", "hand in a table"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV or Parquet"),
    (b"\x89HDF", "an HDF5 file", "export the table as CSV or Parquet"),
    (b"\x93NUMPY", "a NumPy file", "hand in the array: glia.read(numpy.load(path))"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it"),
    (b"BZh", "a bzip2 archive", "unpack it"),
    (b"\xfd7zXZ", "an xz archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"FEA1", "a file of Feather version 1", "write it again with Feather version 2"),
    (b"ORC", "an ORC file", "export the table as Parquet"),
    (b"Obj\x01", "an Avro file", "export the table as Parquet"),
)
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in (2, 3, 4, 5))

Parsed = tuple[pl.DataFrame, list[Finding]]


def read_file(path: str | Path, limit: int | None = None) -> Parsed:
    """Read a file of any known kind.

    Raises
    ------
    InputError
        If there is no such file (the nearest name in its folder is offered), or if it is a folder, cannot be opened,
        is empty, or holds no table.
    """
    file = Path(os.path.expanduser(path))
    start = _start(file)
    magic = start
    zipped = start.startswith(b"\x1f\x8b")
    if zipped:
        try:
            with gzip.open(file) as inner:
                magic = inner.read(16)
        except (OSError, EOFError) as error:
            raise InputError(
                "a .gz file must be whole", f"{str(file)!r}: {error}", "download or compress it again"
            ) from error
        if not magic:
            raise _empty(file)
    reader = _binary_reader(magic, file) if not zipped else None
    if reader is not None:
        return _polars_table(reader, file, limit)
    for signature, noun, advice in _BINARY:
        if magic.startswith(signature):
            raise InputError(f"a table must be {_TABLES}", f"{str(file)!r}, which is {noun}", advice)
    if magic.startswith(_PICKLES):
        raise InputError(
            f"a table must be {_TABLES}",
            f"{str(file)!r}, which is a pickle",
            "it is not opened, because opening a pickle can run code; export the table as Parquet",
        )
    suffix = file.name.casefold().removesuffix(".gz").rpartition(".")[2]
    if suffix in ("parquet", "pq", "feather", "arrow", "ipc"):
        raise InputError(
            f"a .{suffix} file must hold that format",
            f"{str(file)!r}, which does not start like one",
            "write it again, or name it after what it holds",
        )
    bare = magic.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare.startswith(b"{") or (bare.startswith(b"[") and suffix in ("json", "jsonl", "ndjson")):
        return _read_json(file, zipped, limit), []
    return read_delimited(file, zipped=zipped, limit=limit)


def _start(file: Path) -> bytes:
    shown = repr(str(file))
    if not file.exists():
        raise InputError("the file must exist", shown, _nearby(file))
    if file.is_dir():
        inside = sorted(entry.name for entry in file.iterdir() if entry.is_file())[:5]
        files = f", for instance {inside[0]!r}" if inside else ""
        raise InputError("a table must be a file", f"the folder {shown}", f"name one file{files}")
    try:
        with file.open("rb") as opened:
            start = opened.read(16)
    except OSError as error:
        raise InputError("the file must be readable", f"{shown}: {error.strerror}", "change its permissions") from error
    if not start.strip():
        raise (
            _empty(file)
            if file.stat().st_size < 1024 and not file.read_bytes().strip()
            else InputError("a table must start with a header", f"blanks at the start of {shown}", "remove them")
        )
    return start


def _empty(file: Path) -> InputError:
    return InputError("a table must have a header and rows", f"the empty file {str(file)!r}", "choose another file")


def _nearby(file: Path) -> str:
    folder = file.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}"
    names = [entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    if not names:
        return f"the folder {str(folder)!r} has no files"
    advice = near(file.name, names)
    return advice if advice.startswith("did") else f"the folder holds: {advice.partition(': ')[2]}"


def _binary_reader(magic: bytes, file: Path) -> Callable[..., pl.DataFrame] | None:
    if magic.startswith(b"PAR1"):
        return pl.read_parquet
    if magic.startswith(b"ARROW1"):
        return pl.read_ipc
    if magic.startswith(b"\xff\xff\xff\xff"):
        return pl.read_ipc_stream
    return None


def _polars_table(reader: Callable[..., pl.DataFrame], file: Path, limit: int | None) -> Parsed:
    kind = "Parquet" if reader is pl.read_parquet else "Arrow"
    try:
        frame = reader(file, n_rows=limit)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"a {kind} file must be whole",
            f"{str(file)!r}: {str(error).splitlines()[0]}",
            "write or download it again",
        ) from error
    if not frame.height:
        raise InputError("a table must have at least one row", f"none in {str(file)!r}", "hand in a file with rows")
    return frame, []


def _read_json(file: Path, zipped: bool, limit: int | None) -> pl.DataFrame:
    data = gzip.decompress(file.read_bytes()) if zipped else file.read_bytes()
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        if data.lstrip().startswith(b"["):
            frame = pl.read_json(data, infer_schema_length=None)
        else:
            # all rows are looked at: a key that only appears late would be dropped otherwise
            frame = pl.read_ndjson(data, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError("every line must be one JSON object", _bad_line(data, file), "correct that line") from error
    return frame if limit is None else frame.head(limit)


def _bad_line(data: bytes, file: Path) -> str:
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            row = json.loads(line) if line.strip() else {}
        except ValueError as error:
            where = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            what = error.msg if isinstance(error, json.JSONDecodeError) else error
            return f"line {number} of {str(file)!r}{where}: {what}"
        if not isinstance(row, dict):
            return f"line {number} of {str(file)!r}: a {type(row).__name__}"
    return f"{str(file)!r}, which is not"
