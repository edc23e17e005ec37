"""Warnings silenced for a while, on several threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()


class _Shared:
    inside = 0
    filters: warnings.catch_warnings[None] | None = None


@contextmanager
def quietly(*kinds: type[Warning], module: str = "") -> Iterator[None]:
    """Ignore warnings of these kinds until the block is left, whichever threads are in such blocks.

    ``warnings.catch_warnings`` alone keeps the filters of the whole process and puts them back: of two threads that
    overlap, the one that leaves first takes the other's filter away, and the last may leave its own behind. Here the
    first to enter keeps them and the last to leave puts them back.

    Parameters
    ----------
    *kinds : type of Warning
        What is ignored, subclasses too.
    module : str, optional
        A regular expression: all warnings raised in modules of such names are ignored as well.
    """
    with _LOCK:
        if not _Shared.inside:
            _Shared.filters = warnings.catch_warnings()
            _Shared.filters.__enter__()
        _Shared.inside += 1
        for kind in kinds:
            warnings.simplefilter("ignore", kind)
        if module:
            warnings.filterwarnings("ignore", module=module)
    try:
        yield
    finally:
        with _LOCK:
            _Shared.inside -= 1
            if not _Shared.inside and _Shared.filters is not None:
                _Shared.filters.__exit__(None, None, None)
                _Shared.filters = None
