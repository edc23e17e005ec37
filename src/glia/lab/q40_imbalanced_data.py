"""Question 40, imbalanced data: accuracy misleads, and every remedy buys recall of the rare class with precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from glia.core.seeds import numpy_rng
from glia.data.balance import Balance, balance_rows
from glia.engine.rows import Rows
from glia.ensemble import BalancedBagging
from glia.estimators.classifier import Classifier
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import outputs_of
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.recast import as_two_classes
from glia.objectives.thresholds import choose_threshold

Floats = NDArray[np.float64]

_HIDDEN, _EPOCHS, _RATE, _SHARE, _ROWS, _BAGS = (32,), 10, 1e-2, 0.05, 1200, 4
_WEIGHTS = (1.0, 2.0, 5.0, 10.0, 19.0)
_FEWEST = 10
_POINTS = "points (of 100)"
_REMEDIES = {
    "weights": "Weighting the rare class's rows by how rare they are (a cost-sensitive loss)",
    "oversampling": "Drawing rare rows several times",
    "synthetic": "Making rare rows up between neighbours (SMOTE)",
    "undersampling": "Leaving common rows out",
    "threshold": "A threshold chosen for F1 on the validation rows, with nothing changed in training,",
    "balanced ensemble": f"The mean of {_BAGS} networks that learned from balanced samples",
}
_RESAMPLED = {"oversampling": "oversample", "synthetic": "smote", "undersampling": "undersample"}

CLAIMS = (
    Claim(
        "accuracy misleads",
        f"Where one class in {round(1 / _SHARE)} rows is rare, accuracy flatters: the classes' mean recall is lower.",
        "accuracy minus balanced accuracy of a plain network",
        _POINTS,
        "higher",
        5.0,
    ),
    *(
        Claim(
            name,
            f"{words} raises the rare class's recall.",
            "recall with minus without",
            "points of recall (of 100)",
            "higher",
            5.0,
        )
        for name, words in _REMEDIES.items()
    ),
    Claim(
        "price",
        "What is gained in recall is paid for in precision.",
        "mean precision of the remedies minus that of a plain network",
        "points of precision (of 100)",
        "lower",
        2.0,
    ),
    Claim(
        "threshold is enough",
        "Moving the threshold of a plain network gives as high an F1 as resampling its rows.",
        "F1 of the threshold minus mean F1 of over- and undersampling and synthetic rows",
        "points of F1 (of 100)",
        "no lower",
        2.0,
    ),
    Claim(
        "ranking",
        "Synthetic rows teach something new: rare rows are ranked better, too.",
        "average precision with synthetic rows minus without",
        _POINTS,
        "higher",
        1.0,
    ),
)


@dataclass(frozen=True)
class Judged:
    """What a decision about the test rows is worth, each of 100; NaN where nothing was found rare."""

    accuracy: float
    balanced: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where nothing rare was found."""
        if not self.recall > 0:
            return 0.0
        return 2.0 * self.precision * self.recall / (self.precision + self.recall)


def rare(data: LabData, seed: int, share: float = _SHARE, rows: int = _ROWS) -> LabData:
    """Return two classes of which class 1 is rare among training and validation rows; test rows are all kept."""
    data = as_two_classes(data).head(10 * rows)
    if float(data.train.y.mean()) > 0.5:
        parts = {name: Rows(data.part(name).x, 1.0 - data.part(name).y) for name in ("train", "valid", "test")}
        data = replace(data, train=parts["train"], valid=parts["valid"], test=parts["test"])
    thinned = {}
    for name, most in (("train", rows), ("valid", rows)):
        part = data.part(name)
        where = numpy_rng(seed, "q40", name).permutation(len(part))
        y = part.y.numpy()[where]
        common = where[y == 0][:most]
        few = where[y == 1][: max(_FEWEST, round(len(common) * share / (1 - share)))]
        thinned[name] = part.take(torch.from_numpy(np.sort(np.concatenate([common, few]))))
    return replace(data, train=thinned["train"], valid=thinned["valid"])


def uneven(data: LabData) -> bool:
    """Whether the rarest class has at most a third of its equal share: only then a remedy is suggested."""
    if data.task not in ("binary", "multiclass"):
        return False
    counts = np.unique(data.train.y.numpy(), return_counts=True)[1]
    return bool(counts.min() / counts.sum() <= 1 / (3 * len(counts)))


def judged(found: NDArray[np.bool_], truth: NDArray[np.bool_], share: float) -> Judged:
    """Judge which rows are said to be rare, as if the rare class had this share of the test rows."""
    hits, alarms = float(found[truth].mean()), float(found[~truth].mean())
    said = share * hits + (1 - share) * alarms
    return Judged(
        100.0 * (share * hits + (1 - share) * (1 - alarms)),
        50.0 * (hits + 1 - alarms),
        100.0 * share * hits / said if said else np.nan,
        100.0 * hits,
    )


def measure(bench: Bench, seeds: Sequence[int]) -> Findings:
    """Make a class of the user's data rare, train plainly and with each remedy, and judge on test rows."""
    own, data = bench.data, rare(bench.data, bench.number("q40"))
    bench = bench.on(data)
    truth = data.test.y.numpy() > 0.5
    share = float(data.train.y.mean())
    if truth.all() or not truth.any() or not 0 < share < 1:
        return _nothing(len(seeds))
    bench.say("weights of the rare class")
    held, by_weight = weighted(bench, seeds, np.array((*_WEIGHTS[:-1], (1 - share) / share)))
    plain = by_weight[:, 0]
    found = {name: np.empty((len(seeds), len(truth)), dtype=bool) for name in _REMEDIES}
    found["weights"] = by_weight[:, -1] > 0
    ranks = np.empty((2, len(seeds)))
    mass = np.where(truth, share / truth.mean(), (1 - share) / (1 - truth.mean()))
    for i, seed in enumerate(seeds):
        bench.say(f"samples, seed {seed}")
        mine = own_rows(bench, seed)
        scores = {name: resampled(bench, seed, mine, way) for name, way in _RESAMPLED.items()}
        for name, score in scores.items():
            found[name][i] = score > 0
        found["threshold"][i] = plain[i] > threshold(bench, held[i, 0], share)
        found["balanced ensemble"][i] = bagged(bench, seed, mine)
        ranks[:, i] = [
            100.0 * average_precision_score(truth, np.nan_to_num(score), sample_weight=mass)
            for score in (scores["synthetic"], plain[i])
        ]
    before = [judged(row > 0, truth, share) for row in plain]
    after = {name: [judged(row, truth, share) for row in rows] for name, rows in found.items()}
    findings = _findings(before, after, ranks, by_weight, truth, share)
    return findings if uneven(own) else replace(findings, suggestion={})


def _findings(
    before: Sequence[Judged],
    after: Mapping[str, Sequence[Judged]],
    ranks: Floats,
    by_weight: Floats,
    truth: NDArray[np.bool_],
    share: float,
) -> Findings:
    recall = np.array([one.recall for one in before])
    pairs = {name: (np.array([one.recall for one in made]), recall) for name, made in after.items()}
    precisions = np.array([[one.precision for one in made] for made in after.values()])
    f1 = {name: np.array([one.f1 for one in made]) for name, made in after.items()}
    pairs["accuracy misleads"] = np.array([one.accuracy for one in before]), np.array([one.balanced for one in before])
    pairs["price"] = precisions.mean(axis=0), np.array([one.precision for one in before])
    pairs["threshold is enough"] = f1["threshold"], np.mean([f1[name] for name in _RESAMPLED], axis=0)
    pairs["ranking"] = ranks[0], ranks[1]
    levels = [[judged(row > 0, truth, share) for row in seed_rows] for seed_rows in by_weight]
    sweep = Sweep(
        "What do recall and precision become as rare rows count more?",
        _WEIGHTS,
        {
            "recall": np.array([[one.recall for one in row] for row in levels]),
            "precision": np.array([[one.precision for one in row] for row in levels]),
        },
        "weight of a rare row (a common one has 1)",
        "of the rare class (%)",
        log_x=True,
    )
    names = {
        "accuracy misleads": ("accuracy", "mean recall"),
        "threshold is enough": ("threshold", "resampling"),
        "ranking": ("synthetic rows", "plain"),
        "price": ("remedies", "plain"),
    }
    best = max(f1, key=lambda name: float(np.mean(f1[name])))
    suggestion = {
        "weights": {"class_weight": "balanced"}, "oversampling": {"balance": "oversample"},
        "synthetic": {"balance": "smote"}, "undersampling": {"balance": "undersample"},
    }.get(best, {"threshold": "f1"})  # fmt: skip
    gained = float(np.mean(f1[best]) - np.mean([one.f1 for one in before]))
    note = (
        f"The rarer of two classes was thinned to {100 * share:.0f} % of the training rows. Of the remedies, "
        f"{best!r} has the highest F1: {np.mean(f1[best]):.0f}, and {gained:+.0f} against a plain network."
    )
    return Findings(pairs, names=names, sweeps=(sweep,), suggestion=suggestion if gained > 1 else {}, notes=(note,))


def _nothing(count: int) -> Findings:
    """Return no figures: the data have one class alone."""
    none = np.full(count, np.nan)
    empty = np.full((count, len(_WEIGHTS)), np.nan)
    sweep = Sweep(
        "What do recall and precision become as rare rows count more?", _WEIGHTS, {"recall": empty, "precision": empty},
        "weight of a rare row (a common one has 1)", "of the rare class (%)", log_x=True,
    )  # fmt: skip
    note = "The rows hold one class alone: nothing can be measured."
    return Findings({claim.key: (none, none) for claim in CLAIMS}, sweeps=(sweep,), notes=(note,))


def own_rows(bench: Bench, seed: int) -> NDArray[np.bool_]:
    """Return which training rows a seed learns from, four fifths of each class."""
    y = bench.data.train.y.numpy()
    order = numpy_rng(bench.number("q40 rows", seed)).permutation(len(y))
    mine = np.zeros(len(y), dtype=bool)
    for label in (0.0, 1.0):
        of = order[y[order] == label]
        mine[of[: max(1, int(0.8 * len(of)))]] = True
    return mine


def weighted(bench: Bench, seeds: Sequence[int], weights: Floats) -> tuple[Floats, Floats]:
    """Return scores (logits) at W weights of the rare class, of validation and of test rows: (S, W, N) each."""
    train, valid, test = bench.data.train, bench.data.valid, bench.data.test
    columns = [
        own_rows(bench, seed) * np.where(train.y.numpy() > 0.5, weight, 1.0) for seed in seeds for weight in weights
    ]
    weight = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    rows = Rows(train.x, train.y, weight / weight.mean(0, keepdim=True))
    numbers = [seed for seed in seeds for _ in weights]
    runs = bench.train(
        partial(bench.network, _HIDDEN), numbers, train=rows, own_rows=False, epochs=_EPOCHS, lr=_RATE, watched={}
    )
    held, found = (np.stack([_scores(network, part.x) for network in runs.networks]) for part in (valid, test))
    shape = len(seeds), len(weights), -1
    return held.reshape(shape), found.reshape(shape)


def _scores(network: torch.nn.Module, x: torch.Tensor) -> Floats:
    return np.asarray(outputs_of(network, x)[:, 0].double().numpy())


def resampled(bench: Bench, seed: int, mine: NDArray[np.bool_], way: str) -> Floats:
    """Return test scores of a network that learned from resampled rows, in as many steps as from all rows."""
    train = bench.data.train
    rows = train.take(torch.from_numpy(np.flatnonzero(mine)))
    codes = rows.y.numpy().astype(np.intp)
    found = balance_rows(rows.x.numpy(), codes, bench.data.layout, Balance(way), bench.number("q40 balance", seed))
    x, y = torch.from_numpy(found.x), torch.from_numpy(found.y.astype(np.float32))
    epochs = max(_EPOCHS, round(_EPOCHS * len(rows) / len(x)))
    runs = bench.train(
        partial(bench.network, _HIDDEN), [seed], train=Rows(x, y), own_rows=False, epochs=epochs, lr=_RATE, watched={}
    )
    return _scores(runs.networks[0], bench.data.test.x)


def threshold(bench: Bench, scores: Floats, share: float) -> float:
    """Return the score from which on F1 is greatest on the validation rows."""
    truth = bench.data.valid.y.numpy()
    if not 0 < truth.mean() < 1 or not np.isfinite(scores).all():
        return 0.0
    mass = np.where(truth > 0.5, share / truth.mean(), (1 - share) / (1 - truth.mean()))
    return float(choose_threshold(truth.astype(int), scores, "f1", sample_weight=mass).threshold)


def bagged(bench: Bench, seed: int, mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which test rows a bag of balanced samples says to be rare."""
    train = bench.data.train
    member = Classifier(
        network="mlp", preparation="none", epochs=3 * _EPOCHS, batch_size=32, early_stopping=False, members=1
    )
    bag = BalancedBagging(member, _BAGS, random_state=bench.number("q40 bag", seed) % 2**31)
    bag.fit(train.x.numpy()[mine], train.y.numpy()[mine].astype(int))
    return np.asarray(bag.predict(bench.data.test.x.numpy()) == 1)


def _advice(verdicts: Mapping[str, str]) -> str:
    helpful = [name for name in _REMEDIES if verdicts[name] == "supported"]
    if not helpful:
        return (
            "None of the remedies is sure to raise recall here: look at the ranking (glia evaluate) before any of them."
        )
    words = f"If a missed rare row costs more than a false alarm: {', '.join(helpful)} raise recall on this data."
    if verdicts["threshold is enough"] == "supported":
        words += " The simplest of them is as good: glia fit --threshold f1."
    return words


ask(
    Question(
        40,
        "Imbalanced data",
        "What do remedies for a rare class gain on this data, and what do they cost?",
        CLAIMS,
        measure,
        _advice,
    )
)
