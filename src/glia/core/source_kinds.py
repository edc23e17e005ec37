"""What a path holds, told by names alone: a table, pictures, sounds or sequences. Costs nothing to import."""

from __future__ import annotations

import math
import os
from itertools import islice
from pathlib import Path
from typing import Any, Literal

SourceKind = Literal["table", "images", "audio", "sequences"]
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".tif", ".tiff", ".webp")
"""Files that are taken for pictures by their name."""
SOUND_SUFFIXES = (".wav", ".wave")
"""Files that are taken for sounds by their name."""
ARRAY_SUFFIXES = (".npz",)
"""Files of arrays: sequences ``X`` and their classes ``y``."""
MANIFEST = "manifest.csv"
"""File of a folder of sounds that says what they are."""
TARGETS: dict[SourceKind, str] = {"images": "class", "audio": "label", "sequences": "label"}
"""What is predicted where nothing else is said: of pictures and sounds, the name of their sub-folder."""
_MOST_SEEN = 2000
_FEWEST_STEPS = 10
_TABLES = (".csv", ".tsv", ".parquet", ".arrow", ".feather", ".jsonl", ".ndjson", ".csv.gz")
_MACHINE = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is the system's and not the user's."""
    return name.startswith(".") or name in _MACHINE


def is_picture_name(name: str) -> bool:
    """Tell whether a file is a picture by its name."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def is_sound_name(name: str) -> bool:
    """Tell whether a file is a sound by its name."""
    return name.lower().endswith(SOUND_SUFFIXES)


def source_kind(data: Any) -> SourceKind:
    """Return what kind of source a path, or anything else, is.

    A picture, or a folder that holds pictures and nothing else that Glia reads, is "images". A sound, or a folder of
    sounds and no table but ``manifest.csv``, is "audio". A file of arrays is "sequences". All else is "table".

    Parameters
    ----------
    data : Any
        A path, or rows in memory, which are tables here.
    """
    if not isinstance(data, (str, os.PathLike)):
        return "table"
    path = Path(data)
    if path.is_file():
        return _of_file(path.name)
    if not path.is_dir():
        return "table"
    found: set[SourceKind] = set()
    for name in islice(_files(path), _MOST_SEEN):
        if is_picture_name(name) or is_sound_name(name):
            found.add(_of_file(name))
        elif name.lower().endswith(_TABLES) and not (name == MANIFEST and (path / MANIFEST).is_file()):
            return "table"
    return "images" if "images" in found else "audio" if "audio" in found else "table"


def is_empty_folder(data: Any) -> bool:
    """Tell whether a path is a folder in which there is no file, or only the system's."""
    return isinstance(data, (str, os.PathLike)) and Path(data).is_dir() and next(_files(Path(data)), None) is None


def looks_like_series(data: Any) -> bool:
    """Tell whether a file is a table of series as the UCR archive has them: a class and values in each line, no names.

    Only the first line of a ``.tsv`` or ``.txt`` is read; it must hold ten numbers or more.
    """
    if not isinstance(data, (str, os.PathLike)) or not str(data).lower().endswith((".tsv", ".txt")):
        return False
    try:
        with open(data, encoding="utf-8") as file:
            fields = file.readline(1 << 20).split()
        return len(fields) >= _FEWEST_STEPS and all(math.isfinite(v) or v != v for v in map(float, fields))
    except (OSError, ValueError):
        return False


def _of_file(name: str) -> SourceKind:
    if is_picture_name(name):
        return "images"
    if is_sound_name(name):
        return "audio"
    return "sequences" if name.lower().endswith(ARRAY_SUFFIXES) else "table"


def _files(folder: Path) -> Any:
    for _, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (name for name in sorted(files) if not is_hidden(name))
