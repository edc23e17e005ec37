"""The page of the comparison, in Markdown, with its figures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quality_cells import COVERAGE, QUIET, Cell, quiet
from quality_plots import critical_difference_plot, curve_plot
from quality_stats import (
    compare,
    critical_difference,
    friedman,
    geometric_mean,
    normalised,
    rank_rows,
    ranks,
    wilcoxon_holm,
)
from tables import GROUPS, TABLES

ERRORS = {"binary": "1 − ROC area", "multiclass": "log-loss", "regression": "RMSE ÷ sd"}
GLIA, YARDSTICK = "glia", "realmlp"

HOW = (
    "Every model has its default settings and the same rows: three quarters to learn from, one quarter to answer. "
    "Errors are means over the splits, ± half the range; lower is better; the best is bold. A model that failed or "
    "went over the limit of time has the last rank. *Normalised error*: 0 is the table's best model, 1 the constant "
    "answer (mean, or shares of the classes), worse counts as 1; the mean is over tables. A *win* or *loss* of Glia is "
    "a difference above 1 % on which all splits agree; p is Wilcoxon's over tables, corrected after Holm. Times are "
    f"those of fits during which everything else on the machine used no more than {QUIET:g} cores; (…) marks a time "
    "taken otherwise, which counts in no ratio.\n\nRealMLP by default smooths labels and picks its epoch by accuracy; "
    "*realmlp, log-loss* is what its documentation advises for these errors. pytabkit's models refuse missing numbers: "
    "they get the median of the training rows and a column that says where."
)


class Group:
    """The finished cells of one group of tables, by table and model."""

    def __init__(self, cells: Sequence[Cell], models: Sequence[str], threads: int) -> None:
        self.models, self.threads = list(models), threads
        self.cells: dict[str, dict[str, list[Cell]]] = {}
        for cell in cells:
            self.cells.setdefault(cell["table"], {}).setdefault(cell["model"], []).append(cell)
        self.errors = {
            table: {model: [cell.get("error", float("inf")) for cell in of[model]] for model in models}
            for table, of in self.cells.items()
        }
        self.constants = {table: self._constant(table) for table in self.cells}
        self.ranks = ranks(self.errors, self.models)
        self.normalised = normalised(self.errors, self.constants, self.models)
        self.ordered = sorted(self.models, key=self.ranks.__getitem__)

    def _constant(self, table: str) -> float:
        found = [cell["constant"] for of in self.cells[table].values() for cell in of if "constant" in cell]
        return float(np.mean(found)) if found else float("nan")

    def seconds(self, table: str, model: str, *, calm: bool, part: str = "fit_seconds") -> float | None:
        """Return the mean time of the quiet cells, or of all; None if there is none."""
        cells = [cell for cell in self.cells[table][model] if part in cell]
        taken = [cell[part] for cell in cells if not calm or quiet(cell, self.threads)]
        return float(np.mean(taken)) if taken else None

    def ratio(self, model: str) -> tuple[float, int]:
        """Return the geometric mean of fit times over the yardstick's, and over how many tables."""
        found = []
        for table in self.cells if YARDSTICK in self.models else ():
            own, its = (self.seconds(table, one, calm=True) for one in (model, YARDSTICK))
            if own is not None and its is not None:
                found.append(own / its)
        return geometric_mean(found), len(found)

    def typical(self, model: str) -> tuple[float, bool]:
        """Return the geometric mean of the fit times over tables, and whether all of them were quiet."""
        calm = [self.seconds(table, model, calm=True) for table in self.cells]
        any_ = [self.seconds(table, model, calm=False) for table in self.cells]
        return geometric_mean(
            [a if a is not None else b for a, b in zip(calm, any_, strict=True) if b]
        ), None not in calm

    def rate(self, model: str) -> float:
        """Return rows answered per second, over all quiet cells together; over all cells if none was quiet."""
        cells = [cell for of in self.cells.values() for cell in of[model] if "predict_seconds" in cell]
        cells = [cell for cell in cells if quiet(cell, self.threads)] or cells
        seconds = sum(cell["predict_seconds"] for cell in cells)
        return sum(cell["asked"] for cell in cells) / seconds if seconds else float("nan")


def page(cells: Sequence[Cell], models: Sequence[str], threads: int, head: str, path: Path) -> str:
    """Return the Markdown page; its figures are written beside ``path``."""
    sections = [f"# Quality on real tables\n\n{head}", HOW]
    sections.append("\n".join(["| group | tables | |", "|---|--:|---|", *_group_lines(cells)]))
    groups = [name for name in GROUPS if any(TABLES[cell["table"]].group == name for cell in cells)]
    for name in groups:
        group = Group([cell for cell in cells if TABLES[cell["table"]].group == name], models, threads)
        sections += [f"## {name}: {GROUPS[name]}", *group_sections(group, name, path)]
    if len(groups) > 1:
        whole = Group(cells, models, threads)
        sections += ["## All groups together", *_summary(whole), *_figures(whole, "all", path)]
    sections += [*_intervals(cells), _tables(cells), *_failures(cells)]
    return "\n\n".join(sections) + "\n"


def group_sections(group: Group, name: str, path: Path) -> list[str]:
    """Return summary, errors and times of one group."""
    head = f"| table | error | {' | '.join(group.ordered)} |\n|---|---|{'--:|' * len(group.ordered)}"
    errors, times = [head], [head.replace("| error |", "| rows |")]
    for table, of in group.errors.items():
        best = min(np.mean(of[model]) for model in group.ordered)
        shown = " | ".join(_shown(group.cells[table][model], of[model], best) for model in group.ordered)
        errors.append(f"| {table} | {ERRORS[TABLES[table].task]} | {shown} |")
        rows = next((cell["rows"] for of in group.cells[table].values() for cell in of if "rows" in cell), 0)
        times.append(f"| {table} | {rows:,} | {' | '.join(_time(group, table, model) for model in group.ordered)} |")
    listed = ["\n".join(errors), "Seconds to fit, preparation included:\n\n" + "\n".join(times)]
    return [*_summary(group), *_figures(group, name, path), *listed]


def _summary(group: Group) -> list[str]:
    versus = [model for model in group.ordered if model != GLIA] if GLIA in group.models else []
    p = wilcoxon_holm(group.errors, GLIA, versus) if versus and len(group.errors) > 1 else {}
    lines = ["| model | mean rank | normalised error | fit time ÷ RealMLP's | rows/s answered | Glia wins | ties "]
    lines[0] += "| losses | p |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for model in group.ordered:
        times, over = group.ratio(model)
        ratio = f"{times:.3f}" + (f" ({over} tables)" if over < len(group.errors) else "") if over else "—"
        won = [compare(of[GLIA], of[model]) for of in group.errors.values()] if model in versus else []
        counts = " | ".join(str(won.count(one)) if won else "" for one in ("win", "tie", "loss"))
        cells = f"{group.ranks[model]:.2f} | {group.normalised[model]:.3f} | {ratio} | {group.rate(model):,.0f}"
        lines.append(f"| {model} | {cells} | {counts} | {f'{p[model]:.3f}' if model in p else ''} |")
    return ["\n".join(lines)]


def _figures(group: Group, name: str, path: Path) -> list[str]:
    sections = []
    if len(group.errors) > 1 and len(group.models) > 2:
        difference = critical_difference(len(group.errors), len(group.models))
        figure = path.with_name(f"{path.stem}_{name}_ranks.svg")
        title = f"Mean ranks over {len(group.errors)} tables ({name})"
        critical_difference_plot(figure, group.ranks, difference, title)
        p = friedman(rank_rows(group.errors, group.models))
        text = f"All models alike: p = {p:.2g} (Friedman). Two mean ranks differ beyond chance if they are "
        sections.append(f"{text}{difference:.2f} apart (Nemenyi, 5 %).\n\n![Mean ranks]({figure.name})")
    points = {model: (group.typical(model)[0], group.normalised[model]) for model in group.models}
    points = {model: point for model, point in points.items() if np.isfinite(point[0])}
    if sum(model.startswith(GLIA) for model in points) > 1:
        figure = path.with_name(f"{path.stem}_{name}_curve.svg")
        curve_plot(figure, points, f"Error against time ({name})")
        lines = ["| model | seconds to fit | normalised error |", "|---|--:|--:|"]
        for model, (seconds, error) in sorted(points.items(), key=lambda item: item[1]):
            shown = f"{seconds:.2f}" if group.typical(model)[1] else f"({seconds:.2f})"
            lines.append(f"| {model} | {shown} | {error:.3f} |")
        sections.append("Error against time:\n\n" + "\n".join(lines) + f"\n\n![Error against time]({figure.name})")
    return sections


def _shown(cells: Sequence[Cell], errors: Sequence[float], best: float) -> str:
    if not np.isfinite(errors).all():
        return "over the limit" if any("over" in cell for cell in cells) else "failed"
    text = f"{np.mean(errors):.4f}" + (f" ± {(max(errors) - min(errors)) / 2:.4f}" if len(errors) > 1 else "")
    return f"**{text}**" if np.mean(errors) == best else text


def _time(group: Group, table: str, model: str) -> str:
    calm, taken = (group.seconds(table, model, calm=calm) for calm in (True, False))
    if calm is not None:
        return f"{calm:.2f}"
    return "—" if taken is None else f"({taken:.2f})"


def _group_lines(cells: Sequence[Cell]) -> list[str]:
    names = list(dict.fromkeys(cell["table"] for cell in cells))
    counts = {group: sum(TABLES[name].group == group for name in names) for group in GROUPS}
    return [f"| {group} | {counts[group]} | {text} |" for group, text in GROUPS.items() if counts[group]]


def _intervals(cells: Sequence[Cell]) -> list[str]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        if "covered" in cell and cell["model"] == GLIA:
            found.setdefault(cell["table"], []).append(cell)
    if not found:
        return []
    lines = ["| table | group | rows within | width ÷ sd |", "|---|---|--:|--:|"]
    means = {
        name: [float(np.mean([cell[key] for cell in of])) for key in ("covered", "width")] for name, of in found.items()
    }
    lines += [f"| {name} | {TABLES[name].group} | {c:.1%} | {w:.2f} |" for name, (c, w) in means.items()]
    covered, width = np.mean(list(means.values()), axis=0)
    lines.append(f"| **mean** | | {covered:.1%} | {width:.2f} |")
    return [f"## Intervals\n\nGlia's prediction intervals, nominal {COVERAGE:.0%}:\n\n" + "\n".join(lines)]


def _tables(cells: Sequence[Cell]) -> str:
    lines = ["| table | group | task | rows | columns | of them text | missing | source | licence |"]
    lines.append("|---|---|---|--:|--:|--:|--:|---|---|")
    for name in dict.fromkeys(cell["table"] for cell in cells):
        table = TABLES[name]
        X, _ = table.load()
        missing = sum(X.null_count().row(0)) / (X.height * X.width)
        size = f"{X.height:,} | {X.width} | {sum(str(kind) == 'String' for kind in X.dtypes)} | {missing:.1%}"
        lines.append(f"| {name} | {table.group} | {table.task} | {size} | {table.source} | {table.licence} |")
    return "## Tables\n\n" + "\n".join(lines)


def _failures(cells: Sequence[Cell]) -> list[str]:
    lines = [f"- {c['table']}, {c['model']}, split {c['split']}: {c['failed']}" for c in cells if "failed" in c]
    return ["## Failures\n\n" + "\n".join(lines)] if lines else []
