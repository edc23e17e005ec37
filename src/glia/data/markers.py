"""Words that stand for a missing value."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

MARKERS: tuple[str, ...] = (
    "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "<NA>", "#N/A", "NaT",
)  # fmt: skip
"""Words that are read as missing in every column."""

WEAK_MARKERS: tuple[str, ...] = ("-", "--", ".")
"""Words that are read as missing among numbers; a dash also among words, unless a plus stands beside it."""

DASH = "-"
"""``Column.format`` of words among which weak markers are values like any other."""


def strip_and_clear(
    frame: pl.DataFrame, skip: Collection[str] = (), *, weak: Collection[str] | None = None
) -> tuple[pl.DataFrame, dict[str, dict[str, int]]]:
    """Drop the spaces around strings, and turn markers and blanks into missing values.

    Parameters
    ----------
    frame : polars.DataFrame
        Any frame; only its string columns are looked at, and only those with something to do are rewritten.
    skip : collection of str
        Columns to leave as they are.
    weak : collection of str, optional
        Columns in which the weak markers are cleared too. By default these are the columns without a plus, and only the
        dash is cleared.

    Returns
    -------
    frame : polars.DataFrame
    counts : dict
        Column → marker → number of values.
    """
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String and name not in skip]
    if not names or not frame.height:
        return frame, {}
    strings = pl.col(names)
    padded = strings.str.starts_with(" ") | strings.str.ends_with(" ") | strings.str.starts_with("\t")
    wanting = _where(frame, names, padded)
    frame = frame.with_columns(pl.col(wanting).str.strip_chars()) if wanting else frame
    marked = _where(frame, names, strings.is_in(["", *MARKERS, *WEAK_MARKERS]))
    counts: dict[str, dict[str, int]] = {}
    clear: list[pl.Expr] = []
    for name in marked:
        column = frame.get_column(name)
        words = column.filter(column.is_in(["", *MARKERS, *WEAK_MARKERS])).value_counts().rows()
        if weak is None:
            spared = WEAK_MARKERS if (column == "+").any() else (".",)
        else:
            spared = () if name in weak else WEAK_MARKERS
        words = [(word, count) for word, count in words if word not in spared]
        counts[name] = {word: count for word, count in sorted(words) if word}
        gone = [word for word, _ in words]
        if gone:
            clear.append(pl.when(pl.col(name).is_in(gone)).then(None).otherwise(pl.col(name)).alias(name))
    return frame.with_columns(clear) if clear else frame, {name: words for name, words in counts.items() if words}


def _where(frame: pl.DataFrame, names: list[str], condition: pl.Expr) -> list[str]:
    row = frame.select(condition.any()).row(0)
    return [name for name, hit in zip(names, row, strict=True) if hit]
