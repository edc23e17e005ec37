"""A network with two branches, pictures through one and the columns beside them through the other, and a head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.mlp import MLP
from glia.nn.networks import as_network, networks, spec_from_dict
from glia.nn.spec import Problems, Spec

_PIXELS_AT_ONCE = 1 << 18


class PictureAndTableNetwork(nn.Module):
    """Two branches and a head.

    Parameters
    ----------
    picture : nn.Module
        (B, C, H, W) → (B, F).
    table : nn.Module
        (B, D) → (B, F).
    head : nn.Module
        (B, 2·F) → (B, out_features).
    shape : tuple of int
        (C, H, W): the first C·H·W values of a row.

    Notes
    -----
    **Shape**: (B, C·H·W + D) → (B, out_features).
    """

    def __init__(self, picture: nn.Module, table: nn.Module, head: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.picture, self.table, self.head = picture, table, head
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        pixels = math.prod(self.shape)
        seen = self._seen(x[:, :pixels].reshape(-1, *self.shape))
        out: Tensor = self.head(torch.cat([seen, self.table(x[:, pixels:])], dim=1))
        return out

    def _seen(self, pictures: Tensor) -> Tensor:
        """Return what the branch makes of pictures; some at a time where nothing is learned.

        Flat rows do not tell that they are pictures, so thousands come at once: their feature maps would fill memory.
        """
        most = max(16, _PIXELS_AT_ONCE // math.prod(self.shape) // 16 * 16)
        if self.training or torch.is_grad_enabled() or len(pictures) <= most:
            found: Tensor = self.picture(pictures)
            return found
        return torch.cat([self.picture(part) for part in torch.split(pictures, most)])

    def stages(self) -> list[tuple[str, nn.Module]]:
        """Return the head alone: what comes before it does not run one after the other."""
        return [("head", self.head)]


@networks.register("picture_and_table")
class PictureAndTable(Spec):
    """Settings of a network for rows that are a picture and further columns.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height and width of the picture, whose values come first in a row.
    network : str, settings, nn.Module or factory
        What looks at the picture: any network for pictures, whose outputs are taken for features; "auto" is a
        ``ConvNet``.
    features : int
        Outputs of either branch, at least 1.
    table : sequence of int
        Widths of the hidden layers over the columns.
    hidden : sequence of int
        Widths of the hidden layers of the head, which sees both.
    dropout : float
        Of the hidden layers, in [0, 1).
    """

    family = "picture_and_table"

    def __init__(
        self,
        shape: Sequence[int],
        network: Any = "convnet",
        features: int = 64,
        table: Sequence[int] = (128,),
        hidden: Sequence[int] = (64,),
        dropout: float = 0.0,
    ) -> None:
        self.shape, self.network, self.features = shape, network, features
        self.table, self.hidden, self.dropout = table, hidden, dropout

    def build(self, layout: Layout, out_features: int) -> PictureAndTableNetwork:
        """Return a freshly initialised module that maps (B, C·H·W + D) to (B, out_features).

        Raises
        ------
        InputError
            If rows are not pictures with columns behind them, or settings are wrong.
        """
        problems = Problems("PictureAndTable")
        good = isinstance(self.features, int) and self.features >= 1
        problems.check(good, "features must be at least 1", f"features={self.features!r}")
        sides = [int(side) for side in self.shape]
        problems.check(
            len(sides) == 3 and min(sides) >= 1, "shape must be (channels, height, width)", f"{self.shape!r}"
        )
        problems.raise_all()
        pixels, values = math.prod(sides), layout.shape[0] if len(layout.shape) == 1 else 0
        if values <= pixels:
            got = f"rows of shape {tuple(layout.shape)} for pictures of shape {tuple(sides)}"
            raise InputError("rows must be a picture and further columns", got, "use a network for pictures alone")
        beside = Layout((values - pixels,), layout.features[pixels:])
        trunk = as_network("convnet" if isinstance(self.network, str) and self.network == "auto" else self.network)
        shared: dict[str, Any] = {"activation": "silu", "dropout": self.dropout}
        # Features of a branch are normalised, so that neither drowns the other where they are joined.
        picture = nn.Sequential(trunk.build(Layout((sides[0], sides[1], sides[2])), self.features), _end(self.features))
        columns = nn.Sequential(MLP(self.table, **shared).build(beside, self.features), _end(self.features))
        head = MLP(self.hidden, **shared).build(Layout((2 * self.features,)), out_features)
        return PictureAndTableNetwork(picture, columns, head, sides)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        inner = as_network(self.network)
        stored = inner.to_dict() if isinstance(inner, Spec) else {"custom": type(inner).__qualname__}
        return {**super().to_dict(), "shape": [int(side) for side in self.shape], "network": stored}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PictureAndTable:
        """Rebuild what ``to_dict`` gave."""
        plain = super().from_dict({**data, "network": "auto"})
        plain.set_params(network=spec_from_dict(data["network"]))
        if not isinstance(plain, cls):
            raise TypeError(type(plain).__name__)
        return plain


def _end(features: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(features), nn.SiLU())
