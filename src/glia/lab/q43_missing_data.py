"""Question 43, missing data: what fills gaps best, what deletion costs, and whether uncertainty is stated rightly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.data.impute import Autoencoder, Chained, LinearInterpolation, MatrixImputer, Mean, Neighbours, Stochastic
from glia.data.missing import missing_mask, pool
from glia.engine.rows import Rows
from glia.estimators import autoencoder_training
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import drawn, points_of
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.mlp import MLPNetwork

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_ROWS, _RATE, _RATES, _REPEATS, _SETS = 300, 0.2, (0.05, 0.1, 0.2, 0.4), 40, 5
_OWN_ROWS, _HIDDEN, _EPOCHS = 800, (32,), 10
_ERROR, _POINTS = "% of a column's spread", "points of the score (of 100)"
_TRAINED = autoencoder_training.__name__  # its import is what lets an autoencoder be trained

CLAIMS = (
    Claim(
        "regression",
        "Where columns are related, regression on the other columns fills gaps better than the column's mean.",
        "root mean squared error on hidden cells, chained regressions minus mean",
        _ERROR,
        "lower",
        5.0,
        on="made",
    ),
    Claim(
        "neighbours",
        "Where columns are related, the nearest rows fill gaps better than the column's mean.",
        "root mean squared error on hidden cells, neighbours minus mean",
        _ERROR,
        "lower",
        5.0,
        on="made",
    ),
    Claim(
        "autoencoder",
        "Where columns are related, an autoencoder fills gaps better than the column's mean.",
        "root mean squared error on hidden cells, autoencoder minus mean",
        _ERROR,
        "lower",
        5.0,
        on="made",
    ),
    Claim(
        "interpolation",
        "In a smooth series a line between neighbours in time fills gaps better than the mean.",
        "root mean squared error on hidden cells, linear interpolation minus mean",
        _ERROR,
        "lower",
        5.0,
        on="made",
    ),
    Claim(
        "deletion is biased",
        "Where gaps depend on other columns (MAR), dropping rows with gaps biases a mean, and imputation does less.",
        "error of a column's mean, imputed minus rows dropped",
        _ERROR,
        "lower",
        2.0,
        on="made",
    ),
    Claim(
        "nothing repairs",
        "Where gaps depend on the missing value itself (MNAR), imputation leaves a larger bias.",
        "error of a column's mean after imputation, MNAR minus MAR",
        _ERROR,
        "higher",
        2.0,
        on="made",
    ),
    Claim(
        "coverage",
        "Multiple imputation's 95 % intervals (Rubin's rules) hold the true mean at least that often.",
        "share of intervals with the true mean, minus 95",
        "points of coverage (of 100)",
        "no lower",
        5.0,
        on="made",
    ),
    Claim(
        "one set is too sure",
        "One completed set, taken for known, gives intervals that hold the truth less often.",
        "coverage of one set filled by the mean, minus that of multiple imputation",
        "points of coverage (of 100)",
        "lower",
        2.0,
        on="made",
    ),
    Claim(
        "yours regression",
        "The same on your columns: regression on the others fills gaps better than the mean.",
        "root mean squared error on hidden numbers, chained regressions minus mean",
        _ERROR,
        "lower",
        2.0,
    ),
    Claim(
        "yours deletion",
        "On your rows, filling gaps is better for the network than dropping rows that have any.",
        f"{_RATE:.0%} of all cells hidden at random: score with gaps filled by means, minus with rows dropped",
        _POINTS,
        "higher",
        0.5,
    ),
    Claim(
        "yours indicators",
        "On your rows, telling the network which values were missing helps where gaps depend on the value (MNAR).",
        "score with minus without indicators beside the filled values",
        _POINTS,
        "higher",
        0.5,
    ),
)


def linked(seed: int, rows: int = _ROWS, columns: int = 5, correlation: float = 0.8) -> Floats:
    """Return normal columns of which every two have this correlation, (N, D); all with mean 0 and spread 1."""
    rng = numpy_rng(seed, "linked")
    common = rng.normal(size=(rows, 1))
    own = rng.normal(size=(rows, columns))
    return np.asarray(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)


def series(seed: int, rows: int = _ROWS, period: float = 40.0) -> Floats:
    """Return a wave with a little noise, (N, 1); a period below 2 rows is one that no neighbour tells of."""
    rng = numpy_rng(seed, "series")
    wave = np.sin(2 * np.pi * np.arange(rows) / period + rng.uniform(0, 6))
    return np.asarray(wave + 0.1 * rng.normal(size=rows))[:, None]


def measure(bench: Bench, seeds: Sequence[int], correlation: float = 0.8, period: float = 40.0) -> Findings:
    """Hide cells of made and of the user's columns, fill them, and compare with what was there.

    ``correlation`` and ``period`` are of the made columns and the made series.
    """
    pairs = {claim.key: np.full((2, len(seeds)), np.nan) for claim in CLAIMS}
    curves = np.empty((3, len(seeds), len(_RATES)))
    for i, seed in enumerate(seeds):
        bench.say(f"made columns, seed {seed}")
        at = bench.number("q43", seed)
        x = linked(at, correlation=correlation)
        for j, rate in enumerate(_RATES):
            mask = missing_mask(x, "mcar", rate, random_state=at)
            curves[:, i, j] = [hidden_error(one(), x, mask) for one in (Mean, Chained, Neighbours)]
        mask = missing_mask(x, "mcar", _RATE, random_state=at)
        mean, chained, near = curves[:, i, _RATES.index(_RATE)]
        coder = hidden_error(Autoencoder(hidden=(64,), steps=300, seed=at % 2**31), x, mask)
        for key, error in (("regression", chained), ("neighbours", near), ("autoencoder", coder)):
            pairs[key][:, i] = error, mean
        line = series(at, period=period)
        gaps = missing_mask(line, "mcar", _RATE, random_state=at)
        pairs["interpolation"][:, i] = [hidden_error(one(), line, gaps) for one in (LinearInterpolation, Mean)]
        filled, dropped = mean_errors(at, "mar", correlation)
        pairs["deletion is biased"][:, i] = filled, dropped
        pairs["nothing repairs"][:, i] = mean_errors(at, "mnar", correlation)[0], filled
        several, one_set = coverages(at, correlation)
        pairs["coverage"][:, i] = several, 95.0
        pairs["one set is too sure"][:, i] = one_set, several
        bench.say(f"your columns, seed {seed}")
        pairs["yours regression"][:, i] = own_cells(bench.data, at)
        pairs["yours deletion"][:, i] = dropping(bench, seed)
        pairs["yours indicators"][:, i] = indicating(bench, seed)
    sweep = Sweep(
        "How well are gaps filled, the more there are?",
        [100 * rate for rate in _RATES],
        dict(zip(("mean", "regression", "neighbours"), curves, strict=True)),
        "cells missing (%)",
        "error (% of a column's spread; made columns)",
    )
    names = {
        "deletion is biased": ("imputed", "rows dropped"), "nothing repairs": ("MNAR", "MAR"),
        "coverage": ("multiple imputation", "stated"), "one set is too sure": ("one set", "several"),
        "yours regression": ("regression", "mean"), "yours deletion": ("filled", "dropped"),
        "regression": ("regression", "mean"), "neighbours": ("neighbours", "mean"),
        "autoencoder": ("autoencoder", "mean"), "interpolation": ("line", "mean"),
    }  # fmt: skip
    notes = (
        () if np.isfinite(pairs["yours regression"]).any() else ("Your data have fewer than two columns of numbers.",)
    )
    return Findings({key: (table[0], table[1]) for key, table in pairs.items()}, names, (sweep,), notes=notes)


def hidden_error(imputer: MatrixImputer, x: Floats, mask: Mask) -> float:
    """Return the root mean squared error on hidden cells, in % of the columns' spread."""
    seen = np.where(mask, np.nan, x)
    filled = imputer.fit_transform(seen)
    spread = np.maximum(x.std(axis=0), 1e-12)
    return float(100.0 * np.sqrt(np.mean((((filled - x) / spread)[mask]) ** 2))) if mask.any() else np.nan


def _lossy(seed: int, mechanism: str, correlation: float, rows: int = 1500) -> tuple[Floats, Mask]:
    """Return two columns, and gaps in two fifths of the second: where the first (MAR) or itself (MNAR) is large."""
    x = linked(seed, rows, 2, correlation)
    driver = x[:, 0] if mechanism == "mar" else x[:, 1]
    chance = 0.4 * 2.0 / (1.0 + np.exp(-2.0 * driver))
    gone = numpy_rng(seed, "lossy", mechanism).random(rows) < np.minimum(chance, 0.95)
    return x, np.stack([np.zeros(rows, dtype=bool), gone], axis=1)


def mean_errors(seed: int, mechanism: str, correlation: float) -> tuple[float, float]:
    """Return the errors of the second column's mean, imputed and with rows dropped, in % of its spread."""
    x, mask = _lossy(seed, mechanism, correlation)
    filled = Chained().fit_transform(np.where(mask, np.nan, x))
    truth = x[:, 1].mean()
    return float(100.0 * abs(filled[:, 1].mean() - truth)), float(100.0 * abs(x[~mask[:, 1], 1].mean() - truth))


def coverages(
    seed: int, correlation: float, imputer: Callable[..., MatrixImputer] = Stochastic, repeats: int = _REPEATS
) -> tuple[float, float]:
    """Return how often 95 % intervals of a mean hold 0, the truth: of multiple imputation and of one filled set."""
    held = np.zeros((repeats, 2))
    for r in range(repeats):
        x = linked(seed + r, 120, 2, correlation)
        mask = np.zeros(x.shape, dtype=bool)
        mask[:, 1] = numpy_rng(seed + r, "gone").random(len(x)) < 0.4
        seen = np.where(mask, np.nan, x)
        sets = [imputer(rounds=2, seed=(seed + 7919 * k + r) % 2**31).fit_transform(seen)[:, 1] for k in range(_SETS)]
        single = Mean().fit_transform(seen)[:, 1]
        low, high = pool([s.mean() for s in sets], [s.var(ddof=1) / len(s) for s in sets], len(x) - 1.0).interval()
        half = 1.98 * single.std(ddof=1) / np.sqrt(len(single))
        held[r] = low <= 0 <= high, abs(single.mean()) <= half
    several, one = 100.0 * held.mean(axis=0)
    return float(several), float(one)


def own_cells(data: LabData, seed: int) -> tuple[float, float]:
    """Return the errors of regression and of the mean on hidden numbers of the user's columns."""
    numbers = [i for i in data.layout.indices("numeric") if float(data.train.x[:, i].std()) > 1e-6]
    if len(numbers) < 2:
        return np.nan, np.nan
    rows = numpy_rng(seed, "own").permutation(len(data.train))[:_OWN_ROWS]
    x = data.train.x.numpy()[rows].astype(np.float64)[:, numbers]
    x = x[:, x.std(axis=0) > 1e-6]
    mask = missing_mask(x, "mcar", _RATE, random_state=seed)
    return hidden_error(Chained(), x, mask), hidden_error(Mean(), x, mask)


def cells(data: LabData, x: torch.Tensor, mechanism: str, rate: float, seed: int) -> tuple[Mask, list[tuple[int, ...]]]:
    """Return which original cells of prepared rows are hidden, (N, columns), and where each column's values lie."""
    groups = list(data.layout.groups().values())
    values = x.double().numpy()
    plain = np.stack([values[:, g[0]] if len(g) == 1 else values[:, g].argmax(axis=1).astype(float) for g in groups], 1)
    return missing_mask(plain, mechanism, rate, random_state=seed), groups


def gapped(x: torch.Tensor, mask: Mask, groups: Sequence[tuple[int, ...]], means: torch.Tensor) -> torch.Tensor:
    """Return rows with hidden cells filled by the columns' means."""
    out = x.clone()
    for g, gone in zip(groups, torch.from_numpy(mask).T, strict=True):
        for column in g:
            out[gone, column] = means[column]
    return out


def dropping(bench: Bench, seed: int) -> tuple[float, float]:
    """Return test scores with gaps filled and with rows dropped; test rows have no gaps."""
    data, rows = bench.data, _rows(bench, seed)
    mask, groups = cells(data, rows.x, "mcar", _RATE, bench.number("q43 cells", seed))
    whole = torch.from_numpy(np.flatnonzero(~mask.any(axis=1)))
    filled = Rows(gapped(rows.x, mask, groups, _means(rows.x, mask, groups)), rows.y)
    scores = [_score(bench, seed, part, data.test.x, len(rows)) for part in (filled, rows.take(whole))]
    return scores[0], scores[1]


def indicating(bench: Bench, seed: int) -> tuple[float, float]:
    """Return test scores with and without indicators; training and test rows have gaps that depend on the value."""
    data, rows = bench.data, _rows(bench, seed)
    mask, groups = cells(data, rows.x, "mnar", 0.3, bench.number("q43 mnar", seed))
    test_mask, _ = cells(data, data.test.x, "mnar", 0.3, bench.number("q43 mnar", seed))
    means = _means(rows.x, mask, groups)
    train, test = (gapped(x, gone, groups, means) for x, gone in ((rows.x, mask), (data.test.x, test_mask)))
    told = [torch.cat([x, torch.from_numpy(gone).float()], 1) for x, gone in ((train, mask), (test, test_mask))]
    with_ = _score(bench, seed, Rows(told[0], rows.y), told[1], len(rows))
    return with_, _score(bench, seed, Rows(train, rows.y), test, len(rows))


def _rows(bench: Bench, seed: int) -> Rows:
    train = bench.data.train
    return train.take(drawn(bench, "q43 rows", seed, len(train), min(_OWN_ROWS, max(2, int(0.8 * len(train))))))


def _means(x: torch.Tensor, mask: Mask, groups: Sequence[tuple[int, ...]]) -> torch.Tensor:
    means = torch.zeros(x.shape[1])
    for g, gone in zip(groups, torch.from_numpy(mask).T, strict=True):
        if not bool(gone.all()):
            means[list(g)] = x[~gone][:, list(g)].mean(0)
    return means


def _score(bench: Bench, seed: int, rows: Rows, test: torch.Tensor, full: int) -> float:
    """Return the test score of a network that took as many steps as ``full`` rows give."""
    if len(rows) < 2:
        return 100.0 * bench.data.chance
    epochs = min(8 * _EPOCHS, round(_EPOCHS * full / len(rows)))
    make: Callable[[], Any] = partial(MLPNetwork, rows.x.shape[1], bench.outputs, _HIDDEN)
    runs = bench.train(make, [seed], train=rows, own_rows=False, epochs=epochs, lr=1e-2, batch_size=32, watched={})
    return float(points_of(bench, runs.networks, Rows(test, bench.data.test.y))[0])


def _advice(verdicts: Mapping[str, str]) -> str:
    parts = ["Let glia repair try the remedies on your own gaps."]
    if verdicts["yours deletion"] == "supported":
        parts.append("Do not drop rows with gaps: filling them scores better here.")
    if verdicts["yours regression"] == "supported":
        parts.append("Your columns tell of one another: filling by regression or multiple imputation pays.")
    return " ".join(parts)


ask(
    Question(
        43,
        "Missing data",
        "What should stand in for missing values, and how sure may one be of it?",
        CLAIMS,
        measure,
        _advice,
    )
)
