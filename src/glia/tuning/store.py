"""The file of a study: one SQLite database that several processes of a machine write to."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glia.core.errors import InputError
from glia.core.optional import require

EXTRA = "tune"
PATIENCE = 60.0
"""Seconds that a process waits for another one to finish its writing."""
_MAGIC = b"SQLite format 3\x00"


class Connection(sqlite3.Connection):
    """A connection whose commits cost a tenth: one append to a log, which no power failure can leave half-written."""

    def __init__(self, *values: Any, **options: Any) -> None:
        super().__init__(*values, **options)
        self.execute("PRAGMA journal_mode=WAL").fetchone()
        self.execute("PRAGMA synchronous=NORMAL")


def load_optuna() -> Any:
    """Return Optuna.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    return require("optuna", EXTRA)


@contextmanager
def quiet_optuna(optuna: Any) -> Iterator[None]:
    """Keep Optuna from logging every trial and from announcing what is experimental in it."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def check_file(path: Path) -> None:
    """Check that a study can be kept in a file.

    Raises
    ------
    InputError
        If there is something else at its place, or its folder is missing.
    """
    must = "a study is kept in a file that glia tune wrote"
    if path.is_dir():
        raise InputError(must, f"the folder {str(path)!r}", "give a file name inside it, e.g. study.db")
    if not path.exists():
        if not path.parent.is_dir():
            raise InputError("the folder of a study must exist", repr(str(path.parent)), "make it, or choose another")
        return
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start and start != _MAGIC:
        raise InputError(must, f"{str(path)!r}, which is something else", "choose another name")


def open_storage(optuna: Any, path: Path | None) -> Any:
    """Return Optuna's storage in a file, or in memory without one.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    if path is None:
        return optuna.storages.InMemoryStorage()
    check_file(path)
    options = {"connect_args": {"timeout": PATIENCE, "factory": Connection}}
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}", engine_kwargs=options)
    except Exception as error:  # whatever SQLAlchemy makes of a file that is no study
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise InputError(
            "a study is kept in a file that glia tune wrote", f"{str(path)!r}: {reason}", "choose another"
        ) from error


def close_storage(storage: Any) -> None:
    """Let go of the file."""
    if hasattr(storage, "engine"):
        storage.remove_session()
        storage.engine.dispose()
