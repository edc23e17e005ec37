"""Random undersampling: rows of common classes are left out."""

from __future__ import annotations

import numpy as np

from glia.core.layout import Layout
from glia.core.seeds import numpy_rng
from glia.data.balance.base import Balance, Balanced, Codes, Prepared, as_drawn, balancers


@balancers.register("undersample")
def undersample(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Leave out rows of common classes at random; those that stay keep their order."""
    rng = numpy_rng(seed, "undersample")
    present, counts = np.unique(y, return_counts=True)
    most = int(np.floor(counts.min() / options.ratio))
    kept = [
        own if len(own) <= most else rng.choice(own, most, replace=False)
        for own in (np.flatnonzero(y == code) for code in present)
    ]
    return as_drawn(x, y, np.sort(np.concatenate(kept)).astype(np.intp))
