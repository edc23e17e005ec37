"""What was typed, for the record of a run; in a module that costs nothing to import."""

from __future__ import annotations

from contextvars import ContextVar

words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())
"""What stood after ``glia``."""
