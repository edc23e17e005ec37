"""Pictures in a page: small copies that the page carries with it."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from glia.core.errors import InputError
from glia.data.images import to_pixels
from glia.data.images.decode import quiet_pillow

SIDE = 96
"""Longest side of a copy, in pixels."""


def picture_uri(path: str) -> str | None:
    """Return a small copy of a picture as a data URI; ``None`` where the file is gone or cannot be read."""
    try:
        with quiet_pillow():
            pixels = to_pixels(path, 3)
    except (InputError, OSError):
        return None
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    factor = SIDE / max(image.size)
    how = Image.Resampling.BILINEAR if factor < 1 else Image.Resampling.NEAREST
    width, height = (max(1, round(side * factor)) for side in image.size)
    image = image.resize((width, height), how)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def with_pictures(rows: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    """Return the hardest rows with a small copy of each one's picture, whose path is in ``column``."""
    return [
        {**row, "picture": picture_uri(str(row["values"][column])), "values": _named(row["values"], column)}
        for row in rows
    ]


def _named(values: dict[str, Any], column: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != column}
