"""One form for learning and predicting: every column in the type that its schema says."""

from __future__ import annotations

import polars as pl

from glia.core.errors import InputError, near
from glia.data.frames import to_frame
from glia.data.markers import DASH, strip_and_clear
from glia.data.roles_dates import END, FIRST, ISO, NUMBER_FORMAT, date_expr
from glia.data.roles_numbers import POINT, number_expr
from glia.data.schema import INPUT_ROLES, Column, Finding, Schema

_TRUE, _FALSE = ("true", "yes", "1", "t", "y"), ("false", "no", "0", "f", "n")
_WORDS = (pl.String, pl.Categorical, pl.Enum)


def unify(frame: object, schema: Schema) -> pl.DataFrame:
    """Give rows the columns and types that a schema was learned with.

    Parameters
    ----------
    frame : frame, array or Table
        Rows (N, any columns); everything that ``to_frame`` takes.
    schema : Schema
        Learned by ``infer_schema`` or ``read``.

    Returns
    -------
    polars.DataFrame
        The input columns in the schema's order, then target, group and weight columns as far as they are there. Numeric
        columns are of a numeric type, dates are Datetime without zone, categories and text are String (or Boolean);
        what cannot be read is missing. Further columns are left out.

    Raises
    ------
    InputError
        If input columns are missing (all are named), if nothing in a column can be read, or if numbers are infinite.
    """
    return conform(frame, schema)[0]


def conform(frame: object, schema: Schema) -> tuple[pl.DataFrame, tuple[Finding, ...]]:
    """Do what ``unify`` does, and also return a finding per column with values that could not be read."""
    rows = to_frame(frame)
    inputs = schema.inputs()
    _require(inputs, schema, rows)
    there = set(rows.columns)
    wanted = [*inputs, *(name for name in schema.names("target", "group", "weight") if name in there)]
    rows = rows.select(wanted)
    kept = set(wanted)
    columns = [column for column in schema.columns if column.name in kept]
    weak = {column.name for column in columns if column.format != DASH}
    cleared, _ = strip_and_clear(words_to_strings(rows), weak=weak)
    return cast_columns(cleared, columns)


def words_to_strings(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its categories (``Categorical``, ``Enum``) as strings."""
    coded = [name for name, dtype in frame.schema.items() if dtype in (pl.Categorical, pl.Enum)]
    return frame.with_columns(pl.col(coded).cast(pl.String)) if coded else frame


def cast_columns(frame: pl.DataFrame, columns: list[Column]) -> tuple[pl.DataFrame, tuple[Finding, ...]]:
    """Cast columns to what their ``Column`` says; those left out stay as they are.

    Raises
    ------
    InputError
        If none of a column's values can be read, or if numbers are infinite.
    """
    dtypes = dict(frame.schema)
    casts: dict[str, pl.Expr] = {}
    # one expression for all columns that are floats already: with hundreds of columns, one each would take longer
    floats = [column.name for column in columns if _stays_float(column, dtypes[column.name])]
    done_already = set(floats)
    for column in columns:
        if column.name in done_already:
            continue
        expression = _cast(column, dtypes[column.name])
        if expression is not None:
            casts[column.name] = expression.alias(column.name)
    frame = frame.with_columns(pl.col(floats).fill_nan(None)) if floats else frame
    if not casts:
        check_finite(frame, columns)
        return frame, ()
    done = _retry_dates(frame, frame.with_columns(casts.values()), columns)
    check_finite(done, columns)
    return done, _losses(frame, done, [column for column in columns if column.name in casts])


def _retry_dates(before: pl.DataFrame, after: pl.DataFrame, columns: list[Column]) -> pl.DataFrame:
    """Read dates again where some were not in the form that was learned: trying all forms at first would be slow."""
    dtypes = dict(before.schema)
    texts = [column for column in columns if column.role == "datetime" and dtypes[column.name] == pl.String]
    if not texts:
        return after
    again = [c for c in texts if after[c.name].null_count() > before[c.name].null_count()]
    retried = before.select(date_expr(c.name, c.format or ISO[0], lenient=True) for c in again)
    return after.with_columns(retried.get_columns())


def check_finite(frame: pl.DataFrame, columns: list[Column]) -> None:
    """Raise an ``InputError`` that names columns and rows where used numbers are infinite."""
    used = {column.name for column in columns if column.role in (*INPUT_ROLES, "target", "weight")}
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float() and name in used]
    if not floats:
        return
    hits = frame.select(pl.col(floats).is_infinite().any()).row(0)
    bad = [name for name, hit in zip(floats, hits, strict=True) if hit]
    if not bad:
        return
    shown = []
    for name in bad[:5]:
        rows = frame.get_column(name).is_infinite().fill_null(False).arg_true() + 1
        numbers = ", ".join(str(row) for row in rows.head(3)) + (", …" if len(rows) > 3 else "")
        shown.append(f"{name!r} (row{'s' * (len(rows) > 1)} {numbers})")
    more = f" and {len(bad) - 5} more columns" if len(bad) > 5 else ""
    raise InputError(
        "numbers must be finite",
        f"infinite values (inf) in {', '.join(shown)}{more}",
        "replace them, leave them blank, or leave the columns out",
    )


def _require(inputs: tuple[str, ...], schema: Schema, rows: pl.DataFrame) -> None:
    there = set(rows.columns)
    missing = [name for name in inputs if name not in there]
    if not missing:
        return
    spare = sorted(there - set(schema.names()))
    advice = []
    for name in missing[:5]:
        hint = near(name, spare) if spare else ""
        if hint.startswith("did"):
            advice.append(f"for {name!r} {hint}")
    shown = ", ".join(repr(name) for name in missing[:20]) + (f" and {len(missing) - 20} more" * (len(missing) > 20))
    raise InputError(
        "rows must have the columns that the model was fitted on",
        f"rows without {shown}",
        "; ".join(advice) or "add them; values may be blank",
    )


def _cast(column: Column, dtype: pl.DataType) -> pl.Expr | None:
    """Return the cast of one column, or ``None`` where nothing is to be done."""
    numeric_target = column.role == "target" and column.format not in ("", DASH)
    if (
        column.role in ("numeric", "weight")
        or numeric_target
        or (column.role == "ordinal" and column.dtype != "String")
    ):
        return _to_number(column, dtype)
    if column.role == "datetime":
        return _to_datetime(column, dtype)
    if column.role in ("categorical", "ordinal", "text"):
        return _to_boolean(column, dtype) if column.dtype == "Boolean" else _to_string(column, dtype)
    return None


def _stays_float(column: Column, dtype: pl.DataType) -> bool:
    if column.role == "target":
        return dtype.is_float()
    narrow = dtype == pl.Float32 and column.dtype == "Float32"
    return column.role in ("numeric", "weight") and (narrow or dtype == pl.Float64)


def _to_number(column: Column, dtype: pl.DataType) -> pl.Expr | None:
    value = pl.col(column.name)
    if dtype in _WORDS or dtype == pl.Null:
        return number_expr(column.name, column.format or POINT) if dtype != pl.Null else value.cast(pl.Float64)
    if dtype == pl.Duration:
        return value.dt.total_microseconds().cast(pl.Float64) / 1e6
    if dtype == pl.Time:
        return value.cast(pl.Int64).cast(pl.Float64) / 1e9
    if dtype.is_float():
        return value.cast(pl.Float64).fill_nan(None)
    if dtype == pl.Boolean:
        return value.cast(pl.Int64)
    if dtype.is_decimal() or dtype in (pl.Int128, pl.UInt128) or (dtype.is_integer() and column.dtype == "Float64"):
        return value.cast(pl.Float64)
    return None if dtype.is_numeric() else value.cast(pl.Float64, strict=False)


def _to_datetime(column: Column, dtype: pl.DataType) -> pl.Expr | None:
    value = pl.col(column.name)
    if dtype in _WORDS:
        return date_expr(column.name, column.format or ISO[0])
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is not None:
            value = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return None if dtype == pl.Datetime("us") else value.cast(pl.Datetime("us"))
    if dtype.is_numeric() and column.format == NUMBER_FORMAT:
        digits = value.cast(pl.Int64, strict=False).cast(pl.String)
        return digits.str.to_datetime(NUMBER_FORMAT, time_unit="us", strict=False)
    if dtype == pl.Date:
        return pl.when(value.is_between(FIRST.date(), END.date(), closed="left")).then(value).cast(pl.Datetime("us"))
    if dtype == pl.Null:
        return value.cast(pl.Datetime("us"))
    return pl.lit(None, pl.Datetime("us"))


def _to_boolean(column: Column, dtype: pl.DataType) -> pl.Expr | None:
    value = pl.col(column.name)
    if dtype == pl.Boolean:
        return None
    if dtype.is_numeric():
        return value.cast(pl.Boolean)
    word = value.cast(pl.String).str.to_lowercase()
    return pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)


def _to_string(column: Column, dtype: pl.DataType) -> pl.Expr | None:
    value = pl.col(column.name)
    if dtype == pl.String:
        return None
    if dtype.is_float():
        # codes read as 3.0 are the category "3"; a missing value beside whole numbers makes such floats
        value = value.fill_nan(None)
        whole = value.cast(pl.Int64, strict=False)
        return pl.when(whole == value).then(whole.cast(pl.String)).otherwise(value.cast(pl.String))
    return value.cast(pl.String)


def _losses(before: pl.DataFrame, after: pl.DataFrame, columns: list[Column]) -> tuple[Finding, ...]:
    """Return a finding per column where values turned into missing ones; raise where all of them did."""
    findings = []
    for column in columns:
        name = column.name
        old, new = before.get_column(name), after.get_column(name)
        if old.dtype.is_float():
            continue  # NaN is missing before and after
        lost = new.null_count() - old.null_count()
        if not lost:
            continue
        noun = {"datetime": "date"}.get(column.role, "truth value" if column.dtype == "Boolean" else "number")
        gone = old.filter(new.is_null() & old.is_not_null())
        words = ", ".join(repr(str(value)) for value in gone.unique(maintain_order=True).head(3))
        if lost == len(old) - old.null_count():
            raise InputError(
                f"column {name!r} must hold {noun}s",
                f"{words}{', …' if gone.n_unique() > 3 else ''}",
                "correct these values, leave them blank, or give the column another role",
            )
        message = (
            f"{lost:,} of {len(old):,} values of {name!r} cannot be read as a {noun} and count as missing: {words}"
        )
        findings.append(Finding("unparsed", name, message + (", …" if gone.n_unique() > 3 else ".")))
    return tuple(findings)
