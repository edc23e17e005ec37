"""Settings of a network family: stored by the constructor, checked and used by ``build``."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from torch import nn

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.nn.parts import Part


class Spec(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Base of the settings of network families.

    ``get_params`` and ``set_params`` are scikit-learn's, so that ``network__dropout`` works in a grid search.
    """

    family: ClassVar[str] = ""

    def build(self, layout: Layout, out_features: int) -> nn.Module:
        """Return a freshly initialised module that maps (B, *layout.shape) to (B, out_features)."""
        raise InputError("a network family must define build", type(self).__name__, "write its build method")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data that ``spec_from_dict`` turns back into these settings."""
        return {"family": self.family, **{name: _plain(value) for name, value in self.get_params(deep=False).items()}}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Spec:
        """Rebuild what ``to_dict`` gave.

        Raises
        ------
        InputError
            If a setting is unknown.
        """
        settings = {name: _rebuilt(value) for name, value in data.items() if name != "family"}
        known = cls._get_param_names()
        for name in settings:
            if name not in known:
                raise InputError(f"{cls.__name__} must get known settings", f"{name!r}", near(name, known))
        return cls(**settings)


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return {"part": value.to_dict()}
    return list(value) if isinstance(value, tuple) else value


def _rebuilt(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"part"}:
        return Part.from_dict(value["part"])
    return tuple(value) if isinstance(value, list) else value


class Problems:
    """Collects everything wrong with settings, to say it all at once."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._found: list[InputError] = []

    def check(self, holds: bool, must: str, got: str, do: str = "") -> bool:
        """Note a problem unless the condition holds; return whether it does."""
        if not holds:
            self._found.append(InputError(must, got, do))
        return holds

    def note(self, error: InputError) -> None:
        """Note an error that was raised elsewhere."""
        self._found.append(error)

    def raise_all(self) -> None:
        """Raise one ``InputError`` for all that was noted, if anything was.

        Raises
        ------
        InputError
            If anything was noted.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            got = "; ".join(f"({i}) {error.must}: {error.got}" for i, error in enumerate(self._found, 1))
            do = "; ".join(f"({i}) {error.do}" for i, error in enumerate(self._found, 1) if error.do)
            raise InputError(f"the settings of {self.subject} must be right", f"{len(self._found)} problems: {got}", do)
