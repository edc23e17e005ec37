"""Rules about the signal in the layers: vanishing and exploding gradients, dead, saturated and identical units."""

from __future__ import annotations

import math

from glia.diagnose.case import Case
from glia.diagnose.effective_rank import LayerRank
from glia.diagnose.gradient_norms import signal_ratio
from glia.diagnose.harm import harm
from glia.diagnose.inputs import InputScale
from glia.diagnose.measures import Measures
from glia.diagnose.remedies import remedy_for
from glia.diagnose.verdict import Severity, Sign, Verdict

VANISHED = 1e-3
"""Signal at the first layer over that at the last, below which the first layers hardly learn."""
EXPLODED, GROWTH = 1e3, 3.0
"""The same ratio from which gradients explode, and the factor from layer to layer that must come with it."""
DEAD, ALL_DEAD = 0.5, 0.9
"""Share of a layer's units: with harm, and without any."""
SATURATED, ALL_SATURATED = 0.75, 0.98
"""Share of a layer's values (units × rows): with harm, and without any."""
ALIKE = 1e-3
"""Distance of a layer's units from their mean, relative to their size."""
LARGE_INPUT, WIDE_INPUTS = 20.0, 1e4
"""Root mean square of a column at the first layer (about 1 is usual), and largest column over smallest."""


FINE = 0.5
"""Share of this network's loss that fresh ones on the same inputs must reach to acquit the inputs."""


def vanishing(case: Case, m: Measures) -> Verdict | None:
    """Signal at the first layer below a thousandth of that at the last, in a network that learned too little."""
    ratio = signal_ratio(m.gradients)
    sign = Sign("gradient signal at the first layer over the last", ratio, VANISHED, above=False)
    hurt = harm(m)
    if not (sign.met and hurt):
        return None
    count = len(m.gradients)
    sentence = (
        f"Of the loss's signal at the last layer, {f'{ratio:.1e}' if ratio else 'nothing'} arrives at the first "
        f"({count} layers with weights): the first layers hardly learn."
    )
    return Verdict(
        "vanishing gradients", "failure", sentence, (sign, *hurt), remedy_for("vanishing gradients", case, m)
    )


def exploding(case: Case, m: Measures) -> Verdict | None:
    """Signal that grows at least threefold per layer and a thousandfold in all, or values that are not finite."""
    ratio, hurt = signal_ratio(m.gradients), harm(m)
    growth = ratio ** (1 / (len(m.gradients) - 1)) if ratio > 0 and len(m.gradients) > 1 else math.nan
    signs = (
        Sign("gradient signal at the first layer over the last", ratio, EXPLODED),
        Sign("growth of the signal per layer", growth, GROWTH),
    )
    if not (all(sign.met for sign in signs) and hurt) and m.finite:
        return None
    if not m.finite:
        lost = Sign("weights or outputs that are not finite", 1.0, 1.0)
        sentence = "Weights or outputs of the network are no longer finite numbers."
        return Verdict("exploding gradients", "failure", sentence, (lost,), remedy_for("exploding gradients", case, m))
    sentence = (
        f"The loss's signal grows {growth:.1f}-fold from layer to layer on its way back, {ratio:.1e}-fold in all."
    )
    return Verdict(
        "exploding gradients", "failure", sentence, (*signs, *hurt), remedy_for("exploding gradients", case, m)
    )


def dead(case: Case, m: Measures) -> Verdict | None:
    """Half of a layer's units without slope on every row, in a network that learned too little; or nine in ten."""
    worst = max(m.units, key=lambda one: one.dead, default=None)
    if worst is None:
        return None
    hurt = harm(m)
    sign = Sign(f"dead units of {worst.layer}", worst.dead, DEAD if hurt else ALL_DEAD)
    if not sign.met:
        return None
    sentence = (
        f"{worst.dead:.0%} of the {worst.units} units at {worst.layer} ({worst.kind}) give 0 for every row.".replace(
            "%", " %"
        )
    )
    severity: Severity = "failure" if hurt else "warning"
    return Verdict("dead units", severity, sentence, (sign, *hurt), remedy_for("dead units", case, m))


def saturation(case: Case, m: Measures) -> Verdict | None:
    """Three quarters of a layer's values where its activation is flat, with harm; or nearly all."""
    worst = max(m.units, key=lambda one: one.saturated, default=None)
    if worst is None:
        return None
    hurt = harm(m)
    sign = Sign(f"saturated values of {worst.layer}", worst.saturated, SATURATED if hurt else ALL_SATURATED)
    if not sign.met:
        return None
    scale = large_inputs(m.inputs)
    why = "" if scale is None else f" The inputs are large: {scale.name} {scale.value:.3g}."
    sentence = (
        f"{worst.saturated:.0%} of the values at {worst.layer} ({worst.kind}) lie where it is flat.".replace("%", " %")
        + why
    )
    signs = (sign, *([] if scale is None else [scale]), *hurt)
    severity: Severity = "failure" if hurt else "warning"
    return Verdict("saturation", severity, sentence, signs, remedy_for("saturation", case, m))


def alike(case: Case, m: Measures) -> Verdict | None:
    """Units of a hidden layer that are one and the same: they start equal and get equal gradients for ever."""
    worst = min(hidden(m), key=lambda one: one.alike, default=None)
    if worst is None:
        return None
    sign = Sign(f"distance of the units of {worst.layer} from their mean", worst.alike, ALIKE, above=False)
    hurt = harm(m)
    if not (sign.met and hurt):
        return None
    sentence = (
        f"The units of {worst.layer} ({worst.kind}) have the same weights: the layer works as one unit "
        f"(effective rank of its outputs {worst.output:.2f} of {worst.most_output})."
    )
    return Verdict("units alike", "failure", sentence, (sign, *hurt), remedy_for("units alike", case, m))


def hidden(m: Measures) -> tuple[LayerRank, ...]:
    """Return the ranks of all layers with several units but the last."""
    return tuple(one for one in m.ranks[:-1] if one.most_output > 1)


def unscaled(case: Case, m: Measures) -> Verdict | None:
    """Columns far from unit size at the first layer with weights, in a network that learned too little."""
    sign, hurt = large_inputs(m.inputs), harm(m)
    # Where another rate alone brings networks far with these same inputs, they are not what is in the way.
    fine = m.trial is not None and m.trial.best()[1] < FINE * min(m.train.relative, 1.0)
    if sign is None or not hurt or fine:
        return None
    sentence = (
        f"The first layer with weights is fed columns of large or very different size: {sign.name} {sign.value:.3g}."
    )
    return Verdict("unscaled inputs", "failure", sentence, (sign, *hurt), remedy_for("unscaled inputs", case, m))


def large_inputs(inputs: InputScale | None) -> Sign | None:
    """Return the sign that inputs are too large or too different, or ``None``."""
    if inputs is None:
        return None
    signs = (
        Sign("largest column's root mean square", inputs.largest, LARGE_INPUT),
        Sign("largest column over the smallest", inputs.spread, WIDE_INPUTS),
    )
    return next((sign for sign in signs if sign.met), None)
