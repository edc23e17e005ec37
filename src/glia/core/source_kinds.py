"""What a path holds, told by names alone: a table, or pictures. Costs nothing to import."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Any, Literal

SourceKind = Literal["table", "images"]
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".tif", ".tiff", ".webp")
"""Files that are taken for pictures by their name."""
TARGETS: dict[SourceKind, str] = {"images": "class"}
"""What is predicted where nothing else is said: of pictures, the name of their sub-folder."""
_MOST_SEEN = 2000
_MACHINE = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is the system's and not the user's."""
    return name.startswith(".") or name in _MACHINE


def is_picture_name(name: str) -> bool:
    """Tell whether a file is a picture by its name."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def source_kind(data: Any) -> SourceKind:
    """Return what kind of source a path, or anything else, is.

    A picture, or a folder that holds pictures and nothing else that Glia reads, is "images". All else is "table".

    Parameters
    ----------
    data : Any
        A path, or rows in memory, which are tables here.
    """
    if not isinstance(data, (str, os.PathLike)):
        return "table"
    path = Path(data)
    if path.is_file():
        return "images" if is_picture_name(path.name) else "table"
    if not path.is_dir():
        return "table"
    pictures = 0
    for name in islice(_files(path), _MOST_SEEN):
        if is_picture_name(name):
            pictures += 1
        elif name.lower().endswith((".csv", ".tsv", ".parquet", ".arrow", ".feather", ".jsonl", ".ndjson", ".csv.gz")):
            return "table"
    return "images" if pictures else "table"


def _files(folder: Path) -> Any:
    for _, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (name for name in sorted(files) if not is_hidden(name))
