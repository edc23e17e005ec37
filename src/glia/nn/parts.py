"""A part by name with options: ``Part("leaky_relu", negative_slope=0.2)`` wherever ``"leaky_relu"`` is taken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from glia.core.errors import InputError, near
from glia.core.registry import Registry


class Part:
    """A registered part with options other than its defaults.

    Parameters
    ----------
    name : str
        A name of the part's registry.
    **options : bool, int, float, str
        Keyword arguments of the part's factory; plain JSON values, so that a model file can hold them.

    Examples
    --------
    >>> Part("normal", std=1.0)
    Part('normal', std=1.0)
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.name, self.options = name, options

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"name": self.name, "options": dict(self.options)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Part:
        """Rebuild what ``to_dict`` gave."""
        return cls(str(data["name"]), **data.get("options", {}))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and (self.name, self.options) == (other.name, other.options)

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.options))))

    def __repr__(self) -> str:
        return f"Part({', '.join([repr(self.name), *(f'{k}={v!r}' for k, v in self.options.items())])})"


def as_part(value: str | Part) -> Part:
    """Return ``value`` as a ``Part``.

    Raises
    ------
    InputError
        If it is neither a name nor a ``Part``.
    """
    if isinstance(value, Part):
        return value
    if isinstance(value, str):
        return Part(value)
    raise InputError("a part must be a name or a glia.nn.Part", repr(value), "give e.g. 'relu'")


def factory_of(value: str | Part, registry: Registry[Callable[..., Any]]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the registered factory of a part and its options, both checked.

    Raises
    ------
    InputError
        If the name or an option is unknown; the nearest is offered.
    """
    part = as_part(value)
    factory = registry.get(part.name)
    parameters = inspect.signature(factory).parameters.values()
    known = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name != "generator"}
    for option in part.options:
        if option not in known:
            do = near(option, known) if known else "leave the options out"
            raise InputError(f"the {registry.family} {part.name!r} must get known options", f"{option!r}", do)
    return factory, part.options
