"""A folder of sounds: a sub-folder per class, a manifest, or no classes; broken files are left out by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from glia.core.counts import counted
from glia.core.errors import InputError, near
from glia.core.hardware import cores
from glia.core.source_kinds import MANIFEST, is_hidden, is_sound_name
from glia.data.audio.wav import Clip, look_at_wav
from glia.data.broken_files import broken_remark

PATHS = ("path", "file", "filename", "file_name", "wav")
"""Columns of a manifest that may hold the paths."""
_AT_ONCE = 64  # files that a thread looks at: what it takes to hand one over would be more than what is seen of it


@dataclass(frozen=True)
class AudioFolder:
    """Sounds of a folder that can be read.

    Parameters
    ----------
    root : Path
    names : tuple of str
        Paths below ``root``, with ``/`` between their parts.
    classes, groups : tuple of str
        Names of the sub-folder of each and of the one below that, or what the manifest says; empty where there is none.
    clips : tuple of Clip
        What was seen.
    broken : tuple of (str, str)
        Names of files that were left out, and why.
    """

    root: Path
    names: tuple[str, ...]
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    clips: tuple[Clip, ...]
    broken: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def paths(self) -> list[str]:
        """Full paths of the sounds."""
        return [str(self.root / name) for name in self.names]

    @property
    def remark(self) -> str:
        """What was left out, in one sentence; empty where nothing was."""
        return broken_remark(self.broken)


def read_audio_folder(
    folder: str | os.PathLike[str],
    *,
    label: str | None = None,
    group: str | None = None,
    limit: int | None = None,
) -> AudioFolder:
    """Find the sounds below a folder (or a single one), and look at each of them.

    Parameters
    ----------
    folder : path-like
        With a ``manifest.csv`` its rows count: one column of paths ("path", "file", …), one of classes, one of groups.
        Without one, sub-folders directly below are classes, those below these are groups: one name is one
        speaker, in whichever class.
    label, group : str, optional
        Columns of the manifest; by default "label" and "group", where they are there.
    limit : int, optional
        Largest number of sounds, spread evenly over all of them.

    Raises
    ------
    InputError
        If there is no such folder, no sound in it that can be read, or the manifest lacks a column.
    """
    root = Path(folder)
    if root.is_file():
        found: Mapping[str, tuple[str, str]] = {root.name: ("", "")}
        root = root.parent
    elif root.is_dir():
        manifest = root / MANIFEST
        found = _listed(manifest, label, group) if manifest.is_file() else _walked(root)
    else:
        raise InputError("sounds must lie in a folder", f"{str(folder)!r}: no such folder", "check the path")
    names = list(found)
    if limit is not None and limit < len(names):
        names = [names[i * len(names) // limit] for i in range(limit)]
    with ThreadPoolExecutor(min(4, 2 * cores())) as pool:
        parts = [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]
        seen = [one for part in pool.map(lambda part: [_looked(str(root / n)) for n in part], parts) for one in part]
    broken = tuple((name, one) for name, one in zip(names, seen, strict=True) if isinstance(one, str))
    clips = tuple(one for one in seen if isinstance(one, Clip))
    if not clips:
        got = f"{counted(len(broken), 'file')} that cannot be read, e.g. {broken[0][1]}" if broken else "none"
        raise InputError(f"there must be sounds in {str(folder)!r}", got, "give a folder of WAV files")
    kept = tuple(name for name, one in zip(names, seen, strict=True) if isinstance(one, Clip))
    return AudioFolder(root, kept, tuple(found[n][0] for n in kept), tuple(found[n][1] for n in kept), clips, broken)


def manifest_columns(folder: str | os.PathLike[str]) -> list[str]:
    """Return the columns of a folder's manifest; none where it has no manifest."""
    file = Path(folder) / MANIFEST
    return pl.read_csv(file, n_rows=0).columns if file.is_file() else []


def _looked(path: str) -> Clip | str:
    try:
        return look_at_wav(path)
    except InputError as error:
        return error.got or error.must


def _walked(root: Path) -> Mapping[str, tuple[str, str]]:
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        found += [
            Path(place, name).relative_to(root).as_posix()
            for name in files
            if not is_hidden(name) and is_sound_name(name)
        ]
    return {name: _from_path(name) for name in sorted(found)}


def _from_path(name: str) -> tuple[str, str]:
    parts = name.split("/")
    return parts[0] if len(parts) > 1 else "", parts[1] if len(parts) > 2 else ""


def _listed(manifest: Path, label: str | None, group: str | None) -> Mapping[str, tuple[str, str]]:
    try:
        table = pl.read_csv(manifest, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{MANIFEST} must be a table", str(error).splitlines()[0][:120]) from error
    known = table.columns
    path = next((name for name in PATHS if name in known), None)
    if path is None:
        must = f"{MANIFEST} must have a column of paths"
        raise InputError(must, f"columns {', '.join(known)}", f"call it {PATHS[0]!r}")
    for name in (label, group):
        if name is not None and name not in known:
            raise InputError(f"{MANIFEST} must have the column", repr(name), near(name, known))
    columns = []
    for name, usual in ((label, "label"), (group, "group")):
        wanted = name if name is not None else usual
        columns.append(table[wanted].fill_null("").to_list() if wanted in known else [""] * table.height)
    paths = table[path].fill_null("").to_list()
    outside = next((name for name in paths if not name or Path(name).is_absolute() or ".." in Path(name).parts), None)
    if outside is not None:
        raise InputError(f"paths in {MANIFEST} must lie below its folder", repr(outside), "write them relative to it")
    if len(set(paths)) < len(paths):
        twice = next(name for place, name in enumerate(paths) if name in paths[:place])
        raise InputError(f"{MANIFEST} must name each sound once", repr(twice), "take the other row out")
    return dict(zip(paths, zip(*columns, strict=True), strict=True))
