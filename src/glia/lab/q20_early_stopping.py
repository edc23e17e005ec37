"""Question 20, early stopping: near the best epoch, no worse than all epochs, and cheaper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import loss_of, outputs_of, points_of
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]
_EPOCHS, _PATIENCE, _HIDDEN, _RATE, _ROWS, _BATCH = 40, 6, (32, 32), 1e-3, 500, 32

CLAIMS = (
    Claim("near the optimum", "It stops near the optimum: at a validation loss that no later epoch clearly beats.",
          "least validation loss until it stopped minus that of all epochs, of 100 of the latter", "%", "no higher",
          2.0),
    Claim("no worse", "The test score is no worse than after all epochs.", "score stopped early minus after all epochs",
          "points of the score (of 100)", "no lower", 0.5),
    Claim("lower test loss", "The test loss is lower than after all epochs.",
          "test loss stopped early minus after all epochs, of 100 of the latter", "%", "lower", 2.0),
    Claim("noise", "Where a network learns noise by heart, early stopping lowers the test loss.",
          "test loss stopped early minus after all epochs, of 100 of the latter", "%", "lower", 2.0, "made"),
    Claim("best weights", "It matters that the best weights come back, not those at which it stopped.",
          "test loss with the best weights minus with the last ones, of 100 of the latter", "%", "lower", 0.5),
    Claim("saves", "It saves epochs.", f"epochs until it stops minus all {_EPOCHS}", "epochs", "lower", 5.0),
    Claim("cross-validation", "An epoch on which several folds agree is closer to the best one than that of one fold.",
          "test loss above its least, at the epoch of several folds minus at that of one fold", "% of the least",
          "lower", 0.5),
)  # fmt: skip


def measure(
    bench: Bench,
    seeds: Sequence[int],
    *,
    patience: int = _PATIENCE,
    lr: float = _RATE,
    noisy: LabData | None = None,
    folds: int = 4,
) -> Findings:
    """Train through all epochs and with early stopping, from equal weights; the settings are for tests."""
    bench.say("noise that is learned by heart")
    by_heart = _both(bench.on(noisy or _noisy(bench.number("noise"))), seeds, patience, lr)
    bench.say("this data")
    small = bench.on(bench.data.head(_ROWS))
    found = _both(small, seeds, patience, lr)
    bench.say(f"{folds} folds")
    several, one = _fold_epochs(small, seeds, lr, folds)
    whole = found["test curve"]  # of networks that learned from all rows
    least = np.nanmin(whole, axis=1)
    rows = np.arange(len(seeds))
    pairs: dict[str, tuple[Floats, Floats]] = {
        "near the optimum": (100.0 * found["valid best stopped"] / found["valid best"], np.full(len(seeds), 100.0)),
        "no worse": (found["score stopped"], found["score all"]),
        "lower test loss": (100.0 * found["test stopped"] / found["test all"], np.full(len(seeds), 100.0)),
        "noise": (100.0 * by_heart["test stopped"] / by_heart["test all"], np.full(len(seeds), 100.0)),
        "best weights": (100.0 * found["test stopped"] / found["test last"], np.full(len(seeds), 100.0)),
        "saves": (found["epochs"], np.full(len(seeds), float(_EPOCHS))),
        "cross-validation": tuple(100.0 * (whole[rows, at] / least - 1.0) for at in (several, one)),
    }
    names = {claim.key: ("stopped early", "all epochs") for claim in CLAIMS}
    names |= {"best weights": ("best weights", "last weights"), "cross-validation": ("several folds", "one fold")}
    sweep = Sweep(
        "When is the validation loss lowest, and what do training and test do meanwhile?",
        range(1, _EPOCHS + 1),
        {"training": found["train curve"], "validation": found["valid curve"], "test": whole},
        "epoch",
        "mean loss",
    )
    return Findings(pairs, names, (sweep,), notes=(_note(found["epochs"]),))


def _note(epochs: Floats) -> str:
    return f"With a patience of {_PATIENCE} epochs training stopped after {epochs.min():g} to {epochs.max():g} epochs."


def _both(bench: Bench, seeds: Sequence[int], patience: int, lr: float) -> dict[str, Floats]:
    """Train all epochs, and once more with the engine's own early stopping; return losses, scores and epochs."""
    data, make = bench.data, partial(bench.network, _HIDDEN)
    full = bench.train(make, seeds, epochs=_EPOCHS, lr=lr, batch_size=_BATCH)
    stopped = bench.train(
        make, seeds, epochs=_EPOCHS, lr=lr, batch_size=_BATCH, valid=data.valid, patience=patience, watched={}
    )
    curves = {part: np.where(np.isfinite(full.loss[part]), full.loss[part], np.inf) for part in full.loss}
    epochs = stopping_epochs(curves["valid"], patience)
    rows = np.arange(len(seeds))
    outputs = [outputs_of(network, data.test.x) for network in stopped.networks]
    return {
        "valid best": curves["valid"].min(axis=1),
        "valid best stopped": np.array([curves["valid"][i, :e].min() for i, e in enumerate(epochs)]),
        "test stopped": np.array([loss_of(output, data.test, data.task) for output in outputs]),
        "test all": curves["test"][:, -1],
        "test last": curves["test"][rows, epochs - 1],
        "score stopped": points_of(bench, stopped.networks, data.test),
        "score all": bench.points(full, "test"),
        "epochs": epochs.astype(float),
    } | {f"{part} curve": full.loss[part] for part in full.loss}


def stopping_epochs(valid: Floats, patience: int) -> NDArray[np.int64]:
    """Return after how many epochs each row's training stops: ``patience`` epochs after its best one."""
    found = []
    for losses in valid:
        best, at = np.inf, 0
        for epoch, loss in enumerate(losses, start=1):
            if loss < best:
                best, at = loss, epoch
            elif 0 < patience <= epoch - at:
                break
        found.append(epoch)
    return np.array(found)


def _fold_epochs(
    bench: Bench, seeds: Sequence[int], lr: float, folds: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the epochs (from 0) at which the mean validation loss of all folds, and of one, is lowest."""
    data = bench.data.train
    curves = []
    for fold in range(folds):
        # Folds are the same rows for all seeds; a seed's network and the rows that it leaves out differ.
        held = torch.arange(len(data)) % folds == fold
        kept, watched = data.take((~held).nonzero()[:, 0]), data.take(held.nonzero()[:, 0])
        runs = bench.train(
            partial(bench.network, _HIDDEN), seeds, train=kept, watched={"held": watched}, epochs=_EPOCHS, lr=lr,
            batch_size=_BATCH,
        )  # fmt: skip
        curves.append(np.where(np.isfinite(runs.loss["held"]), runs.loss["held"], np.inf))
    return np.mean(curves, axis=0).argmin(axis=1), curves[0].argmin(axis=1)


def _noisy(seed: int) -> LabData:
    """Return two classes by the sign of one column in 15, with a fifth of the labels flipped."""
    rng = numpy_rng(seed, "noisy")
    x = rng.normal(size=(900, 15))
    y = (x[:, 0] > 0) ^ (rng.uniform(size=900) < 0.2)
    return made("labels with noise", x, y.astype(float), "binary", shares=(0.3, 0.2))


def _advice(verdicts: Mapping[str, str]) -> str:
    if "refuted" in (verdicts["no worse"], verdicts["near the optimum"]):
        return "Early stopping ends too soon on this data: give it more patience, glia fit --early-stopping 20."
    if verdicts["lower test loss"] == "supported":
        return "Early stopping pays on this data; it is on unless you switch it off."
    return "Early stopping does no surely measured harm here and is on unless you switch it off."


ask(Question(20, "Early stopping", "Does stopping early end near the best epoch, at no loss in the test score?",
             CLAIMS, measure, _advice))  # fmt: skip
