"""The processor's settings for training steps of a given size: threads, and the library of matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from glia.core.hardware import choose_threads, threads
from glia.core.products import onednn_products

FLOPS_FOR_ONEDNN, BATCHED_FLOPS_FOR_ONEDNN = 60e6, 10e6
"""Operations of a step from which oneDNN's products are worth their longer calls: of one network; of a population."""


@contextmanager
def suited_to(flops_per_step: float, *, batched: bool = False, helpers: int = 0) -> Iterator[None]:
    """Run a block as steps of this size run fastest here; what was set before is set again afterwards, also on errors.

    The choice depends on the step and the machine alone, never on how busy the machine is, so that a run repeats.

    Parameters
    ----------
    flops_per_step : float
        Forward, backward and update; about 6 · rows · weights for dense layers.
    batched : bool
        Whether the products are those of many networks at once.
    helpers : int
        Other threads that work all the while, a source's for instance: their cores are left to them.

    Notes
    -----
    Threads: ``choose_threads``, never more than torch was allowed. Products: see ``onednn_is_faster``; where it is,
    steps of dense networks with oneDNN took this part of their time with MKL (AMD EPYC, family 26, least of three):

    ======== ===== ===== ===== ===== ===== ===== ===== =====
    MFLOP      2.4   9.5    19    36    72   103   207   307
    ratio     1.97  1.40  1.11  1.09  0.86  0.78  0.65  0.56
    ======== ===== ===== ===== ===== ===== ===== ===== =====

    Batched products of 32 times 64 × 20 × 64 took 0.63 of it, of 8 times 256 × 128 × 128 0.45.
    """
    count = max(1, min(choose_threads(flops_per_step), torch.get_num_threads() - helpers))
    large = flops_per_step >= (BATCHED_FLOPS_FOR_ONEDNN if batched else FLOPS_FOR_ONEDNN)
    with threads(count), onednn_products(large):
        yield
