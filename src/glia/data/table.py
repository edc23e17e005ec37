"""A table: rows, and what their columns are for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.data.schema import Schema


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Rows with typed columns.

    Parameters
    ----------
    frame : polars.DataFrame
        All columns, those that are left out included.
    schema : Schema
        Roles of the columns and findings.
    name : str
        What to call it in messages and reports.
    """

    frame: pl.DataFrame
    schema: Schema
    name: str = "table"

    def __len__(self) -> int:
        return self.frame.height

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(self.frame.columns)

    @property
    def target(self) -> pl.Series | None:
        """Values of the (first) target column, or ``None``."""
        name = self.schema.target
        return None if name is None else self.frame.get_column(name)

    @property
    def targets(self) -> pl.DataFrame:
        """The target columns; a frame without columns where there is none."""
        return self.frame.select(self.schema.names("target"))

    @property
    def inputs(self) -> pl.DataFrame:
        """The columns that a network may learn from."""
        return self.frame.select(self.schema.inputs())

    @property
    def group(self) -> pl.Series | None:
        """Values of the group column, or ``None``."""
        return self._single("group")

    @property
    def weight(self) -> pl.Series | None:
        """Row weights, or ``None``."""
        return self._single("weight")

    def take(self, indices: Sequence[int] | NDArray[Any] | pl.Series) -> Table:
        """Return the rows at these positions, in their order, with the same schema."""
        if isinstance(indices, np.ndarray) and indices.dtype == np.bool_:
            indices = np.flatnonzero(indices)
        return replace(self, frame=self.frame[indices])

    def _single(self, role: str) -> pl.Series | None:
        names = self.schema.names(role)
        return self.frame.get_column(names[0]) if names else None

    def __repr__(self) -> str:
        counts = Counter(column.role for column in self.schema.columns if column.role != "target")
        roles = ", ".join(f"{count} {role}" for role, count in counts.most_common())
        target = "".join(f", target {name!r}" for name in self.schema.names("target"))
        return f"Table {self.name!r}: {len(self):,} rows × {self.frame.width} columns{target} ({roles})"
