"""Rules about learning itself: the rate, the direction, and how much was learned."""

from __future__ import annotations

from glia.diagnose.case import Case
from glia.diagnose.harm import behind_forest, harm
from glia.diagnose.measures import Measures
from glia.diagnose.remedies import remedy_for
from glia.diagnose.verdict import Severity, Sign, Verdict

RATE_GAIN = 0.15
"""Loss (in units of the best constant's) by which another rate must end below the network and below its own rate."""
RATE_FACTOR = 10.0
"""How far that other rate must be."""
LEARNS = 0.9
"""Loss over the best constant's that the other rate must reach at least."""
ROUGH, FAR = 1.0, 0.02
"""Sum of all rises of the training loss over its range, and ‖Δw‖/‖w‖ of a step, of a rate that is too high."""
UPHILL, RISING = 1.1, 0.6
"""Loss over the best constant's, and share of epochs in which the training loss rose."""
MEMORISED, TURNED, GAP = 0.5, 1.1, 0.35
"""Most training loss of what is learned by heart; validation loss at the end over its least; gap to unseen rows."""


def rate_too_high(case: Case, m: Measures) -> Verdict | None:
    """Find a rate at most a tenth as large that brings fresh networks clearly further in 200 steps than this one came.

    Also, as a warning: it brings them further than its own rate does, where a step moves some weights by a fiftieth
    and the training loss jumped up and down.
    """
    if m.trial is None:
        return None
    rate, best = m.trial.best(high=m.trial.lr / RATE_FACTOR * 1.01)
    hurt, signs = harm(m), _rate_signs(m, best)
    severity: Severity = "failure"
    if not (hurt and all(sign.met for sign in signs)):
        severity, hurt = "warning", ()
        signs = (*signs[1:], *_rough_signs(m))
        if len(signs) < 4 or not all(sign.met for sign in signs):
            return None
    return Verdict(
        "rate too high", severity, _compared(m, rate, best), (*signs, *hurt), remedy_for("rate too high", case, m)
    )


def _rough_signs(m: Measures) -> tuple[Sign, ...]:
    if m.curve is None or not m.updates:
        return ()
    return (
        Sign("sum of the rises of the training loss over its range", m.curve.roughness, ROUGH),
        Sign("update over weight of a step, largest layer", max(m.updates.values()), FAR),
    )


def rate_too_low(case: Case, m: Measures) -> Verdict | None:
    """Find a rate ten times as large or more that brings fresh networks clearly further in 200 steps."""
    hurt = harm(m)
    if m.trial is None or not hurt:
        return None
    rate, best = m.trial.best(low=m.trial.lr * RATE_FACTOR * 0.99)
    signs = _rate_signs(m, best)
    if not all(sign.met for sign in signs):
        return None
    return Verdict(
        "rate too low", "failure", _compared(m, rate, best), (*signs, *hurt), remedy_for("rate too low", case, m)
    )


def _rate_signs(m: Measures, best: float) -> tuple[Sign, ...]:
    own = min(m.trial.own, 10.0) if m.trial is not None else 0.0
    return (
        Sign("loss of this network above that of the other rate", min(m.train.relative, 10.0) - best, RATE_GAIN),
        Sign("loss of fresh networks at its own rate above that of the other", own - best, RATE_GAIN),
        Sign("loss at the other rate over that of the best constant", best, LEARNS, above=False),
    )


def _shown(m: Measures) -> str:
    return f"{m.train.relative:.0%}".replace("%", " %") if m.train.relative < 100 else "more than a hundred times"


def _compared(m: Measures, rate: float, best: float) -> str:
    own, steps = (0.0, 0) if m.trial is None else (m.trial.lr, m.trial.steps)
    reached = f"{max(best, 0.0):.0%}".replace("%", " %")
    return (
        f"At a rate of {own:.2g} training ended at {_shown(m)} of the best constant's loss; "
        f"fresh networks reach {reached} within {steps} steps at {rate:.2g}."
    )


def wrong_direction(case: Case, m: Measures) -> Verdict | None:
    """Worse than a constant, while what was minimised fell, or after a training loss that rose steadily."""
    bad = Sign("training loss over that of the best constant", m.train.relative, UPHILL)
    wrong = Sign("error over that of the best constant", m.train.error / max(m.train.constant_error, 1e-12), 1.0)
    if not (bad.met and wrong.met) or m.curve is None:
        return None
    other_rate = m.trial is not None and m.trial.own > UPHILL and m.trial.best()[1] < LEARNS
    rose = Sign("share of epochs in which the training loss rose", m.curve.rising, RISING)
    if case.own_loss and m.curve.last < m.curve.first:
        fall = Sign("what training minimised, last minus first epoch", m.curve.last - m.curve.first, 0.0, above=False)
        signs = (bad, wrong, fall)
    elif rose.met and m.curve.last > m.curve.first and not (other_rate or case.own_loss):
        signs = (bad, wrong, rose)
    else:
        return None
    sentence = (
        f"The more it trained, the worse it became: its loss is {_shown(m)} of the best constant's, and it "
        f"errs in {m.train.error:.3g} where the constant errs in {m.train.constant_error:.3g}."
    )
    return Verdict("wrong direction", "failure", sentence, signs, remedy_for("wrong direction", case, m))


def underfitting(case: Case, m: Measures) -> Verdict | None:
    """More error on the rows it learned from than a random forest has on rows it did not see."""
    sign = behind_forest(m.train_gap, "rows learned from")
    if sign is None or m.train_gap is None or m.reference_error is None:
        return None
    sentence = (
        f"On the rows it learned from its error is {m.train.error:.3g}; a random forest errs in "
        f"{m.reference_error:.3g} of rows it has not seen (difference {m.train_gap[0]:.3g}, "
        f"95 % interval {m.train_gap[1]:.3g} to {m.train_gap[2]:.3g})."
    )
    return Verdict("underfitting", "failure", sentence, (sign,), remedy_for("underfitting", case, m))


def overfitting(case: Case, m: Measures) -> Verdict | None:
    """Low loss on rows it learned from, clearly more on others, and training that went on after validation turned."""
    known = Sign("training loss over that of the best constant", m.train.relative, MEMORISED, above=False)
    turned = None
    c = m.curve
    if c is not None and c.valid_best is not None and c.valid_last is not None and not case.restored:
        # Weights may be those of the best epoch, whatever the last one was: what they do on unseen rows tells.
        last = c.valid_last if m.held is None or case.own_loss else min(c.valid_last, m.held.loss)
        turned = Sign("validation loss at the end over its least", last / max(c.valid_best, 1e-12), TURNED)
    if m.loss_gap is None or m.held is None:
        if turned is None or not (turned.met and known.met):
            return None
        least = c.valid_best_epoch if c else 0
        words = f"Validation loss was least in epoch {least} and rose to {turned.value:.2f} times that."
        return Verdict("overfitting", "warning", words, (known, turned), remedy_for("overfitting", case, m))
    worthless = Sign("loss on unseen rows over that of the best constant", m.held.relative, 1.0)
    gap = Sign("loss on unseen rows above training loss, in units of the best constant's", m.loss_gap[0], GAP)
    proof = turned if turned is not None and turned.met else worthless if worthless.met else None
    if turned is None and c is None and not case.restored and proof is None:  # nothing is known of its training
        proof = gap
    if not (known.met and gap.met and m.loss_gap[1] > 0) or proof is None:
        return None
    sentence = (
        f"Its loss is {m.train.relative:.2g} of the best constant's on rows it learned from and "
        f"{m.held.relative:.2g} on rows it has not seen (errors {m.train.error:.3g} and {m.held.error:.3g})."
    )
    signs = (known, gap, *([proof] if proof is not gap else []))
    return Verdict("overfitting", "warning", sentence, signs, remedy_for("overfitting", case, m))
