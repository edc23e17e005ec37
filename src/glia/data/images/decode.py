"""Picture files through Pillow: opened with care, turned the right way up, brought to the channels that are wanted."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from glia.core.errors import InputError
from glia.core.quiet import quietly

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
"""What is opened; Pillow knows more, some of which run other programs."""
MOST_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded: a file of a few kilobytes can ask for gigabytes of memory."""
ORIENTATION = 0x0112
_GREY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_WIDE = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


@dataclass(frozen=True)
class Picture:
    """What is known of a picture file without its pixels.

    Parameters
    ----------
    height, width : int
        As it is looked at: the orientation that the camera noted is applied.
    grey : bool
        Whether its mode has no colours.
    format : str
        By its content.
    frames : int
        More than one for animations and pages, of which the first is used.
    """

    height: int
    width: int
    grey: bool
    format: str
    frames: int = 1


def quiet_pillow() -> AbstractContextManager[None]:
    """Silence what Pillow remarks on odd files: what matters is told in Glia's own words."""
    return quietly(Image.DecompressionBombWarning, module=r"PIL\..*")


def open_picture(path: str | os.PathLike[str]) -> Image.Image:
    """Open a picture file; its pixels are not decoded yet.

    Raises
    ------
    InputError
        If there is no such file, it is empty, of no known format, or too large; the message says which, without the
        name of the file.
    """
    try:
        if os.path.getsize(path) == 0:
            raise InputError("a picture must have content", "an empty file", "fetch the file again")
        image = Image.open(path, formats=FORMATS)
    except InputError:
        raise
    except UnidentifiedImageError:
        known = "PNG, JPEG, GIF, BMP, TIFF or WebP"
        raise InputError(f"a picture must be {known}", f"something else ({_begins(path)})", "convert it") from None
    except Image.DecompressionBombError:
        raise _too_large("several times as many") from None
    except FileNotFoundError:
        raise InputError("a picture must exist", "no such file", "check the path") from None
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, OverflowError) as error:
        raise InputError("a picture must be readable", _why(error), "save it again") from error
    if image.width * image.height > MOST_PIXELS:
        size = f"{image.width} × {image.height}"
        image.close()
        raise _too_large(size)
    return image


def _too_large(size: str) -> InputError:
    return InputError(f"a picture must have at most {MOST_PIXELS:,} pixels", size, "make it smaller")


def _begins(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        start = file.read(16)
    if start and all(32 <= byte < 127 or byte in (9, 10, 13) for byte in start):
        return f"text that begins {start.decode('ascii').split()[:1]}".replace("['", "'").replace("']", "'")
    return f"it begins {start[:4].hex(' ')}"


def _why(error: Exception) -> str:
    said = " ".join(str(error).split())[:120]
    return said or type(error).__name__


def look_at(path: str | os.PathLike[str]) -> Picture:
    """Return what a file holds, after having decoded all of it once: a file that is cut off is found here.

    Raises
    ------
    InputError
        If it cannot be read as a picture.
    """
    with open_picture(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        height, width = image.height, image.width
        if orientation in (5, 6, 7, 8):
            height, width = width, height
        grey, kind = image.mode in _GREY, str(image.format)
        frames = int(getattr(image, "n_frames", 1))
        image.draft("L", (1, 1))  # a JPEG is decoded at an eighth of its size, all of it all the same
        _load(image)
    return Picture(height, width, grey, kind, frames)


def _load(image: Image.Image) -> None:
    """Decode a picture.

    Raises
    ------
    InputError
        If the file is cut off or damaged.
    """
    try:
        image.load()
    except Exception as error:  # decoders of damaged files raise whatever comes
        raise InputError("a picture must be whole", _why(error), "fetch the file again") from error


def to_pixels(source: Any, channels: int, size: tuple[int, int] | None = None, fit: str = "stretch") -> NDArray[Any]:
    """Return a picture as whole numbers 0 to 255.

    Parameters
    ----------
    source : path or PIL.Image.Image
        Of an animation, the first frame.
    channels : {1, 3}
        Grey, or red, green and blue.
    size : (int, int), optional
        Height and width to bring it to, with antialiasing; as it is without.
    fit : {"stretch", "crop", "pad"}
        How the sides are made to agree: each is scaled by itself, the middle is cut out, or grey is added around.

    Returns
    -------
    ndarray of uint8 (channels, H, W)
        The orientation in the file is applied; what is transparent is white; 16 bits are reduced to 8.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not isinstance(source, Image.Image):
        with open_picture(source) as image:
            return to_pixels(image, channels, size, fit)
    image = source
    if size is not None and image.mode in ("RGB", "L") and max(image.size) > 4 * max(size):
        image.draft(image.mode, (4 * max(size), 4 * max(size)))  # JPEG at a part of its size, still large enough
    _load(image)
    turned = ImageOps.exif_transpose(image)
    plain = _converted(turned if turned is not None else image, channels)
    if size is not None:
        plain = resized(plain, size, fit)
    pixels = np.asarray(plain, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))


def _converted(image: Image.Image, channels: int) -> Image.Image:
    """Return a picture of mode L or RGB."""
    if image.mode in _WIDE:
        image = _narrow(image)
    clear = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if clear:
        colours = image.convert("RGBA")
        page = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(page, colours)
    return image.convert("L" if channels == 1 else "RGB")


def _narrow(image: Image.Image) -> Image.Image:
    """Return a picture of more than 8 bits with 8: 65,535 becomes 255, and values of other ranges are stretched."""
    values = np.asarray(image).astype(np.float64)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if image.mode == "F":
        low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (0.0, 255.0) if low >= 0 and high <= 255 else (low, high)
    elif low >= 0 and high <= 65_535:
        low, high = 0.0, 65_535.0
    scaled = (np.nan_to_num(values, nan=low) - low) * (255.0 / (high - low if high > low else 1.0))
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8), "L")


def resized(image: Image.Image, size: tuple[int, int], fit: str = "stretch") -> Image.Image:
    """Return a picture of (height, width), antialiased: fine patterns fade instead of turning into coarse ones."""
    height, width = size
    if image.size == (width, height):
        return image
    if fit == "crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    if fit == "pad":
        grey: Any = 128 if len(image.getbands()) == 1 else (128, 128, 128)
        return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR, color=grey)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
