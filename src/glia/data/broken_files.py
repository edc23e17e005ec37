"""What is said of files that could not be read, of whatever kind, and of classes with few files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glia.core.counts import counted
from glia.data.schema import Finding

MOST_NAMED = 5
"""Most files or classes that a message names."""
FEW = 5
"""A class with fewer files is told."""

Broken = Sequence[tuple[str, str]]
"""Names of files, and why each could not be read."""


def broken_remark(broken: Broken) -> str:
    """Return what was left out, in one sentence; empty where nothing was."""
    if not broken:
        return ""
    named = "; ".join(f"{name}: {why}" for name, why in broken[:MOST_NAMED])
    more = f"; and {len(broken) - MOST_NAMED} more" if len(broken) > MOST_NAMED else ""
    was = "was" if len(broken) == 1 else "were"
    return f"{counted(len(broken), 'file')} could not be read and {was} left out: {named}{more}"


def broken_findings(code: str, column: str, broken: Broken) -> list[Finding]:
    """Return a finding for each of the first files that were left out, and one for all others."""
    found = [
        Finding(code, column, f"{name or 'A row without a file'} could not be read and was left out: {why}.")
        for name, why in broken[:MOST_NAMED]
    ]
    if len(broken) > MOST_NAMED:
        more = len(broken) - MOST_NAMED
        text = f"{counted(more, 'more file')} could not be read and {'was' if more == 1 else 'were'} left out."
        found.append(Finding(code, column, text))
    return found


def rare_class_findings(target: str, classes: Sequence[str], noun: str) -> list[Finding]:
    """Return a finding that names the classes with few files, where there are any; ``noun`` is what the files are."""
    names, counts = np.unique(classes, return_counts=True)
    rare = [f"{name} ({count})" for name, count in zip(names.tolist(), counts.tolist(), strict=True) if count < FEW]
    if not rare:
        return []
    return [Finding("rare-class", target, f"Classes with fewer than five {noun}: {', '.join(rare[:MOST_NAMED])}.")]
