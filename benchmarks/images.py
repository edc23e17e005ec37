"""Seconds of training until a test accuracy is reached: Glia, Keras on two backends, and a plain torch loop.

    python benchmarks/images.py --mnist FOLDER --fashion FOLDER [--peers glia torch …] [--rounds 3] [--out]

Peers take turns, each in a process of its own; see ``images_worker.py`` for what they do. The page is printed;
``--out`` writes it to benchmarks/results/. Peers whose package is missing, and sets without a folder, are named as
absent.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from glia.core.files import write_text
from images_data import HOW, TARGETS
from images_worker import EPOCHS, PEERS
from quality import hardware_name

ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("images_worker.py")
NEEDS = {"glia": (), "torch": (), "keras-jax": ("keras", "jax"), "keras-torch": ("keras",)}
BACKEND = {"keras-jax": "jax", "keras-torch": "torch"}


def run(peer: str, name: str, folder: str, seed: int) -> list[dict[str, float]] | str:
    """Return what a peer did by epoch, or why it failed."""
    environment = {**os.environ, **({"KERAS_BACKEND": BACKEND[peer]} if peer in BACKEND else {})}
    command = [sys.executable, str(WORKER), peer, name, folder, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:200]
    found: list[dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def reached(epochs: list[dict[str, float]], target: float) -> float | None:
    """Return the seconds until the target was first met, ``None`` where it was not."""
    return next((one["seconds"] for one in epochs if one["accuracy"] >= target), None)


def page(cells: dict[tuple[str, str], list[Any]], absent: list[str], rounds: int) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Pictures: seconds of training until a test accuracy is reached",
        "",
        f"{datetime.date.today().isoformat()}, {hardware_name()}, {rounds} rounds in which peers took turns. The same "
        "network, batches, optimizer and schedule for all; seconds are of training, for Glia with its preparation and "
        "its validation after each epoch. Medians over rounds; “–” where the target was not met in every round.",
        "",
        "| set | peer | target | seconds to it | seconds in all | test accuracy | times Glia's |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for (name, peer), done in cells.items():
        good = [one for one in done if not isinstance(one, str)]
        if not good:
            lines.append(f"| {name} | {peer} | {TARGETS[name]:.1%} | {done[0]} | | | |")
            continue
        times = [reached(one, TARGETS[name]) for one in good]
        own = [reached(one, TARGETS[name]) for one in cells.get((name, "glia"), []) if not isinstance(one, str)]
        hit = statistics.median(times) if None not in times else None
        base = statistics.median(own) if own and None not in own else None
        total = statistics.median(one[-1]["seconds"] for one in good)
        last = statistics.median(one[-1]["accuracy"] for one in good)
        ratio = f"{hit / base:.2f}" if hit and base else "–"
        shown = f"{hit:.1f}" if hit else "–"
        lines.append(f"| {name} | {peer} | {TARGETS[name]:.1%} | {shown} | {total:.1f} | {last:.2%} | {ratio} |")
    lines += ["", f"Epochs: {', '.join(f'{name} {count}' for name, count in EPOCHS.items())}."]
    return "\n".join([*lines, *(f"Absent: {one}." for one in absent), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in TARGETS:
        parser.add_argument(f"--{name}", metavar="FOLDER")
    parser.add_argument("--peers", nargs="+", choices=tuple(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", action="store_true")
    asked = parser.parse_args()
    folders = {name: getattr(asked, name) for name in TARGETS if getattr(asked, name)}
    absent = [f"{name} ({HOW[name]})" for name in TARGETS if name not in folders]
    peers = []
    for peer in asked.peers:
        missing = [one for one in NEEDS[peer] if importlib.util.find_spec(one) is None]
        if missing:
            absent.append(f"{peer} (no {', '.join(missing)})")
        else:
            peers.append(peer)
    cells: dict[tuple[str, str], list[Any]] = {(name, peer): [] for name in folders for peer in peers}
    for turn in range(asked.rounds):
        for name, peer in cells:
            cells[name, peer].append(run(peer, name, folders[name], turn))
            print(f"round {turn + 1}: {name}, {peer}: {cells[name, peer][-1]}", file=sys.stderr, flush=True)
    text = page(cells, absent, asked.rounds)
    print(text)
    if asked.out:
        machine = hardware_name().lower().replace(" ", "-")
        write_text(ROOT / "benchmarks" / "results" / f"{datetime.date.today()}_{machine}_images.md", text)


if __name__ == "__main__":
    main()
