"""Settings classes: one class is at once the Python arguments, the flags, the TOML file and its JSON schema.

A field says what it means, what it may be and which group it belongs to; everything else is derived from that.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from glia.core.allowed import allowed, takes_none
from glia.core.errors import InputError, near
from glia.core.toml import render

MAX_TOML_BYTES = 1 << 20
REQUIRED: Any = PydanticUndefined


def setting(default: Any, description: str, *, group: str = "", flag: str = "") -> Any:
    """Declare a field of a settings class.

    Parameters
    ----------
    default : Any
        Its default, or ``REQUIRED``.
    description : str
        What it means, one line: the help of the flag and the comment in the file.
    group : str
        Heading under which it is shown.
    flag : str
        Name of the flag where it is not the field's own, e.g. ``"--role"`` for ``roles``.
    """
    return Field(default, description=description, json_schema_extra={"group": group, "flag": flag})


class Settings(BaseModel):
    """Base of all settings: frozen, without unknown fields; every problem is reported at once.

    Raises
    ------
    InputError
        On construction, if a field is unknown, missing or not what it may be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _explain(type(self), values, error.errors(include_url=False)) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Hold what the TOML form relies on: an empty value is a left-out one, hence must be the default."""
        super().__pydantic_init_subclass__(**options)
        for name, field in cls.model_fields.items():
            if takes_none(field.annotation) and field.default not in (None, REQUIRED):
                raise TypeError(
                    f"{cls.__name__}.{name} may be None, which TOML cannot say, so None must be its default"
                )

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        """Turn paths and NumPy scalars, which Python callers have at hand, into plain values."""
        return {name: _plain_value(value) for name, value in values.items()} if isinstance(values, dict) else values

    @classmethod
    def from_toml(cls, path: str | Path, **overrides: Any) -> Self:
        """Read settings from a TOML file.

        Parameters
        ----------
        path : path-like
            A file of at most 1 MiB, e.g. one that ``to_toml`` wrote.
        **overrides
            Fields that count instead of the file's; mappings are merged key by key.

        Raises
        ------
        InputError
            If the file cannot be read, is not TOML, or its settings are not valid.
        """
        values = read_toml(path)
        for name, value in overrides.items():
            old = values.get(name)
            values[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value
        return cls(**values)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return type(self)(**{**self.model_dump(), **changes})

    def to_toml(self) -> str:
        """Return a TOML file of these settings, in which every field is explained."""
        return render(_lines(type(self)), self.model_dump(), _heading(type(self)))

    @classmethod
    def template(cls) -> str:
        """Return a TOML file of the defaults, in which every field is explained; required ones are left to fill in."""
        fields = cls.model_fields.items()
        defaults = {
            name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()
        }
        return render(_lines(cls), defaults, _heading(cls))

    @classmethod
    def schema_dict(cls) -> dict[str, Any]:
        """Return the JSON schema (draft 2020-12) of the file."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **cls.model_json_schema()}


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    InputError
        If it is not a readable regular file of at most 1 MiB in UTF-8, or not TOML; the message names the line.
    """
    must, shown = "a settings file must be readable TOML", repr(str(path))
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_TOML_BYTES:
                what = "too large" if stat.S_ISREG(found.st_mode) else "not a regular file"
                raise InputError(must, f"{shown}: {what}", "glia settings prints one to start from")
            with open(handle, "rb", closefd=False) as file:
                return tomllib.loads(file.read(MAX_TOML_BYTES).decode("utf-8-sig"))
        finally:
            os.close(handle)
    except InputError:
        raise
    except tomllib.TOMLDecodeError as error:
        raise InputError(must, f"{shown}: {error}", "correct it; text stands in quotes") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(must, f"{shown}: {reason}", "glia settings prints one to start from") from error


def extra_of(field: FieldInfo, key: str) -> str:
    """Return the ``group`` or ``flag`` of a field."""
    extra = field.json_schema_extra
    return str(extra.get(key, "")) if isinstance(extra, dict) else ""


def _lines(cls: type[Settings]) -> Iterable[tuple[str, str, str, str]]:
    """Yield name, group, description and range of the fields."""
    for name, field in cls.model_fields.items():
        yield name, extra_of(field, "group"), field.description or "", allowed(field.annotation, field.metadata)


def _heading(cls: type[Settings]) -> str:
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


def _plain_value(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if isinstance(value, np.generic) else value


def _explain(cls: type[Settings], values: Mapping[str, Any], errors: list[ErrorDetails]) -> InputError:
    """Turn what pydantic found into one message; a union's many complaints about one field are one problem."""
    problems: dict[str, InputError] = {}
    for error in errors:
        name = str(error["loc"][0]) if error["loc"] else ""
        if name not in problems:
            problems[name] = _problem(cls, name, values.get(name), error)
    found = list(problems.values())
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"{problem.got} ({problem.do or problem.must})" for problem in found)
    return InputError("every setting must be valid", f"{len(found)} problems: {listed}", "correct them all")


def _problem(cls: type[Settings], name: str, value: Any, error: ErrorDetails) -> InputError:
    """Return one problem; ``do`` alone must make sense after ``got`` when several are listed."""
    if not name:
        raised = error.get("ctx", {}).get("error")
        return raised if isinstance(raised, InputError) else InputError("settings must fit together", error["msg"])
    if error["type"] == "extra_forbidden":
        return InputError("every setting must be a known one", f"the setting {name!r}", near(name, cls.model_fields))
    field = cls.model_fields[name]
    may_be = allowed(field.annotation, field.metadata)
    if error["type"] == "missing":
        return InputError(f"the setting {name!r} must be given", f"no {name}", f"give {field.description}")
    key = error["loc"][1] if isinstance(value, dict) and len(error["loc"]) > 1 else None
    shown = repr(value if key is None else {key: error["input"]})  # a long mapping would hide its one bad entry
    return InputError(
        f"the setting {name!r} must be valid",
        f"{name}={shown if len(shown) <= 80 else shown[:77] + '...'}",
        f"give {may_be}",
    )
