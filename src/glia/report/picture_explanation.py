"""Heat maps over pictures: where a network looks, as pictures and as a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glia.explain.attribution import AttributionResult
from glia.explain.checks import RemovalResult
from glia.report.heat_page import render_heat_page

SIDE = 192
"""Least side of a heat map, in pixels: small pictures are shown larger."""
_UP, _DOWN = np.array([230.0, 159.0, 0.0]), np.array([0.0, 114.0, 178.0])
_STRONGEST = 0.8


@dataclass(frozen=True)
class HeatMap:
    """One explained picture.

    Parameters
    ----------
    name : str
        Of its file.
    pixels : ndarray of uint8 (C, H, W)
        As the network sees it.
    shares : ndarray (H, W)
        What each place adds to the output.
    output : str
        What is explained: a class or target.
    said : str
        What is predicted, in words.
    truth : str
        Name of its folder; may be empty.
    """

    name: str
    pixels: NDArray[np.uint8]
    shares: NDArray[np.float64]
    output: str
    said: str
    truth: str = ""

    @property
    def strongest(self) -> tuple[int, int]:
        """Line and column of the largest share by size."""
        line, column = np.unravel_index(int(np.abs(self.shares).argmax()), self.shares.shape)
        return int(line), int(column)

    def overlay(self) -> NDArray[np.uint8]:
        """Return the heat map over the picture in grey, (H, W, 3): orange speaks for the output, blue against it."""
        grey = np.repeat(self.pixels.astype(np.float64).mean(axis=0)[..., None], 3, axis=2)
        grey = 40 + grey * (175 / 255)  # so that colours show on black and on white
        reach = float(np.quantile(np.abs(self.shares), 0.995)) or float(np.abs(self.shares).max()) or 1.0
        strength = np.clip(np.abs(self.shares) / reach, 0, 1)[..., None] * _STRONGEST
        colour = np.where((self.shares >= 0)[..., None], _UP, _DOWN)
        return np.asarray(np.rint(grey * (1 - strength) + colour * strength).astype(np.uint8))

    def files(self) -> tuple[bytes, bytes]:
        """Return the picture and the heat map as PNG files."""
        plain = self.pixels if len(self.pixels) == 3 else np.repeat(self.pixels[:1], 3, axis=0)
        return _png(plain.transpose(1, 2, 0)), _png(self.overlay())


def heat_maps(
    result: AttributionResult, pixels: NDArray[np.uint8], names: Sequence[str], said: Sequence[str],
    outputs: Sequence[int], truths: Sequence[str],
) -> list[HeatMap]:  # fmt: skip
    """Return a heat map for each explained picture.

    Parameters
    ----------
    result : AttributionResult
        Of N pictures.
    pixels : ndarray of uint8 (N, C, H, W)
    names, said, truths : sequence of str
    outputs : sequence of int
        Which of the explained outputs is shown of each.
    """
    values = result.values if result.several else result.values[..., None]  # (N, C, H, W, O)
    found = []
    for i, (name, output) in enumerate(zip(names, outputs, strict=True)):
        shown = result.output_names[output] if output < len(result.output_names) else ""
        found.append(HeatMap(name, pixels[i], values[i, ..., output].sum(axis=0), shown, said[i], truths[i]))
    return found


def render_heat_maps(maps: Sequence[HeatMap], about: Mapping[str, Any], removal: RemovalResult | None) -> str:
    """Return the page as one HTML file that needs nothing else.

    Parameters
    ----------
    maps : sequence of HeatMap
    about : mapping
        ``name`` of the model, ``method``, ``summary``, ``warnings``, ``settings``, ``command``, ``files``, ``seconds``.
    removal : RemovalResult, optional
        What happens where places are taken out.
    """
    return render_heat_page(
        about, removal, noun="picture",
        lead="On the left the picture as the network sees it, on the right what each place adds: orange speaks for the "
        "answer that is named, blue against it.",
        columns=("file", "predicted", "explained", "strongest line", "column"),
        rows=tuple((one.name, one.said, one.output, *one.strongest) for one in maps),
        pictures=[{"map": one, "uris": [_uri(png) for png in one.files()]} for one in maps],
    )  # fmt: skip


def _png(pixels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    times = max(1, -(-SIDE // max(image.size)))
    file = io.BytesIO()
    image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST).save(file, "PNG", optimize=True)
    return file.getvalue()


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
