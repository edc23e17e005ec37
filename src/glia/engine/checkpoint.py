"""Files that hold the state of a fit: whole or not there, checked when read, the last two of them kept.

A file is the line ``glia-checkpoint``, the length of a JSON text (8 bytes, little-endian), the text, tensors as
safetensors, and the SHA-256 of all that (32 bytes). Reading it runs nothing. The checksum tells damage, not forgery: a
checkpoint is as honest as the one who can write into its folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia import __version__
from glia.core import modeltensors, strictjson
from glia.core.errors import InputError
from glia.core.files import atomic_path
from glia.engine.state import State

VERSION = 1
KEPT = 2
_MAGIC, _LENGTH, _DIGEST = b"glia-checkpoint\n", 8, 32
_SUFFIX = ".checkpoint"
_NAME = re.compile(r"(\d{6,12})\.checkpoint")
_CHUNK = 4 << 20
_PLAIN = {
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.float32, torch.float64,
}  # fmt: skip
_SAME_SIZE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Parameters
    ----------
    path : Path
    state : State
        Where the fit was: what ``Trainer.restore`` takes.
    good : State or None
        Where it would have gone back to after a step that is not finite, where the trainer keeps that.
    about : dict
        What the writer said besides: fingerprint, versions, how far the fit was.
    damaged : tuple of Path
        Newer files that could not be read.
    """

    path: Path
    state: State
    good: State | None
    about: dict[str, Any]
    damaged: tuple[Path, ...] = ()


class _DamagedError(Exception):
    """A file that is not what was written."""


def write_checkpoint(
    folder: str | Path, state: State, *, good: State | None = None, about: Mapping[str, Any] | None = None
) -> Path:
    """Write a state as the newest checkpoint of a folder, then remove all but the newest two.

    Parameters
    ----------
    folder : path-like
        Made where it is not there.
    state : State
        What ``Trainer.state`` returned.
    good : State, optional
        What the trainer would roll back to.
    about : mapping, optional
        Further JSON data.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError, InputError
        If it cannot be written; the older ones are then untouched.
    TypeError, ValueError
        If the state holds something that is neither JSON data nor a tensor.
    """
    place = Path(folder)
    before = checkpoint_files(place)
    number = int(before[0].name.partition(".")[0]) + 1 if before else 1
    path = place / f"{number:06d}{_SUFFIX}"
    with atomic_path(path) as aside, aside.open("wb", buffering=0) as file:
        for piece in _content(state, good, {**(about or {}), "glia": __version__, "torch": torch.__version__}):
            _put(file, piece)
    for old in [path, *before][KEPT:]:
        with suppress(OSError):
            old.unlink()
    return path


def read_checkpoint(folder: str | Path) -> Checkpoint | None:
    """Return the newest whole checkpoint of a folder, or ``None`` where there is none at all.

    A damaged one is passed over with a warning.

    Raises
    ------
    InputError
        If all that are there are damaged, or of another format version.
    """
    damaged: list[Path] = []
    reason = ""
    for path in checkpoint_files(Path(folder)):
        try:
            found = _read(path)
        except (_DamagedError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            damaged.append(path)
            continue
        for bad in damaged:
            warnings.warn(f"the checkpoint {bad} is damaged: going on from the one before, {path.name}", stacklevel=2)
        return Checkpoint(path, *found, tuple(damaged))
    if damaged:
        shown = ", ".join(path.name for path in damaged)
        raise InputError(
            "one of a fit's checkpoints must be whole",
            f"{shown} in {str(folder)!r}, the last of them {reason}",
            "delete them to start from the beginning",
        )
    return None


def checkpoint_files(folder: Path) -> list[Path]:
    """Return the files of a folder that are checkpoints by their names, the newest first."""
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(found, key=lambda path: int(path.name.partition(".")[0]), reverse=True)


def sweep(folder: Path) -> None:
    """Remove what writers left that were killed in the middle of a file."""
    with suppress(OSError):
        for path in folder.glob(f".*{_SUFFIX}"):
            path.unlink()


def _content(state: State, good: State | None, about: dict[str, Any]) -> Iterator[bytes]:
    states = {"state": state, **({} if good is None else {"good": good})}
    arrays: dict[str, NDArray[Any]] = {}
    types: dict[str, str] = {}
    for part, (_, tensors) in states.items():
        for name, tensor in tensors.items():
            arrays[part + name] = _array(tensor)
            if tensor.dtype not in _PLAIN:
                types[part + name] = str(tensor.dtype).removeprefix("torch.")
    head = {"version": VERSION, "about": about, "types": types, **{part: tree for part, (tree, _) in states.items()}}
    text = json.dumps(head, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-(len(_MAGIC) + _LENGTH + len(text)) % 64)  # tensors that lie aligned are not copied when read
    strictjson.parse(text)  # what could not be read again must not take the place of what can
    digest = hashlib.sha256()
    for piece in (_MAGIC + len(text).to_bytes(_LENGTH, "little") + text, modeltensors.dump(arrays)):
        digest.update(piece)
        yield piece
    yield digest.digest()


def _put(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view[:_CHUNK]) :]


def _read(path: Path) -> tuple[State, State | None, dict[str, Any]]:
    content = _bytes(path)
    size = len(content) - _DIGEST
    if size < len(_MAGIC) + _LENGTH or content[: len(_MAGIC)].tobytes() != _MAGIC:
        raise _DamagedError("too short or of another kind")
    if hashlib.sha256(content[:size].data).digest() != content[size:].tobytes():
        raise _DamagedError("not what was written (its checksum does not match)")
    start = len(_MAGIC) + _LENGTH
    end = start + int.from_bytes(content[len(_MAGIC) : start].tobytes(), "little")
    try:
        head = strictjson.parse(content[start:end].tobytes())
        if head.get("version") != VERSION:
            raise InputError(
                f"a checkpoint must have format version {VERSION}",
                f"{str(path)!r}: {head.get('version')!r}",
                "go on with the version of glia-nn that wrote it, or delete it to start from the beginning",
            )
        arrays = modeltensors.load(content[end:size])
        tensors = {name: _tensor(array, head["types"].get(name)) for name, array in arrays.items()}
        states = {part: (head[part], _part(tensors, part)) for part in ("state", "good") if part in head}
        return states["state"], states.get("good"), head["about"]
    except InputError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError, RuntimeError) as error:
        raise _DamagedError(f"not readable ({error})") from error


def _bytes(path: Path) -> NDArray[np.uint8]:
    with path.open("rb", buffering=0) as file:
        content = np.empty(os.fstat(file.fileno()).st_size, dtype=np.uint8)
        done = 0
        while done < len(content):
            count = file.readinto(content.data[done : done + _CHUNK])
            if not count:
                raise _DamagedError("shorter than it was")
            done += count
    return content


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)}


def _array(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as NumPy has it; of a type that NumPy lacks, the same bits as whole numbers."""
    plain = tensor.detach().cpu().contiguous()
    if plain.dtype not in _PLAIN:
        if plain.dtype.itemsize not in _SAME_SIZE:
            raise TypeError(f"a checkpoint cannot hold tensors of type {plain.dtype}")
        plain = plain.view(_SAME_SIZE[plain.dtype.itemsize])
    return plain.numpy()


def _tensor(array: NDArray[Any], kind: str | None) -> Tensor:
    plain = torch.from_numpy(array)
    if kind is None:
        return plain
    dtype = getattr(torch, kind)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"a tensor of type {kind[:20]!r}")
    return plain.view(dtype)
