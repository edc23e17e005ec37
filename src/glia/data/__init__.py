"""Data: reading tables, what their columns are for, and splits. Rows come in here and leave as a ``Table``."""

from glia.data.describe import SchemaResult, describe
from glia.data.find_leaks import find_leaks
from glia.data.frames import to_frame
from glia.data.read import read
from glia.data.roles import infer_schema, learn_schema
from glia.data.schema import Column, Finding, Role, Schema
from glia.data.split import Split, split_rows
from glia.data.stream import Stream
from glia.data.table import Table
from glia.data.targets import check_target, infer_task
from glia.data.unify import conform, unify

__all__ = [
    "Column",
    "Finding",
    "Role",
    "Schema",
    "SchemaResult",
    "Split",
    "Stream",
    "Table",
    "check_target",
    "conform",
    "describe",
    "find_leaks",
    "infer_schema",
    "infer_task",
    "learn_schema",
    "read",
    "split_rows",
    "to_frame",
    "unify",
]
