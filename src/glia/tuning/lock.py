"""Locks on files that end with the process that holds them, however it ends."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from glia.core.errors import InputError


class FileLock:
    """An exclusive lock, held by at most one process on this machine.

    The lock is that of an (empty) SQLite database: it works wherever the study's own file does, and the operating
    system takes it back when its holder is killed, so that nobody has to guess from the clock who is still alive.

    Parameters
    ----------
    path : Path
        File beside what is protected; it is made where it is missing, and stays empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: sqlite3.Connection | None = None

    def acquire(self, seconds: float = 0.0) -> bool:
        """Take the lock; return whether it could be had within so many seconds.

        Raises
        ------
        InputError
            If its file cannot be written.
        """
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(self.path, timeout=seconds, isolation_level=None, check_same_thread=False)
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return False
            got = f"{str(self.path)!r}: {error}"
            raise InputError("a study's folder must be writable", got, "choose another place") from error
        self._held = connection
        return True

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back, and with ``remove`` take its file away."""
        if self._held is not None:
            self._held.close()
            self._held = None
        if remove:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
