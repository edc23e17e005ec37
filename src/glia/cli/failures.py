"""How the command line fails: one line on stderr, never a traceback unless it is asked for."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from glia.core.errors import GliaError, InputError, near


class Interrupted(Exception):
    """Ctrl-C arrived; the message, if any, says what was kept."""


def one_line(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


@contextmanager
def plain_warnings(*, quiet: bool) -> Iterator[None]:
    """Show each warning as one line on stderr, without the code that gave it; not at all when ``quiet``."""

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        if not quiet:
            print(f"glia: warning: {one_line(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        # Set by its name and not by a filter, so that PYTHONWARNINGS=error still makes errors of warnings.
        warnings.showwarning = show
        # What ends an interrupted fit says the same, and where the weights are.
        warnings.filterwarnings("ignore", message="training was interrupted", category=UserWarning)
        yield


def explain(error: Exception) -> str:
    """Return the line that the user reads."""
    if isinstance(error, GliaError):
        return f"glia: error: {one_line(str(error))}"
    said = one_line(str(error))[:300]
    advice = "" if os.environ.get("GLIA_TRACEBACK") else " · set GLIA_TRACEBACK=1 to see where"
    return f"glia: error: something went wrong inside glia · got {type(error).__name__}: {said}{advice}"


def command_line_error(error: Exception, where: str) -> InputError | None:
    """Turn what Typer says about a command line into Glia's form; ``None`` if the error is not of that kind.

    Typer's exceptions are told by what they can do, since their classes moved between its versions. ``where`` is the
    command up to its verb.
    """
    say = getattr(error, "format_message", None)
    if isinstance(error, GliaError) or say is None:
        return None
    context: Any = getattr(error, "ctx", None)
    option = getattr(error, "option_name", None)
    if option is not None and type(error).__name__ == "NoSuchOption":
        parameters = context.command.get_params(context) if context is not None else []
        known = [name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)]
        flags = [name for name in known if name.startswith("--")]
        return InputError(
            f"every option of {where} must be a known one", repr(option), _near_flag(option, flags, where)
        )
    return InputError("the command line must be understood", _said(say()), f"{where} --help lists what there is")


def _said(text: str) -> str:
    """Return a message of Typer's so that it reads on after "got"."""
    text = one_line(text).removeprefix("Got ").rstrip(".")
    return text[:1].lower() + text[1:]


def _near_flag(option: str, flags: list[str], where: str) -> str:
    advice = near(option, flags)
    return advice if advice.startswith("did you mean") else f"{where} --help lists them"
