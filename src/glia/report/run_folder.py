"""The folder of a run, which knows from the first second what is being done there, so that it can be taken up again.

``settings.toml`` is written before the data are read. As long as there is a folder ``checkpoints``, the run is not
complete; it goes when the report is written.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glia.core.errors import InputError
from glia.core.files import write_json, write_text
from glia.engine.checkpoint import checkpoint_files
from glia.estimators.settings import FitSettings

OUTPUTS = ("model.glia", "report.html", "run.json", "history.jsonl", "settings.toml", "predictions.parquet")
_BEGUN = "begun.json"


class RunFolder:
    """One run's folder.

    Parameters
    ----------
    path : path-like
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.settings, self.checkpoints = self.path / "settings.toml", self.path / "checkpoints"

    @property
    def complete(self) -> bool:
        """Whether a run is there, and nothing is left of it to do."""
        return (self.path / "run.json").is_file() and not self.checkpoints.exists()

    @property
    def kept(self) -> bool:
        """Whether a state of the training is there."""
        return bool(checkpoint_files(self.checkpoints))

    def begun(self) -> dict[str, Any]:
        """Return what is known of how the run was begun: ``command`` and the ``folder`` it was begun in, or nothing."""
        try:
            found = json.loads((self.checkpoints / _BEGUN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def go_on(self) -> str:
        """How the run is taken up again, in words; empty where nothing of it is kept."""
        return f"glia fit --resume {shlex.quote(str(self.path))} goes on" if self.kept else ""

    def check(self) -> None:
        """Raise an ``InputError`` unless files can be written there: better now than after the training."""
        folder = self.path
        if folder.exists() and not folder.is_dir():
            raise InputError("out must be a folder", f"the file {str(folder)!r}", "choose another name")
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise InputError(
                "the folder of an output must be writable",
                f"{str(folder)!r}, below {str(there)!r}",
                "choose another path",
            )

    @contextmanager
    def running(self, settings: FitSettings, command: str, *, resumed: bool = False) -> Iterator[None]:
        """Mark the folder as one where a run is going on; on an error, take that back unless there is a checkpoint.

        A run that is taken up again has left its mark before: its settings stay as they were first given.
        """
        absent = [path for path in (self.path, *self.path.parents) if not path.exists()]
        before = _text(self.settings)
        self._sweep()
        try:
            if not (resumed and self.begun()):
                write_json(self.checkpoints / _BEGUN, {"command": command, "folder": str(Path.cwd())})
            if not resumed:
                write_text(self.settings, settings.to_toml())
            yield
        except BaseException:
            if not resumed and not self.kept:
                self._take_back(before, absent)
            raise

    def finish(self) -> None:
        """Remove the checkpoints of a run that is complete."""
        with suppress(OSError):
            for path in self.checkpoints.iterdir():
                path.unlink()
            self.checkpoints.rmdir()

    def _sweep(self) -> None:
        """Remove what a run left that was killed while it wrote one of its files."""
        with suppress(OSError):
            for name in OUTPUTS:
                for path in self.path.glob(f".{name}.????????{Path(name).suffix}"):
                    path.unlink()

    def _take_back(self, before: str | None, absent: list[Path]) -> None:
        self.finish()
        with suppress(OSError, InputError):
            if before is None:
                self.settings.unlink()
            else:
                write_text(self.settings, before)
        with suppress(OSError):  # the model may be there
            for path in absent:
                path.rmdir()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
