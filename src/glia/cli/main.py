"""The command ``glia``. Only the verb that is called is imported, so that ``glia --help`` answers at once."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated

import typer

from glia import __version__
from glia.cli import invocation
from glia.cli.failures import Interrupted, command_line_error, explain
from glia.cli.workers import InterruptedWorkersError, speaks
from glia.core.errors import GliaError, InputError, near
from glia.engine.distributed.place import place

VERBS = {
    "fit": "Fit a network to a table; write a model and a report.",
    "forecast": "Forecast series with intervals, beside classic methods.",
    "predict": "Predict the rows of a table with a saved model.",
    "evaluate": "Measure a saved model on rows with known answers.",
    "explain": "Explain a saved model's answers for rows of a table.",
    "doctor": "Say what is wrong with a trained network, why, and what helps.",
    "describe": "Say what a table or a model file holds.",
    "repair": "Compare remedies for missing values; write the repaired table.",
    "tune": "Search for the settings that do best; fit and measure them.",
    "lab": "Answer textbook questions by measurement on your data.",
    "settings": "Print settings as commented TOML or JSON schema.",
}
OK, UNEXPECTED, USAGE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands after ``glia``; by default what the process was called with.
    """
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status.

    It is 0, 1 after something unexpected, 2 after a mistake of the user's, 130 after Ctrl-C and 141 where the reader of
    the output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # characters that the terminal lacks must not end a run
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    typed = invocation.words.set(tuple(arguments))
    try:
        status = _dispatch(list(arguments))
        sys.stdout.flush()
        return status
    except Interrupted as error:
        if place().first and not isinstance(error, InterruptedWorkersError):
            print(f"glia: interrupted{f' · {error}' if str(error) else ''}", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        if place().first:
            print("glia: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return PIPE_CLOSED
    except Exception as error:
        if os.environ.get("GLIA_TRACEBACK"):
            traceback.print_exc()
        if speaks(error):
            print(explain(error), file=sys.stderr)
        return USAGE if isinstance(error, GliaError) else UNEXPECTED
    finally:
        invocation.words.reset(typed)


def _dispatch(arguments: list[str]) -> int:
    verb = next((word for word in arguments if not word.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise InputError("the first word must be a verb", repr(verb), near(verb, VERBS))
    if verb == "tune" and arguments[-1] == "--space":  # Typer knows no option whose value may be left away
        arguments = [*arguments, "print"]
    try:
        status = build(verb)(arguments or ["--help"], prog_name="glia", standalone_mode=False)
    except SystemExit:  # in this mode, Typer leaves so only when the reader of the output has gone
        return PIPE_CLOSED
    except Exception as error:
        usage = command_line_error(error, f"glia {verb}" if verb else "glia")
        if usage is None:
            raise
        raise usage from error
    if status == INTERRUPTED:
        raise Interrupted
    return status if isinstance(status, int) else OK


def build(verb: str | None) -> typer.Typer:
    """Return the application, in which only ``verb`` is real; of the others there is but the line in the help."""
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, help="Neural networks that can be trusted, from data to report."
    )
    app.callback()(_root)
    for name, line in VERBS.items():
        if name == verb:
            command = import_module(f"glia.cli.{name}").command
            app.command(name, short_help=line)(command)
        else:
            app.command(name, help=line)(_elsewhere)
    return app


def _elsewhere() -> None:
    raise LookupError("a verb was called that was not loaded")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"glia {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fit, judge and use neural networks that can be trusted."""


def _silence_stdout() -> None:
    """Point stdout at nothing, so that Python's own flush at the end does not complain again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
