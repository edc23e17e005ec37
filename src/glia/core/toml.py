"""A writer of commented TOML 1.0 for flat settings; Python's ``tomllib`` reads it again."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render(fields: Iterable[tuple[str, str, str, str]], values: Mapping[str, Any], heading: str = "") -> str:
    """Return a TOML file.

    Parameters
    ----------
    fields : iterable of (name, group, description, range)
        In order. A new group is announced by a heading.
    values : mapping
        Name → value. Fields with no value (``None``) or no entry stand as comments, since TOML has no empty value.
    heading : str
        One line at the top.
    """
    blocks, last = [f"# {heading}"] if heading else [], ""
    for name, group, description, may_be in fields:
        if group and group != last:
            blocks.append(f"# ---- {group} ----")
            last = group
        text = f"{description[:1].upper()}{description[1:].rstrip('.')}."
        if may_be != "text":
            text += f" May be: {may_be}."
        comment = textwrap.indent(textwrap.fill(text, 98, break_long_words=False), "# ")
        if name not in values:
            line = f"# {name} =   (required)"
        elif values[name] is None:
            line = f"# {name} =   (not set)"
        else:
            line = f"{name} = {value_text(values[name])}"
        blocks.append(f"{comment}\n{line}")
    return "\n\n".join(blocks) + "\n"


def value_text(value: Any) -> str:
    """Return a value as TOML on one line.

    Raises
    ------
    ValueError
        If TOML has no such value: ``None``, a number that is not finite, another type.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(value_text(item) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{key if _BARE.fullmatch(key) else _string(key)} = {value_text(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    raise ValueError(f"TOML has no form for {value!r}")


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
