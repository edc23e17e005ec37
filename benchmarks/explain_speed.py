"""Time and error of Shapley values and LIME: Glia against shap, captum and lime, in turn in one run.

    python benchmarks/explain_speed.py [--rows 20] [--features 20] [--background 100] [--width 64] [--exact-rows 2]

Prints a table. Errors are root mean squares against the exact values, which are computed from all 2^features coalitions
for the first ``--exact-rows`` rows (about 10 s each at 20 features). The budget of shap's default, 2 × features + 2048
coalitions × background rows, is also given to Glia's estimators and to captum, so that errors can be compared at equal
numbers of network rows. Times are the least of the repeats, wall-clock and processor, which other work on the machine
disturbs less. What is not installed is left out, and said.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

import glia
from glia.explain.first_layer import first_layer
from glia.explain.shapley_exact import coalitions, from_values
from glia.explain.shapley_game import Game
from glia.explain.subject import subject

Row = tuple[str, float, float, str]


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


def lime_rows(network: nn.Module, x: np.ndarray, back: np.ndarray, repeats: int) -> list[Row]:
    """Compare times, and how much two seeds of each agree (Spearman correlation of sizes, mean over rows)."""
    model = glia.wrap(network)

    def own(seed: int) -> np.ndarray:
        return glia.explain.lime(model, x, background=back, random_state=seed).values

    wall, cpu, one = timed(lambda: own(0), repeats)
    found = [("glia lime, 5 × 1000 samples", wall, cpu, f"two seeds agree: {agreement(one, own(1)):.3f}")]
    if importlib.util.find_spec("lime") is None:
        return [*found, ("lime", float("nan"), float("nan"), "not installed")]
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

    wall, cpu, one = timed(lambda: other(0), repeats)
    return [*found, ("lime, 5000 samples", wall, cpu, f"two seeds agree: {agreement(one, other(1)):.3f}")]


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(np.mean([spearmanr(abs(a), abs(b)).statistic for a, b in zip(one, other, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 20), ("features", 20), ("background", 100), ("width", 64), ("exact-rows", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.rows, options.features)).astype(np.float32)
    back = rng.normal(size=(options.background, options.features)).astype(np.float32)
    network = make_network(options.features, options.width)
    number = 2 * options.features + 2048
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"{options.rows} rows × {options.features} features × {options.background} background rows, "
        f"SiLU {options.width}-{options.width}, {number} coalitions"
    )
    runs: dict[str, Callable[[], np.ndarray]] = {}
    absent = []
    for package, make in (
        ("shap", lambda: with_shap(network, x, back)),
        ("glia", lambda: with_glia(network, x, back, number * options.background)),
        ("captum", lambda: with_captum(network, x, back, number)),
    ):
        if importlib.util.find_spec(package) is None:
            absent.append(package)
        else:
            runs |= make()
    truth = exact(network, x[: options.exact_rows], back)
    size = float(np.sqrt((truth**2).mean()))
    print(f"exact values: root mean square {size:.4g}")
    print(f"{'method':36s} {'seconds':>9s} {'processor':>9s} {'error':>9s} {'error / size':>12s}")
    np.random.seed(0)  # noqa: NPY002  (shap and captum draw from the global state)
    for name, run in runs.items():
        repeats = options.repeats if name.startswith("glia") else 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wall, cpu, values = timed(run, repeats)
        error = float(np.sqrt(((values[: options.exact_rows] - truth) ** 2).mean()))
        print(f"{name:36s} {wall:9.3f} {cpu:9.3f} {error:9.2g} {error / size:12.2%}")
    for name, wall, cpu, said in lime_rows(network, x, back, 1):
        print(f"{name:36s} {wall:9.3f} {cpu:9.3f} {said}")
    for package in absent:
        print(f"{package}: not installed")


if __name__ == "__main__":
    main()
