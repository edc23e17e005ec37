"""What the folder of a pretrained network holds, as far as its small files tell: what it reads, and at which scale."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from glia.core.errors import InputError
from glia.core.optional import require
from glia.data.images import ImagePreparation
from glia.nn.pretrained import EXTRA

_NETWORK = (("config.json",), ("model.safetensors", "*.safetensors"))
_TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.*")
_LARGEST = 1 << 24
"""Bytes of a JSON file that are read: a configuration has a few thousand."""
_SIDES = range(4, 2049)


def backbone_reads(folder: str) -> Literal["texts", "pictures"]:
    """Return what a network reads: pictures where its configuration tells of their channels."""
    return "pictures" if "num_channels" in _json(folder, "config.json") else "texts"


def check_folder(folder: str) -> None:
    """Raise an ``InputError`` unless a folder holds a network, and one of texts its tokenizer, as far as names tell.

    Raises
    ------
    InputError
        If it does not.
    MissingExtraError
        If ``transformers`` is not installed.
    """
    place = Path(folder).expanduser()
    texts = backbone_reads(folder) == "texts"
    do = "give a folder that save_pretrained of transformers wrote" + (
        ", for the network and for its tokenizer" if texts else ""
    )
    if not place.is_dir():
        raise InputError("a backbone must be a folder with a network of transformers", f"{folder!r}, no folder", do)
    needed = (*_NETWORK, _TOKENIZER) if texts else _NETWORK
    lacking = [parts[0] for parts in needed if not any(any(place.glob(part)) for part in parts)]
    if lacking:
        must = f"a backbone must have a configuration{', weights and a tokenizer' if texts else ' and weights'}"
        raise InputError(must, f"{folder!r} without {' and '.join(lacking)}", do)
    require("transformers", EXTRA)


def picture_preparation(folder: str, size: int | None = None, keep: str = "auto") -> ImagePreparation:
    """Return how pictures are prepared for a network: the size, channels and scale that it was trained with.

    Where ``preprocessor_config.json`` does not tell the scale, it is that of the training pictures.

    Parameters
    ----------
    folder : str
        See ``check_folder``.
    size : int, optional
        Another side than the network's own.
    keep : str
        See ``ImagePreparation``.
    """
    config, asked = _json(folder, "config.json"), _json(folder, "preprocessor_config.json")
    own = next(filter(None, map(_side, (config.get("image_size"), asked.get("crop_size"), asked.get("size")))), None)
    channels: Any = config.get("num_channels") if config.get("num_channels") in (1, 3) else "auto"
    scale: Any = "standard"
    if not asked.get("do_normalize", True):
        scale = "unit"
    elif channels != "auto":
        mean, deviation = (_numbers(asked.get(name), channels) for name in ("image_mean", "image_std"))
        scale = (mean, deviation) if mean and deviation and min(deviation) > 0 else scale
    return ImagePreparation(size=size or own or "auto", channels=channels, scale=scale, keep=keep)


def _side(size: Any) -> int | None:
    """Return a side in pixels: sizes are written as a number, or by height and width, or by the shorter edge."""
    if isinstance(size, dict):
        size = next((size[name] for name in ("height", "shortest_edge") if name in size), None)
    elif isinstance(size, (list, tuple)):
        size = size[0] if size else None
    return int(size) if isinstance(size, int) and not isinstance(size, bool) and size in _SIDES else None


def _numbers(values: Any, count: int) -> tuple[float, ...] | None:
    """Return that many finite numbers, ``None`` where it is something else."""
    if not isinstance(values, (list, tuple)) or len(values) != count:
        return None
    good = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    return tuple(float(v) for v in values) if good else None


def _json(folder: str, name: str) -> dict[str, Any]:
    """Return an object of JSON, empty where there is none that can be read."""
    path = Path(folder).expanduser() / name
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _LARGEST else ""
        found = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
