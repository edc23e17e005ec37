"""What a run's record says of labels of steps: figures, classic models and mistakes, by step and by sequence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.seeds import numpy_rng
from glia.estimators.baselines import Baseline, fit_baselines
from glia.estimators.settings import FitSettings
from glia.estimators.step_fit import BESIDE, step_columns
from glia.estimators.step_scores import evaluate_steps, steps_difference
from glia.estimators.step_table import flat_labels, known_values
from glia.estimators.table_fit import TableFit
from glia.objectives import EvaluationResult, imbalance, metrics, primary_metric, reliability
from glia.report.curves import curves
from glia.report.metric_record import metric_data, resamples
from glia.report.step_mistakes import hardest_sequences, per_class

MOST_STEPS = 50_000
"""Training steps that classic models see at most: two kinds of columns are tried, and they are not to take longest."""

MANY_STEPS = 20_000
"""From more test steps on, the intervals of classic models are of 100 resamples; the verdict's are not."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The labelled steps of some sequences.

    Parameters
    ----------
    y : ndarray (S,)
        Their labels.
    row : ndarray of int (S,)
        Which of the sequences each is of.
    there : ndarray of bool (S',)
        Which of all steps have a label.
    weight : ndarray (S,) or None
    """

    y: NDArray[Any]
    row: NDArray[np.intp]
    there: NDArray[np.bool_]
    weight: NDArray[np.float64] | None


def labelled_steps(fitted: TableFit, index: NDArray[Any]) -> Steps:
    """Return the labelled steps of some sequences of a run."""
    flat, there, row = flat_labels(fitted.y[index])
    weight = None if fitted.weight is None else fitted.weight[index][row[there]]
    return Steps(known_values(flat, there), row[there], there, weight)


def step_record(
    fitted: TableFit, settings: FitSettings, facts: dict[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """Return what is known of a fitted ``SequenceLabeler``, beside the facts of any run, for its record.

    Parameters
    ----------
    fitted : TableFit
    settings : FitSettings
    facts : dict
        Of the run; timings are added.
    say : callable
        Told what is going on.
    """
    rows, _ = fitted.part("test")
    estimator, task, classes = fitted.estimator, fitted.task, fitted.estimator.classes_
    steps = labelled_steps(fitted, fitted.split.test)
    n_boot = resamples(settings.bootstrap, len(steps.y))
    sequences = len(fitted.split.test)
    say(f"judging on {len(steps.y):,} steps of {sequences:,} test sequences")
    whole = np.concatenate(estimator.predict_proba(rows))
    probability = whole[steps.there]
    prediction = classes[probability.argmax(axis=1)]
    common: dict[str, Any] = {"classes": classes, "sample_weight": steps.weight, "n_boot": max(n_boot, 1)}
    scores = evaluate_steps(task, steps.y, prediction, probability, steps.row, **common)
    found: dict[str, Any] = {
        "noun": "sequences",
        "metrics": {"test": metric_data(scores, bool(n_boot))},
        "imbalance": imbalance(steps.y, prediction, classes, steps.weight).to_dict(),
        "schema": _with_note(facts["schema"], len(steps.y), sequences),
    }
    if settings.baselines:
        start = time.perf_counter()
        say("fitting classic models to compare with")
        found |= _against_classic(fitted, settings, steps, (prediction, probability), n_boot)
        facts["timings"]["baselines"] = time.perf_counter() - start
    start = time.perf_counter()
    say("looking inside")
    found["curves"] = curves(task, steps.y, prediction, probability, classes.tolist())
    found["calibration"] = _calibration(estimator, rows, steps, probability, task)
    hardest, strips = hardest_sequences(fitted, rows, whole)
    counts = {name: len(labelled_steps(fitted, getattr(fitted.split, name)).y) for name in ("train", "valid", "test")
              if len(getattr(fitted.split, name))}  # fmt: skip
    found["hardest"] = hardest
    found["steps"] = {
        "labelled": counts,
        "classes": per_class(steps.y, prediction, steps.row, classes, n_boot, steps.weight),
        "strips": strips,
    }
    facts["timings"]["evidence"] = time.perf_counter() - start
    return found


def _with_note(schema: dict[str, Any], steps: int, sequences: int) -> dict[str, Any]:
    text = f"Every step has a label: {counted(steps, 'labelled step')} of {counted(sequences, 'test sequence')} are "
    text += "judged. Steps of one sequence are not independent: intervals resample whole sequences."
    note = {"code": "labels-of-steps", "column": None, "message": text, "severity": "note"}
    return {**schema, "warnings": [*schema["warnings"], note]}


def _against_classic(
    fitted: TableFit, settings: FitSettings, steps: Steps, network: tuple[Any, Any], n_boot: int
) -> dict[str, Any]:
    """Return classic models of single steps, and of steps with their neighbours, and the best one's distance."""
    task, classes = fitted.task, fitted.estimator.classes_
    common: dict[str, Any] = {"classes": classes, "sample_weight": steps.weight}

    draws = max(1, n_boot if len(steps.y) <= MANY_STEPS else min(n_boot, 100))

    def score(prediction: Any, probability: Any, n_boot: int = draws) -> EvaluationResult:
        return evaluate_steps(task, steps.y, prediction, probability, steps.row, **common, n_boot=n_boot)

    scored = [(one, score(one.prediction, one.probability)) for one in _classic(fitted, settings, steps)]
    listed = [
        {"name": one.name, "metrics": metric_data(found, bool(n_boot)), "seconds": one.seconds, "note": one.note}
        for one, found in scored
    ]
    metric = primary_metric(task)
    sign = 1.0 if metric.greater_is_better else -1.0
    own = score(*network, n_boot=1)
    able = [(one, found) for one, found in scored if metric.name in found.metrics]
    if not able or metric.name not in own.metrics:
        return {"baselines": listed}
    best = max(able, key=lambda pair: sign * pair[1].metrics[metric.name].value)[0]
    other: tuple[Any, Any] = best.prediction, best.probability
    gap = steps_difference(task, metric, steps.y, network, other, steps.row, **common, n_boot=max(n_boot, 100))
    low, high = sorted((sign * gap.low, sign * gap.high))
    outcome = "better" if low > 0 else "worse" if high < 0 else "tie"
    difference = {"value": sign * gap.value, "low": low, "high": high, "level": gap.level}
    comparison = {"baseline": best.name, "metric": metric.name, "difference": difference, "outcome": outcome}
    return {"baselines": listed, "comparison": comparison}


def _classic(fitted: TableFit, settings: FitSettings, steps: Steps) -> list[Baseline]:
    seen = np.sort(np.concatenate([fitted.split.train, fitted.split.valid]))  # they need no validation rows
    known, channels = labelled_steps(fitted, seen), list(fitted.table.schema.names("sequence"))
    before, after = (fitted.table.take(index).frame.select(channels) for index in (seen, fitted.split.test))
    kept = np.arange(len(known.y))
    if len(kept) > MOST_STEPS:
        kept = np.sort(numpy_rng(settings.seed, "steps for classic models").permutation(len(kept))[:MOST_STEPS])
    notes = [f"saw {MOST_STEPS:,} of the training steps"] if len(kept) < len(known.y) else []
    every: list[Baseline] = []
    for beside, words in ((0, "step alone"), (BESIDE, f"±{BESIDE} steps")):
        train, test, roles = step_columns(before, after, beside)
        found = fit_baselines(
            fitted.task, train.filter(known.there)[kept], known.y[kept], test.filter(steps.there), roles=roles,
            sample_weight=None if known.weight is None else known.weight[kept], random_state=settings.seed,
        )  # fmt: skip
        for one in found:
            name = one.name if one.name == "constant" else f"{one.name}, {words}"
            if not any(name == other.name for other in every):
                every.append(replace(one, name=name, note="; ".join([*notes, *([one.note] if one.note else [])])))
    return every


def _calibration(
    estimator: Any, rows: Any, steps: Steps, probability: NDArray[np.float64], task: Any
) -> dict[str, Any]:
    codes = np.searchsorted(estimator.classes_, steps.y)
    kept = estimator.temperature_
    try:
        estimator.temperature_ = 1.0
        before = np.concatenate(estimator.predict_proba(rows))[steps.there]
    finally:
        estimator.temperature_ = kept
    score = metrics.get("ece")
    figures = {
        name: evaluate_steps(
            task, steps.y, estimator.classes_[p.argmax(axis=1)], p, steps.row, classes=estimator.classes_,
            sample_weight=steps.weight, names=[score.name], n_boot=200,
        )
        for name, p in (("ece_before", before), ("ece", probability))
        if task in score.tasks
    }  # fmt: skip
    return {
        "temperature": estimator.temperature_,
        "bins": [
            {"low": b.low, "high": b.high, "confidence": b.claimed, "frequency": b.observed, "count": b.count}
            for b in reliability(codes, probability).bins
        ],
        **{name: metric_data(result, True).get(score.name) for name, result in figures.items()},
    }
