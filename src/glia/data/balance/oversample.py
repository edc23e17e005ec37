"""Random oversampling: rows of rare classes come more than once."""

from __future__ import annotations

import numpy as np

from glia.core.layout import Layout
from glia.core.seeds import numpy_rng
from glia.data.balance.base import Balance, Balanced, Codes, Prepared, as_drawn, balancers, wanted_more


@balancers.register("oversample")
def oversample(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Repeat rows of rare classes, all of a class equally often up to one."""
    rng = numpy_rng(seed, "oversample")
    parts = [np.arange(len(y))]
    for code, wanted in wanted_more(y, options.ratio).items():
        own = np.flatnonzero(y == code)
        whole, rest = divmod(wanted - len(own), len(own))
        parts += [np.tile(own, whole), np.sort(rng.choice(own, rest, replace=False))]
    return as_drawn(x, y, np.concatenate(parts).astype(np.intp))
