"""What a repair found out: patterns, what they depend on, how far each remedy is off, and which one to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glia.core.results import Result, Table
from glia.data.missing.little import LittleTest
from glia.data.missing.mechanism import Predictability
from glia.data.missing.patterns import MissingColumn, Pair, Pattern
from glia.repair.compare import RemedyError
from glia.repair.downstream import METRICS, DownstreamError
from glia.repair.remedies import find_remedy

UNSEEN = (
    "Whether values are missing because of what they are (MNAR) cannot be seen from the data: "
    "ask how they came to be missing."
)
SHOWN = 10


@dataclass(frozen=True)
class RepairResult(Result):
    """Missing values of a table, and what to do about them.

    Parameters
    ----------
    name : str
        Of the table.
    rows, cells, complete_rows : int
        Rows, cells that can be filled in, and rows without a gap in these.
    missing : int
        Missing cells among them.
    columns : tuple of MissingColumn
        Columns with gaps, the one with the most first.
    patterns : tuple of Pattern
        Which columns are missing together, the most frequent first.
    pairs : tuple of Pair
        Columns whose gaps are related.
    left_alone : tuple of str
        Columns with gaps that cannot be filled in (texts, identifiers, dates kept as words) or must not be (targets).
    little : LittleTest or None
        Test of "missing completely at random".
    predictable : tuple of Predictability
        How well the gaps of each column are told from the other columns.
    verdict : {"complete", "mcar", "mar", "unknown"}
        ``mcar``: nothing speaks against "completely at random". ``mar``: gaps depend on other columns.
    rate : float
        Share of the observed cells that the masks took away.
    compared_rows, repeats : int
        On how many rows, and how many masks per mechanism.
    errors : tuple of RemedyError
        Of each remedy under each mechanism.
    task : str
        What the target asks for; empty without one.
    downstream : tuple of DownstreamError
        What the remedies are worth for predicting it.
    recommended, reason : str
        Name of a remedy, and why.
    """

    name: str
    rows: int
    cells: int
    complete_rows: int
    missing: int
    columns: tuple[MissingColumn, ...]
    patterns: tuple[Pattern, ...]
    pairs: tuple[Pair, ...]
    left_alone: tuple[str, ...]
    little: LittleTest | None
    predictable: tuple[Predictability, ...]
    verdict: str
    rate: float
    compared_rows: int
    repeats: int
    errors: tuple[RemedyError, ...]
    task: str
    downstream: tuple[DownstreamError, ...]
    recommended: str
    reason: str

    @property
    def share(self) -> float:
        """Share of the cells that is missing."""
        return self.missing / max(self.cells, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, with the sentence on what gaps depend on as ``mechanism``."""
        return {**super().to_dict(), "mechanism": self.mechanism_words()}

    def mechanism_words(self) -> str:
        """Return what the data say of why values are missing."""
        if self.verdict == "complete":
            return "Nothing is missing."
        depending = [one for one in self.predictable if one.depends]
        if depending:
            first = depending[0]
            return (
                f"Gaps depend on other columns, so they are not completely at random: those of {first.column!r} "
                f"are told from the other columns with an area under the curve of {first.auc.value:.2f} "
                f"(95 % interval {first.auc.low:.2f} to {first.auc.high:.2f})."
            )
        if self.verdict == "mar" and self.little is not None:
            return (
                f"Gaps are not completely at random: the means of the rows with different gaps differ "
                f"(Little's test, p = {self.little.p_value:.2g})."
            )
        if self.verdict == "unknown":
            return "There are too few gaps to say what they depend on."
        tested = "" if self.little is None else f" (Little's test, p = {self.little.p_value:.2g})"
        return f"Nothing speaks against gaps that are completely at random{tested}."

    def summary(self) -> str:
        """Return how much is missing, what it depends on and which remedy to take."""
        if not self.missing:
            return f"No value of the {self.cells:,} that could be filled in is missing. {self.reason}"
        share = f"{self.share:.1%}".replace("%", " %")
        return (
            f"{self.missing:,} of {self.cells:,} values are missing ({share}), in {len(self.columns)} columns and "
            f"{self.rows - self.complete_rows:,} of {self.rows:,} rows. {self.mechanism_words()} {UNSEEN} {self.reason}"
        )

    def tables(self) -> list[Table]:
        """Return columns with gaps, patterns, what gaps depend on, and the errors of the remedies."""
        found = []
        if self.columns:
            told = {one.column: one for one in self.predictable}
            rows = tuple(
                (c.column, c.missing, c.share, told[c.column].auc.value if c.column in told else None)
                for c in self.columns
            )
            found.append(Table("Columns with gaps", ("column", "missing", "share", "told from others (AUC)"), rows))
            shown = tuple((", ".join(p.columns) or "(nothing)", p.rows, p.share) for p in self.patterns[:SHOWN])
            found.append(Table("Missing together", ("columns", "rows", "share"), shown))
        if self.errors:
            found.append(self.error_table())
        if self.downstream:
            found.append(self.downstream_table())
        return found

    def error_table(self) -> Table:
        """Return the errors of the remedies as one row each."""
        mechanisms = list(dict.fromkeys(error.mechanism for error in self.errors))
        kinds = [
            (kind, words)
            for kind, words in (("nrmse", "error of numbers"), ("error_rate", "wrong categories"))
            if any(getattr(error, kind) is not None for error in self.errors)
        ]
        heads = tuple(f"{words}, {mechanism.upper()}" for kind, words in kinds for mechanism in mechanisms)
        rows = []
        for name in dict.fromkeys(error.remedy for error in self.errors):
            own = {error.mechanism: error for error in self.errors if error.remedy == name}
            cells = [getattr(own[m], kind) if m in own else None for kind, _ in kinds for m in mechanisms]
            seconds = float(np.mean([error.seconds for error in own.values()]))
            rows.append((find_remedy(name).title, *(c.value if c else None for c in cells), seconds))
        share = f"{self.rate:.0%}".replace("%", " %")
        masks = f"{self.repeats} masks each; numbers in standard deviations"
        title = f"Errors where {share} of the known values were taken away ({masks})"
        return Table(title, ("remedy", *heads, "seconds"), tuple(rows))

    def downstream_table(self) -> Table:
        """Return what the remedies are worth for the prediction, as one row each."""
        rows = tuple(
            (find_remedy(d.remedy).title, d.model, d.indicators, d.error.value, d.error.low, d.error.high)
            for d in self.downstream
        )
        return Table(
            f"Predicting the target: {METRICS[self.task]}, cross-validated",
            ("remedy", "model", "indicators", "error", "low", "high"),
            rows,
        )

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``errors``: each remedy's score under each mechanism."""
        return {"errors": self._draw} if self.errors else {}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        names = list(dict.fromkeys(error.remedy for error in self.errors))
        if ax is None:
            ax = Figure(figsize=(7, 1.5 + 0.35 * len(names)), layout="constrained").subplots()
        marks = {"mcar": ("o", "#0072B2"), "mar": ("s", "#E69F00"), "mnar": ("D", "#CC79A7")}
        for place, (mechanism, (mark, colour)) in enumerate(marks.items()):
            own: dict[str, Any] = {e.remedy: e.score for e in self.errors if e.mechanism == mechanism}
            heights = np.array([len(names) - 1 - names.index(name) for name in own]) + 0.2 * (1 - place)
            values = np.array([one.value for one in own.values()])
            ends = np.array([[one.low, one.high] for one in own.values()]).reshape(-1, 2)
            ax.errorbar(
                values, heights, xerr=np.abs(ends.T - values), fmt=mark, color=colour, label=mechanism.upper(),
                markersize=5, linewidth=1.3,
            )  # fmt: skip
        ax.axvline(1.0, color="#999999", linewidth=1)
        ax.set_yticks(np.arange(len(names))[::-1], [find_remedy(name).title for name in names])
        ax.set_xlabel("error, where 1 is what a constant would cost")
        ax.set_title(f"Take: {find_remedy(self.recommended).title}", loc="left")
        ax.legend(frameon=False)
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        return ax
