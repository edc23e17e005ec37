"""What looks wrong with a table: gaps, copies, rare classes, long tails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from glia.core.results import Table as Printed
from glia.data.schema import INPUT_ROLES, Column, Finding
from glia.data.targets import infer_task

HEAVY, FEW_ROWS = 0.5, 50
_ORDER = {"failure": 0, "warning": 1, "info": 2}
_MOST_ALIKE = 20


def marker_findings(counts: dict[str, dict[str, int]]) -> list[Finding]:
    """Return a finding per marker of missing values: column → marker → number of values."""
    by_marker: dict[str, list[tuple[str, int]]] = {}
    for name, words in counts.items():
        for word, count in words.items():
            by_marker.setdefault(word, []).append((name, count))
    findings = []
    for word, places in by_marker.items():
        shown = ", ".join(f"{name} ({count:,})" for name, count in places[:10])
        more = f" and {len(places) - 10} more columns" if len(places) > 10 else ""
        column = places[0][0] if len(places) == 1 else None
        findings.append(Finding("missing-marker", column, f"{word!r} was read as missing in {shown}{more}.", "info"))
    return findings


def missing_findings(columns: Sequence[Column], rows: int) -> list[Finding]:
    """Return a finding per column in use of which at least half is missing."""
    return [
        Finding("missing", column.name, f"{column.missing / rows:.0%} of {column.name!r} is missing.")
        for column in columns
        if column.role in INPUT_ROLES and column.missing >= HEAVY * rows
    ]


def cardinality_findings(columns: Sequence[Column], rows: int) -> list[Finding]:
    """Return a finding per categorical column with very many categories."""
    findings = []
    for column in columns:
        known = rows - column.missing
        if column.role == "categorical" and (
            column.unique > 1000 or (column.unique > 50 and column.unique > 0.5 * known)
        ):
            message = (
                f"{column.name!r} has {column.unique:,} categories, {known / column.unique:.1f} rows each on average."
            )
            findings.append(Finding("high-cardinality", column.name, message))
    return findings


def duplicate_findings(frame: pl.DataFrame, columns: Sequence[Column]) -> list[Finding]:
    """Return a finding if rows are exact copies of others; identifiers are not compared."""
    names = [column.name for column in columns if column.role in (*INPUT_ROLES, "target", "group")]
    copies = count_copies(frame.select(names)) if names else 0
    if not copies:
        return []
    message = f"{copies:,} of {frame.height:,} rows ({copies / frame.height:.1%}) are exact copies of other rows."
    return [Finding("duplicate-rows", None, message, "warning" if copies > 0.01 * frame.height else "info")]


def count_copies(frame: pl.DataFrame) -> int:
    """Return the number of rows that are an exact copy of an earlier one."""
    hashes = row_hashes(frame)
    return 0 if hashes is None else frame.height - hashes.n_unique()


def row_hashes(frame: pl.DataFrame) -> pl.Series | None:
    """Return a 64-bit hash per row over all columns of single values; ``None`` where there is none."""
    names = [name for name, dtype in frame.schema.items() if not dtype.is_nested() and dtype != pl.Object]
    return frame.select(names).hash_rows() if names else None


def target_findings(frame: pl.DataFrame, target: str) -> list[Finding]:
    """Return findings on the balance of the classes of a target."""
    values = frame.get_column(target).drop_nulls()
    if not len(values) or infer_task(values) == "regression":
        return []
    counts = values.value_counts(sort=True).rows()
    label, count = counts[-1]
    findings = []
    if len(counts) > 1 and count < 0.05 * len(values):
        shown = f"{label!r} has {count:,} of {len(values):,} rows ({count / len(values):.2%})"
        findings.append(Finding("class-imbalance", target, f"The classes of {target!r} are unbalanced: {shown}."))
    single = [label for label, count in counts if count == 1]
    if single:
        shown = ", ".join(repr(label) for label in single[:5]) + (", …" if len(single) > 5 else "")
        findings.append(Finding("rare-class", target, f"Classes of {target!r} with one row only: {shown}."))
    return findings


def tail_findings(sample: pl.DataFrame, columns: Sequence[Column]) -> list[Finding]:
    """Return a finding per numeric column with values far out or a long tail, judged on a sample of rows."""
    findings = []
    names = [column.name for column in columns if column.role == "numeric" and column.unique > 10]
    if not names or sample.height < FEW_ROWS:
        return []
    for name in names:
        values = np.sort(sample.get_column(name).cast(pl.Float64).drop_nulls().to_numpy())
        if not len(values):
            continue
        low, middle, high = values[(np.array([0.25, 0.5, 0.75]) * (len(values) - 1)).round().astype(int)]
        deviations = values - values.mean()
        spread = float(np.sqrt(np.mean(deviations**2)))
        skew = float(np.mean((deviations / spread) ** 3)) if spread > 0 else None
        scale = (high - low) / 1.349  # of a normal distribution, the standard deviation
        far = float(np.mean(np.abs(values - middle) > 10 * scale)) if scale > 0 else 0.0
        if far > 0:
            extreme = values[np.argmax(np.abs(values - middle))]
            shown = f"{far:.2%} of the rows; up to {extreme:.6g}, the median is {middle:.6g}"
            findings.append(Finding("outliers", name, f"{name!r} has values far out ({shown}).", "info"))
        elif skew is not None and abs(skew) > 5:
            side = "right" if skew > 0 else "left"
            findings.append(
                Finding("skew", name, f"{name!r} has a long tail to the {side} (skewness {skew:.1f}).", "info")
            )
    return findings


def findings_table(findings: Sequence[Finding]) -> Printed:
    """Return findings as a table for people."""
    rows = tuple((f.severity, f.code, f.column or "", f.message) for f in findings)
    return Printed("Findings", ("severity", "finding", "column", "what"), rows)


def arrange(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings, the gravest first; more than 20 of one kind are told as one."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in dict.fromkeys(findings):
        groups.setdefault((finding.code, finding.severity), []).append(finding)
    arranged: list[Finding] = []
    for (code, severity), alike in groups.items():
        if len(alike) <= _MOST_ALIKE or severity == "failure":
            arranged.extend(alike)
            continue
        names = ", ".join(str(finding.column) for finding in alike[:10])
        message = f"{len(alike)} columns, among them {names}: {alike[0].message}"
        arranged.append(Finding(code, None, message, alike[0].severity))
    return tuple(sorted(arranged, key=lambda finding: _ORDER[finding.severity]))
