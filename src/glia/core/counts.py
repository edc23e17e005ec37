"""Numbers of things in messages: "1 file", "2 files", "12,000 files"."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Parameters
    ----------
    number : int
    noun : str
        Of one.
    plural : str, optional
        Of several or none; the noun with an "s" by default.

    Examples
    --------
    >>> counted(1, "file"), counted(1200, "file"), counted(0, "class", "classes")
    ('1 file', '1,200 files', '0 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
