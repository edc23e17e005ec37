"""What Glia raises: one message that says what must hold, what was got and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GliaError(Exception):
    """Root of all of Glia's own errors."""


class InputError(GliaError, ValueError):
    """Something handed in by the user cannot be used.

    Parameters
    ----------
    must : str
        What must hold, e.g. ``"the target must have at least two classes"``.
    got : str, optional
        What was got, e.g. ``"target='income' has one class: '>50K'"``.
    do : str, optional
        What to do about it.

    Notes
    -----
    The message is ``must · got · do`` on one line; the command line prints it and exits with status 2.
    """

    def __init__(self, must: str, got: str = "", do: str = "") -> None:
        self.must, self.got, self.do = must, got, do
        super().__init__(" · ".join(part for part in (must, got and f"got {got}", do) if part))


class ModelFileError(InputError):
    """A model file is damaged, altered, unsafe or of an unknown format."""


class TrainingError(GliaError, RuntimeError):
    """Training cannot go on (for instance a loss that is not finite); the message names the cause."""


class MissingExtraError(GliaError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


def near(name: str, known: Iterable[str]) -> str:
    """Return the advice to use the known name nearest to ``name``, or the list of known names."""
    options = sorted(str(k) for k in known)
    close = get_close_matches(name, options, n=1, cutoff=0.5)
    if not close:
        folded = {option.casefold(): option for option in options}
        close = [folded[match] for match in get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)]
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(options[:20]) + (", …" if len(options) > 20 else "")
    return f"choose one of: {shown}"
