"""What an annotation admits, in words: the same words in error messages, in the help and in the settings file."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
_PLAIN = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Any: "anything"}


def allowed(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Return what values of a type may be, e.g. ``"'auto' or a whole number at least 1"``.

    Parameters
    ----------
    annotation : type
        Built of literals, ``int``, ``float``, ``str``, ``bool``, ``None``, ``list[T]``, ``dict[str, T]``, unions and
        ``Annotated``.
    metadata : iterable
        Bounds that belong to the whole, as pydantic keeps them (objects with ``ge``, ``gt``, ``le`` or ``lt``).
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return allowed(parts[0], (*parts[1:], *metadata))
    if origin is Literal:
        return _either([repr(part) for part in parts])
    if origin in (Union, UnionType):
        return _either([option for part in parts for option in _options(part, metadata)])
    if origin is list:
        return f"a list, each {allowed(parts[0])}"
    if origin is dict:
        return f"name = value pairs, each value {allowed(parts[1])}"
    bounds = _bounds(metadata) if annotation in (int, float) else ""
    return f"{_PLAIN[annotation]} {bounds}".strip()


def takes_none(annotation: Any) -> bool:
    """Say whether ``None`` is admitted."""
    return annotation is NoneType or any(takes_none(part) for part in members(annotation) if part is not annotation)


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union without their bounds; a type that is no union is its only member."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(inner for part in get_args(annotation) for inner in members(part))
    return (annotation,)


def _options(part: Any, metadata: Iterable[Any]) -> list[str]:
    """Return the alternatives that one member of a union adds; a literal adds each of its values."""
    if part is NoneType:
        return []
    return [repr(value) for value in get_args(part)] if get_origin(part) is Literal else [allowed(part, metadata)]


def _bounds(metadata: Iterable[Any]) -> str:
    flat = [inner for item in metadata for inner in (item.metadata if isinstance(item, FieldInfo) else [item])]
    said = [
        f"{words} {getattr(item, key)}"
        for key, words in _BOUNDS
        for item in flat
        if getattr(item, key, None) is not None
    ]
    return " and ".join(said)


def _either(options: list[str]) -> str:
    options = [word for option in options for word in (["true", "false"] if option == _PLAIN[bool] else [option])]
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"
