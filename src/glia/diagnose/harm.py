"""Does something go wrong at all? A sign of a sick layer counts only in a network that learned too little."""

from __future__ import annotations

from glia.diagnose.measures import Gap, Measures
from glia.diagnose.verdict import Sign

BEHIND = 0.1
"""So much more error than a forest (share of rows, or of the target's variance), its interval beyond half of that."""
WORTHLESS = 1.0
"""Loss over that of the best constant."""
WEAK = 0.7
"""The same where there is no forest to compare with."""


def harm(measures: Measures) -> tuple[Sign, ...]:
    """Return the signs that too little was learned; empty where the network does what can be done."""
    found = []
    loss = Sign("training loss over that of the best constant", measures.train.relative, WORTHLESS)
    behind = behind_forest(measures.train_gap, "rows learned from")
    unseen = behind_forest(measures.held_gap, "unseen rows")
    weak = Sign("training loss over that of the best constant", measures.train.relative, WEAK)
    if measures.reference_error is None:
        found += [weak] if weak.met else []
    elif loss.met and measures.reference_error < 0.9 * measures.train.constant_error:
        found.append(loss)
    found += [sign for sign in (behind, unseen) if sign is not None]
    if not measures.finite:
        found.append(Sign("weights or outputs that are not finite", 1.0, 1.0))
    return tuple(found)


def behind_forest(gap: Gap | None, where: str) -> Sign | None:
    """Return the sign that the error is above a forest's beyond chance, or ``None``."""
    if gap is None:
        return None
    sign = Sign(f"error above a random forest's, {where}", gap[0], BEHIND)
    return sign if sign.met and gap[1] > BEHIND / 2 else None
