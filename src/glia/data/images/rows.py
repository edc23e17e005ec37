"""N pictures as rows, from wherever they come: one array, arrays of mixed sizes, files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from glia.core.errors import InputError
from glia.core.hardware import cores
from glia.data.images.decode import open_picture, quiet_pillow, resized, to_pixels
from glia.data.images.folder import ImageFolder
from glia.data.stream.mapped import is_mapped
from glia.data.stream.row_store import MadeRows, MappedRows, StoredRows, on_disk, place_for

FEW_CHANNELS = (1, 3, 4)
"""An axis of this length next to the rows', or the last one, is taken for the channels."""
_CHUNK = 4096


class ImageRows:
    """N pictures that are decoded when their pixels are asked for.

    Parameters
    ----------
    items : ndarray (N, C, H, W), or sequence
        All pictures, or one array (C, H, W), path or Pillow picture each.
    names : sequence of str, optional
        What to call them in messages and tables.
    axis : {"auto", "first", "last"}
        Where an array had its channels before it was brought to (N, C, H, W).

    Attributes
    ----------
    shape : tuple of int
        ``(N,)``: rows, as other kinds of rows tell them.
    """

    def __init__(
        self,
        items: NDArray[Any] | MappedRows | Sequence[Any],
        names: Sequence[str] | None = None,
        axis: str = "auto",
    ) -> None:
        self.items, self.names, self.axis = items, names, axis
        self.shape = (len(items),)
        self._seen: tuple[Any, StoredRows] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> ImageRows:
        """Return the pictures at ``index``, an array of row numbers or a slice."""
        where = np.arange(len(self))[index]
        names = None if self.names is None else [self.names[i] for i in where]
        if isinstance(self.items, MappedRows):
            return ImageRows(MappedRows(self.items.array, self.items.where[where]), names, self.axis)
        if isinstance(self.items, np.ndarray) and is_mapped(self.items):  # single rows of a file would come into memory
            return ImageRows(MappedRows(self.items, where), names, self.axis)
        if isinstance(self.items, np.ndarray):
            return ImageRows(self.items[where], names, self.axis)
        return ImageRows([self.items[i] for i in where], names, self.axis)

    @property
    def stacked(self) -> bool:
        """Whether all pictures are one array."""
        return isinstance(self.items, (np.ndarray, MappedRows))

    def name(self, place: int) -> str:
        """Return what to call a picture."""
        return f"picture {place}" if self.names is None else self.names[place]

    def sizes(self) -> NDArray[np.intp]:
        """Return heights and widths, (N, 2)."""
        if isinstance(self.items, (np.ndarray, MappedRows)):
            return np.tile(np.array(self.items.shape[2:], dtype=np.intp), (len(self), 1))
        with quiet_pillow():
            return np.array(self._each(_size), dtype=np.intp).reshape(len(self), 2)

    def channels(self) -> tuple[int, ...]:
        """Return the numbers of channels that occur, sorted; files count as 1 (grey) or 3."""
        if isinstance(self.items, (np.ndarray, MappedRows)):
            return (int(self.items.shape[1]),)
        with quiet_pillow():
            return tuple(sorted(set(self._each(_channels))))

    def _each(self, ask: Callable[[Any], Any]) -> list[Any]:
        """Return an answer for each picture; an error names the one that it is about."""
        found = []
        for place, item in enumerate(self.items):
            try:
                found.append(ask(item))
            except InputError as error:
                raise InputError(f"{self.name(place)}: {error.must}", error.got, error.do) from error
        return found

    def floating(self) -> bool:
        """Return whether values are other than whole numbers 0 to 255."""
        if isinstance(self.items, (np.ndarray, MappedRows)):
            return self.items.dtype != np.uint8
        return any(isinstance(one, np.ndarray) and one.dtype != np.uint8 for one in self.items)

    def pixels(
        self,
        size: tuple[int, int],
        channels: int,
        fit: str = "stretch",
        keep: str = "memory",
        folder: str | os.PathLike[str] | None = None,
    ) -> StoredRows:
        """Return all pictures brought to one size, (N, channels, height, width), uint8 or float32.

        The last answer is kept, since statistics and rows are asked for one after the other.

        Parameters
        ----------
        size : (int, int)
            Height and width.
        channels : int
        fit : str
            See ``to_pixels``.
        keep : {"memory", "auto", "disk", "none"}
            Where they are kept; an array only in memory. See ``place_for``.
        folder : path-like, optional
            On whose disk.

        Raises
        ------
        InputError
            If one of them cannot be read or has other channels; it is named.
        """
        asked = (size, channels, fit)
        if self._seen is None or self._seen[0] != asked:
            self._seen = asked, self._kept(size, channels, fit, keep, folder)
        return self._seen[1]

    def _kept(
        self, size: tuple[int, int], channels: int, fit: str, keep: str, folder: str | os.PathLike[str] | None
    ) -> StoredRows:
        shape, kind = (len(self), channels, *size), np.float32 if self.floating() else np.uint8
        place = place_for(shape, np.dtype(kind).itemsize, keep, folder)
        if place == "memory":
            return self._decoded(size, channels, fit)
        if isinstance(self.items, MappedRows) and self.items.shape == shape and self.items.dtype == kind:
            return self.items
        if is_mapped(self.items) and isinstance(self.items, np.ndarray) and self.items.shape == shape:
            return MappedRows(self.items)
        again = MadeRows(lambda index: self[index]._decoded(size, channels, fit), shape, kind)
        return on_disk(again, folder) if place == "disk" else again

    def forget(self) -> None:
        """Give the memory of the last answer back."""
        self._seen = None

    def _decoded(self, size: tuple[int, int], channels: int, fit: str) -> NDArray[Any]:
        if isinstance(self.items, (np.ndarray, MappedRows)) and self.items.shape[1:] == (channels, *size):
            return self.items if isinstance(self.items, np.ndarray) else self.items[:]
        kind = np.float32 if self.floating() else np.uint8
        found = np.empty((len(self), channels, *size), dtype=kind)

        def work(place: int) -> None:
            try:
                found[place] = _pixels(self._item(place), size, channels, fit)
            except InputError as error:
                raise InputError(f"{self.name(place)}: {error.must}", error.got, error.do) from error

        with quiet_pillow(), ThreadPoolExecutor(min(4, cores())) as pool:
            for _ in pool.map(work, range(len(self)), chunksize=64):
                pass
        return found

    def _item(self, place: int) -> Any:
        return self.items.one(place) if isinstance(self.items, MappedRows) else self.items[place]

    def identity(self) -> pl.DataFrame:
        """Return one column in which equal pictures, and only those, have equal values."""
        return pl.DataFrame({"picture": [_digest(item) for item in self.items]})


def as_images(X: Any, axis: str = "auto") -> ImageRows:
    """Return pictures as rows.

    Parameters
    ----------
    X : array, list, frame, folder or ImageRows
        ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``; a list of arrays of mixed sizes, of paths or of Pillow
        pictures; an ``ImageFolder``; one column of paths.
    axis : {"auto", "first", "last"}
        Where the channels of arrays with four axes are; "auto" takes the axis that has 1, 3 or 4 values, the first one
        if both have.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(X, ImageRows):
        return X
    if isinstance(X, ImageFolder):
        return ImageRows(X.paths, X.names)
    if isinstance(X, (pl.Series, pl.DataFrame)):
        X = X.to_series() if isinstance(X, pl.DataFrame) and X.width == 1 else X
        X = X.to_list() if isinstance(X, pl.Series) else X
    if hasattr(X, "detach"):
        X = X.detach().cpu().numpy()
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf":
        return ImageRows(_stack(X, axis), axis=channels_axis(X) if axis == "auto" else axis)
    if isinstance(X, (list, tuple, np.ndarray)):
        items = [_item(one, axis) for one in X]
        if items and all(isinstance(one, np.ndarray) and one.shape == items[0].shape for one in items):
            return ImageRows(np.stack(items))
        names = [os.fspath(one) if isinstance(one, (str, Path)) else f"picture {n}" for n, one in enumerate(items)]
        return ImageRows(items, names)
    raise InputError(
        "pictures must be an array, a list of arrays or paths, or a folder",
        f"{type(X).__name__}",
        "hand in an array (N, height, width) or (N, channels, height, width), or the name of a folder",
    )


def channels_axis(X: Any) -> str:
    """Return where the channels of an array with four axes are: "first" or "last"."""
    if isinstance(X, np.ndarray) and X.ndim == 4:
        return "last" if X.shape[3] in FEW_CHANNELS and X.shape[1] not in FEW_CHANNELS else "first"
    return "auto"


def _stack(X: NDArray[Any], axis: str) -> NDArray[Any]:
    """Return an array of pictures as (N, C, H, W), uint8 or float32."""
    if X.ndim not in (3, 4) or 0 in X.shape[1:]:
        raise InputError(
            "pictures must be an array (N, height, width), or with an axis of channels before or after these",
            f"shape {X.shape}",
            "reshape it; of a single picture use X[None]",
        )
    if X.ndim == 3:
        X = X[:, None]
    elif (channels_axis(X) if axis == "auto" else axis) == "last":
        X = X.transpose(0, 3, 1, 2)
    return _values(X)


def _values(X: NDArray[Any]) -> NDArray[Any]:
    """Return values as uint8 where they are whole numbers 0 to 255, else as float32.

    Raises
    ------
    InputError
        If one is missing or infinite.
    """
    if X.dtype == np.uint8:
        return X
    if X.dtype.kind in "iu" and X.size and X.min() >= 0 and X.max() <= 255:
        return X.astype(np.uint8)
    values = X.astype(np.float32, copy=not is_mapped(X))  # what is on disk stays there if it can
    if not all(np.isfinite(values[start : start + _CHUNK]).all() for start in range(0, len(values), _CHUNK)):
        raise InputError("the values of pictures must be finite", "NaN or infinity", "fill them in")
    return values


def _item(one: Any, axis: str) -> Any:
    """Return a picture of a list: an array (C, H, W), a path or a Pillow picture."""
    if isinstance(one, (str, Path, Image.Image)):
        return one
    array = np.asarray(one.detach().cpu().numpy() if hasattr(one, "detach") else one)
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or not array.size:
        got = f"an array of shape {array.shape} and type {array.dtype}"
        raise InputError("a picture must be a path or an array (height, width[, channels]) of numbers", got)
    return _stack(array[None], axis)[0]


def _size(item: Any) -> tuple[int, int]:
    if isinstance(item, np.ndarray):
        return int(item.shape[1]), int(item.shape[2])
    if isinstance(item, Image.Image):
        return item.height, item.width
    with open_picture(item) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (image.width, image.height) if turned else (image.height, image.width)


def _channels(item: Any) -> int:
    if isinstance(item, np.ndarray):
        return int(item.shape[0])
    if isinstance(item, Image.Image):
        return 1 if item.mode in ("1", "L", "LA", "I", "F") or item.mode.startswith("I;16") else 3
    with open_picture(item) as image:
        return _channels(image)


def _pixels(item: Any, size: tuple[int, int], channels: int, fit: str) -> NDArray[Any]:
    """Return one picture as (channels, height, width)."""
    if not isinstance(item, np.ndarray):
        return to_pixels(item, channels, size, fit)
    array = _with_channels(item, channels)
    if array.shape[1:] == size:
        return array
    layers = [Image.fromarray(layer) if layer.dtype == np.uint8 else Image.fromarray(layer, "F") for layer in array]
    return np.stack([np.asarray(resized(layer, size, fit)) for layer in layers])


def _with_channels(array: NDArray[Any], channels: int) -> NDArray[Any]:
    own = array.shape[0]
    if own == channels:
        return array
    if own == 1:
        return np.repeat(array, channels, axis=0)
    if own in (3, 4) and channels in (1, 3):
        colours = array[:3].astype(np.float32)
        if channels == 3:
            return array[:3]
        grey = np.tensordot(np.array([0.299, 0.587, 0.114], dtype=np.float32), colours, axes=1)[None]
        return np.rint(grey).astype(np.uint8) if array.dtype == np.uint8 else grey
    raise InputError(
        "pictures must have the channels that were fitted", f"{own} instead of {channels}", "hand in the same kind"
    )


def _digest(item: Any) -> str:
    if isinstance(item, np.ndarray):
        return hashlib.blake2b(np.ascontiguousarray(item).tobytes(), digest_size=16).hexdigest()
    if isinstance(item, Image.Image):
        return hashlib.blake2b(item.tobytes(), digest_size=16).hexdigest()
    return hashlib.blake2b(Path(item).read_bytes(), digest_size=16).hexdigest()
