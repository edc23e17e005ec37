"""What a fit is made of, as short texts that can be compared: a checkpoint is only continued by the same fit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.engine.rows import Rows
from glia.engine.sources import Source

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def fingerprint(
    settings: Mapping[str, Any], **parts: Source | Mapping[str, Tensor] | Iterable[Tensor | None] | None
) -> dict[str, str]:
    """Return name → text of the settings, and name → SHA-256 of the parts.

    Parameters
    ----------
    settings : mapping
        Anything with a ``repr`` that says what it is; addresses in it are left out, since every process has others.
    **parts
        Rows, tensors, a network's ``state_dict()``, or a source with a method ``fingerprint`` that returns a text;
        ``None`` for what is not there. Tensors are hashed by type, shape and bytes, at about 1 GB/s.

    Raises
    ------
    InputError
        If a source cannot say what it holds.
    """
    texts = {
        name: _ADDRESS.sub("", value if isinstance(value, str) else repr(value)) for name, value in settings.items()
    }
    return texts | {name: _of_part(name, part) for name, part in parts.items()}


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return what differs, in words: ``epochs=30 (20 in the other)`` for short texts, else the name alone."""
    found = []
    for name in sorted({*one, *other}):
        a, b = one.get(name, "none"), other.get(name, "none")
        if a != b:
            found.append(f"{name}={a} (before: {b})" if max(len(a), len(b)) <= 40 else f"another {name}")
    return found


def _of_part(name: str, part: Any) -> str:
    if part is None:
        return "none"
    own = getattr(part, "fingerprint", None)
    if callable(own):
        return str(own())
    if isinstance(part, Rows):
        return hash_tensors((part.x, part.y, part.weight))
    if isinstance(part, Mapping):
        return hash_tensors(part.values(), label="/".join(part))
    if isinstance(part, (list, tuple)):
        return hash_tensors(part)
    raise InputError(
        "rows must say what they hold where checkpoints are kept",
        f"{name}: {type(part).__name__} without fingerprint()",
        "give the source this method, or keep no checkpoints",
    )


def hash_tensors(tensors: Iterable[Tensor | None], label: str = "") -> str:
    """Return the SHA-256 of tensors, in hex: their types, shapes and bytes, in order."""
    digest = hashlib.sha256(label.encode())
    for tensor in tensors:
        if tensor is None:
            digest.update(b"none;")
            continue
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{plain.dtype} {tuple(plain.shape)};".encode())
        if plain.numel():
            digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
