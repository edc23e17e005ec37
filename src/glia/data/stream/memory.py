"""How much memory rows may take: sizes as people write them, and how a budget is shared out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glia.core.errors import InputError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", re.IGNORECASE)
LEAST = 16 * 10**6
"""Below this many bytes a budget holds too few rows to shuffle well."""
DEFAULT = 500 * 10**6


def parse_size(size: int | str) -> int:
    """Return a number of bytes from ``500_000_000``, ``"500MB"``, ``"0.5 GB"`` or ``"2GiB"``.

    Raises
    ------
    InputError
        If it cannot be read as a size, or is below 16 MB.
    """
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if isinstance(size, bool) or not (found or isinstance(size, int)):
        raise InputError("memory must be a size", f"memory={size!r}", "write for instance memory='500MB'")
    value = size if isinstance(size, int) else int(float(found[1]) * _UNITS[(found[2] or "").upper()]) if found else 0
    if value < LEAST:
        raise InputError(f"memory must be at least {show_size(LEAST)}", f"memory={size!r}", "allow more")
    return value


def show_size(size: float) -> str:
    """Return a number of bytes as people read it: ``1.6 GB``."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{int(size)} B"


@dataclass(frozen=True)
class Budget:
    """How a stream shares out the memory it may take for rows; the program itself comes on top.

    Parameters
    ----------
    total : int
        Bytes.

    Notes
    -----
    Two fifths for the two pools of prepared rows (one is trained on while the other is filled), one fifth for the rows
    that stay (sample, validation and test), and two fifths for the pieces that are being read and prepared, whose
    number of temporary copies is not known beforehand.
    """

    total: int = DEFAULT

    @property
    def pool(self) -> int:
        """Bytes of one of the two pools."""
        return self.total // 5

    @property
    def kept(self) -> int:
        """Bytes of all rows that stay in memory, as they are in the file."""
        return self.total // 5

    @property
    def block(self) -> int:
        """Bytes of one piece of a file, as it is in memory before it is prepared."""
        return self.total // 40

    @property
    def together(self) -> int:
        """Bytes of neighbouring pieces that are read at once before training, while there are no pools."""
        return self.total // 10

    def pool_rows(self, row_bytes: int) -> int:
        """Return how many prepared rows of that size fit into one pool."""
        return max(1, self.pool // max(1, row_bytes))
