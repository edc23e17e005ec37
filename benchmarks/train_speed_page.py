"""From measurements of ``train_speed.py`` to its page, and the sums behind it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from train_speed_peers import GLIA, PEERS, PLAIN, RATE
from train_speed_peers.workloads import LABEL_NOISE, Workload, flops_per_step

AIMS = {"tiny": 0.7, "mlp": 0.8, "wide": 0.75, "cnn": 0.55, "lstm": 0.55, "transformer": 0.8}
"""What Glia is to cost at most, as a share of the best peer; 0.5 of the plain loop on the geometric mean."""
MARGIN, SPREADS = 0.03, 3.0
"""Losses agree within this share of what training gained over guessing, plus so many standard errors."""


def times(cells: Iterable[Any], workload: str, peer: str) -> list[float]:
    """Return the milliseconds per step of all measured epochs of all rounds."""
    found = (cell.answer.get("milliseconds", []) for cell in cells if (cell.workload, cell.peer) == (workload, peer))
    return [value for values in found for value in values]


def losses(cells: Iterable[Any], workload: str, peer: str) -> dict[int, float]:
    """Return round → loss."""
    mine = (cell for cell in cells if (cell.workload, cell.peer) == (workload, peer) and "loss" in cell.answer)
    return {cell.round: cell.answer["loss"] for cell in mine}


def agreement(cells: Sequence[Any], workload: Workload, peers: Sequence[str]) -> dict[str, bool | None]:
    """Tell of each peer whether its loss agrees with the plain loop's; ``None`` where noise cannot be known.

    Peers start a round from the same weights but draw their own order of rows, so differences are taken per round.
    Their mean may be 3 % of what training gained over guessing, and three standard errors. The spread is the median
    over the peers: one that is wrong does not widen its own bounds. Noise needs two rounds.
    """
    reference = losses(cells, workload.name, PLAIN)
    differences = {}
    for peer in peers:
        found = losses(cells, workload.name, peer)
        differences[peer] = [found[turn] - reference[turn] for turn in sorted(found.keys() & reference.keys())]
    spreads = [
        statistics.stdev(d) for d in differences.values() if len(d) > 1 and any(d) and all(map(math.isfinite, d))
    ]
    if not reference or not spreads:
        return dict.fromkeys(peers)
    gained = math.log(workload.classes) - statistics.mean(reference.values())
    return {peer: _within(d, gained, statistics.median(spreads)) for peer, d in differences.items()}


def _within(differences: list[float], gained: float, spread: float) -> bool | None:
    if not differences:
        return None
    bound = MARGIN * max(gained, 0.0) + SPREADS * spread / math.sqrt(len(differences))
    return abs(statistics.mean(differences)) <= bound  # False where a loss is not finite


def best_peer(medians: dict[str, float]) -> str | None:
    """Return the fastest besides Glia."""
    others = {peer: value for peer, value in medians.items() if peer != GLIA}
    return min(others, key=others.__getitem__) if others else None


def page(cells: Sequence[Any], workloads: Sequence[Workload], peers: Sequence[str], facts: dict[str, Any]) -> str:
    """Return the Markdown page."""
    medians = {w.name: {p: statistics.median(t) for p in peers if (t := times(cells, w.name, p))} for w in workloads}
    absent = [f"{peer} ({', '.join(PEERS[peer].missing)})" for peer in peers if PEERS[peer].missing]
    sections = [
        f"# Time of a training step\n\n{facts['date']} · {facts['hardware']} · {facts['rounds']} rounds; "
        + ", ".join(facts["versions"]),
        "The same network, rows, batch size, rate and Adam, in turn in one run; each peer with its default number of "
        "threads, the tuned loop with the best, Glia with its own choice. Milliseconds per step: median over the "
        "epochs of all rounds, and the least. Loss: cross-entropy on fresh rows after the same number of steps.",
        *_summary(workloads, medians),
        *(_table(cells, workload, peers, medians[workload.name]) for workload in workloads),
        *_rates(cells, workloads, medians),
        *(["Absent, since a package is not installed: " + "; ".join(absent) + "."] if absent else []),
        f"A loss agrees that differs from the plain loop's by at most {MARGIN:.0%} of what training gained over "
        f"guessing, plus {SPREADS:.0f} standard errors (of the peers' median spread over the rounds; one round tells "
        "nothing). All start a round from the same weights; the order of rows is each peer's own. "
        f"One label in {1 / LABEL_NOISE:.0f} is random. With two classes, scikit-learn and Glia have one output "
        "instead of two, which starts as the difference of the two.",
    ]
    return "\n\n".join(sections) + "\n"


def _summary(workloads: Sequence[Workload], medians: dict[str, dict[str, float]]) -> list[str]:
    lines, against_plain = [], []
    for name in (workload.name for workload in workloads if GLIA in medians[workload.name]):
        mine, best = medians[name][GLIA], best_peer(medians[name])
        plain = mine / medians[name][PLAIN] if PLAIN in medians[name] else None
        against_plain += [] if plain is None else [plain]
        versus = (
            "| – | – "
            if best is None
            else f"| {best}, {medians[name][best]:.3g} ms | {mine / medians[name][best]:.2f} "
        )
        lines.append(f"| {name} | {mine:.3g} ms {versus}| {AIMS[name]} | {'–' if plain is None else f'{plain:.2f}'} |")
    if not lines:
        return []
    if against_plain:
        lines.append(f"| **geometric mean** | | | | | {statistics.geometric_mean(against_plain):.2f} (aim 0.5) |")
    head = "| workload | Glia | best peer | Glia ÷ best peer | aim | Glia ÷ plain torch |\n|---|--:|--:|--:|--:|--:|"
    return ["\n".join([head, *lines])]


def _table(cells: Sequence[Any], workload: Workload, peers: Sequence[str], medians: dict[str, float]) -> str:
    steps, best = workload.steps_per_epoch * (1 + workload.epochs), best_peer(medians)
    verdicts = agreement(cells, workload, peers)
    lines = [
        f"## {workload.name}\n\n{describe(workload)}\n",
        f"| trained by | ms per step | least | ÷ best peer | loss after {steps} steps | agrees | remark |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for peer in sorted(peers, key=lambda peer: medians.get(peer, math.inf)):
        mine = [cell for cell in cells if (cell.workload, cell.peer) == (workload.name, peer)]
        failed = [f"failed: {cell.answer['failed']}" for cell in mine if "failed" in cell.answer]
        remarks = "; ".join(dict.fromkeys([*(c.answer.get("remark") for c in mine if c.answer.get("remark")), *failed]))
        if peer not in medians:
            why = "absent" if PEERS[peer].missing else remarks or "knows no such network"
            lines.append(f"| {peer} | – | – | – | – | – | {why} |")
            continue
        values = list(losses(cells, workload.name, peer).values())
        verdict = {True: "yes", False: "**no**", None: "–"}[verdicts[peer]]
        ratio = "–" if best is None else f"{medians[peer] / medians[best]:.2f}"
        loss = f"{statistics.mean(values):.4f} ± {(max(values) - min(values)) / 2:.4f}"
        least = min(times(cells, workload.name, peer))
        lines.append(f"| {peer} | {medians[peer]:.3g} | {least:.3g} | {ratio} | {loss} | {verdict} | {remarks} |")
    return "\n".join(lines)


def describe(workload: Workload) -> str:
    """Return the network in words."""
    sizes = "-".join(map(str, (*workload.shape, *workload.widths, workload.classes)))
    first, *more = workload.widths
    network = {
        "dense": lambda: f"Dense {sizes}, ReLU",
        "cnn": lambda: (
            f"Convolutions {first} and {more[0]} of 3 × 3, ReLU and 2 × 2 maximum after each; dense {more[1]}"
        ),
        "lstm": lambda: f"LSTM of {first} over {workload.shape[0]} steps of {workload.shape[1]} inputs; last state",
        "transformer": lambda: (
            f"{more[1]} encoder layers of {first}, {more[0]} heads, feed-forward {4 * first}, norm "
            f"after; {workload.shape[0]} tokens; mean token"
        ),
    }[workload.kind]()
    return (
        f"{network}; batch {workload.batch}, rate {workload.lr:g}, {flops_per_step(workload) / 1e9:.3g} GFLOP per step."
    )


def _rates(cells: Sequence[Any], workloads: Sequence[Workload], medians: dict[str, dict[str, float]]) -> list[str]:
    rounds = [cell.answer["rates"] for cell in cells if cell.peer == RATE and "rates" in cell.answer]
    if not rounds:
        return []
    rates = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    best = max(rates, key=rates.__getitem__)
    lines = ["| float32 products of 1024 × 1024 × 1024 | GFLOP/s |", "|---|--:|"]
    lines += [f"| {name} | {rate:.1f} |" for name, rate in rates.items()]
    shares = []
    for workload in workloads:
        mine = [c for c in cells if (c.workload, c.peer) == (workload.name, RATE) and "rates" in c.answer]
        if mine and GLIA in medians[workload.name]:
            reached = flops_per_step(workload) / medians[workload.name][GLIA] / 1e6
            own = statistics.median(max(cell.answer["rates"].values()) for cell in mine)
            shares.append(f"`{workload.name}` reaches {reached:.1f} GFLOP/s in Glia, {reached / own:.0%} of that")
    return [f"## The machine's own rate\n\nBest: {best}. {'; '.join(shares)}.\n\n" + "\n".join(lines)]
