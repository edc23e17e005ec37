"""Run a block in another mode and put every module's own mode back, also when the block fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def keeping_modes(network: nn.Module) -> Iterator[nn.Module]:
    """Restore the training flag of every module at the end; they may differ from module to module."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield network
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """Run a block with the network in evaluation mode."""
    with keeping_modes(network):
        network.eval()
        yield network
