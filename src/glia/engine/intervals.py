"""How often something is done, as people write it: ``60s``, ``10 min``, ``2h``, ``5 epochs``, ``none``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glia.core.errors import InputError

_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


@dataclass(frozen=True)
class Every:
    """Seconds or epochs between two times; neither means never."""

    seconds: float | None = None
    epochs: int | None = None


def read_interval(text: str) -> Every:
    """Return what ``text`` says.

    Parameters
    ----------
    text : str
        A number above 0 with its unit (s, min, h, d, or epochs, these in whole numbers), or "none".

    Raises
    ------
    InputError
        If it says nothing of the kind.
    """
    plain = text.strip().lower()
    if plain == "none":
        return Every()
    found = _WRITTEN.fullmatch(plain)
    number = float(found[1]) if found else 0.0
    if found and number > 0:
        if found[2] in _UNITS:
            return Every(seconds=number * _UNITS[found[2]])
        if found[2] in ("epoch", "epochs") and number == int(number):
            return Every(epochs=int(number))
    raise InputError(
        "an interval must be a number above 0 with a unit, or none", repr(text), "write 60s, 10min, 2h or 5 epochs"
    )
