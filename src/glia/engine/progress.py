"""The line that tells what is running: drawn from the entries of the history, silent where nobody looks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

_REDRAW_SECONDS = 0.1
_WIDE = 110


class Progress:
    """A line on standard error: what is running, how far, how fast, the best so far, the time left.

    Nothing is written when ``verbose`` is 0 or standard error is not a terminal; colour is left out under
    ``NO_COLOR``. The terminal is as it was after ``finish`` and after leaving a ``with`` block, also on errors.

    Parameters
    ----------
    verbose : int
        0 is silent.
    monitor : str
        Key of the history's entries that says which epoch is best; ``train/loss`` where they lack it.
    greater_is_better : bool
        Whether larger figures are better.
    console : rich.console.Console, optional
        Where to draw; standard error where it is not given.
    clock : callable
        Seconds, rising.
    """

    def __init__(
        self,
        verbose: int = 1,
        *,
        monitor: str = "valid/loss",
        greater_is_better: bool = False,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.monitor, self.greater_is_better = monitor, greater_is_better
        self.console = console or Console(stderr=True)
        self.enabled = bool(verbose) and self.console.is_terminal
        self._clock = clock
        self._live: Live | None = None
        self._drawn = self._started = 0.0
        self._reset("", 0, 0)

    def _reset(self, what: str, epochs: int, rows: int) -> None:
        self.what, self.epochs, self.rows = what, epochs, rows
        self.epoch, self.part = 0, 0.0
        self.last: dict[str, Any] = {}
        self.best: float | None = None
        self.best_epoch = 0
        self.key = self.monitor

    def start(self, epochs: int, rows: int, what: str = "training") -> None:
        """Begin: ``epochs`` passes over ``rows`` rows each."""
        self._close()
        self._reset(what, epochs, rows)
        self._started = self._clock()
        if self.enabled:
            self._live = Live(self.line(), console=self.console, auto_refresh=False, transient=True)
            self._live.start(refresh=True)
            self._drawn = self._started

    def step(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` steps of the running epoch are taken; drawn at most ten times a second."""
        if self._live is None or self._clock() - self._drawn < _REDRAW_SECONDS:
            return
        self.part = done / max(1, total)
        self._draw()

    def update(self, entry: dict[str, Any]) -> None:
        """Take the history's entry of a finished epoch."""
        self.epoch, self.part, self.last = int(entry.get("epoch", self.epoch + 1)), 0.0, entry
        self.key = self.monitor if entry.get(self.monitor) is not None else "train/loss"
        value = entry.get(self.key)
        if value is not None and math.isfinite(value) and self._better(value):
            self.best, self.best_epoch = float(value), self.epoch
        if self._live is not None and (self.epoch >= self.epochs or self._clock() - self._drawn >= _REDRAW_SECONDS):
            self._draw()

    def finish(self, message: str = "") -> None:
        """End, and leave ``message`` in the line's place."""
        self._close()
        if self.enabled and message:
            self.console.print(Text(message))

    def line(self) -> Text:
        """Return the line as it stands; what matters least stands last, where a narrow terminal cuts."""
        done = self.epoch + self.part
        seconds = max(1e-9, self._clock() - self._started)
        share = min(1.0, done / self.epochs) if self.epochs else 0.0
        text = Text(f"{self.what}  ", no_wrap=True, overflow="ellipsis")
        if self.console.width >= _WIDE:
            filled = round(share * 20)
            text.append("━" * filled, style="#0072B2")
            text.append("─" * (20 - filled), style="dim")
            text.append("  ")
        text.append(f"epoch {min(self.epochs, self.epoch + 1)}/{self.epochs}")
        if done and self.epochs:
            text.append(f" · {_time(seconds / done * max(0.0, self.epochs - done))} left")
        value = self.last.get(self.key)
        if value is not None:
            text.append(f" · {self.key} {value:.4g}")
        if self.best is not None:
            text.append(f", best {self.best:.4g} (epoch {self.best_epoch})", style="#009E73")
        if done:
            text.append(f" · {_count(done * self.rows / seconds)} rows/s")
        return text

    def _better(self, value: float) -> bool:
        if self.best is None:
            return True
        return value > self.best if self.greater_is_better else value < self.best

    def _draw(self) -> None:
        self._drawn = self._clock()
        if self._live is not None:
            self._live.update(self.line(), refresh=True)

    def _close(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def _count(value: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
