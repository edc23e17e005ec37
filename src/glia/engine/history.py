"""The history of a fit as plain data: one entry per epoch, from which bars, plots and reports are drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glia.core.files import write_text
from glia.core.results import jsonable


class History(Sequence[dict[str, Any]]):
    """Entries such as ``{"epoch": 1, "train/loss": 0.69, "valid/loss": 0.68, "lr": 0.001, "seconds": 0.1}``.

    ``history[3]`` is an entry, ``history["valid/loss"]`` the list of that figure over all epochs (``None`` where an
    epoch lacks it).
    """

    def __init__(self, entries: Sequence[dict[str, Any]] = ()) -> None:
        self._entries = [dict(entry) for entry in entries]

    def append(self, entry: dict[str, Any]) -> None:
        """Add the entry of one more epoch."""
        self._entries.append(entry)

    def replace(self, entries: Sequence[dict[str, Any]]) -> None:
        """Hold these entries instead."""
        self._entries = [dict(entry) for entry in entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._entries)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return [entry.get(key) for entry in self._entries]
        return self._entries[key]

    def best(self, key: str = "valid/loss", *, greater_is_better: bool = False) -> dict[str, Any] | None:
        """Return the entry with the best figure ``key``; the earliest of equals; ``None`` where no entry has it."""
        scored = [entry for entry in self._entries if entry.get(key) is not None]
        if not scored:
            return None
        sign = -1.0 if greater_is_better else 1.0
        return min(scored, key=lambda entry: sign * entry[key])

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain JSON data."""
        return [dict(jsonable(entry)) for entry in self._entries]

    def save(self, path: str | Path) -> None:
        """Write one JSON object per line, atomically."""
        write_text(path, "".join(json.dumps(entry) + "\n" for entry in self.to_list()))

    def __repr__(self) -> str:
        last = self._entries[-1] if self._entries else {}
        shown = ", ".join(f"{key}={value:.4g}" for key, value in last.items() if isinstance(value, (int, float)))
        return f"History({len(self)} epochs; last: {shown or 'none'})"
