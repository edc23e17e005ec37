"""Names for parts: every family (activations, losses, …) has one registry with the same four verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from glia.core.errors import InputError, near

T = TypeVar("T")


class Registry(Generic[T]):
    """Parts of one family by their standard names.

    Parameters
    ----------
    family : str
        The family in the singular, used in messages: ``"activation"``.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._parts: dict[str, T] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[T], T]:
        """Return a decorator that stores a part under ``name`` (and under ``aliases``).

        Raises
        ------
        ValueError
            If a name is taken already.
        """

        def store(part: T) -> T:
            for key in (name, *aliases):
                if key in self._parts or key in self._aliases:
                    raise ValueError(f"the {self.family} {key!r} is registered already")
            self._parts[name] = part
            self._aliases.update(dict.fromkeys(aliases, name))
            return part

        return store

    def get(self, name: str) -> T:
        """Return the part called ``name``.

        Raises
        ------
        InputError
            If there is none; the nearest name is offered.
        """
        key = self._aliases.get(name, name)
        if key not in self._parts:
            raise InputError(
                f"the {self.family} must be a known name", f"{self.family}={name!r}", near(str(name), self._parts)
            )
        return self._parts[key]

    def names(self) -> tuple[str, ...]:
        """Return the registered names, sorted, without aliases."""
        return tuple(sorted(self._parts))

    def describe(self) -> dict[str, str]:
        """Return name → first line of the part's docstring."""
        return {name: ((self._parts[name].__doc__ or "").strip().splitlines() or [""])[0] for name in self.names()}

    def __contains__(self, name: object) -> bool:
        return name in self._parts or name in self._aliases

    def __repr__(self) -> str:
        return f"Registry({self.family!r}: {', '.join(self.names())})"
