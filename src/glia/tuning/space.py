"""What a search may choose from: a range of numbers, of whole numbers, or a list of values for every setting."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glia.core.errors import InputError, near
from glia.core.settings import read_toml
from glia.core.toml import render

_KEYS = ("low", "high", "log", "step", "choices")


@dataclass(frozen=True)
class Real:
    """Numbers in ``[low, high]``, evenly or, with ``log``, evenly by their logarithms."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)

    def distribution(self, optuna: Any) -> Any:
        """Return Optuna's form of it."""
        return optuna.distributions.FloatDistribution(float(self.low), float(self.high), log=self.log)

    def plain(self) -> Any:
        """Return it as it stands in a file."""
        return {"low": float(self.low), "high": float(self.high), **({"log": True} if self.log else {})}

    def ends(self) -> list[Any]:
        """Return values that all others lie between."""
        return [float(self.low), float(self.high)]

    def decode(self, found: Any) -> Any:
        """Return the value that Optuna's stands for."""
        return float(found)

    def encode(self, value: Any) -> Any:
        """Return Optuna's value; ``None`` for one outside."""
        return float(value) if _is_number(value) and self.low <= value <= self.high else None


@dataclass(frozen=True)
class Whole:
    """Whole numbers in ``[low, high]``, every ``step``-th of them, or, with ``log``, evenly by their logarithms."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)
        numbers = (self.low, self.high, self.step)
        if any(value != int(value) for value in numbers) or self.step < 1 or (self.log and self.step != 1):
            raise InputError(
                "a range of whole numbers must have whole ends and a step of at least 1 (with log: 1)", repr(self)
            )

    def distribution(self, optuna: Any) -> Any:
        """Return Optuna's form of it."""
        high = self.high - (self.high - self.low) % self.step
        return optuna.distributions.IntDistribution(int(self.low), int(high), log=self.log, step=int(self.step))

    def plain(self) -> Any:
        """Return it as it stands in a file."""
        more = {**({"log": True} if self.log else {}), **({"step": int(self.step)} if self.step != 1 else {})}
        return {"low": int(self.low), "high": int(self.high), **more}

    def ends(self) -> list[Any]:
        """Return values that all others lie between."""
        return [int(self.low), int(self.high)]

    def decode(self, found: Any) -> Any:
        """Return the value that Optuna's stands for."""
        return int(found)

    def encode(self, value: Any) -> Any:
        """Return Optuna's value; ``None`` for one outside."""
        inside = _is_number(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0
        return int(value) if inside else None


@dataclass(frozen=True)
class Choice:
    """One of some values, of whatever kind; Optuna and files know them by their labels."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise InputError("there must be something to choose from", "no value", "give at least one")
        if len(set(self.labels)) < len(self.values):
            shown = ", ".join(self.labels[:8])
            raise InputError("choices must differ, also as they are written", shown, "give each once")

    @property
    def labels(self) -> tuple[str, ...]:
        """What the values are called."""
        return tuple(label_of(value) for value in self.values)

    def distribution(self, optuna: Any) -> Any:
        """Return Optuna's form of it."""
        return optuna.distributions.CategoricalDistribution(self.labels)

    def plain(self) -> Any:
        """Return it as it stands in a file."""
        return {"choices": list(self.values)}

    def ends(self) -> list[Any]:
        """Return all values."""
        return list(self.values)

    def decode(self, found: Any) -> Any:
        """Return the value that a label stands for."""
        return self.values[self.labels.index(found)]

    def encode(self, value: Any) -> Any:
        """Return a value's label; ``None`` for one that is not among them."""
        label = label_of(value)
        return label if label in self.labels else None


Dimension = Real | Whole | Choice


@dataclass(frozen=True)
class Space:
    """The settings that a search chooses, by name."""

    dimensions: Mapping[str, Dimension]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the settings, in the order in which they were given."""
        return tuple(self.dimensions)

    def distributions(self, optuna: Any) -> dict[str, Any]:
        """Return Optuna's form of all dimensions."""
        return {name: dimension.distribution(optuna) for name, dimension in self.dimensions.items()}

    def decode(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings for what Optuna chose."""
        return {name: dimension.decode(found[name]) for name, dimension in self.dimensions.items()}

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return settings as Optuna knows them; ``None`` where one is missing or outside."""
        found = {name: dimension.encode(values[name]) for name, dimension in self.dimensions.items() if name in values}
        return found if len(found) == len(self.dimensions) and None not in found.values() else None

    def without(self, names: Sequence[str]) -> Space:
        """Return the space without some settings."""
        return Space({name: found for name, found in self.dimensions.items() if name not in names})

    def check(self, known: Sequence[str], use: Callable[[dict[str, Any]], Any]) -> None:
        """Try every end and every choice, so that no trial can fail for a value that may never be used.

        Parameters
        ----------
        known : sequence of str
            Names that can be searched.
        use : callable
            ``(settings) → anything``; raises ``InputError`` for a value that is no good.

        Raises
        ------
        InputError
            If the space is empty, or a name or value cannot be used.
        """
        if not self.dimensions:
            raise InputError("there must be something to search", "an empty space", "name at least one setting")
        for name, dimension in self.dimensions.items():
            if name not in known:
                raise InputError("a searched setting must be a known one", repr(name), near(name, known))
            for value in dimension.ends():
                use({name: value})

    def to_toml(self, words: Mapping[str, str] | None = None, heading: str = "") -> str:
        """Return a TOML file of the space; ``words`` explains settings.

        Raises
        ------
        ValueError
            If a choice is of a kind that TOML does not have.
        """
        said = words or {}
        fields = [(name, "", said.get(name, name), "text") for name in self.dimensions]
        return render(fields, {name: dimension.plain() for name, dimension in self.dimensions.items()}, heading)


def read_space(given: Any) -> Space:
    """Return a space from what users write.

    Parameters
    ----------
    given : Space, mapping, or path of a TOML file
        Name → ``Real``, ``Whole``, ``Choice``, ``{"low": …, "high": …, "log": True}`` (whole numbers where both ends
        are), ``{"choices": […]}``, a list of choices, or one value.

    Raises
    ------
    InputError
        If something is no range and no choice.
    """
    if isinstance(given, Space):
        return given
    if isinstance(given, (str, Path)):
        given = read_toml(given)
    if not isinstance(given, Mapping):
        raise InputError(
            "a search space must map settings to ranges or choices", repr(given)[:80], "give a dict or a TOML file"
        )
    return Space({str(name): as_dimension(str(name), value) for name, value in given.items()})


def as_dimension(name: str, value: Any) -> Dimension:
    """Return the dimension that a value of a mapping means; see ``read_space``."""
    if isinstance(value, (Real, Whole, Choice)):
        return value
    try:
        if isinstance(value, Mapping):
            return _from_mapping(value)
        if isinstance(value, (list, tuple, np.ndarray)):
            return Choice(tuple(_frozen(one) for one in value))
        return Choice((_frozen(value),))
    except InputError as error:
        raise InputError(f"{name!r}: {error.must}", error.got, error.do) from error


def label_of(value: Any) -> str:
    """Return what a choice is called: a word as it is, numbers and lists as JSON, other objects by their ``repr``."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except TypeError:
        return repr(value)


def _from_mapping(value: Mapping[str, Any]) -> Dimension:
    for key in value:
        if key not in _KEYS:
            raise InputError("a range has low, high, log and step, or there are choices", repr(key), near(key, _KEYS))
    if "choices" in value:
        if len(value) > 1 or isinstance(value["choices"], str) or not hasattr(value["choices"], "__iter__"):
            raise InputError("choices must be a list, and stand alone", repr(dict(value))[:80])
        return Choice(tuple(_frozen(one) for one in value["choices"]))
    if "low" not in value or "high" not in value:
        raise InputError("a range must have a low and a high end", repr(dict(value))[:80], "give both, or choices")
    low, high, log = value["low"], value["high"], bool(value.get("log", False))
    _check_range(low, high, log)
    if all(isinstance(end, (int, np.integer)) for end in (low, high)):
        return Whole(int(low), int(high), log, value.get("step", 1))
    if "step" in value:
        raise InputError("a step is for whole numbers", repr(dict(value))[:80], "leave it away, or list the choices")
    return Real(float(low), float(high), log)


def _check_range(low: Any, high: Any, log: bool) -> None:
    good = _is_number(low) and _is_number(high) and math.isfinite(low) and math.isfinite(high) and low <= high
    if not good or (log and low <= 0):
        must = "a range must go from a lower to a higher number" + (", both above 0 with log" if log else "")
        raise InputError(must, f"low={low!r}, high={high!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _frozen(value: Any) -> Any:
    """Return lists as tuples and NumPy's numbers as Python's, so that settings compare and print as written."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value
