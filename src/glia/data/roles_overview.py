"""What must be known of all columns before their roles are decided.

Of short tables everything is counted. Of long ones a sample of rows is looked at first, and all rows only for what must
not be missed (a late marker, a late exception in a constant column) and where the sample leaves a doubt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.data.frames import nan_to_null
from glia.data.markers import MARKERS, WEAK_MARKERS, strip_and_clear
from glia.data.unify import words_to_strings

LONG = 100_000
"""From this number of rows on, large numbers of distinct values are estimated."""

FEW = 2_000
"""Up to this number of distinct values in the sample of a long table, those in all rows are counted."""

SAMPLE_ROWS = 20_000
"""Rows that the costly checks look at; which ones depends on nothing but their number."""

_NEARLY_ALL = 0.9  # estimates below it belong to columns of which less than 95 % of the values are different
_REPEAT = 0.94  # a sample never repeats more than the whole: fewer different ones say the same of all rows


@dataclass(frozen=True)
class Overview:
    """What is known of all columns of a table.

    Parameters
    ----------
    frame : polars.DataFrame
        All rows: NaN and markers are missing, spaces around words dropped.
    markers : dict
        Column → marker → number of values that were cleared.
    where : ndarray of shape (S,)
        Positions of a sample of rows, rising.
    sample : polars.DataFrame
        These rows.
    missing, unique : dict
        Column → number of missing and of distinct values.
    distinct : dict
        Column → all distinct values, missing not among them; long tables' columns of few words only.
    about : frozenset of str
        Columns whose number of distinct values is an estimate, within about 5 %, or, of numbers whose role does not
        hang on it, that of the sample.
    finite : bool
        Whether all floats are known to be finite.
    """

    frame: pl.DataFrame
    markers: dict[str, dict[str, int]]
    where: NDArray[np.int64]
    sample: pl.DataFrame
    missing: dict[str, int]
    unique: dict[str, int]
    distinct: dict[str, pl.Series] = field(default_factory=dict)
    about: frozenset[str] = frozenset()
    finite: bool = False


def overview(frame: pl.DataFrame, skip: Collection[str] = ()) -> Overview:
    """Look over a table; ``skip`` names string columns in which nothing is to be cleared."""
    where = _positions(frame.height)
    if frame.height >= LONG:
        return _overview_of_long(words_to_strings(frame), skip, where)
    rows, markers = strip_and_clear(words_to_strings(nan_to_null(frame)), skip)
    return Overview(rows, markers, where, take(rows, where), _missing(rows), _count(rows, _flat(rows)))


def take(frame: pl.DataFrame, where: NDArray[np.int64]) -> pl.DataFrame:
    """Return the rows at these positions, which rise."""
    if len(where) == frame.height:
        return frame
    mask = np.zeros(frame.height, dtype=np.bool_)
    mask[where] = True
    return frame.filter(pl.Series(mask)).rechunk()  # several times faster than taking them one by one


def _positions(rows: int) -> NDArray[np.int64]:
    if rows <= SAMPLE_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, SAMPLE_ROWS, replace=False))


def _flat(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if not dtype.is_nested() and dtype != pl.Object]


def _missing(frame: pl.DataFrame) -> dict[str, int]:
    return dict(zip(frame.columns, frame.null_count().row(0), strict=True))


def _count(frame: pl.DataFrame, names: list[str]) -> dict[str, int]:
    """Return the number of distinct values of each column, missing not counted; 0 for columns that are not named."""
    missing = _missing(frame)
    distinct = frame.select(pl.col(names).n_unique()).row(0) if names else ()
    unique = {name: count - (missing[name] > 0) for name, count in zip(names, distinct, strict=True)}
    return {name: unique.get(name, 0) for name in frame.columns}


def _overview_of_long(frame: pl.DataFrame, skip: Collection[str], where: NDArray[np.int64]) -> Overview:
    sample = take(frame, where)
    seen = _count(sample, _flat(sample))
    finite, distinct, unique = _look(frame, sample, seen)
    if not finite:
        frame, sample = nan_to_null(frame), nan_to_null(sample)
    words = [name for name, dtype in frame.schema.items() if dtype == pl.String and name not in skip]
    doubtful = [name for name in words if name not in distinct or _needs_clearing(distinct[name])]
    cleared, markers = strip_and_clear(frame, set(frame.columns) - set(doubtful))
    if cleared is not frame:
        frame = cleared
        sample = sample.with_columns(take(frame.select(doubtful), where).get_columns())
        distinct |= {name: frame.get_column(name).unique() for name in doubtful if name in distinct}
    distinct = {name: values.drop_nulls() for name, values in distinct.items()}
    unique |= {name: len(values) for name, values in distinct.items()}
    missing = _missing(frame)
    many = [name for name in _flat(frame) if seen[name] > FEW]
    guesses = {name: seen[name] for name in many if _repeats(sample.get_column(name), seen[name])}
    guesses |= {
        name: count
        for name, count in estimate_distinct(frame, [name for name in many if name not in guesses]).items()
        if count < _NEARLY_ALL * (frame.height - missing[name])  # identifiers are counted to the last one
    }
    unique |= guesses
    rest = _count(frame, [name for name in _flat(frame) if name not in unique])
    unique = {name: unique.get(name, rest[name]) for name in frame.columns}
    about = frozenset(guesses)
    return Overview(frame, markers, where, sample, missing, unique, distinct, about, finite)


def _look(
    frame: pl.DataFrame, sample: pl.DataFrame, seen: dict[str, int]
) -> tuple[bool, dict[str, pl.Series], dict[str, int]]:
    """Return whether all floats are finite, the values of columns of few words, and the numbers of whole numbers.

    One query for all of it keeps all threads busy to the end. Words whose 64-bit hash is that of a word of the sample
    are that word: twice as fast as gathering them anew.
    """
    dtypes = frame.schema
    floats = [name for name, dtype in dtypes.items() if dtype.is_float()]
    few = {
        name: sample.get_column(name).extend_constant(None, 1).unique()
        for name, dtype in dtypes.items()
        if dtype == pl.String and seen[name] <= FEW
    }
    steps = [name for name, dtype in dtypes.items() if dtype.is_integer() or dtype == pl.Date]
    whole = [name for name in steps if 0 < seen[name] <= FEW]
    facts = frame.select(
        # a NaN or an infinity anywhere makes the sum one; a sum that overflows only costs a second look
        *(pl.col(name).sum().is_finite().alias(f"finite {name}") for name in floats),
        *(
            pl.col(name)
            .filter(~pl.col(name).hash().is_in(known.hash().implode()))
            .unique()
            .implode()
            .alias(f"new {name}")
            for name, known in few.items()
        ),
        *(pl.col(name).to_physical().min().alias(f"least {name}") for name in whole),
        *(pl.col(name).to_physical().max().alias(f"greatest {name}") for name in whole),
    )
    counts = {}
    for name in whole:
        # every whole number (or day) from the least to the greatest is in the sample: nothing is left to count
        if facts[f"greatest {name}"][0] - facts[f"least {name}"][0] + 1 == seen[name]:
            counts[name] = seen[name]
    words = {name: known.append(facts[f"new {name}"][0]) for name, known in few.items()}
    return all(facts[f"finite {name}"][0] for name in floats), words, counts


def _needs_clearing(words: pl.Series) -> bool:
    padded = words.str.starts_with(" ") | words.str.ends_with(" ") | words.str.starts_with("\t")
    return bool((padded | words.is_in(["", *MARKERS, *WEAK_MARKERS])).any())


def estimate_distinct(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, int]:
    """Return the numbers of distinct values of these columns, missing ones not counted, in two digits.

    HyperLogLog, https://algo.inria.fr/flajolet/Publications/FlFuGaMe07.pdf: right within about 5 %.
    """
    if not names:
        return {}
    counts = frame.select(pl.col(names).approx_n_unique()).row(0)
    known = frame.select(pl.col(names).count()).row(0)
    return {name: min(int(float(f"{count:.1e}")), most) for name, count, most in zip(names, counts, known, strict=True)}


def _repeats(values: pl.Series, distinct: int) -> bool:
    """Whether these numbers have decimals, or repeat so often that they cannot be an identifier."""
    if not values.dtype.is_numeric():
        return False
    decimals = values.dtype.is_float() and not (values == values.round()).all()
    return decimals or distinct < _REPEAT * (len(values) - values.null_count())
