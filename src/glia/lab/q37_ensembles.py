"""Question 37, ensembles: what averaging, boosting, stacking and snapshots gain over one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from torch import Tensor

from glia.core.seeds import numpy_rng
from glia.engine.callbacks import Callback
from glia.engine.loop import Trainer
from glia.engine.population_trainer import PopulationTrainer
from glia.engine.rows import Rows
from glia.engine.schedules import WarmRestarts
from glia.ensemble import Boosting, Stacking
from glia.estimators.classifier import Classifier
from glia.estimators.regressor import Regressor
from glia.lab.bench import Bench
from glia.lab.judging import drawn, outputs_of
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs, score_of

Floats = NDArray[np.float64]
Stream = Callable[[int, int], int]

_HIDDEN, _EPOCHS, _RATE, _MEMBERS, _GROUP, _CYCLES = (32,), 10, 1e-2, 12, 4, 4
_SIZES, _ROWS, _STACK_ROWS, _STAGES = (1, 2, 4, 6, 12), 1000, 500, 40
_POINTS = "points of the score (of 100)"

CLAIMS = (
    Claim(
        "average",
        "The mean of networks that learned from bootstrap samples (bagging) beats its average member.",
        f"score of {_MEMBERS} networks' mean minus the members' mean score",
        _POINTS,
        "higher",
        0.1,
    ),
    Claim(
        "variance",
        "The variance of what is predicted falls with the members.",
        f"variance between means of {_GROUP} networks, minus that between single networks",
        "% of a single network's variance",
        "lower",
        25.0,
    ),
    Claim(
        "larger network",
        "Small networks together beat one network with as many weights.",
        f"{_MEMBERS} networks' mean minus one network {_MEMBERS} times as wide",
        _POINTS,
        "higher",
        0.2,
    ),
    Claim(
        "different kinds",
        "Networks of different kinds gain more from averaging than as many of one kind.",
        f"gain over the average member, {_GROUP} networks of four activations minus {_GROUP} of one",
        _POINTS,
        "higher",
        0.1,
    ),
    Claim(
        "boosting",
        "Weak learners in a row, each on what those before it left (boosting), beat one of them.",
        f"{_STAGES} boosted trees of one cut minus one such tree",
        _POINTS,
        "higher",
        0.5,
    ),
    Claim(
        "stacking",
        "A model of models (stacking) is no worse than the member that did best on the validation rows.",
        "a network, a linear model, a tree and neighbours, stacked, minus the best of them",
        _POINTS,
        "no lower",
        0.5,
    ),
    Claim(
        "snapshots",
        "Snapshots of one training beat its last weights, at the price of one training.",
        f"mean of {_CYCLES} snapshots minus the last one",
        _POINTS,
        "higher",
        0.1,
    ),
)


def measure(bench: Bench, seeds: Sequence[int], stream: Stream | None = None) -> Findings:
    """Train twelve small networks for each seed, a wide one, four kinds, and snapshots; boost and stack.

    ``stream`` says which random numbers member k of a seed begins with, if they are not to be its own.
    """
    bench = bench.on(bench.data.head(_ROWS))
    own: Stream = (lambda seed, k: bench.number("q37", seed, k)) if stream is None else stream
    bench.say("bagging")
    members = trained(bench, seeds, own, _MEMBERS, relu := partial(bench.network, _HIDDEN))
    whole = scores(bench, members)
    by_size = np.stack([sized(bench, members, size) for size in _SIZES], axis=1)
    bench.say("one wide network")
    wide = trained(bench, seeds, own, 1, partial(bench.network, (_HIDDEN[0] * _MEMBERS,)))
    bench.say("kinds of networks")
    kinds = [members[:, :1]]
    for k, name in enumerate(("tanh", "elu", "sigmoid"), start=1):
        make = partial(bench.network, _HIDDEN, activation=name)
        kinds.append(trained(bench, seeds, lambda seed, _, k=k: own(seed, k), 1, make))  # type: ignore[misc]
    mixed = torch.cat(kinds, dim=1)
    bench.say("snapshots")
    snapshots = cycles(bench, seeds, relu)
    bench.say("boosting and stacking")
    boosted = np.array([boosting(bench, seed) for seed in seeds])
    stacked = np.array([stacking(bench, seed) for seed in seeds])
    pairs = {
        "average": (whole, by_size[:, 0]),
        "variance": (between(bench, members, _GROUP), np.full(len(seeds), 100.0)),
        "larger network": (whole, scores(bench, wide)),
        "different kinds": (gain(bench, mixed), gain(bench, members[:, :_GROUP])),
        "boosting": (boosted[:, 0], boosted[:, 1]),
        "stacking": (stacked[:, 0], stacked[:, 1]),
        "snapshots": (scores(bench, snapshots), scores(bench, snapshots[:, -1:])),
    }
    names = {
        "average": ("mean of all", "average member"),
        "variance": (f"means of {_GROUP}", "single"),
        "larger network": (f"{_MEMBERS} small", "one wide"),
        "different kinds": ("four kinds", "one kind"),
        "boosting": ("boosted", "one tree"),
        "stacking": ("stacked", "best member"),
        "snapshots": ("all snapshots", "last"),
    }
    sweep = Sweep(
        "How many members are enough?",
        _SIZES,
        {"mean of members": by_size},
        "members",
        f"{bench.score_name} (%)",
        log_x=True,
    )
    gained = float(np.mean(whole - by_size[:, 0]))
    suggestion = {"members": 8, "bagging": True} if gained > 0.1 else {}
    return Findings(pairs, names=names, sweeps=(sweep,), suggestion=suggestion)


def trained(bench: Bench, seeds: Sequence[int], stream: Stream, members: int, make: Callable[[], Any]) -> Tensor:
    """Return the outputs on test rows of networks that each learned from a bootstrap sample, (S, members, N, O)."""
    numbers = [stream(seed, k) for seed in seeds for k in range(members)]
    train = bench.data.train
    counts = [
        np.bincount(numpy_rng(n, "bootstrap").integers(0, len(train), len(train)), minlength=len(train))
        for n in numbers
    ]
    rows = Rows(train.x, train.y, torch.from_numpy(np.stack(counts, axis=1).astype(np.float32)))
    runs = bench.train(make, numbers, train=rows, own_rows=False, epochs=_EPOCHS, lr=_RATE, watched={})
    found = _answers(bench, runs)
    return found.reshape(len(seeds), members, *found.shape[1:])


def _answers(bench: Bench, runs: Runs) -> Tensor:
    found = torch.stack([outputs_of(network, bench.data.test.x) for network in runs.networks])
    found[torch.from_numpy(runs.failed)] = torch.nan
    return likely(found, bench.data.task)


def likely(outputs: Tensor, task: str) -> Tensor:
    """Return what may be averaged: probabilities less one half, probabilities, or values."""
    if task == "binary":
        return torch.sigmoid(outputs) - 0.5
    return torch.softmax(outputs, dim=-1) if task == "multiclass" else outputs


def scores(bench: Bench, members: Tensor) -> Floats:
    """Return the score of the mean of members (S, K, N, O), of 100, (S,)."""
    data = bench.data
    found = np.array([score_of(mean, data.test.y, data.task) for mean in members.mean(1)])
    return 100.0 * np.where(np.isfinite(found), found, data.chance)


def sized(bench: Bench, members: Tensor, size: int) -> Floats:
    """Return the mean score of the ensembles of a size that members can be divided into, (S,)."""
    return np.asarray(np.mean([scores(bench, part) for part in torch.split(members, size, dim=1)], axis=0))


def gain(bench: Bench, members: Tensor) -> Floats:
    """Return by how much the mean of members beats their average, (S,)."""
    return scores(bench, members) - sized(bench, members, 1)


def between(bench: Bench, members: Tensor, size: int) -> Floats:
    """Return the variance between means of ``size`` members, in % of that between members, (S,)."""
    means = torch.stack([part.mean(1) for part in torch.split(members, size, dim=1)], dim=1)
    single = members.double().var(dim=1).mean(dim=(1, 2)).clamp_min(1e-30)
    return np.asarray((100.0 * means.double().var(dim=1).mean(dim=(1, 2)) / single).numpy())


class _Ends(Callback):
    """Keeps what the members answer at the end of every fall of the rate."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.found = x, list[Tensor]()

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        if isinstance(trainer, PopulationTrainer) and entry["epoch"] % (_EPOCHS // 2) == 0:
            self.found.append(trainer.predict(self.x))


def cycles(bench: Bench, seeds: Sequence[int], make: Callable[[], Any]) -> Tensor:
    """Return the outputs on test rows at the ends of all cycles of one training, (S, cycles, N, O)."""
    ends = _Ends(bench.data.test.x)
    schedule = WarmRestarts(first=_EPOCHS // 2, growth=1.0)
    runs = bench.train(
        make, seeds, epochs=_EPOCHS // 2 * _CYCLES, lr=_RATE, schedule=schedule, callbacks=[ends], watched={}
    )
    if len(ends.found) < _CYCLES:  # all of them failed
        return torch.full((len(seeds), _CYCLES, len(bench.data.test), bench.outputs), torch.nan)
    found = torch.stack(ends.found, dim=1)
    found[torch.from_numpy(runs.failed)] = torch.nan
    return likely(found, bench.data.task)


def _share(bench: Bench, seed: int, most: int) -> tuple[NDArray[Any], NDArray[Any]]:
    train = bench.data.train
    mine = drawn(bench, "q37 rows", seed, len(train), min(most, max(2, int(0.8 * len(train)))))
    return train.x[mine].numpy(), _target(bench, train.y[mine])


def _target(bench: Bench, y: Tensor) -> NDArray[Any]:
    if bench.data.task == "regression":
        return y.reshape(len(y), -1)[:, 0].numpy().astype(np.float64)
    return y.numpy().astype(np.int64)


def boosting(bench: Bench, seed: int) -> tuple[float, float]:
    """Return the test scores, of 100, of boosted trees of one cut and of one such tree."""
    x, y = _share(bench, seed, len(bench.data.train))
    values, stump = bench.data.task == "regression", DecisionTreeRegressor(max_depth=1, random_state=0)
    one = stump if values else DecisionTreeClassifier(max_depth=1, random_state=0)
    loss = "squared" if values else "log_loss"
    many = Boosting(stump, loss, _STAGES, patience=0, random_state=seed)
    test = bench.data.test.x.numpy(), _target(bench, bench.data.test.y)
    if not values and len(np.unique(y)) < 2:
        return np.nan, np.nan
    return 100.0 * many.fit(x, y).score(*test), 100.0 * one.fit(x, y).score(*test)


def stacking(bench: Bench, seed: int) -> tuple[float, float]:
    """Return the test scores, of 100, of a stack of four models and of the one of them that validation prefers."""
    x, y = _share(bench, seed, _STACK_ROWS)
    values = bench.data.task == "regression"
    options: dict[str, Any] = {
        "preparation": "none", "network": "mlp", "epochs": 6, "batch_size": 64, "early_stopping": False, "members": 1,
        "random_state": seed,
    }  # fmt: skip
    models: list[tuple[str, Any]] = [
        ("network", Regressor(**options) if values else Classifier(**options)),
        ("linear", RidgeCV() if values else LogisticRegression(max_iter=300)),
        ("tree", (DecisionTreeRegressor if values else DecisionTreeClassifier)(max_depth=5, random_state=0)),
        ("neighbours", (KNeighborsRegressor if values else KNeighborsClassifier)(15)),
    ]
    if (not values and np.unique(y, return_counts=True)[1].min() < 3) or len(y) < 60 or len(np.unique(y)) < 2:
        return np.nan, np.nan  # too few rows of a class for the folds
    stack = Stacking(models, cv=3, random_state=seed).fit(x, y)
    valid, test = ((part.x.numpy(), _target(bench, part.y)) for part in (bench.data.valid, bench.data.test))
    best = max(stack.members_, key=lambda member: float(member.score(*valid)))
    return 100.0 * stack.score(*test), 100.0 * float(best.score(*test))


def _advice(verdicts: Mapping[str, str]) -> str:
    parts = []
    if verdicts["average"] == "supported":
        parts.append("Train several networks at once: glia fit --members 8.")
    if verdicts["snapshots"] == "supported":
        parts.append("Where time is short, snapshots of one training serve too: glia.ensemble.Snapshot.")
    return " ".join(parts) or "One network is enough on this data, as far as these seeds can tell."


ask(Question(37, "Ensembles", "Do several models together beat one on this data?", CLAIMS, measure, _advice))
