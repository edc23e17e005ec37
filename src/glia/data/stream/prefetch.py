"""Items made ahead on another thread, never more of them than allowed, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
_NAME = "glia-prefetch"


class Prefetch(Generic[T]):
    """Iterate over what a generator makes on a thread of its own.

    Parameters
    ----------
    make : callable
        ``make(stop)`` returns the iterator; it should look at the event ``stop`` now and then and end when it is set.
        It is run on the thread only.
    ahead : int
        Items that may be ready or in the making while one is in use, at least 1.

    Notes
    -----
    The order of items is the iterator's, whatever the timing. What it raises is raised to the consumer, at the place of
    the item that is lacking. Use as a context manager: leaving it, by whatever way, stops the thread and waits for it.
    """

    def __init__(self, make: Callable[[threading.Event], Iterator[T]], ahead: int = 1) -> None:
        self._make = make
        self._stop = threading.Event()
        self._permits = threading.Semaphore(max(1, ahead))
        self._ready: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        self._over = False
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._over:
            raise StopIteration
        item, error = self._ready.get()
        if item is None:
            self._over = True
            self.close()
            raise StopIteration if error is None else error
        self._permits.release()
        return item

    def close(self) -> None:
        """Stop the thread and wait until it is gone."""
        self._over = True
        self._stop.set()
        self._permits.release()
        # The collector may close a forgotten iterator on any thread, this one included.
        if self._thread is not threading.current_thread():
            self._thread.join()
            while not self._ready.empty():
                self._ready.get()

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            items = self._make(self._stop)
            while True:
                self._permits.acquire()
                if self._stop.is_set():
                    break
                item = next(items, None)
                if item is None:
                    break
                self._ready.put((item, None))
                del item  # the thread must not hold what the consumer is done with
        except BaseException as error:  # every failure belongs to the consumer, who is on another thread
            self._ready.put((None, error))
        else:
            self._ready.put((None, None))
