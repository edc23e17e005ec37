"""Flags made from a settings class, so that a setting is declared once."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from glia.cli import invocation
from glia.cli.failures import Interrupted, plain_warnings
from glia.cli.output import Terminal
from glia.core.allowed import allowed, members, takes_none
from glia.core.errors import InputError, near
from glia.core.settings import Settings, extra_of
from glia.engine.distributed.place import place

S = TypeVar("S", bound=Settings)

_CONFIG = typer.Option("--config", "--settings", help="TOML file of settings; flags count before it.", metavar="FILE")
_QUIET = typer.Option("--quiet", "-q", help="Print nothing but errors.")
_JSON = typer.Option("--json", help="Print the result as one JSON object.")


def read_settings(cls: type[S], chosen: dict[str, Any], config: str | None) -> S:
    """Return the settings that flags and a file say, the flags counting before the file."""
    return cls(**chosen) if config is None else cls.from_toml(config, **chosen)


def verb(
    cls: type[S], *positional: str, options: Mapping[str, Any] | None = None, read: Callable[..., S] = read_settings
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that makes a Typer command of a function of settings and terminal.

    Parameters
    ----------
    cls : type
        The settings class; every field becomes a flag, or an argument where it is in ``positional``.
    *positional : str
        Fields that are given without a flag, in order.
    options : mapping, optional
        Further options that are no settings: name → annotation for Typer. ``read`` and the function get them by name.
    read : callable
        ``(cls, chosen, config, **options) → settings``.
    """
    extra = dict(options or {})

    def make(work: Callable[..., None]) -> Callable[..., None]:
        def command(*, config: str | None, quiet: bool, json: bool, **values: Any) -> None:
            quiet = quiet or not place().first  # of several workers, one prints
            terminal = Terminal(quiet=quiet, json=json, command=shlex.join(["glia", *invocation.words.get()]))
            more = {name: values.pop(name) for name in extra}
            given = {name: value for name, value in values.items() if value not in (None, (), [])}
            chosen = {name: from_text(name, cls.model_fields[name], value) for name, value in given.items()}
            try:
                with plain_warnings(quiet=quiet or json):
                    work(read(cls, chosen, config, **more), terminal, **more)
            except KeyboardInterrupt as error:
                raise Interrupted(str(error)) from error

        command.__doc__ = work.__doc__
        command.__signature__ = inspect.Signature(_parameters(cls, positional, extra))  # type: ignore[attr-defined]
        command.__annotations__ = {name: p.annotation for name, p in command.__signature__.parameters.items()}  # type: ignore[attr-defined]
        return command

    return make


def flag_of(name: str, field: FieldInfo) -> str:
    """Return the flag of a field: ``--test-fraction`` for ``test_fraction``."""
    return extra_of(field, "flag") or f"--{name.replace('_', '-')}"


def _parameters(cls: type[Settings], positional: tuple[str, ...], extra: dict[str, Any]) -> list[inspect.Parameter]:
    rest = [name for name in cls.model_fields if name not in positional]
    made = [
        _parameter(name, Annotated[_kind(cls.model_fields[name]), _info(cls, name, name in positional)])
        for name in (*positional, *rest)
    ]
    common = {
        **extra,
        "config": Annotated[str | None, _CONFIG],
        "quiet": Annotated[bool, _QUIET],
        "json": Annotated[bool, _JSON],
    }
    return [
        *made,
        *(_parameter(name, kind, False if name in ("quiet", "json") else None) for name, kind in common.items()),
    ]


def _parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _kind(field: FieldInfo) -> Any:
    """Return what Typer takes; all but plain switches come as text, so that the settings class alone judges them."""
    kinds = members(field.annotation)
    if kinds == (bool,):
        return bool | None
    many = any(get_origin(kind) in (list, dict) for kind in kinds) and _item(field) not in (int, float)
    return list[str] | None if many else str | None


def _info(cls: type[Settings], name: str, positional: bool) -> Any:
    field = cls.model_fields[name]
    said = field.description or ""
    words = f"{said[:1].upper()}{said[1:]}."
    if positional:
        return typer.Argument(help=words, metavar=name.upper(), show_default=False)
    if members(field.annotation) == (bool,):
        switch = flag_of(name, field)
        return typer.Option(f"{switch}/--no-{switch[2:]}", help=words, show_default="on" if field.default else "off")
    shown = f" [{'; '.join(notes)}]" if (notes := _notes(field)) else ""
    return typer.Option(flag_of(name, field), help=words + shown, metavar=_metavar(field), show_default=False)


def _notes(field: FieldInfo) -> list[str]:
    """Return what the help says in brackets: what is admitted where that is not any text, and the default."""
    kinds = members(field.annotation)
    may_be = allowed(field.annotation, field.metadata)
    notes = [may_be] if may_be != "text" else []
    if any(get_origin(kind) is dict for kind in kinds):
        values = next(get_args(kind)[1] for kind in kinds if get_origin(kind) is dict)
        notes = [f"value: {allowed(values)}", "repeat for several"]
    elif _kind(field) == list[str] | None:
        notes = ["repeat for several"]
    if not field.is_required() and field.default not in (None, [], {}):
        notes.append(f"default {str(field.default).lower() if isinstance(field.default, bool) else field.default}")
    return notes


def _metavar(field: FieldInfo) -> str:
    origins = {get_origin(kind) for kind in members(field.annotation)}
    if dict in origins:
        return "NAME=VALUE"
    return "N,N,…" if _item(field) in (int, float) else "VALUE"


def _item(field: FieldInfo) -> Any:
    """Return the type of the items where a field is a list, else ``None``."""
    lists = [kind for kind in members(field.annotation) if get_origin(kind) is list]
    return members(get_args(lists[0])[0])[0] if lists else None


def from_text(name: str, field: FieldInfo, value: bool | str | list[str]) -> Any:
    """Turn what was typed into what the settings class takes.

    Lists of numbers are written ``256,256``; other lists repeat the flag; mappings repeat it as ``name=value``. The
    word ``none`` unsets a setting that is not free text.

    Raises
    ------
    InputError
        If a ``name=value`` has no ``=``.
    """
    kinds = members(field.annotation)
    if isinstance(value, bool):
        return value
    if any(get_origin(kind) is dict for kind in kinds):
        return dict(_pair(flag_of(name, field), item) for item in value)
    if isinstance(value, list):
        return value[0] if str in kinds and len(value) == 1 else value
    if value == "none" and takes_none(field.annotation) and str not in kinds:
        return None
    if _item(field) in (int, float):
        return [_scalar(item.strip()) for item in value.split(",")]
    return _scalar(value) if {bool, int, float} & set(kinds) else value


def _pair(flag: str, text: str) -> tuple[str, str]:
    # The last "=" divides, because a role has none and the name of a column may.
    name, found, value = text.rpartition("=")
    if not found or not name:
        raise InputError(f"{flag} must be given as name=value", repr(text), f"for instance {flag} age=numeric")
    return name, value


def _scalar(text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def settings_class(verbs: dict[str, type[Settings]], name: str) -> type[Settings]:
    """Return the settings class of a verb.

    Raises
    ------
    InputError
        If the verb has none.
    """
    if name not in verbs:
        raise InputError("the verb must have settings", repr(name), near(name, verbs))
    return verbs[name]
