"""Which number format a network trains in, where that was left to Glia."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from glia.core.hardware import multiplies_bfloat16
from glia.nn.dense_pass_bfloat16 import suits_bfloat16
from glia.nn.dense_stack import dense_stack

Precision = Literal["float32", "bfloat16"]
FLOPS_FOR_BFLOAT16 = 1e9
"""Operations of a training step, as estimated from its weights, from which bfloat16's casts are worth their while."""
_COMPARED = (nn.Conv2d, nn.Linear, nn.LSTM, nn.BatchNorm2d)
"""Layers with weights for which quality was compared (``benchmarks/results``)."""


def choose_precision(network: nn.Module, device: torch.device, flops_per_step: float, *, classifies: bool) -> Precision:
    """Return bfloat16 for large classifiers of compared layers on processors that multiply it faster, else float32.

    A rule of network and machine alone, so that a run repeats. Regression stays in float32: its targets may need more
    than bfloat16's eight binary digits, and so do layers for which no comparison was made.

    Parameters
    ----------
    network : nn.Module
    device : torch.device
    flops_per_step : float
        Forward, backward and update.
    classifies : bool
        Whether the outputs are scores of classes.
    """
    if not (classifies and device.type == "cpu" and flops_per_step >= FLOPS_FOR_BFLOAT16 and multiplies_bfloat16()):
        return "float32"
    weighted = [module for module in network.modules() if any(True for _ in module.parameters(recurse=False))]
    if any(type(module) not in _COMPARED for module in weighted):
        return "float32"
    if any(isinstance(module, (nn.Conv2d, nn.LSTM)) for module in weighted):
        return "bfloat16"
    stack = dense_stack(network)
    return "bfloat16" if stack is not None and suits_bfloat16(stack.layers) else "float32"
