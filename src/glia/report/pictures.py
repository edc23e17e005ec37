"""Pictures in a page: small copies that the page carries with it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from glia.core.errors import InputError
from glia.data.images import to_pixels
from glia.data.images.decode import quiet_pillow

SIDE = 96
"""Longest side of a copy, in pixels."""
GAP = 4
"""Pixels between two of a row."""


def picture_uri(*paths: str) -> str | None:
    """Return a small copy of pictures, one beside the other, as a data URI; ``None`` where none can be read."""
    copies = [one for one in map(_copy, paths) if one is not None]
    if not copies:
        return None
    width = sum(one.width + GAP for one in copies) - GAP
    image = Image.new("RGB", (width, max(one.height for one in copies)), "white")
    left = 0
    for one in copies:
        image.paste(one, (left, 0))
        left += one.width + GAP
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _copy(path: str) -> Image.Image | None:
    """Return a small copy of a picture; ``None`` where the file is gone or cannot be read."""
    try:
        with quiet_pillow():
            pixels = to_pixels(path, 3)
    except (InputError, OSError):
        return None
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    factor = SIDE / max(image.size)
    how = Image.Resampling.BILINEAR if factor < 1 else Image.Resampling.NEAREST
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), how)


def with_pictures(rows: list[dict[str, Any]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the hardest rows with a small copy of each one's pictures, whose paths are in ``columns``."""
    return [
        {
            **row,
            "picture": picture_uri(*(str(row["values"][column]) for column in columns)),
            "values": {name: value for name, value in row["values"].items() if name not in columns},
        }
        for row in rows
    ]
