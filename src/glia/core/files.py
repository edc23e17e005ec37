"""Files that are either whole or not there: write aside, flush, rename."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glia.core.errors import InputError
from glia.core.results import jsonable


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is flushed to disk and renamed to ``path``.

    On an error, Ctrl-C included, the temporary file is removed and whatever ``path`` held before is still there.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    except OSError as error:
        raise InputError(
            "the folder of an output must be writable", f"{str(target)!r}: {error.strerror}", "choose another path"
        ) from error
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.chmod(0o644)
        aside.replace(target)
        _sync_folder(target.parent)
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every system lets a folder be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, data: Any) -> None:
    """Write JSON atomically; dataclasses and arrays are turned into plain data first."""
    write_text(path, json.dumps(jsonable(data), indent=2, ensure_ascii=False) + "\n")


def sha256(data: bytes | Path) -> str:
    """Return the hex SHA-256 of bytes or of a file's content."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
