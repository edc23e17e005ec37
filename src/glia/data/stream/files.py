"""Which files a stream consists of, and what kind they are, by their content."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glia.core.counts import counted
from glia.core.errors import InputError, near

SUFFIXES = (".parquet", ".pq", ".arrow", ".feather", ".ipc", ".csv", ".tsv", ".tab", ".txt")
_MAGIC = {b"PAR1": "Parquet", b"ARROW1": "Arrow", b"\x1f\x8b": "gzip", b"\x93NUMPY": "NumPy", b"PK\x03\x04": "zip"}
_CAN = "a stream reads Parquet, Arrow and delimited text"


def find_files(source: Any) -> tuple[Path, ...]:
    """Return the files of a path, a folder, a pattern with ``*``, or a list of these; sorted within each.

    Of a folder, all tables in it and in folders below are taken; names that begin with a point or an underscore are
    passed over, as are files that are no tables by their names.

    Raises
    ------
    InputError
        If nothing is there, or a folder holds no table.
    """
    if isinstance(source, (str, os.PathLike)):
        return _one(Path(os.path.expanduser(source)))
    if not isinstance(source, Iterable):
        raise InputError("a stream must be a path, a folder or a list of paths", f"a {type(source).__name__}")
    files = tuple(file for one in source for file in find_files(one))
    if not files:
        raise InputError("a stream needs at least one file", "an empty list", "hand in paths")
    twice = next((file for i, file in enumerate(files) if file in files[:i]), None)
    if twice is not None:
        raise InputError("each file must be in a stream once", f"{str(twice)!r} twice", "name it once")
    return files


def _one(path: Path) -> tuple[Path, ...]:
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file() and _seen(file.relative_to(path)))
        tables = tuple(file for file in inside if file.suffix.casefold() in SUFFIXES)
        if not tables:
            other = counted(len(inside), "other file") if inside else "nothing"
            raise InputError(
                "a folder must hold tables",
                f"{str(path)!r} with {other}",
                f"a table's name ends in one of {', '.join(SUFFIXES)}",
            )
        return tables
    if path.exists():
        return (path,)
    if glob.has_magic(str(path)):
        found = tuple(Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file())
        if found:
            return found
        raise InputError("a pattern must match files", f"{str(path)!r}, which matches none", "check the folder")
    names = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    raise InputError(
        "the file must exist", repr(str(path)), near(path.name, names) if names else f"no folder {str(path.parent)!r}"
    )


def _seen(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)


def kind_of(path: Path) -> str:
    """Return "Parquet", "Arrow" or "CSV" (any delimited text).

    Raises
    ------
    InputError
        If it is a file of another kind, or cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise InputError(
            "the file must be readable", f"{str(path)!r}: {error.strerror}", "change its rights"
        ) from error
    kind = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "CSV")
    if kind in ("gzip", "zip"):
        raise InputError(_CAN, f"the {kind} file {str(path)!r}", "unpack it: it can only be read from the start")
    if kind == "NumPy":
        raise InputError(_CAN, f"the NumPy file {str(path)!r}", "hand in the array: numpy.load(path, mmap_mode='r')")
    if start.startswith(b"\xff\xff\xff\xff"):
        raise InputError(_CAN, f"the Arrow stream {str(path)!r}", "write it as an Arrow file or as Parquet")
    if start.lstrip().startswith(b"{"):
        raise InputError(_CAN, f"JSON lines in {str(path)!r}", "write them as Parquet, for instance with Polars")
    if kind == "CSV" and path.suffix.casefold() in (".parquet", ".pq", ".arrow", ".feather", ".ipc"):
        raise InputError(
            f"a {path.suffix} file must hold that format",
            f"{str(path)!r}, which does not start like one",
            "write it again, or name it after what it holds",
        )
    return kind
