"""What comes out of every layer: mean, spread, zeros and a histogram."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from glia.diagnose.layers import LayerPass

BINS = 24
_TAIL = 0.001


@dataclass(frozen=True)
class LayerActivation:
    """Outputs of one layer over all rows and units.

    Parameters
    ----------
    layer, kind : str
        Path in the network and class of the module.
    mean, std, low, high : float
        Mean, standard deviation, smallest and largest value.
    zeros : float
        Share of the values that are exactly 0.
    finite : bool
        Whether all values are.
    edges, counts : tuple
        Histogram of the finite values; the first and the last bin hold what lies beyond the 0.1 % and 99.9 % quantiles.
    """

    layer: str
    kind: str
    mean: float
    std: float
    low: float
    high: float
    zeros: float
    finite: bool
    edges: tuple[float, ...]
    counts: tuple[int, ...]


def activation_statistics(layers: tuple[LayerPass, ...], bins: int = BINS) -> tuple[LayerActivation, ...]:
    """Return the statistics of every layer's outputs; layers without a floating-point output are passed over."""
    found = []
    for layer in layers:
        if layer.output is None or not layer.output.is_floating_point() or not layer.output.numel():
            continue
        values = layer.output.double().flatten().cpu()
        good = values[torch.isfinite(values)]
        if not len(good):
            good = torch.zeros(1, dtype=torch.float64)
        ordered = good.sort().values
        low, high = (float(ordered[int(q * (len(ordered) - 1))]) for q in (_TAIL, 1 - _TAIL))
        if not high > low:
            low, high = low - 0.5, high + 0.5
        counts = torch.histc(good.clamp(low, high), bins, low, high).long()
        step = (high - low) / bins
        found.append(
            LayerActivation(
                layer.name, type(layer.module).__name__, float(good.mean()), float(good.std(correction=0)),
                float(ordered[0]), float(ordered[-1]), float((values == 0).double().mean()), len(good) == len(values),
                tuple(low + step * i for i in range(bins + 1)), tuple(counts.tolist()),
            )
        )  # fmt: skip
    return tuple(found)
