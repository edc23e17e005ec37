"""Question 18, momentum: fewer steps through a valley, less swinging, out of a shallow minimum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import torch_rng
from glia.engine.optimizer_settings import Optimizer
from glia.engine.optimizers import optimizers
from glia.lab.bench import Bench
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]
Slope = Callable[[Tensor], Tensor]
_NARROW, _NEAR, _MOST, _STARTS = 100.0, 1e-3, 1000, 64
_RATES, _EPOCHS, _USUAL = (1e-3, 1e-2, 1e-1, 0.5), 15, 0.02
_SAME = "at the same learning rate"

CLAIMS = (
    Claim("narrow valley", "Momentum needs fewer steps down a narrow valley, each at its best rate.",
          "with minus without momentum", "steps", "lower", 10.0, "made"),
    Claim("turns", f"Momentum turns back less often across a narrow valley, {_SAME}.",
          "with minus without momentum", "% of the steps", "lower", 5.0, "made"),
    Claim("swing", f"Momentum swings less far across a narrow valley, {_SAME}.",
          "way across the valley in starting distances, with minus without momentum", "starting distances", "lower",
          0.5, "made"),
    Claim("nesterov", "Nesterov's momentum swings less far than the classical one.",
          "way across the valley in starting distances, Nesterov minus classical", "starting distances", "lower", 0.5,
          "made"),
    Claim("shallow minimum", "Momentum carries on out of a shallow minimum into a deep one.",
          "share of starts that end in the deep minimum, with minus without momentum", "% of the starts", "higher",
          10.0, "made"),
    Claim("same rate", f"Momentum needs fewer epochs to the validation loss that plain descent ends with, {_SAME}.",
          "with minus without momentum", "epochs", "lower", 1.0),
    Claim("best rates", "Momentum needs fewer epochs even where plain descent has the rate that suits it best.",
          "with minus without momentum, each at its best of several rates", "epochs", "lower", 1.0),
)  # fmt: skip


def measure(
    bench: Bench,
    seeds: Sequence[int],
    *,
    narrow: float = _NARROW,
    barrier: float = 0.3,
    momentum: float = 0.9,
    nesterov: bool = True,
) -> Findings:
    """Descend made landscapes, then train on the data; the settings are for tests."""
    bench.say("a narrow valley")
    start = torch.stack([_uniform(bench, "valley", seed, 2) for seed in seeds])  # (S, 2)
    start = torch.sign(start - 0.5) * (0.5 + start)  # in all four quarters, away from the axes
    curved = torch.tensor([1.0, narrow])
    plain, heavy = _tuned(narrow) if momentum else ({"lr": 2 / (1 + narrow)},) * 2
    pairs: dict[str, tuple[Floats, Floats]] = {
        "narrow valley": (_steps(start, curved, heavy), _steps(start, curved, plain))
    }
    classical, none = (_swing(_across(start, curved, 1.8 / narrow, beta)) for beta in (momentum, 0.0))
    pairs["turns"], pairs["swing"] = (classical[0], none[0]), (classical[1], none[1])
    swings = [_swing(_across(start, curved, 1.0 / narrow, momentum, nesterov))[1] for nesterov in (nesterov, False)]
    pairs["nesterov"] = (swings[0], swings[1])
    bench.say("a shallow minimum")
    places = torch.stack([_uniform(bench, "hill", seed, _STARTS) for seed in seeds]) * 1.5 - 3.0  # from −3 to −1.5
    pairs["shallow minimum"] = tuple(  # type: ignore[assignment]  # two of them
        _escaped(places, barrier, {"lr": 0.02} | extra) for extra in ({"momentum": momentum}, {})
    )
    data_pairs, sweep = _on_data(bench, seeds, momentum)
    notes = (
        "Nesterov's form is compared at a lower rate than the others: with momentum β on curvature h it diverges from "
        "a rate of (2 + 2β) / (1 + 2β) / h on, the classical form only from (2 + 2β) / h on.",
    )
    return Findings(pairs | data_pairs, _names(), (sweep,), notes=notes)


def _names() -> dict[str, tuple[str, str]]:
    named = {claim.key: ("momentum", "plain descent") for claim in CLAIMS}
    return named | {"nesterov": ("Nesterov", "classical")}


def _uniform(bench: Bench, name: str, seed: int, count: int) -> Tensor:
    return torch.rand(count, generator=torch_rng(bench.seed, "lab", "momentum", name, seed))


def _tuned(narrow: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the best settings without and with momentum for curvatures 1 and ``narrow`` (Polyak 1964)."""
    root = math.sqrt(narrow)
    heavy = {"lr": (2 / (root + 1)) ** 2, "momentum": ((root - 1) / (root + 1)) ** 2}
    return {"lr": 2 / (1 + narrow)}, heavy


def _descend(start: Tensor, slope: Slope, steps: int, *, nesterov: bool = False, **options: float) -> Tensor:
    """Return the points of all seeds, (steps + 1, *start.shape), under Glia's own rules."""
    at = nn.Parameter(start.clone())
    name = "nesterov" if nesterov else "momentum" if options.get("momentum") else "sgd"
    kept = options if name != "sgd" else {"lr": options["lr"]}
    rule = optimizers.get(name)([{"params": [at], "weight_decay": 0.0}], **kept)
    points = [start]
    for _ in range(steps):
        at.grad = slope(at.detach())
        rule.step()
        points.append(at.detach().clone())
    return torch.stack(points)


def _steps(start: Tensor, curved: Tensor, options: Mapping[str, Any]) -> Floats:
    """Return the steps after which each seed stays nearer to the bottom than a thousandth of its start, (S,)."""
    points = _descend(start, lambda w: curved * w, _MOST, **options)
    far = (points.norm(dim=2) > _NEAR * start.norm(dim=1)).numpy()  # (T + 1, S)
    last = far.shape[0] - 1 - far[::-1].argmax(axis=0)
    return np.where(far.any(axis=0), last + 1.0, 0.0)


def _across(start: Tensor, curved: Tensor, rate: float, momentum: float, nesterov: bool = False) -> Floats:
    """Return where each seed is on the valley's steep axis after every step, (T, S)."""
    path = _descend(start, lambda w: curved * w, 300, lr=rate, momentum=momentum, nesterov=nesterov)
    return path[:, :, 1].double().numpy()


def _swing(path: Floats) -> tuple[Floats, Floats]:
    """Return how many percent of the steps change sides, and the way gone in starting distances; path (T, S)."""
    alive = np.abs(path) > 1e-6 * np.abs(path[0])
    both = alive[1:] & alive[:-1]
    crossed = (np.sign(path[1:]) != np.sign(path[:-1])) & both
    return 100.0 * crossed.sum(0) / np.maximum(both.sum(0), 1), np.abs(np.diff(path, axis=0)).sum(0) / np.abs(path[0])


def _escaped(start: Tensor, barrier: float, options: Mapping[str, Any]) -> Floats:
    """Return how many percent of each seed's starts (S, N) end in the deep minimum at 2.

    Going right the slope is −1 down to a shallow minimum at −0.7, rises to ``barrier`` on the hill that ends at −0.1,
    and is below 0 again until 2.
    """
    places = (-1.0, -0.7, -0.4, -0.1, 0.3, 1.5, 2.0, 3.0)
    slopes = (-1.0, 0.0, barrier, 0.0, -1.0, -1.0, 0.0, 2.0)

    def slope(w: Tensor) -> Tensor:
        return torch.from_numpy(np.interp(w.double().numpy(), places, slopes)).float()

    end = _descend(start, slope, 400, **options)[-1]
    return np.asarray(100.0 * ((end - 2.0).abs() < 0.5).double().mean(dim=1).numpy())


def _on_data(bench: Bench, seeds: Sequence[int], momentum: float) -> tuple[dict[str, tuple[Floats, Floats]], Sweep]:
    small = bench.on(bench.data.head(1500))
    make = partial(small.network, (32, 32))
    watched = {"valid": small.data.valid}
    rules = {"plain": Optimizer("sgd"), "momentum": Optimizer("momentum", options={"momentum": momentum})}
    losses, runs, at_usual = {}, {}, {}
    for name, rule in rules.items():
        bench.say(f"{len(_RATES)} rates, {name}")
        levels = small.sweep(make, seeds, "lr", (*_RATES, _USUAL), optimizer=rule, epochs=_EPOCHS, watched=watched)
        *runs[name], at_usual[name] = levels
        losses[name] = np.stack([found.loss["valid"][:, -1] for found in runs[name]], axis=1)  # (S, L)
    goal = np.where(np.isfinite(losses["plain"]), losses["plain"], np.inf).min(axis=1)
    best = {name: np.min([found.epochs_to(goal) for found in runs[name]], axis=0) for name in rules}
    same = at_usual["plain"].loss["valid"][:, -1]
    usual = {name: at_usual[name].epochs_to(same) for name in rules}
    sweep = Sweep("Which learning rates work with and without momentum?", _RATES,
                  {"momentum": losses["momentum"], "plain descent": losses["plain"]}, "learning rate",
                  f"validation loss after {_EPOCHS} epochs", log_x=True)  # fmt: skip
    return {"same rate": (usual["momentum"], usual["plain"]), "best rates": (best["momentum"], best["plain"])}, sweep


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["best rates"] == "supported":
        return "Momentum pays on this data: of the plain rules take --optimizer momentum or nesterov rather than sgd."
    if verdicts["same rate"] == "supported":
        return "Momentum helps here mainly as a larger learning rate would: tune the rate before the rule."
    return "Momentum makes no clear difference on this data."


ask(Question(18, "Momentum", "What does momentum change on the way to a minimum, and on this data?", CLAIMS, measure,
             _advice))  # fmt: skip
