"""What went wrong in a fit and was put right, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def event_lines(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each of a trainer's ``events``; of lacks of memory only the last, which counts.

    Events of other kinds are named with their epoch.
    """
    listed = list(events)
    short = [one for one in listed if one.get("event") == "memory exhausted"]
    return [_line(one) for one in listed if one not in short[:-1]]


def trouble(events: Iterable[Mapping[str, Any]]) -> str:
    """Return what a user should hear of after a fit: all but that it was taken up again; empty where there is none."""
    return "; ".join(event_lines(one for one in events if one.get("event") != "resumed"))


def _line(event: Mapping[str, Any]) -> str:
    kind, where = str(event.get("event")), f"epoch {event.get('epoch')}, step {event.get('step')}"
    if kind == "rolled back":
        return (
            f"a step was not finite ({where}: {event.get('cause')}), so training went back to its last good state and "
            f"on with the learning rate times {event.get('rate'):g}"
        )
    if kind == "memory exhausted":
        return f"memory was exhausted ({where}), so batches were computed in pieces of {event.get('rows')} rows"
    if kind == "resumed":
        return f"the run was cut off and taken up again ({where})"
    return f"{kind} ({where})"
