"""What a column of any dtype is worth as a number or as a category: one Polars expression for each."""

from __future__ import annotations

import polars as pl

from glia.core.errors import InputError
from glia.data.roles_numbers import POINT, number_expr

_SECOND = 1e6
_EXACT = 2.0**53


def check_flat(schema: pl.Schema, columns: list[str]) -> None:
    """Refuse columns whose cells are not single values.

    Raises
    ------
    InputError
        If a column holds lists, arrays, structs, bytes or Python objects; all such columns are named.
    """
    bad = [f"{name!r} ({schema[name]})" for name in columns if schema[name].is_nested() or _opaque(schema[name])]
    if bad:
        shown = ", ".join(bad[:10]) + (f" and {len(bad) - 10} more" if len(bad) > 10 else "")
        raise InputError("every column must hold single values", shown, "leave these columns out, or unnest them first")


def _opaque(dtype: pl.DataType) -> bool:
    return dtype in (pl.Object, pl.Binary)


def numeric_expr(column: str, dtype: pl.DataType, style: str = POINT) -> pl.Expr:
    """Return the expression of a column as Float64; what is not a number becomes null.

    Durations and times count in seconds, datetimes in seconds and dates in days since 1970. ``style`` says how strings
    write their decimals, see ``roles_numbers``.
    """
    value = pl.col(column)
    if dtype == pl.String:
        return number_expr(column, style)
    if dtype in (pl.Categorical, pl.Enum):
        return value.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    if dtype == pl.Duration:
        return value.dt.total_microseconds().cast(pl.Float64) / _SECOND
    if dtype == pl.Datetime:
        return value.dt.epoch("us").cast(pl.Float64) / _SECOND
    if dtype == pl.Time:
        return value.cast(pl.Int64).cast(pl.Float64) / 1e9
    return value.cast(pl.Float64, strict=False)


def text_expr(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return the expression of a column as String, written the same way whatever the dtype: 2, 2.0 and "2" agree.

    Blank strings, NaN and infinities become null; blanks around a value are removed.
    """
    value = pl.col(column)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        text = value.cast(pl.String).str.strip_chars()
        return pl.when(text != "").then(text)
    if dtype.is_float() or dtype.is_decimal():
        number = value.cast(pl.Float64)
        whole = number.is_finite() & (number == number.round()) & (number.abs() < _EXACT)
        written = pl.when(whole).then(number.cast(pl.Int64, strict=False).cast(pl.String))
        return written.otherwise(pl.when(number.is_finite()).then(number.cast(pl.String)))
    if dtype == pl.Duration:
        return value.dt.total_microseconds().cast(pl.String)
    return value.cast(pl.String)


def text_of(value: object) -> str:
    """Write one Python value the way ``text_expr`` writes a cell; blank for what counts as missing."""
    series = pl.Series("value", [value], strict=False)
    written = series.to_frame().select(text_expr("value", series.dtype)).item()
    return "" if written is None else str(written)
