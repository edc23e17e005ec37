"""Networks trained for a short while with and without a remedy, in pairs by seed, judged on unseen rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import stdtrit

from glia.core.errors import InputError, TrainingError
from glia.core.results import Interval
from glia.core.seeds import torch_rng
from glia.diagnose.budget import PROOF, TRAINING, budget_of, case_threads
from glia.diagnose.calibration_signs import log_losses, scores_of
from glia.diagnose.case import Case, Part
from glia.diagnose.layers import outputs_of
from glia.diagnose.measures import Measures
from glia.diagnose.recipe import Recipe, base_recipe, with_remedy
from glia.diagnose.skill import measure_skill, relative
from glia.diagnose.verdict import Outcome, Proof, Verdict
from glia.engine.population import train_population
from glia.engine.rows import Rows
from glia.nn.modes import evaluating
from glia.objectives.calibration import fit_temperature

STEPS = 400
MARGIN = 0.02
"""The least change of the relative loss that matters."""
CAP = 2.0
"""A relative loss above this counts as this: a network that ran away must not decide the mean alone."""
LEVEL = 0.95


def prove(
    case: Case, measures: Measures, verdict: Verdict, *, seeds: int = 5, steps: int = STEPS, random_state: int = 0
) -> Proof:
    """Train pairs of networks and return how the remedy changed the loss on unseen rows.

    Parameters
    ----------
    case, measures, verdict
        What was found.
    seeds : int
        Pairs, at least 3: both of a pair start from the same seed and see the same rows in the same order.
    steps : int
        Optimizer steps of each network; fewer, down to one epoch, where they would be too much work.
    random_state : int

    Raises
    ------
    InputError
        If there are fewer than 3 seeds.

    Notes
    -----
    The figure is the task's usual loss on rows that neither network has seen, over that of the best constant (of
    label noise the error, since labels that judge are wrong too). Both take the weights of their best epoch, but where
    overfitting itself is the finding. The
    interval of the mean difference is Student's t over the pairs. A temperature needs no training: it is fitted on
    random halves of the unseen rows and judged on the others; these halves overlap, so that its interval is rough.
    """
    if seeds < 3:
        raise InputError("a proof needs at least 3 seeds", f"seeds={seeds!r}")
    if verdict.kind == "miscalibration":
        return _by_temperature(case, seeds, random_state)
    budget = budget_of(case)
    train, judge = _parts(case, random_state, budget.judged)
    steps = budget.rows(steps, PROOF, passes=2 * TRAINING * seeds * min(case.batch_size, len(train.x)), least=1)
    base = base_recipe(case, measures, verdict.kind, train, judge)
    changed = with_remedy(verdict.kind, case, measures, base)
    numbers = [random_state + 1000 + seed for seed in range(seeds)]
    # Where labels are wrong, those that judge are too, and loss would punish whoever is rightly sure.
    by_error = verdict.kind == "label noise"
    with case_threads(case, budget):
        without = _train(case, base, numbers, steps, random_state, by_error=by_error)
        with_ = _train(case, changed, numbers, steps, random_state, by_error=by_error)
    size = min(case.batch_size, len(train.x))
    taken = _epochs(len(train.x), size, steps) * math.ceil(len(train.x) / size)
    figure = "error" if by_error else "loss"
    words = f"{figure} on unseen rows over that of the best constant, fresh networks trained in pairs"
    return weigh(without, with_, taken, words)


def weigh(without: Sequence[float], with_: Sequence[float], steps: int, what: str, margin: float = MARGIN) -> Proof:
    """Return the proof of paired figures, smaller ones being better."""
    gaps = np.asarray(with_, dtype=np.float64) - np.asarray(without, dtype=np.float64)
    mean, count = float(gaps.mean()), len(gaps)
    half = float(stdtrit(count - 1, 0.5 + LEVEL / 2)) * float(gaps.std(ddof=1)) / math.sqrt(count)
    low, high = mean - half, mean + half
    outcome: Outcome = "helped" if high < 0 else "did not help" if low > -margin else "undecided"
    return Proof(outcome, Interval(mean, low, high, LEVEL), tuple(without), tuple(with_), margin, steps, what)


def _parts(case: Case, seed: int, most: int) -> tuple[Part, Part]:
    """Return rows to learn from and rows that judge: those not seen, or else 30 % of the others."""
    some = case.train.some(most, seed)
    if case.held is not None and len(case.held.x) >= 20:
        return some, case.held.some(most, seed)
    order = torch.randperm(len(some.x), generator=torch_rng(seed, "proof", "judge")).to(some.x.device)
    cut = max(1, round(0.3 * len(order)))
    # Positions of rows mean something (suspect labels): those that judge must not shift those that are learned from.
    keep, aside = order[cut:].sort().values, order[:cut]
    return Part(some.x[keep], some.y[keep], keep.tolist()), Part(some.x[aside], some.y[aside])


def _epochs(rows: int, size: int, steps: int) -> int:
    return max(1, round(steps / math.ceil(rows / size)))


def _train(
    case: Case, recipe: Recipe, seeds: list[int], steps: int, random_state: int, *, by_error: bool
) -> list[float]:
    """Train one arm; return the relative loss (or error) of each seed on the rows that judge."""
    rows, valid = Rows(recipe.train.x, recipe.train.y, recipe.weight), None
    size = min(case.batch_size, len(rows))
    epochs = _epochs(len(rows), size, steps)
    if recipe.patience:
        order = torch.randperm(len(rows), generator=torch_rng(random_state, "proof", "valid")).to(rows.x.device)
        cut = max(1, len(order) // 5)
        rows, valid = rows.take(order[cut:]), rows.take(order[:cut])
        if valid.weight is not None:  # members are judged by a column each
            valid = Rows(valid.x, valid.y, valid.weight.unsqueeze(1).repeat(1, len(seeds)))
    networks = [recipe.build(seed) for seed in seeds]
    try:
        fit = train_population(
            networks, recipe.loss, rows, valid, epochs=epochs, batch_size=size, optimizer=recipe.optimizer,
            lr=recipe.lr, patience=recipe.patience, random_state=random_state,
        )  # fmt: skip
    except TrainingError:  # all of them ran away
        return [CAP] * len(seeds)
    found = []
    for network, failed in zip(fit.networks, fit.failed, strict=True):
        with evaluating(network), torch.no_grad():
            skill = measure_skill(case.task, outputs_of(network, recipe.judge.x), recipe.judge.y)
        figure = relative(skill.error, skill.constant_error) if by_error else skill.relative
        found.append(CAP if failed else min(figure, CAP))
    return found


def _by_temperature(case: Case, seeds: int, random_state: int) -> Proof:
    part = case.held if case.held is not None else case.train
    scores = scores_of(case.task, np.asarray(case.model.predict_proba(part.raw), dtype=np.float64))
    truth = part.labels
    constant = max(measure_skill(case.task, case.outputs(part.x), part.y).constant, 1e-12)
    without, with_ = [], []
    for seed in range(seeds):
        order = torch.randperm(len(truth), generator=torch_rng(random_state, "halves", seed)).numpy()
        fit, judge = order[::2], order[1::2]
        temperature = fit_temperature(scores[fit], truth[fit], case.task)
        without.append(min(float(log_losses(case.task, scores[judge], truth[judge]).mean()) / constant, CAP))
        with_.append(
            min(float(log_losses(case.task, scores[judge] / temperature, truth[judge]).mean()) / constant, CAP)
        )
    words = "log loss over that of the best constant, by a temperature from one half of the unseen rows on the other"
    return weigh(without, with_, 0, words)
