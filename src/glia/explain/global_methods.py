"""The methods that picture a whole model, or the inner parts of one for some rows, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from glia.core.registry import Registry
from glia.core.results import Result

Picture = Callable[..., Result]
"""(predictor, X, **options) → Result."""
F = TypeVar("F", bound=Callable[..., Any])

pictures: Registry[Picture] = Registry("picture of a model")


insides: Registry[Picture] = Registry("inner part of a network")
"""(predictor, X) → Result: what happens inside a network for some rows."""


def picture(name: str, *aliases: str) -> Callable[[F], F]:
    """Return a decorator that registers a picture, and keeps what its own type says."""

    def store(function: F) -> F:
        pictures.register(name, *aliases)(function)
        return function

    return store


def inside(name: str) -> Callable[[F], F]:
    """Return a decorator that registers what looks at inner parts, and keeps what its own type says."""

    def store(function: F) -> F:
        insides.register(name)(function)
        return function

    return store
