"""Worked pages of the lab: a question, a real table, the command, and what came out, in ``docs/lab/``.

    python benchmarks/lab_pages.py [--only 16]

Each page is written from the ``lab.json`` that ``glia lab`` leaves, so that nothing in it is typed by hand. The tables
come with Glia or with the packages that ``benchmarks/tables.py`` names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from tables import TABLES

PAGES = Path(__file__).parents[1] / "docs" / "lab"
WORKED = {16: "adult", 20: "wa_churn", 22: "diamonds", 40: "lending_club", 43: "credit_data"}
"""Question → table."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, choices=list(WORKED))
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    PAGES.mkdir(parents=True, exist_ok=True)
    for number, name in WORKED.items():
        if options.only in (None, number):
            write(number, name, options.seeds)
    index()


def write(number: int, name: str, seeds: int) -> None:
    """Ask one question of one table and write its page."""
    table = TABLES[name]
    frame, target = table.load()
    with tempfile.TemporaryDirectory() as folder:
        file = f"{name}.csv"
        frame.with_columns(target.alias(table.target)).write_csv(Path(folder) / file)
        words = ["lab", str(number), "--data", file, "--target", table.target, "--seeds", str(seeds)]
        subprocess.run([str(Path(sys.executable).with_name("glia")), *words, "--quiet"], cwd=folder, check=True)
        found = json.loads((Path(folder) / "lab" / "lab.json").read_text(encoding="utf-8"))
    question = found["questions"][0]
    pictures = [picture(number, i, sweep) for i, sweep in enumerate(question["sweeps"])]
    where = f"{table.source} ({table.licence})"
    lines = [
        f"# {number}. {question['title']}: {name}",
        "",
        f"{question['question']} Asked of `{name}`, {found['rows']:,} training rows, {found['task']}; {where}.",
        "",
        "```console",
        f"$ glia {' '.join(words)}",
        "```",
        "",
        *([question["advice"], ""] if question["advice"] else []),
        "| claim | on | verdict | effect | 95 % interval | seeds |",
        "|---|---|---|--:|--:|--:|",
        *(claim_line(claim) for claim in found["claims"]),
        "",
        "An effect is the difference of the pairs (with minus without, the same seed), in the unit beside it;",
        "the verdict takes all claims of the run into account.",
        *(line for title, file in pictures for line in ("", f"![{title}]({file})")),
        *(line for note in question["notes"] for line in ("", note)),
    ]
    page = PAGES / f"{number:02}_{name}.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(page.relative_to(PAGES.parents[1]), f"{question['seconds']:.0f} s", flush=True)


def claim_line(claim: dict[str, Any]) -> str:
    """Return a row of the table of claims."""
    low, high = claim["interval"]
    on = {"yours": "this table", "made": "made data"}[claim["on"]]
    effect = f"{claim['effect']:+.3g} {claim['unit']}"
    text = claim["claim"].replace("|", "\\|")
    return f"| {text} | {on} | **{claim['verdict']}** | {effect} | {low:+.3g} to {high:+.3g} | {claim['seeds']} |"


def picture(number: int, place: int, sweep: dict[str, Any]) -> tuple[str, str]:
    """Draw a sweep: raw points of all seeds, their mean and its 95 % interval; return title and file."""
    figure, axes = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    x = np.array(sweep["x"])
    for colour, (name, table) in zip(COLOURS, sweep["lines"].items(), strict=False):
        y = np.array(table, dtype=float)
        mean, half = np.nanmean(y, axis=0), 1.96 * np.nanstd(y, axis=0, ddof=1) / np.sqrt(len(y))
        axes.plot(np.tile(x, (len(y), 1)).ravel(), y.ravel(), ".", color=colour, alpha=0.35, markersize=4)
        axes.plot(x, mean, color=colour, label=name)
        axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
    if (x > 0).all() and x.max() / max(x.min(), 1e-12) > 20:
        axes.set_xscale("log")
    axes.set_xlabel(sweep["x_label"])
    axes.set_ylabel(sweep["y_label"])
    axes.set_title(sweep["title"], loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if len(sweep["lines"]) > 1:
        axes.legend(frameon=False, fontsize=8)
    file = f"{number:02}_{place}.png"
    figure.savefig(PAGES / file, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return sweep["title"], file


def index() -> None:
    """Write the list of the pages."""
    pages = sorted(PAGES.glob("[0-9]*.md"))
    lines = [
        "# Worked pages of the lab",
        "",
        "Five textbook questions, asked of five real tables. `python benchmarks/lab_pages.py` writes these pages anew.",
        "",
        *(f"- [{page.read_text(encoding='utf-8').splitlines()[0].removeprefix('# ')}]({page.name})" for page in pages),
    ]
    (PAGES / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
