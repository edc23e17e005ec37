"""Whether a run reads its table from disk piece by piece, and the stream that it then reads."""

from __future__ import annotations

import os
from typing import Any

from glia.core.errors import InputError
from glia.data.stream import Parts, Stream, must_stream
from glia.data.stream.memory import DEFAULT
from glia.estimators.settings import FitSettings


def stream_of(settings: FitSettings, source: Any = None) -> Stream | None:
    """Return the stream that the settings ask for, or ``None`` where the rows are to be read into memory.

    Parameters
    ----------
    settings : FitSettings
        ``stream`` is True, False or "auto": files that would not fit into memory, folders and patterns are streamed.
    source : Any, optional
        Rows or a path that were handed in instead of ``settings.data``.

    Raises
    ------
    InputError
        If it is to be streamed and cannot be.
    """
    wanted = getattr(settings, "stream", "auto")
    data = settings.data if source is None else source
    if isinstance(data, Stream):
        return data if set(data.targets) == set(settings.targets) else data.with_target(settings.targets)
    if wanted is False or (wanted == "auto" and not must_stream(data)):
        return None
    if not isinstance(data, (str, os.PathLike, list, tuple)):
        raise InputError("a stream reads files", f"a {type(data).__name__}", "hand in a path, or set stream to false")
    by = settings.split if settings.split != "random" else "group" if settings.group else "time"
    if settings.split != "random" or settings.group is not None or settings.time is not None:
        raise InputError("a stream is divided at random", f"a split by {by}", "leave it out, or set stream to false")
    return Stream(
        data,
        target=settings.targets,
        roles=settings.roles,
        drop=settings.drop,
        weight=settings.weight,
        memory=getattr(settings, "memory", DEFAULT),
        parts=Parts(test_fraction=settings.test_fraction, validation_fraction=settings.validation_fraction),
        limit=settings.max_rows,
        random_state=settings.seed,
    )
