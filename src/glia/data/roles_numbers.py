"""Numbers that are written as text: 1,234 · 12% · $3.5 · 1.234,56."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import polars as pl

POINT, COMMA = "number", "number, decimal comma"
ENOUGH = 0.95
"""Share of the values that must be numbers for a column of strings to be numeric."""

_DECOR = r"[\s\u00a0$€£¥%]"
_PLAIN = r"(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?i:inf|infinity|nan))"
_POINT = rf"^(?:{_PLAIN}|[+-]?\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?)$"
_COMMA = rf"^(?:{_PLAIN}|[+-]?\d+,\d+|[+-]?\d{{1,3}}(?:\.\d{{3}})+(?:,\d+)?)$"
_ZERO_FIRST = re.compile(r"0\d+")


def number_share(values: Sequence[str]) -> tuple[float, str]:
    """Return the share of values that are numbers, and how their decimals are written.

    Codes with leading zeros (``007``) are not numbers: a share of 0 is returned where one occurs.
    """
    counts = Counter(values)  # words repeat, and each is looked at once
    if not values or any(_ZERO_FIRST.fullmatch(value) for value in counts):
        return 0.0, ""
    bare: Counter[str] = Counter()
    for value, count in counts.items():
        bare[re.sub(_DECOR, "", value)] += count
    shares = {}
    for style, pattern in ((POINT, _POINT), (COMMA, _COMMA)):
        match = re.compile(pattern)
        shares[style] = sum(count for value, count in bare.items() if match.match(value)) / len(values)
    style = max(shares, key=lambda key: shares[key])  # equal: the point, which stands first
    return shares[style], style


def number_expr(column: str, style: str = POINT) -> pl.Expr:
    """Return the expression of a string column as Float64; what is not a number becomes null."""
    bare = pl.col(column).str.replace_all(_DECOR, "")
    valid = bare.str.contains(_COMMA if style == COMMA else _POINT)
    if style == COMMA:
        # 1.5 stays one and a half unless the points group thousands
        grouped = bare.str.contains(r"^[+-]?\d{1,3}(\.\d{3})+(,\d+)?$")
        digits = pl.when(grouped).then(bare.str.replace_all(".", "", literal=True)).otherwise(bare)
        digits = digits.str.replace(",", ".", literal=True)
    else:
        digits = bare.str.replace_all(",", "", literal=True)
    return pl.when(valid).then(digits.cast(pl.Float64, strict=False)).otherwise(None).alias(column)


def strays(values: pl.Series, style: str = POINT) -> list[str]:
    """Return the distinct strings that are not numbers, the most frequent first."""
    frame = values.drop_nulls().alias("value").to_frame()
    left = frame.filter(frame.select(number_expr("value", style)).to_series().is_null())
    counted = left.group_by("value").len().sort(["len", "value"], descending=[True, False])
    return [str(value) for value in counted.get_column("value")]
