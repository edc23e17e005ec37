"""Time and error of Shapley values and LIME: Glia against shap, captum and lime, in turn in one run.

    python benchmarks/explain_speed.py [--rows 20] [--features 20] [--background 100] [--width 64] [--exact-rows 2]
        [--packages glia,shap,captum,lime] [--cells cells.jsonl] [--out page.md]

Prints a table, and writes it with --out. With --cells each finished line is kept in a file, and a run that was stopped
goes on after the last one; lines of other sizes in that file are left alone. Errors are root mean squares against the
exact values, which are computed from all 2^features coalitions for the first ``--exact-rows`` rows (about 10 s each at
20 features). The budget of shap's default, 2 × features + 2048 coalitions × background rows, is also given to Glia's
estimators and to captum, so that errors can be compared at equal numbers of network rows. Times are the least of the
repeats, wall-clock and processor, which other work on the machine disturbs less. What is not installed is left out, and
said.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import glia
from glia.explain.first_layer import first_layer
from glia.explain.shapley_exact import coalitions, from_values
from glia.explain.shapley_game import Game
from glia.explain.subject import subject

Run = Callable[[], np.ndarray]
GOAL = "20 rows × 20 features × 100 background rows take at most 0.5 s on two cores"


def make_network(features: int, width: int) -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
    )
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2.0)  # so that columns interact
    return network.eval()


def exact(network: nn.Module, x: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Return exact Shapley values by all coalitions, row by row, also beyond the 16 columns that the library allows."""
    seen = subject(glia.wrap(network), x)
    rows = torch.from_numpy(back)
    players = x.shape[1]
    game = Game(seen, rows, seen.feature_names, torch.eye(players, dtype=torch.bool), first_layer(network))
    masks = torch.from_numpy(coalitions(players))
    found = [from_values(game.mean_values(masks, slice(i, i + 1))) for i in range(len(x))]
    return np.concatenate(found)[..., 0]


def timed(run: Callable[[], np.ndarray], repeats: int) -> tuple[float, float, np.ndarray]:
    """Return the least wall-clock and processor times, and what came out."""
    times, values = [], np.zeros(0)
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        values = run()
        times.append((time.perf_counter() - start, time.process_time() - used))
    return min(wall for wall, _ in times), min(cpu for _, cpu in times), values


def with_glia(network: nn.Module, x: np.ndarray, back: np.ndarray, budget: int) -> dict[str, Callable[[], np.ndarray]]:
    model = glia.wrap(network)

    def by(method: str, evaluations: int | None) -> Callable[[], np.ndarray]:
        return lambda: glia.explain.shap(model, x, background=back, method=method, evaluations=evaluations).values

    return {
        "glia permutation, default": by("permutation", None),
        "glia permutation, equal budget": by("permutation", budget),
        "glia kernel, equal budget": by("kernel", budget),
        "glia gradient, default": by("gradient", None),
    }


def with_shap(network: nn.Module, x: np.ndarray, back: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    import shap

    @torch.no_grad()
    def f(rows: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(rows.astype(np.float32)))[:, 0].numpy()

    def kernel(**options: object) -> Callable[[], np.ndarray]:
        return lambda: np.asarray(shap.KernelExplainer(f, back).shap_values(x, silent=True, **options))

    masker = shap.maskers.Independent(back, max_samples=len(back))
    return {
        "shap KernelExplainer, default": kernel(),
        "shap KernelExplainer, no selection": kernel(l1_reg=False),
        "shap PermutationExplainer, default": lambda: (
            shap.PermutationExplainer(f, masker, seed=0)(x, silent=True).values
        ),
    }


def with_captum(
    network: nn.Module, x: np.ndarray, back: np.ndarray, coalitions_: int
) -> dict[str, Callable[[], np.ndarray]]:
    from captum.attr import KernelShap

    rows = torch.from_numpy(back)

    def run() -> np.ndarray:
        found = []
        for row in torch.from_numpy(x):

            @torch.no_grad()
            def value(kept: torch.Tensor, row: torch.Tensor = row) -> torch.Tensor:
                mixed = torch.where(kept.unsqueeze(1) > 0.5, row, rows)  # (S, B, D): the mean over the background
                return network(mixed.flatten(0, 1)).reshape(len(kept), -1).mean(1)

            ones = torch.ones(1, x.shape[1])
            options = {"n_samples": coalitions_, "perturbations_per_eval": 64, "show_progress": False}
            found.append(KernelShap(value).attribute(ones, baselines=0 * ones, **options)[0].numpy())
        return np.stack(found)

    return {"captum KernelShap, equal budget": run}


def with_lime(network: nn.Module, x: np.ndarray, back: np.ndarray) -> dict[str, Callable[[int], np.ndarray]]:
    """Return name → seed → shares; of these it is compared how much two seeds agree."""
    model = glia.wrap(network)

    def own(seed: int) -> np.ndarray:
        return glia.explain.lime(model, x, background=back, random_state=seed).values

    found: dict[str, Callable[[int], np.ndarray]] = {"glia lime, 5 × 1000 samples": own}
    if importlib.util.find_spec("lime") is None:
        return found
    from lime.lime_tabular import LimeTabularExplainer

    @torch.no_grad()
    def f(rows: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(rows.astype(np.float32)))[:, 0].numpy()

    def other(seed: int) -> np.ndarray:
        explainer = LimeTabularExplainer(
            back, mode="regression", discretize_continuous=False, sample_around_instance=True, random_state=seed
        )
        values = np.zeros(x.shape)
        for i, row in enumerate(x):
            for feature, share in next(
                iter(explainer.explain_instance(row, f, num_features=x.shape[1], num_samples=5000).as_map().values())
            ):
                values[i, feature] = share
        return values

    return {**found, "lime, 5000 samples": other}


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(np.mean([spearmanr(abs(a), abs(b)).statistic for a, b in zip(one, other, strict=True)]))


class Cells:
    """Finished lines by name, in a file where one is named."""

    def __init__(self, path: str | None, sizes: dict[str, Any]) -> None:
        self.path, self.sizes = None if path is None else Path(path), sizes
        self.found: dict[str, dict[str, Any]] = {}
        if self.path is not None and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                one = json.loads(line)
                if one["sizes"] == sizes:
                    self.found[one["name"]] = one

    def once(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a line, measured if it is not there yet."""
        if name not in self.found:
            self.found[name] = {"name": name, "sizes": self.sizes, **make()}
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(self.found[name]) + "\n")
        return self.found[name]


def measure(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the lines of the table, and what is not installed."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.rows, options.features)).astype(np.float32)
    back = rng.normal(size=(options.background, options.features)).astype(np.float32)
    network = make_network(options.features, options.width)
    sizes = {name: getattr(options, name) for name in ("rows", "features", "background", "width", "exact_rows")}
    cells = Cells(options.cells, sizes)
    number = 2 * options.features + 2048
    asked = options.packages.split(",")
    absent = [name for name in asked if name != "glia" and importlib.util.find_spec(name) is None]
    kept = x[: options.exact_rows]
    truth = np.array(cells.once("exact", lambda: {"values": exact(network, kept, back).tolist()})["values"])
    size = float(np.sqrt((truth**2).mean()))
    makers: dict[str, Callable[[], dict[str, Run]]] = {
        "shap": lambda: with_shap(network, x, back),
        "glia": lambda: with_glia(network, x, back, number * options.background),
        "captum": lambda: with_captum(network, x, back, number),
    }
    lines = []
    for package, make in makers.items():
        if package not in asked or package in absent:
            continue
        for name, run in make().items():

            def line(run: Run = run, name: str = name) -> dict[str, Any]:
                np.random.seed(0)  # noqa: NPY002  (shap and captum draw from the global state)
                wall, cpu, values = timed(run, options.repeats if name.startswith("glia") else 1)
                error = float(np.sqrt(((values[: options.exact_rows] - truth) ** 2).mean()))
                return {"seconds": wall, "processor": cpu, "error": error, "share": error / size}

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                lines.append(cells.once(name, line))
    if "lime" in asked:
        for name, shares in with_lime(network, x, back).items():

            def line_of(shares: Callable[[int], np.ndarray] = shares) -> dict[str, Any]:
                wall, cpu, one = timed(lambda: shares(0), 1)
                return {"seconds": wall, "processor": cpu, "agree": agreement(one, shares(1))}

            lines.append(cells.once(name, line_of))
    return lines, absent


def page(lines: list[dict[str, Any]], absent: list[str], options: argparse.Namespace) -> str:
    """Return the table as Markdown."""
    number = 2 * options.features + 2048
    said = [
        "# Explanations: time and error",
        "",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}. {options.rows} rows × {options.features} features × {options.background} "
        f"background rows, SiLU {options.width}-{options.width}, one run. Error: root mean square against the exact "
        f"values of {options.exact_rows} rows (all coalitions), as a share of their size. Equal budget: {number} "
        "coalitions × background rows for each row, shap's default. Of LIME: rank correlation of two seeds.",
        "",
        "| method | seconds | processor seconds | error | error / size |",
        "|---|--:|--:|--:|--:|",
    ]
    for one in lines:
        error = f"{one['error']:.2g} | {one['share']:.2%}" if "error" in one else f"two seeds: {one['agree']:.3f} | "
        said.append(f"| {one['name']} | {one['seconds']:.3f} | {one['processor']:.3f} | {error} |")
    by_name = {one["name"]: one for one in lines}
    default, equal = by_name.get("glia permutation, default"), by_name.get("glia permutation, equal budget")
    said.append("")
    if default is not None and (options.rows, options.features, options.background) == (20, 20, 100):
        said.append(f"Goal: {GOAL}. Measured: {default['seconds']:.3f} s.")
    for way in ("default", "no selection"):
        kernel = by_name.get(f"shap KernelExplainer, {way}")
        if kernel is not None and equal is not None:
            nearer = kernel["error"] / equal["error"]
            said.append(f"At equal budget the error of KernelExplainer ({way}) is {nearer:.1f} times Glia's.")
    said += [f"Not installed: {', '.join(absent)}."] if absent else []
    return "\n".join(said) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 20), ("features", 20), ("background", 100), ("width", 64), ("exact-rows", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--packages", default="shap,glia,captum,lime")
    parser.add_argument("--cells", default=None)
    parser.add_argument("--out", default=None)
    options = parser.parse_args(words)
    lines, absent = measure(options)
    text = page(lines, absent, options)
    print(text)
    if options.out is not None:
        Path(options.out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
