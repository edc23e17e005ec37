"""How the command starts, fails and ends: quick help, one-line errors, exit statuses."""

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from glia.cli.main import VERBS, run
from glia.core.errors import InputError, TrainingError

HEAVY = ("torch", "sklearn", "polars", "pandas", "numpy", "pydantic", "rich", "matplotlib", "scipy")


def python(code, *, env=None, **options):
    env = {**os.environ, "PYTHONWARNINGS": "error", **(env or {})}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60, **options)


def cli(*words, **options):
    return python(f"from glia.cli.main import main; main({list(words)!r})", **options)


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_help_and_version_import_nothing_heavy(words):
    code = (
        "import sys\nfrom glia.cli.main import run\n"
        f"status = run({words!r})\nprint('LOADED', status, *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = python(code)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "LOADED 0"


def test_help_lists_every_verb_on_one_line_each():
    lines = cli("--help").stdout.splitlines()
    for verb, line in VERBS.items():
        assert any(text.split(maxsplit=1) == [verb, line] for text in lines)
    assert all((Path(__file__).parents[2] / f"src/glia/cli/{verb}.py").is_file() for verb in VERBS)


def test_version(capsys):
    from glia import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"glia {__version__}\n"


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help(verb, capsys):
    assert run([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: glia {verb} ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ft"], "the first word must be a verb · got 'ft' · did you mean 'fit'?"),
        (
            ["xyzzy"],
            f"the first word must be a verb · got 'xyzzy' · choose one of: {', '.join(sorted(VERBS))}",
        ),
        (
            ["fit", "--tagret", "y"],
            "every option of glia fit must be a known one · got '--tagret' · did you mean '--target'?",
        ),
        (
            ["fit", "--zzzzzz"],
            "every option of glia fit must be a known one · got '--zzzzzz' · glia fit --help lists them",
        ),
        (["--vresion"], "every option of glia must be a known one · got '--vresion' · did you mean '--version'?"),
        (
            ["fit", "a", "--target"],
            "the command line must be understood · got option '--target' requires an argument · "
            "glia fit --help lists what there is",
        ),
        (
            ["fit", "a", "b"],
            "the command line must be understood · got unexpected extra argument(s) (b) · "
            "glia fit --help lists what there is",
        ),
        (["fit", "a.csv"], "the setting 'target' must be given · got no target · give the column to predict; several"),
        (
            ["settings", "fti"],
            "the verb must have settings · got 'fti' · did you mean 'fit'?",
        ),
    ],
)
def test_mistakes_on_the_command_line_are_one_line_and_status_2(words, message, capsys):
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"glia: error: {message}")


@pytest.fixture
def backend(monkeypatch):
    """Put a function in the place of the one that fits."""

    def put(function):
        module = ModuleType("glia.report.run")
        module.fit_run = function
        monkeypatch.setitem(sys.modules, "glia.report.run", module)

    return put


def raising(error):
    def fit_run(settings, *, quiet, command, resume):
        raise error

    return fit_run


FIT = ["fit", "a.csv", "--target", "y"]


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("x must hold", "y", "do z"), 2, "glia: error: x must hold · got y · do z"),
        (InputError("two\nlines", "a\n\n  b"), 2, "glia: error: two lines · got a b"),
        (TrainingError("the loss is not finite"), 2, "glia: error: the loss is not finite"),
        (
            KeyError("oops"),
            1,
            "glia: error: something went wrong inside glia · got KeyError: 'oops' · set GLIA_TRACEBACK=1 to see where",
        ),
        (KeyboardInterrupt(), 130, "glia: interrupted"),
        (KeyboardInterrupt("best so far in run/model.glia"), 130, "glia: interrupted · best so far in run/model.glia"),
    ],
)
def test_failures_are_one_line_with_their_status(backend, capsys, monkeypatch, error, status, line):
    monkeypatch.delenv("GLIA_TRACEBACK", raising=False)
    backend(raising(error))
    assert run(FIT) == status
    out, err = capsys.readouterr()
    assert (out, err) == ("", line + "\n")


@pytest.mark.parametrize(("error", "status"), [(InputError("must"), 2), (ZeroDivisionError("zero"), 1)])
def test_the_traceback_is_shown_on_request(backend, capsys, monkeypatch, error, status):
    monkeypatch.setenv("GLIA_TRACEBACK", "1")
    backend(raising(error))
    assert run(FIT) == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("glia: error: ") and "GLIA_TRACEBACK" not in lines[-1]
    assert any(type(error).__name__ in line for line in lines)


@pytest.mark.parametrize("error", [BrokenPipeError(), BrokenPipeError(errno.EPIPE, "Broken pipe")])
def test_a_reader_that_goes_away_is_no_error(backend, capsys, monkeypatch, error):
    for name in ("stdout", "stderr"):  # Typer replaces them when this happens
        monkeypatch.setattr(sys, name, getattr(sys, name))
    backend(raising(error))
    assert run(FIT) == 141
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_is_quiet_in_a_real_process():
    program = 'from glia.cli.main import main; main(["settings"])'
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} | true; echo ${{PIPESTATUS[0]}}"
    for unbuffered in ("", "1"):
        env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=env, timeout=60)
        assert done.stderr == ""
        assert done.stdout in ("141\n", "0\n")


def test_a_terminal_without_the_characters_still_reads_the_error():
    done = cli("ft", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert done.stderr == "glia: error: the first word must be a verb \\xb7 got 'ft' \\xb7 did you mean 'fit'?\n"


def test_the_installed_command_runs():
    command = Path(sys.executable).with_name("glia")
    if not command.exists():
        pytest.skip("glia is not installed as a command here")
    done = subprocess.run([command, "nope"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("glia: error: the first word must be a verb")
