"""Rules by which one column gets its role, each with its reason in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import polars as pl

from glia.data.roles_dates import NUMBER_FORMAT, find_date_format
from glia.data.roles_numbers import ENOUGH, number_share
from glia.data.roles_pictures import are_there, picture_names
from glia.data.roles_scales import find_order
from glia.data.schema import Column, Finding

_SAMPLE = 2000
_ID_WORDS = {"id", "ids", "uuid", "guid", "key", "index", "idx", "rownames", "rowname", "rowid", "identifier"}
_WEAK_ID_WORDS = {"no", "nr", "number", "num", "row", "serial", "unnamed", "code", "name"}
_CODE_WORDS = {
    "code", "zip", "zipcode", "postcode", "postal", "type", "category", "cat", "class", "region", "district", "state",
    "store", "department", "dept", "cluster", "kind", "gender", "sex", "race", "branch", "channel", "country", "city",
}  # fmt: skip
_RATING_WORDS = {
    "rating", "score", "stars", "star", "grade", "level", "rank", "quality", "satisfaction", "likert", "priority",
    "severity", "stage", "pclass", "importance",
}  # fmt: skip
_DATE_WORDS = {"date", "day", "dt", "datum", "ymd", "yyyymmdd"}
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32,}|\S+@\S+\.\S+|https?://\S+")
_ARRAY_NAME = re.compile(r"x\d+|column_\d+")


@dataclass(frozen=True)
class Facts:
    """What is known of a column before its role is decided.

    Parameters
    ----------
    name, dtype : str, polars.DataType
        Name and type.
    rows, missing, unique : int
        Numbers of rows, missing values and distinct values.
    full, sample : polars.Series
        All values, and those of a sample of rows without missing ones.
    order : tuple of str
        Categories in the order that the source gave them, if it did.
    alone : bool
        Whether there is no other column to learn from.
    distinct : polars.Series, optional
        All distinct values, missing not among them, where they are known already.
    about : bool
        Whether the number of distinct values is an estimate.
    """

    name: str
    dtype: pl.DataType
    rows: int
    missing: int
    unique: int
    full: pl.Series
    sample: pl.Series
    order: tuple[str, ...] = ()
    alone: bool = False
    distinct: pl.Series | None = None
    about: bool = False

    @property
    def known(self) -> int:
        """Number of values that are there."""
        return self.rows - self.missing

    def values(self) -> pl.Series:
        """Return the distinct values, in any order."""
        return self.full.drop_nulls().unique() if self.distinct is None else self.distinct


def decide(facts: Facts) -> tuple[Column, list[Finding]]:
    """Return the column with its role and reason, and what is worth telling about it."""
    column = Column(facts.name, "ignored", str(facts.dtype), missing=facts.missing, unique=facts.unique)
    name = facts.name
    if facts.dtype.is_nested() or facts.dtype in (pl.Object, pl.Binary):
        message = f"{name!r} holds nested or binary values ({facts.dtype}) and is left out."
        return replace(column, reason="its cells hold more than one value"), [Finding("nested", name, message)]
    if not facts.known:
        message = f"{name!r} has no values at all and is left out."
        return replace(column, reason="all values are missing"), [Finding("all-missing", name, message)]
    if facts.unique == 1 and not facts.missing:
        message = f"{name!r} has the same value in every row ({facts.sample[0]!r}) and is left out."
        return replace(column, reason="all values are equal", note="constant"), [Finding("constant", name, message)]
    if facts.dtype == pl.Boolean:
        return replace(column, role="categorical", dtype="Boolean", reason="truth values"), []
    if facts.dtype in (pl.Duration, pl.Time):
        noun = "a span of time" if facts.dtype == pl.Duration else "a time of day"
        return replace(column, role="numeric", dtype="Float64", reason=f"{noun}, in seconds"), []
    if facts.dtype.is_temporal():
        return replace(column, role="datetime", dtype="Datetime", reason="dates"), []
    if facts.dtype.is_numeric():
        return _number(facts, column)
    return _words(facts, column)


def name_words(name: str) -> set[str]:
    """Return the words of a column's name in lower case: ``customerID`` → customer, id."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return {word for word in re.split(r"[^a-z0-9]+", parted.casefold()) if word}


def _number(facts: Facts, column: Column) -> tuple[Column, list[Finding]]:
    dtype = "Float32" if facts.dtype == pl.Float32 else "Float64"
    sample = facts.sample
    whole = facts.dtype.is_integer() or bool((sample == sample.round()).all())
    words = name_words(facts.name)
    if facts.dtype.is_integer() and facts.dtype not in (pl.Int128, pl.UInt128):
        dtype = str(facts.dtype)
    column = replace(column, role="numeric", dtype=dtype, reason="numbers with decimals")
    if not whole:
        return column, []
    if facts.dtype.is_integer() and words & _DATE_WORDS and _compact_dates(sample):
        return replace(
            column, role="datetime", dtype="Datetime", reason="dates written 20240131", format=NUMBER_FORMAT
        ), []
    if not _ARRAY_NAME.fullmatch(facts.name):
        special = _whole_id(facts, column, words) or _whole_code(facts, column, words)
        if special is not None:
            return special
    if facts.unique == 1:
        return replace(column, reason="one number or missing"), []
    return replace(column, reason="two numbers" if facts.unique == 2 else "whole numbers"), []


def _whole_id(facts: Facts, column: Column, words: set[str]) -> tuple[Column, list[Finding]] | None:
    if facts.known < 10 or facts.unique < 0.95 * facts.known:
        return None
    span = int(facts.full.max()) - int(facts.full.min()) + 1  # type: ignore[arg-type]  # a numeric column with values
    counting = not facts.missing and facts.unique == facts.rows == span and facts.full.is_sorted()
    named = words & _ID_WORDS or (words & _WEAK_ID_WORDS and facts.unique == facts.known)
    if not named and (not counting or facts.alone):
        return None
    reason = "it counts the rows" if counting else "its name, and (almost) every value is different"
    return _left_out_id(column, reason)


def _left_out_id(column: Column, reason: str) -> tuple[Column, list[Finding]]:
    message = f"{column.name!r} looks like an identifier ({reason}) and is left out."
    return replace(column, role="id", reason=reason), [Finding("id", column.name, message, "info")]


def _whole_code(facts: Facts, column: Column, words: set[str]) -> tuple[Column, list[Finding]] | None:
    if facts.unique < 3:
        return None
    values = facts.sample.cast(pl.Int64)
    low, high = int(values.min()), int(values.max())  # type: ignore[arg-type]  # a numeric column with values
    if words & _RATING_WORDS and facts.unique <= 11 and low >= 0 and high <= 10:
        steps = facts.values().cast(pl.Int64).sort()
        order = tuple(str(step) for step in steps)
        reason = f"whole numbers from {steps[0]} to {steps[-1]}, and a name that says that they are ranks"
        return replace(column, role="ordinal", reason=reason, order=order), []
    if words & _ID_WORDS and facts.unique < 0.95 * facts.known:
        reason = "numbers that stand for something, as the name says; they occur more than once"
        return replace(column, role="categorical", dtype="String", reason=reason), []
    if words & _CODE_WORDS and low >= 0 and facts.unique <= max(20, min(1000, facts.known // 20)):
        reason = f"whole numbers with {facts.unique} values, and a name that says that they are codes"
        return replace(column, role="categorical", dtype="String", reason=reason), []
    return None


def _compact_dates(sample: pl.Series) -> bool:
    if not sample.cast(pl.Int64, strict=False).is_between(16_000_101, 24_001_231).all():  # Int8 holds no such bounds
        return False
    return sample.cast(pl.String).str.to_datetime(NUMBER_FORMAT, strict=False).null_count() <= 0.05 * len(sample)


def _words(facts: Facts, column: Column) -> tuple[Column, list[Finding]]:
    column = replace(column, role="categorical", dtype="String")
    values = facts.sample.cast(pl.String).head(_SAMPLE).to_list()
    findings: list[Finding] = []
    if picture_names(values):
        if are_there(values):
            return replace(column, role="image", reason="paths of picture files"), []
        message = f"{facts.name!r} holds names of pictures ({_examples(values)}), but no such files were found."
        findings.append(Finding("pictures-not-found", facts.name, message))
    share, style = number_share(values)
    if share >= ENOUGH:
        note = "signs such as % and $ are left out" if any(set(value) & set("%$€£¥") for value in values) else ""
        return replace(
            column, role="numeric", dtype="Float64", reason="numbers written as text", note=note, format=style
        ), []
    dates = find_date_format(values)
    if dates is not None:
        if dates.rival:
            message = (
                f"Dates in {facts.name!r} may be {dates.format} or {dates.rival}; they were read as {dates.format}."
            )
            findings.append(Finding("ambiguous-date", facts.name, message))
        reason = f"dates written {dates.format}"
        return replace(column, role="datetime", dtype="Datetime", reason=reason, format=dates.format), findings
    order = facts.order or (find_order(facts.values().to_list()) if facts.unique <= 30 else ())
    if order and facts.unique > 1:
        reason = "its categories come in an order" if facts.order else "words that have an order"
        return replace(column, role="ordinal", reason=f"{reason}: {' < '.join(order)}"[:300], order=order), []
    if share > 0.2:
        message = f"{facts.name!r} mixes numbers with words ({_examples(values)}), so its values count as categories."
        findings.append(Finding("mixed-types", facts.name, message))
    return _open_words(facts, column, values, findings)


def _open_words(
    facts: Facts, column: Column, values: list[str], findings: list[Finding]
) -> tuple[Column, list[Finding]]:
    distinct = facts.unique / facts.known
    if distinct > 0.9 and facts.known >= 5 and sum(map(bool, map(_UUID.fullmatch, values))) >= ENOUGH * len(values):
        left, told = _left_out_id(column, "addresses or universal identifiers, (almost) all different")
        return left, [*findings, *told]
    if distinct >= 0.5:
        length = sum(len(value) for value in values) / len(values)
        words = sum(len(value.split()) for value in values) / len(values)
        if (words >= 4 and length >= 15) or (words >= 2 and length >= 40):
            reason = f"free text: {words:.0f} words on average, {distinct:.0%} of the values different"
            return replace(column, role="text", reason=reason), findings
    name = name_words(facts.name)
    named = bool(name & (_ID_WORDS | _WEAK_ID_WORDS)) and distinct >= 0.95 and facts.known >= 10
    if (named or (facts.unique == facts.known and facts.known >= 20)) and not facts.alone:
        why = "every value is different" if distinct == 1 else "its name, and few values repeat"
        left, told = _left_out_id(column, why)
        return left, [*findings, *told]
    return replace(column, reason=f"words with {'about ' * facts.about}{facts.unique:,} different values"), findings


def _examples(values: list[str]) -> str:
    numbers = [value for value in values if number_share([value])[0] == 1]
    others = [value for value in values if number_share([value])[0] < 1]
    return ", ".join(repr(value) for value in (*dict.fromkeys(numbers[:1]), *list(dict.fromkeys(others))[:2]))
