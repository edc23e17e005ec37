"""Which columns a preparation uses, and as what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from glia.core.errors import InputError, near
from glia.data.casting import check_flat, text_of
from glia.data.schema import INPUT_ROLES, check_role


class ColumnRole(NamedTuple):
    """The use of one column: its role; if ordinal, its categories from lowest to highest; how strings are written."""

    role: str
    order: tuple[str, ...] = ()
    format: str = ""


def resolve_roles(schema: pl.Schema, roles: Mapping[str, Any] | None) -> dict[str, ColumnRole]:
    """Return column → role for the columns to be used, in the order of the table.

    Parameters
    ----------
    schema : polars.Schema
        Names and dtypes of the table.
    roles : mapping of str to (str or object), optional
        A role's name, or an object with ``role`` and perhaps ``order`` and ``format`` (a schema's ``Column``). Columns
        with other roles than ``INPUT_ROLES``, and columns that are not mentioned, are left out. By default numbers and
        durations are numeric, dates and times datetime, everything else categorical; columns of nulls are left out.

    Raises
    ------
    InputError
        If a role is not known, a used column is not in the table or holds nested values, or if none is left.
    """
    if roles is None:
        chosen = {name: ColumnRole(_by_dtype(dtype)) for name, dtype in schema.items() if dtype != pl.Null}
    else:
        given = {str(name): _column_role(str(name), role) for name, role in roles.items()}
        used = {name: role for name, role in given.items() if role.role in INPUT_ROLES}
        require_columns(schema, list(used))
        chosen = {name: used[name] for name in schema if name in used}
    check_flat(schema, list(chosen))
    if not chosen:
        raise InputError(
            "at least one column must be usable",
            f"the columns {list(schema)[:10]}",
            f"give one a role among {', '.join(INPUT_ROLES)}",
        )
    return chosen


def _column_role(name: str, given: Any) -> ColumnRole:
    if isinstance(given, str):
        return ColumnRole(check_role(given, name))
    role = getattr(given, "role", given)
    order = tuple(text_of(value) for value in getattr(given, "order", None) or ())
    if "" in order or len(set(order)) < len(order):
        raise InputError("the order of a column must name each category once", f"{name}: {list(order)}", "correct it")
    return ColumnRole(check_role(str(role), name), order, str(getattr(given, "format", None) or ""))


def _by_dtype(dtype: pl.DataType) -> str:
    if dtype.is_numeric() or dtype == pl.Duration:
        return "numeric"
    return "datetime" if dtype.is_temporal() else "categorical"


def require_columns(schema: pl.Schema, columns: list[str]) -> None:
    """Refuse a table without the given columns.

    Raises
    ------
    InputError
        All missing columns are named, the first ones with the name in the table that comes nearest.
    """
    missing = [name for name in columns if name not in schema]
    if not missing:
        return
    spare = sorted(set(schema) - set(columns))  # a column that has its own use is not a misspelling of another
    advice = [f"for {name!r}: {near(name, spare)}" for name in missing[:5]] if spare else ["add them"]
    shown = ", ".join(map(repr, missing[:20])) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
    raise InputError("the table must have all columns that are used", f"a table without {shown}", "; ".join(advice))
