"""Outputs of a network for many rows, the same bits in whatever company a row comes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_BATCH, _BLOCK = 4096, 16


@torch.no_grad()
def network_outputs(network: nn.Module, x: Tensor) -> NDArray[np.float32]:
    """Return raw outputs in evaluation mode, (N, *shape) → (N, O), N ≥ 1.

    Products of few rows, and the last few of many, take another path in the processor's library, which rounds
    differently: rows are padded to whole blocks of 16.
    """
    network.eval()
    lacking = -len(x) % _BLOCK
    padded = torch.cat([x, x[:1].expand(lacking, *x.shape[1:])]) if lacking else x
    outputs = [network(part).float().cpu() for part in torch.split(padded, _BATCH)]
    return np.asarray(torch.cat(outputs)[: len(x)].numpy(), dtype=np.float32)
