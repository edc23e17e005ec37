"""What a schedule is: a pure function of how far the training is, or one that also observes a figure."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol, runtime_checkable

from glia.core.errors import InputError, near
from glia.core.registry import Registry


class Schedule(Protocol):
    """How the learning rate changes: ``schedule(step, total_steps, steps_per_epoch)`` is the factor of the base rate.

    ``step`` counts optimizer steps from 0. Nothing is remembered between calls, so a resumed fit continues exactly,
    and the rate of any step can be asked for at any time.
    """

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor ≥ 0 for the step that comes next."""
        ...


@runtime_checkable
class ObservingSchedule(Protocol):
    """A schedule that also looks at a figure once per epoch, and can be saved and rebuilt."""

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor ≥ 0 for the step that comes next."""
        ...

    def observe(self, metric: float) -> None:
        """Take note of an epoch's figure."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return settings and state as plain JSON data."""
        ...


schedules: Registry[type[Any]] = Registry("schedule")


def as_schedule(schedule: str | Mapping[str, Any] | type[Any] | Schedule) -> Schedule:
    """Return a schedule from whatever names one.

    Parameters
    ----------
    schedule : str, mapping, class or callable
        A name of ``schedules``; a mapping such as ``{"name": "cosine", "floor": 0.1}``; a class that is built without
        arguments; or a callable ``(step, total_steps, steps_per_epoch) → factor``, which is returned as it is.

    Raises
    ------
    InputError
        If the name or one of the options is unknown, or the object cannot be called in this way.
    """
    if isinstance(schedule, str):
        built: Schedule = schedules.get(schedule)()
        return built
    if isinstance(schedule, Mapping):
        return _from_mapping(dict(schedule))
    if isinstance(schedule, type):
        return as_schedule(schedule())
    if callable(schedule) and _takes_three(schedule):
        return schedule
    raise InputError(
        "a schedule must be a name or a callable (step, total_steps, steps_per_epoch) → factor",
        f"schedule={schedule!r}",
        f"names are: {', '.join(schedules.names())}",
    )


def _from_mapping(options: dict[str, Any]) -> Schedule:
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise InputError("a schedule's settings must hold its name", f"{options!r}", "add name=, for example cosine")
    kind = schedules.get(name)
    known = [field.name for field in fields(kind) if field.init] if is_dataclass(kind) else list(options)
    for key in options:
        if key not in known:
            raise InputError(
                f"an option of {name} must be one that it has", f"{key}={options[key]!r}", near(key, known)
            )
    built: Schedule = kind(**options)
    return built


def _takes_three(schedule: Any) -> bool:
    try:
        inspect.signature(schedule).bind(0, 1, 1)
    except TypeError:
        return False
    except ValueError:  # built-ins may have no signature; calling will tell
        return True
    return True


def curve(schedule: Schedule, total_steps: int, steps_per_epoch: int = 1) -> list[float]:
    """Return the factor of every step, for drawing and for the run's record."""
    return [schedule(step, total_steps, steps_per_epoch) for step in range(total_steps)]


def bounded(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise an ``InputError`` unless ``low ≤ value ≤ high``."""
    if not low <= value <= high:
        limit = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        raise InputError(f"{name} must be {limit}", f"{name}={value!r}")
