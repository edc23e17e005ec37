"""Test-time augmentation as a network: outside of training, the mean of the outputs for an image and its mirror."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.nn.convolution import image_shape
from glia.nn.networks import as_network, networks, spec_from_dict
from glia.nn.spec import Spec

AXES = {"horizontal": -1, "vertical": -2}
"""Which side is mirrored → the axis that is turned around."""


class FlipMeanNetwork(nn.Module):
    """In training the network itself; in evaluation the mean of its raw scores over mirror images.

    **Shape**: (B, C, H, W) → (B, out_features).
    """

    def __init__(self, network: nn.Module, axes: Sequence[str] = ("horizontal",)) -> None:
        super().__init__()
        self.network, self.axes = network, tuple(axes)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        out: Tensor = self.network(x)
        if self.training:
            return out
        seen = [out, *(self.network(torch.flip(x, (AXES[axis],))) for axis in self.axes)]
        return torch.stack(seen).mean(0)


@networks.register("flip_mean")
class FlipMean(Spec):
    """Settings of test-time augmentation around any network for images.

    Parameters
    ----------
    network : str, settings, nn.Module or factory
        What is to be averaged; "auto" is a ``ConvNet``.
    axes : sequence of {"horizontal", "vertical"}
        Mirror images that are looked at besides the image.
    """

    family = "flip_mean"

    def __init__(self, network: Any = "convnet", axes: Sequence[str] = ("horizontal",)) -> None:
        self.network, self.axes = network, axes

    def build(self, layout: Layout, out_features: int) -> FlipMeanNetwork:
        """Return a freshly initialised network that maps (B, C, H, W) to (B, out_features).

        Raises
        ------
        InputError
            If rows are no images, an axis is unknown, or the network's settings are wrong.
        """
        image_shape(layout.shape, "FlipMean")
        for axis in self.axes:
            if axis not in AXES:
                raise InputError("axes must be horizontal or vertical", f"{axis!r}", near(str(axis), AXES))
        inner = as_network("convnet" if isinstance(self.network, str) and self.network == "auto" else self.network)
        return FlipMeanNetwork(inner.build(layout, out_features), self.axes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        inner = as_network(self.network)
        stored = inner.to_dict() if isinstance(inner, Spec) else {"custom": type(inner).__qualname__}
        return {"family": self.family, "network": stored, "axes": list(self.axes)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FlipMean:
        """Rebuild what ``to_dict`` gave."""
        return cls(spec_from_dict(data["network"]), tuple(data["axes"]))
