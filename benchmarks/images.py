"""Seconds of training until a test accuracy is reached: Glia, Keras on two backends, and a plain torch loop.

    python benchmarks/images.py --mnist FOLDER --fashion FOLDER [--peers glia …] [--rounds 3] [--limit 2.5] [--out]

Peers take turns, each in a process of its own; see ``images_worker.py`` for what they do. The page is printed;
``--out`` writes it to benchmarks/results/, ``--cells`` keeps finished runs. Peers whose package is missing, and sets
without a folder, are named as absent.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from glia.core.files import write_text
from images_data import HOW, TARGETS
from images_worker import EPOCHS, PEERS, PLAIN
from quality import hardware_name

ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("images_worker.py")
NEEDS = {"glia": (), "torch": (), "keras-jax": ("keras", "jax"), "keras-torch": ("keras",)}
GIVEN_UP = 2.0
"""Times Glia's seconds from which on a peer that did not meet the target counts as given up, not as unable."""
BACKEND = {"keras-jax": "jax", "keras-torch": "torch"}


def run(peer: str, name: str, folder: str, seed: int, seconds: float) -> list[dict[str, float]] | str:
    """Return what a peer did by epoch, or why it failed; a tutorial's way is given up after so many seconds."""
    backend = BACKEND.get(peer.removeprefix(PLAIN))
    environment = {**os.environ, **({"KERAS_BACKEND": backend} if backend else {})}
    command = [sys.executable, str(WORKER), peer, name, folder, str(seed), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:200]
    found: list[dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def reached(epochs: list[dict[str, float]], target: float) -> float | None:
    """Return the seconds until the target was first met, ``None`` where it was not."""
    return next((one["seconds"] for one in epochs if one["accuracy"] >= target), None)


def own_seconds(done: dict[str, Any], name: str) -> float:
    """Return Glia's seconds to the target in finished runs, infinity where there are none."""
    runs = [found for key, found in done.items() if key.startswith(f"{name} glia ") and not isinstance(found, str)]
    times = [at for found in runs if (at := reached(found, TARGETS[name])) is not None]
    return statistics.median(times) if times else math.inf


def page(cells: dict[tuple[str, str], list[Any]], absent: list[str], rounds: int) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Pictures: seconds of training until a test accuracy is reached",
        "",
        f"{datetime.date.today().isoformat()}, {hardware_name()}; peers took turns, up to {rounds} rounds. The same "
        "network and batches for all; optimizer, schedule and epochs are Glia's, or where the name begins with “plain” "
        "what tutorials show: Adam at a rate of 0.001 until the target is met, for at most three times the epochs. "
        "Seconds are of training and of the look at the test rows after each epoch, for Glia also of its preparation "
        "and calibration. Medians over rounds; “–” where the target was not met in every round, “>” where that was "
        "given up.",
        "",
        "| set | peer | runs | target | seconds to it | seconds in all | test accuracy | times Glia's |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for (name, peer), done in cells.items():
        good = [one for one in done if not isinstance(one, str)]
        if not good:
            lines.append(f"| {name} | {peer} | 0 | {TARGETS[name]:.1%} | {done[0]} | | | |")
            continue
        times = [reached(one, TARGETS[name]) for one in good]
        own = [reached(one, TARGETS[name]) for one in cells.get((name, "glia"), []) if not isinstance(one, str)]
        hit = statistics.median(times) if None not in times else None
        base = statistics.median(own) if own and None not in own else None
        total = statistics.median(one[-1]["seconds"] for one in good)
        last = statistics.median(one[-1]["accuracy"] for one in good)
        ratio = f"{hit / base:.2f}" if hit and base else "–"
        shown = f"{hit:.1f}" if hit else "–"
        least = min((one[-1]["seconds"] for one, at in zip(good, times, strict=True) if at is None), default=0.0)
        if hit is None and base and peer.startswith(PLAIN) and least > GIVEN_UP * base:
            shown, ratio = f"> {least:.0f}", f"> {least / base:.1f}"
        shown = f"{TARGETS[name]:.1%} | {shown} | {total:.1f} | {last:.2%} | {ratio}"
        lines.append(f"| {name} | {peer} | {len(good)} | {shown} |")
    lines += ["", f"Epochs: {', '.join(f'{name} {count}' for name, count in EPOCHS.items())}."]
    return "\n".join([*lines, *(f"Absent: {one}." for one in absent), ""])


def finished(path: Path | None) -> dict[str, Any]:
    """Return the runs that stand in a file, by set, peer and round."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in TARGETS:
        parser.add_argument(f"--{name}", metavar="FOLDER")
    parser.add_argument("--peers", nargs="+", choices=tuple(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=math.inf, help="times Glia's seconds, for the plain peers")
    parser.add_argument("--cells", type=Path, help="file of finished runs, to go on where another run was cut off")
    parser.add_argument("--out", action="store_true")
    asked = parser.parse_args()
    folders = {name: getattr(asked, name) for name in TARGETS if getattr(asked, name)}
    absent = [f"{name} ({HOW[name]})" for name in TARGETS if name not in folders]
    peers = []
    for peer in asked.peers:
        missing = [one for one in NEEDS[peer.removeprefix(PLAIN)] if importlib.util.find_spec(one) is None]
        if missing:
            absent.append(f"{peer} (no {', '.join(missing)})")
        else:
            peers.append(peer)
    cells: dict[tuple[str, str], list[Any]] = {(name, peer): [] for name in folders for peer in peers}
    done = finished(asked.cells)
    for turn in range(asked.rounds):
        for name, peer in cells:
            key = f"{name} {peer} {turn}"
            if key not in done:
                done[key] = run(peer, name, folders[name], turn, asked.limit * own_seconds(done, name))
                print(f"round {turn + 1}: {name}, {peer}: {done[key]}", file=sys.stderr, flush=True)
                if asked.cells:
                    write_text(asked.cells, json.dumps(done))
            cells[name, peer].append(done[key])
    text = page(cells, absent, asked.rounds)
    print(text)
    if asked.out:
        machine = hardware_name().lower().replace(" ", "-")
        write_text(ROOT / "benchmarks" / "results" / f"{datetime.date.today()}_{machine}_images.md", text)


if __name__ == "__main__":
    main()
