"""How many multiplications with additions a layer does for one row."""

from __future__ import annotations

import math

from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def multiply_adds(module: nn.Module, before: Tensor | None, after: Tensor | None) -> int:
    """Return the products that are added up by a layer for one row; 0 for layers without weight matrices.

    Parameters
    ----------
    module : nn.Module
        Counted are linear layers, convolutions, recurrent layers and attention, as papers do; what is done element by
        element (activations, normalisation, pooling) is not.
    before, after : Tensor, optional
        What went in and came out, (B, …).
    """
    if before is None or after is None or not before.shape:
        return 0
    rows = max(after.shape[0], 1)
    if isinstance(module, nn.Linear):
        return after.numel() // rows * module.in_features
    if isinstance(module, _CONVOLUTIONS):
        each = module.in_channels // module.groups * math.prod(module.kernel_size)
        return after.numel() // rows * each
    if isinstance(module, _TRANSPOSED):
        each = module.out_channels // module.groups * math.prod(module.kernel_size)
        return before.numel() // rows * each
    if isinstance(module, nn.RNNBase):
        return _recurrent(module, before)
    if isinstance(module, nn.MultiheadAttention):
        return _attention(module, before)
    return 0


def _recurrent(module: nn.RNNBase, before: Tensor) -> int:
    rows, steps = before.shape[0], before.shape[1] if module.batch_first else before.shape[0]
    rows = rows if module.batch_first else before.shape[1]
    matrices = sum(p.numel() for p in module.parameters() if p.dim() == 2)
    return int(matrices * steps) if rows else 0


def _attention(module: nn.MultiheadAttention, before: Tensor) -> int:
    """Return projections in and out, products of queries and keys, and of weights and values, of self-attention."""
    steps, width = before.shape[1 if module.batch_first else 0], int(module.embed_dim)
    return 4 * steps * width * width + 2 * steps * steps * width
