"""The model file: a zip of ``manifest.json``, ``weights.safetensors`` and JSON parts. Reading it runs nothing.

The manifest names every other member with its size and SHA-256. These guard against damage and against files that
attack their reader; they are no signature, so a file is still only as honest as the one who made it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from glia import __version__
from glia.core import modeltensors, strictjson
from glia.core.errors import InputError, ModelFileError
from glia.core.files import atomic_path, sha256
from glia.core.strictzip import UNSAFE, StrictZip, open_zip, write_zip

FORMAT = "glia-model"
FORMAT_VERSION = 1
MAX_BYTES = 16 << 30
MAX_JSON_BYTES = 32 << 20
MANIFEST, WEIGHTS = "manifest.json", "weights.safetensors"
_RESERVED = ("format", "format_version", "glia_version", "members")


@dataclass(frozen=True)
class Archive:
    """What a model file holds.

    Parameters
    ----------
    manifest : dict
        What the writer put there, with ``format``, ``format_version``, ``glia_version`` and ``members``.
    tensors : dict of str to ndarray
        The weights; writable arrays.
    parts : dict of str to dict
        The JSON parts by member name, e.g. ``"preparation.json"``.
    """

    manifest: dict[str, Any]
    tensors: dict[str, NDArray[Any]]
    parts: dict[str, dict[str, Any]]


def write_archive(
    path: str | Path,
    manifest: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    *,
    parts: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a model file atomically; the same content gives the same bytes.

    Parameters
    ----------
    path : path-like
        The file; replaced only when the new one is whole.
    manifest : mapping
        Plain JSON data. The keys ``format``, ``format_version``, ``glia_version`` and ``members`` are always written
        anew.
    tensors : mapping of str to ndarray
        Booleans, integers or floats of any shape.
    parts : mapping of str to mapping, optional
        JSON objects by member name: lower case, ending in ``.json``.

    Raises
    ------
    InputError
        If the path cannot be written, or something cannot be stored so that ``read_archive`` gives it back.
    """
    members = {name: _dump(name, part) for name, part in (parts or {}).items()}
    if MANIFEST in members or not all(name.endswith(".json") for name in members):
        raise ValueError(f"a part's name must end in .json and not be {MANIFEST!r}; got {sorted(members)}")
    members[WEIGHTS] = modeltensors.dump(tensors)
    full = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "glia_version": __version__,
        **{key: value for key, value in manifest.items() if key not in _RESERVED},
        "members": {name: {"sha256": sha256(data), "size": len(data)} for name, data in members.items()},
    }
    with atomic_path(path) as aside:
        write_zip(aside, {MANIFEST: _dump(MANIFEST, full), **members})


def read_archive(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Archive:
    """Read a model file without trusting it: nothing is executed, and sizes are bounded before memory is taken.

    Parameters
    ----------
    path : path-like
        A file that ``write_archive`` wrote.
    max_bytes : int
        Largest size of the file that is accepted; memory use stays within about this size.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, altered, a pickle, of another format version, or built to mislead its reader.
    """
    with open_zip(path, max_bytes) as archive:
        if MANIFEST not in archive.members:
            archive.refuse(f"no member {MANIFEST!r}", "give a file made by glia.save")
        manifest = _load(archive, MANIFEST)
        _check_manifest(archive, manifest)
        declared = manifest["members"]
        parts = {name: _load(archive, name, declared[name]["sha256"]) for name in declared if name != WEIGHTS}
        content = archive.read(WEIGHTS)
        _check_hash(archive, WEIGHTS, content, declared[WEIGHTS]["sha256"])
        try:
            tensors = modeltensors.load(content)
        except ValueError as error:
            archive.refuse(f"the member {WEIGHTS!r} holds {error}")
    return Archive(manifest, tensors, parts)


def _check_manifest(archive: StrictZip, manifest: dict[str, Any]) -> None:
    if manifest.get("format") != FORMAT:
        archive.refuse("a manifest of another format", "give a file made by glia.save")
    number = manifest.get("format_version")
    if number != FORMAT_VERSION or isinstance(number, (bool, float)):
        _refuse_version(archive, number, manifest.get("glia_version"))
    members = manifest.get("members")
    if not isinstance(members, dict) or WEIGHTS not in members or MANIFEST in members:
        archive.refuse("a manifest without a list of members")
    for name, declared in members.items():
        if name not in archive.members:
            archive.refuse(f"the member {name[:80]!r} is missing")
        digest = declared.get("sha256") if isinstance(declared, dict) else None
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            archive.refuse(f"no hash of the member {name!r}")
        if declared.get("size") != archive.members[name].size:
            archive.refuse(f"the size of the member {name!r} is not the one in the manifest")
    for name in archive.members:
        if name not in members and name != MANIFEST:
            archive.refuse(f"an unexpected member, {name!r}", UNSAFE)
    if any(not name.endswith(".json") for name in members if name != WEIGHTS):
        archive.refuse("an unexpected second member of weights", UNSAFE)


def _refuse_version(archive: StrictZip, number: Any, writer: Any) -> NoReturn:
    by = f" (written by glia {writer[:20]})" if isinstance(writer, str) else ""
    raise ModelFileError(
        f"a model file must have format version {FORMAT_VERSION}",
        f"{archive.path!r}: format version {str(number)[:20]}{by}",
        "upgrade glia-nn, or save the model again with this version",
    )


def _check_hash(archive: StrictZip, name: str, content: NDArray[np.uint8], digest: str) -> None:
    if hashlib.sha256(content.data).hexdigest() != digest:
        archive.refuse(f"the hash of the member {name!r} does not match: it was altered or damaged")


def _load(archive: StrictZip, name: str, digest: str | None = None) -> dict[str, Any]:
    size = archive.members[name].size
    if size > MAX_JSON_BYTES:
        archive.refuse(f"the member {name!r} has {size} bytes, more than {MAX_JSON_BYTES}", UNSAFE)
    content = archive.read(name)
    if digest is not None:
        _check_hash(archive, name, content, digest)
    try:
        return strictjson.parse(content.tobytes())
    except ValueError as error:
        archive.refuse(f"the member {name!r} holds {error}")


def _dump(name: str, data: Mapping[str, Any]) -> bytes:
    """Return JSON that ``_load`` is sure to take back."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8")
        if len(text) > MAX_JSON_BYTES:
            raise ValueError(f"{len(text)} bytes, more than {MAX_JSON_BYTES}")
        strictjson.parse(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the part {name!r} of a model must be plain JSON data", str(error), "leave out what JSON cannot hold"
        ) from error
    return text
