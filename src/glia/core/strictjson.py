"""JSON from files that nobody vouches for: bounded in size, depth, number of values and length of numbers."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 64
MAX_VALUES = 4_000_000
MAX_DIGITS = 19  # more than any count, size or seed of ours; Python's integers have no bound of their own


def parse(data: bytes) -> dict[str, Any]:
    """Parse a JSON object strictly.

    Parameters
    ----------
    data : bytes
        UTF-8 text. The caller bounds its length.

    Raises
    ------
    ValueError
        With a short reason, if the text is not a JSON object, names a key twice, nests deeper than ``MAX_DEPTH``, may
        hold more than ``MAX_VALUES`` values, or has a number that is not finite or of more than ``MAX_DIGITS`` digits.
    """
    # Every value but the first follows one of these, so this bounds memory before anything is built.
    if sum(data.count(mark) for mark in (b"[", b"{", b",")) > MAX_VALUES:
        raise ValueError("too many values")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise ValueError("text that is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError("text that is not JSON") from error
    except RecursionError as error:
        raise ValueError(f"more than {MAX_DEPTH} levels") from error
    if not isinstance(value, dict):
        raise ValueError("JSON that is not an object")
    _check_tree(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key that occurs twice")
    return made


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS + 1:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"a number that is not finite ({text})")


def _check_tree(root: dict[str, Any]) -> None:
    """Bound the depth and refuse half characters (lone surrogates), which could not be printed or written again."""
    level: list[Any] = [root]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            for item in (*node, *node.values()) if isinstance(node, dict) else node:
                if isinstance(item, (dict, list)):
                    below.append(item)
                elif isinstance(item, str) and not item.isascii():
                    _check_text(item)
        if not below:
            return
        level = below
    raise ValueError(f"more than {MAX_DEPTH} levels")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text with half a character") from error
