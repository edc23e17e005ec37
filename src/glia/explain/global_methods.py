"""The methods that picture a whole model rather than single rows, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from glia.core.registry import Registry
from glia.core.results import Result

Picture = Callable[..., Result]
"""(predictor, X, **options) → Result."""
F = TypeVar("F", bound=Callable[..., Any])

pictures: Registry[Picture] = Registry("picture of a model")


def picture(name: str, *aliases: str) -> Callable[[F], F]:
    """Return a decorator that registers a picture, and keeps what its own type says."""

    def store(function: F) -> F:
        pictures.register(name, *aliases)(function)
        return function

    return store
