"""A folder of pictures: one sub-folder per class, or pictures without a class; broken files are left out by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.hardware import cores
from glia.core.source_kinds import is_hidden, is_picture_name
from glia.data.broken_files import broken_remark
from glia.data.images.decode import Picture, look_at, quiet_pillow


@dataclass(frozen=True)
class ImageFolder:
    """Pictures of a folder that can be read.

    Parameters
    ----------
    root : Path
    names : tuple of str
        Paths below ``root``, sorted, with ``/`` between their parts.
    classes : tuple of str
        Name of the sub-folder of each; empty where they lie in ``root`` itself.
    pictures : tuple of Picture
        What was seen.
    broken : tuple of (str, str)
        Names of files that were left out, and why.
    passed : int
        Files that are no pictures by their name.
    """

    root: Path
    names: tuple[str, ...]
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    broken: tuple[tuple[str, str], ...] = ()
    passed: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def paths(self) -> list[str]:
        """Full paths of the pictures."""
        return [str(self.root / name) for name in self.names]

    @property
    def remark(self) -> str:
        """What was left out, in one sentence; empty where nothing was."""
        return broken_remark(self.broken)


def read_image_folder(folder: str | os.PathLike[str], *, limit: int | None = None) -> ImageFolder:
    """Find the pictures below a folder (or a single picture), and look at each of them.

    Parameters
    ----------
    folder : path-like
        Sub-folders directly below it are classes; deeper ones belong to these. Hidden files are passed over.
    limit : int, optional
        Largest number of pictures, the same number of every class as far as there are so many.

    Raises
    ------
    InputError
        If there is no such folder, or no picture in it that can be read.
    """
    root = Path(folder)
    if root.is_file():
        root, names, passed = root.parent, [root.name], 0
    elif root.is_dir():
        names, passed = _names(root)
    else:
        raise InputError("pictures must lie in a folder", f"{str(folder)!r}: no such folder", "check the path")
    if limit is not None:
        names = _share(names, limit)
    with quiet_pillow(), ThreadPoolExecutor(min(4, 2 * cores())) as pool:
        seen = list(pool.map(_looked, [str(root / name) for name in names]))
    good = [(name, one) for name, one in zip(names, seen, strict=True) if isinstance(one, Picture)]
    broken = tuple((name, one) for name, one in zip(names, seen, strict=True) if isinstance(one, str))
    if not good:
        none = f"{counted(len(broken), 'file that is none', 'files that are none')}, e.g. " if broken else "none"
        got = f"{none}{broken[0][0]}: {broken[0][1]}" if broken else none
        raise InputError(
            f"there must be pictures in {str(folder)!r}",
            got,
            "give a folder of PNG, JPEG, GIF, BMP, TIFF or WebP files",
        )
    kept = tuple(name for name, _ in good)
    classes = tuple(_class_of(name) for name in kept)
    return ImageFolder(root, kept, classes, tuple(one for _, one in good), broken, passed)


def _looked(path: str) -> Picture | str:
    try:
        return look_at(path)
    except InputError as error:
        return f"{error.got or error.must}"


def _class_of(name: str) -> str:
    first, slash, _ = name.partition("/")
    return first if slash else ""


def _names(root: Path) -> tuple[list[str], int]:
    """Return the names of files that look like pictures, sorted, and how many others there are."""
    found, passed = [], 0
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in files:
            if is_hidden(name):
                continue
            if is_picture_name(name):
                found.append(Path(place, name).relative_to(root).as_posix())
            else:
                passed += 1
    return sorted(found), passed


def _share(names: Sequence[str], limit: int) -> list[str]:
    if limit < 1:
        raise InputError("limit must be at least 1", f"limit={limit}", "leave it out to read all pictures")
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_class_of(name), []).append(name)
    taken: list[str] = []
    for turn in range(max((len(group) for group in groups.values()), default=0)):
        taken += [group[turn] for group in groups.values() if turn < len(group)]
        if len(taken) >= limit:
            break
    return sorted(taken[:limit])
