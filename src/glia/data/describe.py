"""What a table holds and what looks wrong with it, as a result to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glia.core.results import Result
from glia.core.results import Table as Printed
from glia.data.findings import findings_table
from glia.data.read import read
from glia.data.roles_overview import FEW, LONG, estimate_distinct
from glia.data.schema import Column, Schema
from glia.data.table import Table


@dataclass(frozen=True)
class SchemaResult(Result):
    """Schema and findings of a table.

    Parameters
    ----------
    name : str
        Name of the table.
    rows : int
        Number of rows.
    schema : Schema
        Columns with roles, and findings.
    """

    name: str
    rows: int
    schema: Schema

    def summary(self) -> str:
        """Return size, roles and the number of findings in one sentence."""
        counts = Counter(column.role for column in self.schema.columns)
        roles = ", ".join(f"{count} {role}" for role, count in counts.most_common())
        grave = sum(1 for finding in self.schema.warnings if finding.severity == "failure")
        total = len(self.schema.warnings)
        found = "nothing looks wrong" if not total else f"{total} finding{'s' * (total > 1)}"
        if grave:
            found += f", {grave} of them grave"
        width = len(self.schema.columns)
        return f"{self.name}: {self.rows:,} rows × {width} column{'s' * (width > 1)} ({roles}); {found}."

    def tables(self) -> list[Printed]:
        """Return one table of columns and, where there are any, one of findings."""
        columns = tuple(
            (
                c.name,
                c.role,
                c.dtype,
                c.missing,
                _distinct(c, self.schema.rows),
                ". ".join(part for part in (c.reason, c.note) if part),
            )
            for c in self.schema.columns
        )
        tables = [Printed("Columns", ("column", "role", "type", "missing", "distinct", "why"), columns)]
        if self.schema.warnings:
            tables.append(findings_table(self.schema.warnings))
        return tables


def _distinct(column: Column, rows: int) -> int | str:
    """Return the number of distinct values; of long tables, large ones are estimates, those of identifiers excepted."""
    return f"about {column.unique:,}" if _is_estimate(column, rows) else column.unique


def _is_estimate(column: Column, rows: int) -> bool:
    return rows >= LONG and column.unique > FEW and column.role != "id"


def _counted(table: Table) -> Schema:
    """Return the schema with estimates for the numbers that reading has counted in a sample of the rows only."""
    columns = table.schema.columns
    counts = estimate_distinct(table.frame, [c.name for c in columns if _is_estimate(c, len(table))])
    return replace(
        table.schema, columns=tuple(replace(c, unique=max(c.unique, counts.get(c.name, 0))) for c in columns)
    )


def describe(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    limit: int | None = None,
) -> SchemaResult:
    """Infer the schema of a table and list what looks wrong with the data.

    Parameters
    ----------
    source, target, roles, drop, limit
        As in ``read``.

    Returns
    -------
    SchemaResult

    Raises
    ------
    InputError
        As in ``read``.
    """
    table = read(source, target=target, roles=roles, drop=drop, limit=limit)
    return SchemaResult(table.name, len(table), _counted(table))
