"""Schema inference: a role and a reason for every column of a table, and what looks wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from glia.core.errors import InputError, near
from glia.data.findings import arrange, marker_findings
from glia.data.frames import to_frame
from glia.data.markers import DASH, WEAK_MARKERS
from glia.data.roles_checks import check_columns
from glia.data.roles_columns import Facts, decide
from glia.data.roles_dates import find_date_format
from glia.data.roles_numbers import number_share
from glia.data.roles_overview import SAMPLE_ROWS, Overview, overview
from glia.data.roles_scales import find_order
from glia.data.schema import Column, Role, Schema, check_role
from glia.data.targets import require_target
from glia.data.unify import cast_columns


def infer_schema(
    frame: object,
    *,
    target: str | Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
) -> Schema:
    """Infer what each column of a table is for.

    Parameters
    ----------
    frame : frame, array or Table
        Rows (N, D); everything that ``to_frame`` takes.
    target : str or sequence of str, optional
        Column or columns to be predicted.
    roles : mapping of str to str, optional
        Column → role, instead of the inferred one.
    drop : sequence of str
        Columns to leave out.

    Returns
    -------
    Schema
        With findings, the gravest first.

    Raises
    ------
    InputError
        If a named column or role does not exist, all columns are empty, used numbers are infinite, or no value of one
        can be read in the role that was asked for.
    """
    return learn_schema(frame, target=target, roles=roles, drop=drop)[1]


def learn_schema(
    frame: object,
    *,
    target: str | Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
) -> tuple[pl.DataFrame, Schema]:
    """Do what ``infer_schema`` does, and also return all columns in the types of the schema."""
    rows = to_frame(frame)
    given = _given_roles(rows, target, roles, drop)
    if not rows.height:
        raise InputError("a table must have at least one row", "0 rows", "hand in rows")
    orders = {name: tuple(dtype.categories) for name, dtype in rows.schema.items() if isinstance(dtype, pl.Enum)}
    view = overview(rows, tuple(name for name, role in given.items() if role == "ignored"))
    rows = view.frame
    findings = marker_findings(view.markers)
    spare = [name for name in rows.columns if given.get(name) not in ("target", "ignored", "group", "weight")]
    columns: list[Column] = []
    for name in rows.columns:
        facts = _facts(view, name, tuple(str(step) for step in orders.get(name, ())), len(spare) <= 1)
        column, found = (_as_asked(facts, given[name]), []) if name in given else decide(facts)
        columns.append(_with_dash(column, facts))
        findings += found
    _require_values(columns, rows.height)
    rows, losses = cast_columns(rows, [column for column in columns if not (view.finite and _is_float(column, rows))])
    columns = _settle_types(rows, columns)
    findings += [*losses, *check_columns(rows, columns, view)]
    return rows, Schema(tuple(columns), arrange(findings), rows.height)


def _facts(view: Overview, name: str, order: tuple[str, ...], alone: bool) -> Facts:
    full = view.frame.get_column(name)
    known = view.sample.get_column(name).drop_nulls()
    if not len(known) and view.missing[name] < len(full):
        known = full.drop_nulls().head(SAMPLE_ROWS)
    return Facts(
        name,
        full.dtype,
        len(full),
        view.missing[name],
        view.unique[name],
        full,
        known,
        order,
        alone,
        view.distinct.get(name),
        name in view.about,
    )


def _is_float(column: Column, frame: pl.DataFrame) -> bool:
    """Whether a column is a float already and stays one: only NaN and infinities would have to be seen to."""
    dtype = frame.schema[column.name]
    return dtype.is_float() and column.role in ("numeric", "weight", "target") and column.dtype == str(dtype)


def plain_schema(
    frame: pl.DataFrame,
    *,
    target: str | Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
) -> Schema:
    """Return a schema by types alone, without looking at a value: what ``read(..., infer=False)`` gives."""
    given = _given_roles(frame, target, roles, drop)
    columns = []
    for name, dtype in frame.schema.items():
        by_type: Role = "categorical"
        if dtype.is_numeric():
            by_type = "numeric"
        elif dtype.is_temporal() and dtype not in (pl.Duration, pl.Time):
            by_type = "datetime"
        elif dtype.is_nested() or dtype in (pl.Null, pl.Object, pl.Binary):
            by_type = "ignored"
        columns.append(Column(name, given.get(name, by_type), type_name(dtype), "by its type"))
    return Schema(tuple(columns), (), frame.height)


def type_name(dtype: pl.DataType) -> str:
    """Return the name of a Polars type without its parameters."""
    return str(dtype).partition("(")[0]


def _given_roles(
    frame: pl.DataFrame, target: str | Sequence[str] | None, roles: Mapping[str, str] | None, drop: Sequence[str]
) -> dict[str, Role]:
    """Return the roles that the caller has set, checked."""
    given: dict[str, Role] = {}
    for name, role in (roles or {}).items():
        _require_column(frame, name, role if role in ("group", "weight") else "roles")  # those have flags of their own
        given[name] = check_role(role, name)
    for name in [drop] if isinstance(drop, str) else drop:
        _require_column(frame, name, "drop")
        given[name] = "ignored"
    for name in () if target is None else [target] if isinstance(target, str) else target:
        require_target(frame.columns, name)
        if given.get(name) not in (None, "target"):
            raise InputError(
                "a column must have one role",
                f"{name!r} as target and as {given[name]}",
                "choose one of them",
            )
        given[name] = "target"
    return given


def _require_column(frame: pl.DataFrame, name: str, where: str) -> None:
    if name not in frame.columns:
        raise InputError(f"{where} must name columns of the table", f"{where}={name!r}", near(str(name), frame.columns))


def _as_asked(facts: Facts, role: Role) -> Column:
    """Return a column in the role that its owner asked for."""
    column = Column(facts.name, role, type_name(facts.dtype), "as asked", facts.missing, facts.unique)
    words = facts.dtype == pl.String
    if role == "numeric" and words:
        style = number_share(facts.sample.head(2000).to_list())[1]
        return replace(column, dtype="Float64", format=style)
    if role == "target":
        share, style = number_share(facts.sample.head(2000).to_list()) if words else (0.0, "")
        column = replace(column, reason="to be predicted")
        return replace(column, format=style) if share == 1.0 else column
    if role == "datetime":
        found = find_date_format(facts.sample.head(2000).to_list()) if words else None
        return replace(column, dtype="Datetime", format=found.format if found else "")
    if role == "ordinal":
        return _ordinal_as_asked(facts, column)
    if role in ("categorical", "text", "image") and facts.dtype != pl.Boolean:
        return replace(column, dtype="String")
    return column


def _ordinal_as_asked(facts: Facts, column: Column) -> Column:
    values = facts.values().sort()
    if facts.dtype.is_numeric():
        whole = values.cast(pl.Int64, strict=False)
        plain = whole if bool((whole == values).all()) else values
        return replace(column, order=tuple(str(value) for value in plain))
    texts = values.cast(pl.String).to_list()
    found = facts.order or find_order(texts)
    note = "" if found else "no order of these words is known, so they are in the order of the alphabet"
    return replace(column, dtype="String", order=tuple(found or texts), note=note)


def _with_dash(column: Column, facts: Facts) -> Column:
    """Note that a dash or a point is a value here: rows that come one by one must be read alike."""
    values = facts.full if facts.distinct is None else facts.distinct
    words = column.role in ("categorical", "ordinal", "text", "target") and values.dtype == pl.String
    return replace(column, format=DASH) if words and values.is_in(WEAK_MARKERS).any() else column


def _require_values(columns: Sequence[Column], rows: int) -> None:
    others = [column for column in columns if column.role not in ("target", "weight", "group")]
    if others and all(column.missing == rows for column in others):
        raise InputError(
            "at least one column must have values",
            f"only missing ones in {', '.join(repr(column.name) for column in others[:10])}",
            "hand in a table with values",
        )
    if not others:
        raise InputError(
            "there must be at least one column to learn from",
            "none beside the target",
            "hand in a table with further columns",
        )


def _settle_types(frame: pl.DataFrame, columns: Sequence[Column]) -> list[Column]:
    """Return the columns with the types that they really have now, and missing values as counted after the casts."""
    missing = dict(zip(frame.columns, frame.null_count().row(0), strict=True))
    dtypes = dict(frame.schema)
    return [replace(column, dtype=type_name(dtypes[column.name]), missing=missing[column.name]) for column in columns]
