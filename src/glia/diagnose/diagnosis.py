"""``glia.diagnose(model, X, y)``: measure, judge, and on request prove the remedies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from glia.diagnose.case import make_case
from glia.diagnose.measures import take_measures
from glia.diagnose.prove import prove
from glia.diagnose.result import DiagnosisResult
from glia.diagnose.rules import judge


def diagnose(
    model: Any,
    X: Any,
    y: Any,
    *,
    held_out: tuple[Any, Any] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    objective: Any = None,
    optimizer: Any = None,
    lr: float | None = None,
    batch_size: int | None = None,
    build: Callable[[], nn.Module] | None = None,
    prove_remedies: bool = False,
    seeds: int = 5,
    random_state: int = 0,
    tell: Callable[[str], None] = lambda what: None,
) -> DiagnosisResult:
    """Find out what is wrong with a network, from measured signs by rules with stated thresholds.

    Parameters
    ----------
    model : estimator or ``glia.wrap(module, task=…)``
        Neither weights nor modes nor gradients are changed.
    X, y : rows and targets
        Those that it learned from.
    held_out : (X, y), optional
        Rows that it has not seen: without them little can be said of overfitting and nothing of calibration.
    history : sequence of mappings, optional
        Of a training elsewhere, one entry per epoch: ``train/loss``, ``valid/loss``, ``lr``. An estimator has its own.
    objective, optimizer, lr, batch_size : optional
        How a bare module was trained: loss (or ``Objective``), rule (name or ``Optimizer``), rate, rows per step. Of a
        rate that is not known nothing is said. An estimator knows its own.
    build : callable, optional
        Makes a bare module as it was before training; by default layers draw their weights anew as torch does.
    prove_remedies : bool
        Whether to train with and without the first verdict's remedy, and with those that follow from nothing else.
    seeds : int
        Pairs of trainings for each proof, at least 3.
    random_state : int
        Seeds everything random.
    tell : callable, optional
        Told what is being done.

    Raises
    ------
    InputError
        If it is no predictor, or rows and targets do not fit it.
    """
    start = time.perf_counter()
    case = make_case(
        model, X, y, held_out=held_out, history=history, objective=objective, optimizer=optimizer, lr=lr,
        batch_size=batch_size, build=build,
    )  # fmt: skip
    measures = take_measures(case, random_state=random_state, tell=tell)
    verdicts = judge(case, measures)
    if prove_remedies:
        proved = []
        for verdict in verdicts:
            if not verdict.follows:
                tell(f"with and without the remedy: {verdict.kind}")
                verdict = replace(verdict, proof=prove(case, measures, verdict, seeds=seeds, random_state=random_state))
            proved.append(verdict)
        verdicts = tuple(proved)
    return DiagnosisResult(
        verdicts, measures, type(case.network).__name__, case.task, case.members, len(case.train.x),
        0 if case.held is None else len(case.held.x), time.perf_counter() - start,
    )  # fmt: skip
