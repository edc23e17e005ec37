"""What the columns of a table are for: roles with reasons, and what looks wrong with the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from glia.core.errors import InputError, near

Role = Literal[
    "numeric", "categorical", "ordinal", "datetime", "text", "image", "audio", "sequence", "id", "ignored", "target",
    "group", "weight",
]  # fmt: skip
"""What a column is used for. ``id`` and ``ignored`` columns are left out; ``image`` and ``audio`` columns hold paths,
``sequence`` columns a list of numbers in each row."""

Severity = Literal["info", "warning", "failure"]

ROLES: tuple[str, ...] = get_args(Role)
INPUT_ROLES: tuple[str, ...] = ("numeric", "categorical", "ordinal", "datetime", "text")
RAW_ROLES: tuple[str, ...] = ("image", "audio", "sequence")
"""Of columns whose values are more than one number or word: networks of their own learn from them."""


@dataclass(frozen=True)
class Finding:
    """Something that a person should know about the data.

    Parameters
    ----------
    code : str
        Kind of finding, e.g. ``"leak"``, ``"id"``, ``"constant"``, ``"duplicate-rows"``.
    column : str or None
        The column concerned, or ``None`` where it is the whole table.
    message : str
        One sentence.
    severity : {"info", "warning", "failure"}
        ``failure``: results on these data should not be believed before this is settled.
    """

    code: str
    column: str | None
    message: str
    severity: Severity = "warning"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Its name.
    role : str
        What it is used for, see ``Role``.
    dtype : str
        Polars type after ``unify``: ``Int64``, ``Float64``, ``String``, ``Boolean``, ``Datetime`` …
    reason : str
        Why it has this role, in words.
    missing : int
        Number of missing values.
    unique : int
        Number of distinct values, missing not counted. In tables of 100,000 rows or more, large numbers may be too
        small (those of a sample of 20,000 rows) where no role hangs on them; ``glia.describe`` looks at all rows.
    note : str
        Anything else worth reading, e.g. a few values.
    order : tuple of str
        Values of an ``ordinal`` column from lowest to highest.
    format : str
        How strings were understood: a ``strptime`` format for dates, ``"number"`` or ``"number, decimal comma"``;
        ``"-"`` for words among which a dash or a point is a value and not a missing one.
    """

    name: str
    role: Role
    dtype: str
    reason: str = ""
    missing: int = 0
    unique: int = 0
    note: str = ""
    order: tuple[str, ...] = ()
    format: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns of a table and what was found wrong with them.

    Parameters
    ----------
    columns : tuple of Column
        In the order of the table.
    warnings : tuple of Finding
        Findings, the gravest first.
    rows : int
        Number of rows that the schema was learned from.
    """

    columns: tuple[Column, ...]
    warnings: tuple[Finding, ...] = ()
    rows: int = 0

    @property
    def target(self) -> str | None:
        """Name of the (first) target, or ``None``."""
        return next(iter(self.names("target")), None)

    def column(self, name: str) -> Column:
        """Return the column called ``name``.

        Raises
        ------
        InputError
            If there is none; the nearest name is offered.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise InputError(
            "a column must be in the table",
            f"{name!r}",
            near(name, [column.name for column in self.columns]),
        )

    def role(self, name: str) -> Role:
        """Return the role of the column called ``name``."""
        return self.column(name).role

    def names(self, *roles: str) -> tuple[str, ...]:
        """Return the names of the columns of these roles (of all columns where no role is given)."""
        return tuple(column.name for column in self.columns if not roles or column.role in roles)

    def inputs(self) -> tuple[str, ...]:
        """Return the names of the columns that a network may learn from."""
        return self.names(*INPUT_ROLES, *RAW_ROLES)

    def findings(self, *codes: str) -> tuple[Finding, ...]:
        """Return the findings of these codes."""
        return tuple(finding for finding in self.warnings if finding.code in codes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        """Rebuild what ``to_dict`` gave, also after a way through JSON."""
        columns = tuple(Column(**{**column, "order": tuple(column.get("order", ()))}) for column in data["columns"])
        return cls(columns, tuple(Finding(**finding) for finding in data.get("warnings", ())), data.get("rows", 0))


def check_role(role: str, column: str) -> Role:
    """Return ``role`` if it is one.

    Raises
    ------
    InputError
        If it is not; the nearest role is offered.
    """
    if role not in ROLES:
        raise InputError("a role must be a known name", f"{column}={role!r}", near(str(role), ROLES))
    return role  # type: ignore[return-value]  # membership in ROLES is exactly the Literal
