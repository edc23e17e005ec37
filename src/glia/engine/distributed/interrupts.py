"""Ctrl-C for workers: noted when it comes, obeyed by all of them after the same step."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from torch import Tensor

_AGAIN_SECONDS = 1.0
_DEVICE_STEPS = 50
"""On a GPU, reading whether to stop waits for the device: it is done once in so many steps."""


class Interrupts:
    """Notes that Ctrl-C came; a second one, later than a second after the first, ends this worker at once.

    A terminal sends the signal to all processes, and a launcher may hand it on, hence the second of grace.
    """

    def __init__(self) -> None:
        self.wanted = self.obeyed = False
        self._first, self._asked = 0.0, 0

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note them in a block; outside of the main thread nothing is changed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.wanted and now - self._first > _AGAIN_SECONDS:
            raise KeyboardInterrupt
        if not self.wanted:
            self.wanted, self._first = True, now

    def obey(self, flag: Tensor) -> None:
        """Stop where ``flag``, which all workers share, is above 0.

        Raises
        ------
        KeyboardInterrupt
            On all workers at the same point.
        """
        self._asked += 1
        if (flag.device.type == "cpu" or self._asked % _DEVICE_STEPS == 0) and float(flag) > 0:
            self.obeyed = True
            raise KeyboardInterrupt
