"""What a diagnosis returns: verdicts first, then every measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glia.core.results import Result, Table
from glia.diagnose.drawing import draw_activations, draw_landscape, draw_layers, draw_rates
from glia.diagnose.measures import Measures
from glia.diagnose.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class DiagnosisResult(Result):
    """What is wrong with a network, why, and what to do.

    Parameters
    ----------
    verdicts : tuple of Verdict
        Causes first; empty where the signs show nothing wrong.
    measures : Measures
        All figures that they come from.
    network, task : str
        Class of the network and what it predicts.
    members : int
        Networks that answer together; layers are those of the first.
    rows, held_rows : int
        Rows that were looked at, and rows that the network had not seen.
    seconds : float
        Time taken.
    """

    verdicts: tuple[Verdict, ...]
    measures: Measures
    network: str
    task: str
    members: int
    rows: int
    held_rows: int
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether no rule found anything."""
        return not self.verdicts

    @property
    def first(self) -> str:
        """The kind of the first verdict, or "healthy"."""
        return self.verdicts[0].kind if self.verdicts else "healthy"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, with the first verdict's kind as ``first`` and the sentence as ``summary``."""
        data = super().to_dict()
        for one, verdict in zip(data["verdicts"], self.verdicts, strict=True):
            one["title"], one["flags"] = verdict.title, verdict.remedy.flags()
        skills = {"train": self.measures.train, "held": self.measures.held}
        for name, skill in skills.items():
            if skill is not None:
                data["measures"][name]["relative"] = skill.relative if skill.relative < 1e300 else None
        return {"first": self.first, "summary": self.summary(), **data}

    def summary(self) -> str:
        """Return the first finding and its remedy in two sentences."""
        if not self.verdicts:
            return (
                f"Nothing is wrong with this network as far as {self._looked()} show: its loss is "
                f"{self.measures.train.relative:.2g} of the best constant's on rows it learned from"
                + ("." if self.measures.held is None else f" and {self.measures.held.relative:.2g} on unseen ones.")
            )
        first = self.verdicts[0]
        more = len(self.verdicts) - 1
        rest = f" {more} more finding{'s' * (more > 1)} below." if more else ""
        return f"{first.title}. {first.sentence} {first.remedy.words}{_proved(first)}{rest}"

    def _looked(self) -> str:
        held = f" and {self.held_rows:,} unseen ones" if self.held_rows else ""
        return f"{self.rows:,} rows{held}"

    def tables(self) -> list[Table]:
        """Return verdicts, signs, proofs, layers, and what was left out."""
        found = []
        if self.verdicts:
            rows = tuple((v.title, v.severity, v.follows or None, v.remedy.flags() or None) for v in self.verdicts)
            found.append(Table("Findings", ("finding", "severity", "follows from", "glia fit …"), rows))
            signs = tuple(
                (v.kind, s.name, s.value, f"{'≥' if s.above else '≤'} {s.threshold:g}")
                for v in self.verdicts
                for s in v.signs
            )
            found.append(Table("Signs", ("finding", "what was measured", "figure", "counts where"), signs))
        proofs = [(v.kind, v.proof) for v in self.verdicts if v.proof is not None]
        if proofs:
            shown = tuple(
                (k, p.outcome, p.difference.value, p.difference.low, p.difference.high, len(p.without))
                for k, p in proofs
            )
            heads = ("finding", "remedy", "change of loss", "low", "high", "seeds")
            found.append(Table("Re-training with and without the remedy (below 0 is better)", heads, shown))
        found += self._layer_tables()
        if self.measures.left_out:
            found.append(Table("Not measured", ("what and why",), tuple((one,) for one in self.measures.left_out)))
        return found

    def _layer_tables(self) -> list[Table]:
        m = self.measures
        ranks = {one.layer: one for one in m.ranks}
        rows = []
        for g in m.gradients:
            rank = ranks.get(g.layer)
            rows.append(
                (
                    g.layer, g.kind, g.signal, g.gradient_norm, g.weight_norm, (m.updates or {}).get(g.layer),
                    None if rank is None else rank.output, None if rank is None else rank.most_output,
                )
            )  # fmt: skip
        heads = ("layer", "type", "signal", "gradient", "weights", "update / weight", "effective rank", "of")
        tables = [Table("Layers with weights", heads, tuple(rows))] if rows else []
        if m.units:
            units = tuple((u.layer, u.kind, u.units, u.dead, u.saturated if u.bounded else None) for u in m.units)
            tables.append(Table("Units behind activations", ("layer", "type", "units", "dead", "saturated"), units))
        return tables

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return name → function that draws it: layers, activations, landscape, rates."""
        m = self.measures
        drawn: dict[str, Callable[..., Axes]] = {}
        if m.gradients:
            drawn["layers"] = lambda *, ax=None: draw_layers(m.gradients, ax)
        if m.activations:
            drawn["activations"] = lambda *, ax=None: draw_activations(m.activations, ax)
        scape, trial = m.landscape, m.trial
        if scape is not None:
            drawn["landscape"] = lambda *, ax=None: draw_landscape(scape, ax)
        if trial is not None:
            drawn["rates"] = lambda *, ax=None: draw_rates(trial, ax)
        return drawn


def _proved(verdict: Verdict) -> str:
    if verdict.proof is None:
        return ""
    gap = verdict.proof.difference
    figures = f"loss {gap.value:+.2g}, {gap.level:.0%} interval {gap.low:+.2g} to {gap.high:+.2g}".replace("%", " %")
    return f" In a short re-training the remedy {words_of(verdict.proof.outcome)} ({figures})."


def words_of(outcome: str) -> str:
    """Return an outcome as it reads after "the remedy"."""
    return {"undecided": "neither clearly helped nor failed"}.get(outcome, outcome)
