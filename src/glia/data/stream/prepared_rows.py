"""Training rows that are finished as they are asked for, from what is kept of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.data.stream.row_store import KEEPS, MadeRows, MappedRows, StoredRows, blocks

Finish = Callable[[NDArray[Any]], NDArray[np.float32]]
_HASHED = 256


class PreparedRows:
    """Training rows as the network takes them, fetched by number.

    Parameters
    ----------
    stored : StoredRows
        N rows as they are kept, elsewhere than in memory.
    finish : callable
        Kept rows (n, …) → prepared ones (n, *shape), each by itself.
    shape : tuple of int
        (N, *shape), prepared.
    """

    def __init__(self, stored: StoredRows, finish: Finish, shape: tuple[int, ...]) -> None:
        self.stored, self.finish, self.shape = stored, finish, shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Return the prepared rows of a slice or of an array of row numbers, (n, *shape)."""
        return self.finish(self.stored[index])

    @property
    def place(self) -> str:
        """Where rows are kept: "disk", or "none" where they are made again every time."""
        return "disk" if isinstance(self.stored, MappedRows) else "none"

    @property
    def nbytes(self) -> int:
        """Bytes of all rows as they are kept."""
        return math.prod(self.stored.shape) * self.stored.dtype.itemsize

    def fingerprint(self) -> str:
        """Return a hash of the shape and of 256 of the rows, prepared."""
        found = hashlib.sha256(f"{self.shape}".encode())
        places = np.unique(np.linspace(0, len(self) - 1, _HASHED).astype(np.int64))
        for part in blocks((len(places), *self.shape[1:])):
            found.update(np.ascontiguousarray(self[places[part]]).tobytes())
        return found.hexdigest()


def finished(stored: StoredRows, finish: Finish, shape: tuple[int, ...]) -> NDArray[np.float32] | PreparedRows:
    """Return kept rows prepared, (N, *shape): an array where they are one, which is written over if it can be."""
    if not isinstance(stored, np.ndarray):
        return PreparedRows(stored, finish, shape)
    same = stored.shape == shape and stored.dtype == np.float32
    found = stored if same else np.empty(shape, dtype=np.float32)
    for part in blocks(stored.shape):
        found[part] = finish(stored[part])
    return found


def all_finished(rows: MadeRows, finish: Finish, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return rows prepared in memory, (N, *shape), block by block."""
    found = np.empty(shape, dtype=np.float32)
    for part in blocks(rows.shape):
        found[part] = finish(rows[part])
    return found


def check_keep(keep: Any, places: Sequence[str] = KEEPS) -> None:
    """Raise an ``InputError`` unless ``keep`` says where prepared rows are kept."""
    if keep not in places:
        raise InputError(f"keep must be one of {', '.join(places)}", f"keep={keep!r}", near(str(keep), places))
