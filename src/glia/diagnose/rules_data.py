"""Rules about the data and the claims: leaks, wrong labels, probabilities that mislead."""

from __future__ import annotations

import math

from glia.diagnose.case import Case
from glia.diagnose.measures import Measures
from glia.diagnose.remedies import remedy_for
from glia.diagnose.verdict import Sign, Verdict

SUREST, EXCESS = 0.08, 0.37
"""Wrong among the surest answers (lower end of the interval), and their excess (``LabelNoise.excess``).

Of simulated data, ten sets each of 2,000 rows: with 30 % of the labels of two classes flipped, 10 and 9 (rings, a
plane) were found, and of six kinds of classes that merely overlap none of 60; of 1,000 rows 4 to 8 of 10, and 1 of 60.
"""
GROSS = 0.05
"""Share of a regression's rows with gross residuals (lower end of the interval)."""
TEMPERATURE, ECE, GAIN = 1.5, 0.05, 0.02
"""By which scores must be divided (or multiplied); calibration error; log loss that this saves, in nats per row."""


def data_leak(case: Case, m: Measures) -> Verdict | None:
    """Find a column that alone has an area under the ROC curve of 0.995, or an R² of 0.999 (``find_leaks``)."""
    if not m.leaks:
        return None
    limit = 0.999 if case.task == "regression" else 0.995
    what = "R²" if case.task == "regression" else "area under the ROC curve"
    signs = tuple(Sign(f"{what} of {leak.column!r} alone", _figure(leak.message, limit), limit) for leak in m.leaks)
    return Verdict(
        "data leak", "failure", " ".join(leak.message for leak in m.leaks[:3]), signs, remedy_for("data leak", case, m)
    )


def _figure(message: str, otherwise: float) -> float:
    """Return the figure that a finding's message states."""
    for word in message.replace("(", " ").split():
        try:
            value = float(word)
        except ValueError:
            continue
        if 0 < value <= 1:
            return value
    return otherwise


def noisy_labels(case: Case, m: Measures) -> Verdict | None:
    """Answers to unseen rows contradict the labels also where they are surest, nearly as often as anywhere."""
    n = m.labels
    if n is None:
        return None
    if case.task == "regression":
        signs: tuple[Sign, ...] = (Sign("rows with gross residuals (lower end)", n.surest_low, GROSS),)
        words = (
            f"{n.surest:.1%} of the rows lie more than six robust standard deviations from what unseen rows predict."
        )
    else:
        signs = (
            Sign("wrong among the surest quarter of answers (lower end)", n.surest_low, SUREST),
            Sign("contradiction among the surest beyond that of classes that overlap", n.excess, EXCESS),
        )
        words = (
            f"Trees that had not seen a row contradict its label in {n.surest:.0%} of the cases where they are surest "
            f"(95 % interval {n.surest_low:.0%} to {n.surest_high:.0%}), nearly as often as anywhere "
            f"({n.overall:.0%}): classes that merely overlap would be confused where answers are unsure. "
            f"{len(n.suspects)} rows are suspect."
        )
    if not all(sign.met for sign in signs):
        return None
    return Verdict("label noise", "failure", _spaced(words), signs, remedy_for("label noise", case, m))


def miscalibrated(case: Case, m: Measures) -> Verdict | None:
    """Find a temperature far from 1 that saves log loss on unseen rows, and a calibration error that is not small."""
    c = m.calibration
    if c is None:
        return None
    factor = max(c.temperature, 1 / c.temperature)
    signs = (
        Sign("factor that scores are off by", factor, TEMPERATURE),
        Sign("calibration error", c.ece, ECE),
        Sign("log loss saved by a temperature", c.gain, GAIN),
    )
    if not all(sign.met for sign in signs) or not c.gain_low > 0 or not math.isfinite(c.gain):
        return None
    direction = "too sure" if c.temperature > 1 else "not sure enough"
    sentence = (
        f"The network is {direction} of itself: claimed probabilities are off by {c.ece:.1%} on average, and its "
        f"scores would have to be divided by {c.temperature:.2g} (saves {c.gain:.3g} nats per row, 95 % interval "
        f"{c.gain_low:.3g} to {c.gain_high:.3g})."
    )
    return Verdict("miscalibration", "warning", _spaced(sentence), signs, remedy_for("miscalibration", case, m))


def _spaced(text: str) -> str:
    """Put a space before every per-cent sign that lacks one."""
    return text.replace(" %", "%").replace("%", " %")
