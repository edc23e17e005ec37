"""If–then rules that say what a model does: few, short, and measured on rows that they were not made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Interval, Result, Table
from glia.explain.agreeing import share_interval
from glia.explain.column_grid import number_words
from glia.explain.global_methods import picture
from glia.explain.plots.look import INK, POINT, bare, new_axes, shorten
from glia.explain.rule_search import Found, search
from glia.explain.subject import Floats
from glia.explain.table_model import table_model
from glia.explain.tree_columns import TreeColumn, answers, split, tree_columns

BELIEVED = 0.8
"""Least fidelity of the rules together to rely on."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Parameters
    ----------
    conditions : tuple of str
        All of which must hold.
    answer : str
        What the model then says.
    coverage : float
        Share of unseen rows to which it applies.
    fidelity : Interval
        Share of these for which the model says so.
    rows : int
        Unseen rows to which it applies.
    """

    conditions: tuple[str, ...]
    answer: str
    coverage: float
    fidelity: Interval
    rows: int

    def __str__(self) -> str:
        return f"if {' and '.join(self.conditions)} then {self.answer}"


@dataclass(frozen=True)
class RulesResult(Result):
    """Rules in the order in which they are asked.

    Parameters
    ----------
    rules : tuple of Rule
        The surest first: where several apply, the first one answers.
    default : str
        The answer where none applies.
    coverage : float
        Share of unseen rows to which some rule applies.
    conflicts : float
        Share of unseen rows to which rules with different answers apply.
    fidelity : Interval
        Share of all unseen rows for which rules and default say what the model says.
    covered_fidelity : Interval
        The same where a rule applies.
    unseen : int
        Rows on which all this was measured.
    warnings : tuple of str
        Why they should not be relied upon.
    """

    rules: tuple[Rule, ...]
    default: str
    coverage: float
    conflicts: float
    fidelity: Interval
    covered_fidelity: Interval
    unseen: int
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return how many rules say how much, and whether to rely on them."""
        several = f"{len(self.rules)} rule{'s' * (len(self.rules) != 1)}"
        said = (
            f"{several} and “otherwise {self.default}” answer as the model does for {self.fidelity.value:.1%} "
            f"({self.fidelity.low:.1%} to {self.fidelity.high:.1%}) of {self.unseen:,} unseen rows; they cover "
            f"{self.coverage:.0%} and contradict each other on {self.conflicts:.1%}."
        ).replace("%", " %")
        return said + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def text(self) -> str:
        """Return one line a rule."""
        lines = [
            f"{rule}  [{rule.coverage:.0%} of rows, right for {rule.fidelity.value:.0%}]".replace("%", " %")
            for rule in self.rules
        ]
        return "\n".join([*lines, f"otherwise {self.default}"])

    def tables(self) -> list[Table]:
        """Return the rules, and what was measured of all of them."""
        rows = tuple(
            (str(r), r.coverage, r.fidelity.value, r.fidelity.low, r.fidelity.high, r.rows) for r in self.rules
        )
        heads = ("rule", "coverage", "fidelity", "low", "high", "rows")
        whole = (
            ("fidelity", self.fidelity.value),
            ("fidelity where a rule applies", self.covered_fidelity.value),
            ("coverage", self.coverage),
            ("conflicts", self.conflicts),
        )
        return [Table(f"Rules, else {self.default}", heads, rows), Table("All together", ("measure", "share"), whole)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``rules``: how much each covers, and how sure it is."""
        return {"rules": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        heights = np.arange(len(self.rules))[::-1]
        ax = new_axes(ax, 1.4 + 0.5 * max(1, len(self.rules)))
        covered = np.array([rule.coverage for rule in self.rules])
        right = np.array([0.0 if not rule.rows else rule.coverage * rule.fidelity.value for rule in self.rules])
        ax.barh(heights, right, color=POINT, height=0.4)
        ax.barh(heights, covered - right, left=right, color="#D55E00", height=0.4, hatch="//")
        for height, rule in zip(heights, self.rules, strict=True):
            ax.text(0, height + 0.28, shorten(str(rule), 84), fontsize="small", color=INK)
        ax.set_yticks([])
        ax.set_ylim(-0.6, len(self.rules) - 0.2)
        ax.set_xlabel("share of rows covered (hatched: the model says otherwise)")
        ax.set_title(
            f"{len(self.rules)} rules say what the model does for {self.fidelity.value:.0%}".replace("%", " %"),
            loc="left",
        )
        return bare(ax)


@picture("rules")
def rules(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | None = None,
    fidelity: float = 0.9,
    most: int = 10,
    max_conditions: int = 3,
    min_coverage: float = 0.01,
    random_state: int = 0,
) -> RulesResult:
    """Find short rules for a model's answers.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of a table, at least 50; no truth is needed.
    output : int or str, optional
        Of regressions and of several labels: the one to speak of, the first by default. Values are spoken of as low,
        middle and high thirds.
    fidelity : float
        Least share of its rows for which a rule must say what the model says, in (0.5, 1].
    most, max_conditions : int
        Most rules, and most conditions of one.
    min_coverage : float
        Least share of the rows that a rule must cover, in (0, 1).
    random_state : int
        Seed of the split (70 % make rules, 30 % measure them) and of the trees that propose rules.

    Returns
    -------
    RulesResult

    Raises
    ------
    InputError
        If rows are no table or too few, the model gives one answer for all, or a setting is out of its range.

    Notes
    -----
    Candidates are the branches of shallow trees grown on resamples to imitate the model; conditions that are not needed
    are dropped; then rules are taken one by one, by how many rows they newly answer rightly. Below a fidelity of 0.8
    together the result says that it should not be relied upon.
    """
    if not 0.5 < fidelity <= 1 or not 0 < min_coverage < 1 or most < 1 or max_conditions < 1:
        raise InputError(
            "fidelity must be in (0.5, 1], min_coverage in (0, 1), counts at least 1",
            f"fidelity={fidelity}, min_coverage={min_coverage}, most={most}, max_conditions={max_conditions}",
        )
    chosen = output if output is not None or predictor.task_ in ("binary", "multiclass") else 0
    model = table_model(predictor, X, output=chosen)
    if len(model.x) < 50:
        raise InputError("there must be at least 50 rows", f"{len(model.x)}", "some hundred are usual")
    made, matrix = tree_columns(model.names, [model.column(i) for i in range(len(model.names))])
    told = answers(model, X)
    labels = told.values if told.classes else _thirds(told.values[:, 0], model.seen.output_names[0])
    if len(np.unique(labels)) < 2:
        raise InputError("the model must give different answers", "one answer for all rows", "hand in other rows")
    learn, test = split(len(matrix), (0.7, 0.3), random_state, "rules")
    found = search(
        matrix[learn], labels[learn], fidelity=fidelity, most=most, depth=max_conditions,
        least=max(3, int(min_coverage * len(learn))), random_state=random_state,
    )  # fmt: skip
    return _measured(found, made, matrix[test], labels[test])


def _thirds(values: Floats, name: str) -> NDArray[Any]:
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    least, most = number_words(float(low)), number_words(float(high))
    said = np.array([f"{name} ≤ {least}", f"{least} < {name} ≤ {most}", f"{name} > {most}"])
    return np.asarray(said[(values > low).astype(int) + (values > high)])


def _measured(found: Found, made: Sequence[TreeColumn], matrix: Floats, labels: NDArray[Any]) -> RulesResult:
    applies = (
        np.stack([one.applies(matrix) for one in found.boxes]) if found.boxes else np.zeros((0, len(matrix)), bool)
    )
    right = [applies[i] & (labels == box.answer) for i, box in enumerate(found.boxes)]
    rules_ = tuple(
        Rule(
            tuple(made[f].says(low, high) for f, (low, high) in sorted(box.bounds.items())),
            box.answer,
            float(applies[i].mean()),
            share_interval(int(right[i].sum()), int(applies[i].sum())),
            int(applies[i].sum()),
        )
        for i, box in enumerate(found.boxes)
    )
    told = np.full(len(labels), found.default, dtype=object)
    for i in range(len(found.boxes))[::-1]:
        told[applies[i]] = found.boxes[i].answer
    covered = applies.any(axis=0)
    kinds = {box.answer for box in found.boxes}
    said = [applies[[i for i, b in enumerate(found.boxes) if b.answer == kind]].any(axis=0) for kind in sorted(kinds)]
    conflicts = float((np.sum(said, axis=0) > 1).mean()) if said else 0.0
    equal = told == labels
    whole = share_interval(int(equal.sum()), len(labels))
    part = share_interval(int(equal[covered].sum()), int(covered.sum()))
    warnings = []
    if not found.boxes:
        warnings.append("no rule is as sure as was asked for")
    if not whole.value >= BELIEVED:
        warnings.append(f"together they answer otherwise than the model too often (fidelity {whole.value:.2f})")
    return RulesResult(
        rules_, found.default, float(covered.mean()), conflicts, whole, part, len(labels), tuple(warnings)
    )
