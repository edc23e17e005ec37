"""The bundled sets: one manifest says what each is, whose it is and what its file must hash to."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
from sklearn import datasets as sklearn_sets

from glia.core.errors import InputError, near
from glia.core.files import atomic_path, sha256

_SKLEARN: dict[str, Callable[..., Any]] = {
    "breast_cancer": sklearn_sets.load_breast_cancer,
    "diabetes": sklearn_sets.load_diabetes,
    "digits": sklearn_sets.load_digits,
    "iris": sklearn_sets.load_iris,
    "wine": sklearn_sets.load_wine,
}


@dataclass(frozen=True)
class BundledSet:
    """What there is to know about a bundled set.

    Parameters
    ----------
    name, title : str
        The name to load it by, and one line for people.
    task : str
        ``"binary"``, ``"multiclass"``, ``"regression"``, ``"series"`` or ``"text"``.
    target : str
        The column to predict; empty where there is none.
    rows, columns : int
        Size of the table, target included.
    licence, source, note : str
        Whose it is, where it was taken from, and what was changed.
    parts : dict
        Part → ``(first row, one past the last)``, for sets that come divided; empty otherwise.
    file, sha256 : str
        The file and its hash; empty for sets that scikit-learn carries.
    """

    name: str
    title: str
    task: str
    target: str
    rows: int
    columns: int
    licence: str
    source: str
    note: str = ""
    parts: dict[str, tuple[int, int]] | None = None
    file: str = ""
    sha256: str = ""


@cache
def _manifest() -> dict[str, BundledSet]:
    listed = json.loads(files(__package__).joinpath("files/manifest.json").read_text(encoding="utf-8"))
    for entry in listed.values():
        entry["parts"] = {part: (first, stop) for part, (first, stop) in entry.get("parts", {}).items()}
    return {name: BundledSet(name=name, **entry) for name, entry in listed.items()}


def names() -> tuple[str, ...]:
    """Return the names of the sets, sorted."""
    return tuple(sorted(_manifest()))


def describe() -> dict[str, str]:
    """Return name → one line: what it is, its size, licence and source."""
    lines = {}
    for name in names():
        one = _manifest()[name]
        lines[name] = f"{one.title} · {one.rows:,} × {one.columns} · {one.licence} · {one.source}"
    return lines


def get(name: str) -> BundledSet:
    """Return what is known about a set.

    Raises
    ------
    InputError
        If there is no such set; the nearest name is offered.
    """
    if name not in _manifest():
        raise InputError("the bundled set must be a known name", f"name={name!r}", near(str(name), _manifest()))
    return _manifest()[name]


def load(name: str, *, part: str | None = None) -> pl.DataFrame:
    """Return a set as a table.

    Parameters
    ----------
    name : str
        One of ``names()``.
    part : str, optional
        One of the parts that the set was published in (``"adult"``: ``"train"`` or ``"test"``); all rows by default.

    Raises
    ------
    InputError
        If the name or the part is unknown, or if the file is not the one that was published with Glia.
    """
    one = get(name)
    known = one.parts or {}
    if part is not None and part not in known:
        do = near(part, known) if known else "leave part out: this set is not divided"
        raise InputError("the part must be one that the set was published in", f"part={part!r} of {name!r}", do)
    table = _read(one) if one.file else _from_sklearn(name, one.target)
    if part is None:
        return table
    first, stop = known[part]
    return table.slice(first, stop - first)


def _read(one: BundledSet) -> pl.DataFrame:
    content = files(__package__).joinpath("files", one.file).read_bytes()
    if sha256(content) != one.sha256:
        raise InputError(
            "a bundled file must have the hash it was published with",
            f"{one.file!r} with sha256 {sha256(content)[:12]}…",
            "install Glia again",
        )
    return pl.read_parquet(io.BytesIO(content))


def _from_sklearn(name: str, target: str) -> pl.DataFrame:
    bunch = _SKLEARN[name]()
    columns = [str(column).removesuffix(" (cm)").replace(" ", "_") for column in bunch.feature_names]
    table = pl.DataFrame(bunch.data, schema=columns)
    # Flowers, wines and diagnoses have names, which say more than 0, 1, 2; digits are their own names.
    named = "target_names" in bunch and name != "digits"
    values = bunch.target_names[bunch.target] if named else bunch.target
    return table.with_columns(pl.Series(target, values.tolist()))


def write_csv(name: str, path: str | Path, *, part: str | None = None) -> int:
    """Write a set as a CSV file with a head line, whole or not at all; return the number of rows.

    Raises
    ------
    InputError
        As ``load``, and if the folder cannot be written to.
    """
    table = load(name, part=part)
    with atomic_path(path) as aside:
        table.write_csv(aside)
    return table.height
