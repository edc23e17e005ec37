"""Whether networks of one architecture are computed faster together than one after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from glia.nn.hooks import watching
from glia.nn.modes import evaluating
from glia.nn.multiply_adds import multiply_adds

BATCHED_FLOPS, VMAP_FLOPS = 1_000_000_000, 100_000_000
"""Operations of one member's step up to which a processor computes members together; see ``pays``."""
FEWEST = 3
_KNOWN = ("torch.nn.modules.", "glia.nn.")


def step_flops(network: nn.Module, rows: Tensor | None, batch_size: int) -> float:
    """Return the floating-point operations of a training step: three forward passes over ``batch_size`` rows.

    They are counted on some rows, (B, *shape); without any, two per parameter and row are taken for granted.
    """
    if rows is not None and len(rows):
        try:
            with evaluating(network), torch.no_grad():
                return 3.0 * batch_size * _row_flops(network, rows)
        except Exception:  # code that cannot be counted can be trained for all that
            pass
    return 6.0 * batch_size * sum(p.numel() for p in network.parameters())


def _row_flops(network: nn.Module, rows: Tensor) -> float:
    """Return the operations of a forward pass over one row.

    Torch's own counter sees any code, but it brings in all of torch.compile, which takes a second: where there are only
    layers that are known, they are counted.
    """
    if not all(type(module).__module__.startswith(_KNOWN) for module in network.modules()):
        with FlopCounterMode(display=False) as counter:
            network(rows)
        return float(counter.get_total_flops()) / len(rows)
    found = [0]

    def count(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        found[0] += 2 * multiply_adds(module, before, after)

    with watching(network, count):
        network(rows)
    return float(found[0])


def pays(members: int, form: str, flops: float, device: torch.device) -> bool:
    """Whether ``members`` networks should be computed together.

    Parameters
    ----------
    members : int
        K ≥ 1.
    form : {"batched", "vmap"}
        How they would be.
    flops : float
        Of one member's training step.
    device : torch.device
        GPUs gain from anything that fills them: they compute members together always.

    Notes
    -----
    Time of K members together over K times that of the plain loop, one thread of an AMD EPYC (AVX2), torch 2.13; the
    plain loop runs dense networks without autograd:

    =========================== ====== ===== ===== =====
    network, form               MFLOP   K=2   K=4   K=16
    =========================== ====== ===== ===== =====
    dense 20-64-64-2            2       1.3  0.82  0.5
    dense 40-128-128-2, dropout 17      1.05 0.73  0.75
    dense 784-256-256-10        206     1.01 0.86  0.84
    layer norm, 20-64-64-2      2       0.87 0.51  0.25
    small CNN, vmap             2       -    0.65  0.30
    middle CNN, vmap            23      -    0.92  0.56
    CNN of 32-64 channels, vmap 1000    -    1.05  -
    =========================== ====== ===== ===== =====

    Beyond these sizes there is nothing left to gain, while activations of all members take memory at once.
    """
    if device.type != "cpu":
        return members > 1
    return members >= FEWEST and flops <= (BATCHED_FLOPS if form == "batched" else VMAP_FLOPS)
