"""Groups of rows, told by one column, on which a model is worse than elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from glia.core.errors import InputError
from glia.report.words import number, shorten

BINS = 5
_SKIPPED = ("id", "target", "text", "weight", "image", "audio", "constant", "ignore", "dropped", "leak")
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Group = tuple[str, str, str, Mask]
"""Column, value or range, both in words, and which rows belong to it."""


def weak_groups(
    frame: pl.DataFrame,
    losses_or_correct: ArrayLike,
    roles: Mapping[str, Any] | None = None,
    min_rows: int = 50,
    *,
    level: float = 0.95,
    most: int = 10,
) -> list[dict[str, Any]]:
    """Find the values, or ranges of values, of single columns on which the model is significantly worse.

    Parameters
    ----------
    frame : polars.DataFrame
        N held-out rows with their original columns.
    losses_or_correct : array-like
        (N,) truth values, whether each row was predicted rightly; or losses, larger is worse.
    roles : mapping, optional
        Column → role, or a schema as in a run's record (``{"columns": [{"name", "role"}]}``). Columns that are left
        out of the mapping go by their type.
    min_rows : int, default=50
        Smaller groups (and groups with fewer rows outside of them) are not looked at.
    level : float, default=0.95
        The probability that no group is found where there is none, and the simultaneous level of the intervals.
    most : int, default=10
        Number of groups to return.

    Returns
    -------
    list of dict
        By the lower end of the difference, largest first: ``column, group, text, rows, share, measure`` ("error
        rate" or "loss"), ``inside`` and ``outside`` (means), ``difference`` (``value, low, high, level``), ``p``
        (corrected), ``tested`` (number of groups looked at). Of groups with nearly the same rows the first is kept.

    Raises
    ------
    InputError
        If the lengths differ or a loss is not finite.

    Notes
    -----
    Error rates: Fisher's exact test, and Agresti and Caffo's interval. Losses: Welch's test, which for the skewed
    losses of small groups errs on the side of silence. All are one-sided towards worse and Bonferroni-corrected
    for every group that was looked at.
    """
    values = np.asarray(losses_or_correct)
    wrong = bool(values.dtype == np.bool_)
    scores = (~values if wrong else values).astype(np.float64)
    if scores.shape != (frame.height,) or not np.isfinite(scores).all():
        raise InputError("there must be one finite loss for every row", f"{scores.shape} for {frame.height} rows")
    tested = [
        group for group in _groups(frame, roles_of(roles)) if min_rows <= int(group[3].sum()) <= frame.height - min_rows
    ]
    found = [_judged(group, scores, wrong, level, len(tested)) for group in tested]
    worse = [(entry, group[3]) for entry, group in zip(found, tested, strict=True) if entry is not None]
    worse.sort(key=lambda pair: -pair[0]["difference"]["low"])
    return _distinct(worse)[:most]


def _judged(group: Group, scores: Floats, wrong: bool, level: float, tested: int) -> dict[str, Any] | None:
    """Return what is known of a group that is significantly worse than the other rows, None of any other."""
    column, value, words, mask = group
    inside, outside = scores[mask], scores[~mask]
    alpha = (1 - level) / tested
    p, low, high = (_rates if wrong else _means)(inside, outside, alpha)
    if p >= alpha or low <= 0:
        return None
    gap = float(inside.mean() - outside.mean())
    return {
        "column": column,
        "group": value,
        "text": words,
        "rows": int(mask.sum()),
        "share": float(mask.mean()),
        "measure": "error rate" if wrong else "loss",
        "inside": float(inside.mean()),
        "outside": float(outside.mean()),
        "difference": {"value": gap, "low": low, "high": high, "level": level},
        "p": min(1.0, p * tested),
        "tested": tested,
    }


def roles_of(schema: Mapping[str, Any] | None) -> dict[str, str]:
    """Return column → role of a mapping or of a schema as in a run's record."""
    if not schema:
        return {}
    columns = schema.get("columns")
    if isinstance(columns, (list, tuple)):
        return {str(c["name"]): str(c.get("role") or "") for c in columns}
    return {str(name): str(role) for name, role in schema.items()}


def _groups(frame: pl.DataFrame, roles: Mapping[str, str]) -> Iterator[Group]:
    for name in frame.columns:
        column, role = frame[name], roles.get(name, "")
        if role in _SKIPPED:
            continue
        if column.null_count():
            yield name, "missing", f"{shorten(name, 40)} missing", column.is_null().to_numpy()
        ordered = column.dtype.is_numeric() or column.dtype.is_temporal()
        if ordered and role not in ("categorical", "ordinal"):
            yield from _ranges(name, column)
        elif not column.dtype.is_nested():
            yield from _values(name, column)


def _values(name: str, column: pl.Series) -> Iterator[Group]:
    text = column.cast(pl.String)
    # sorted, so that ties among equally bad groups never depend on the order of rows
    for value in text.drop_nulls().unique().sort().to_list()[:1000]:
        mask = (text == value).fill_null(False).to_numpy()
        yield name, shorten(value, 60), f"{shorten(name, 40)} = {shorten(value, 40)}", mask


def _ranges(name: str, column: pl.Series) -> Iterator[Group]:
    known = column.drop_nulls()
    unique = known.unique()
    if len(unique) <= 10:
        yield from _values(name, column)
        return
    dates = column.dtype.is_temporal()
    plain = column.to_physical().cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    finite = plain[np.isfinite(plain)]
    # an observed value as an edge reads better than a point between two
    edges = np.unique(np.quantile(finite, np.arange(1, BINS) / BINS, method="lower"))
    shown = [_edge(column, plain, e) if dates else number(float(e)) for e in edges]
    short = shorten(name, 40)
    for i in range(len(edges) + 1):
        low, high = (edges[i - 1] if i else -np.inf), (edges[i] if i < len(edges) else np.inf)
        mask = (plain > low) & (plain <= high)
        group = f"up to {shown[0]}" if i == 0 else f"above {shown[i - 1]}"
        group += f", up to {shown[i]}" if 0 < i < len(edges) else ""
        yield name, group, f"{short} {group}", mask


def _edge(column: pl.Series, plain: Floats, edge: float) -> str:
    return str(column[int(np.flatnonzero(plain == edge)[0])]).removesuffix(" 00:00:00")


def _rates(inside: Floats, outside: Floats, alpha: float) -> tuple[float, float, float]:
    a, b, n, m = inside.sum(), outside.sum(), len(inside), len(outside)
    p = float(stats.hypergeom.sf(a - 1, n + m, a + b, n))
    # Agresti and Caffo (2000): one success and one failure added to each side
    r, s = (a + 1) / (n + 2), (b + 1) / (m + 2)
    half = float(stats.norm.isf(alpha / 2)) * float(np.sqrt(r * (1 - r) / (n + 2) + s * (1 - s) / (m + 2)))
    return p, float(max(-1.0, r - s - half)), float(min(1.0, r - s + half))


def _means(inside: Floats, outside: Floats, alpha: float) -> tuple[float, float, float]:
    first, second = inside.var(ddof=1) / len(inside), outside.var(ddof=1) / len(outside)
    error = float(np.sqrt(first + second))
    if error == 0:
        return 1.0, 0.0, 0.0
    gap = float(inside.mean() - outside.mean())
    freedom = float((first + second) ** 2 / (first**2 / (len(inside) - 1) + second**2 / (len(outside) - 1)))
    half = float(stats.t.isf(alpha / 2, freedom)) * error
    return float(stats.t.sf(gap / error, freedom)), gap - half, gap + half


def _distinct(found: list[tuple[dict[str, Any], Mask]]) -> list[dict[str, Any]]:
    kept: list[tuple[dict[str, Any], Mask]] = []
    for entry, mask in found:
        if all((mask & other).sum() < 0.9 * (mask | other).sum() for _, other in kept):
            kept.append((entry, mask))
    return [entry for entry, _ in kept]
