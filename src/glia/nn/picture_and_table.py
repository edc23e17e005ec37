"""A network with two branches, pictures through one and the columns beside them through the other, and a head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.mlp import MLP
from glia.nn.networks import as_network, networks, spec_from_dict
from glia.nn.spec import Problems, Spec

_PIXELS_AT_ONCE = 1 << 18


class PictureAndTableNetwork(nn.Module):
    """Two branches and a head; several pictures of a row go through one branch, each by itself.

    Parameters
    ----------
    picture : nn.Module
        (B, C, H, W) → (B, F).
    table : nn.Module or None
        (B, D) → (B, F); ``None`` where D is 0.
    head : nn.Module
        (B, P·F + F) → (B, out_features), or (B, P·F) without a table.
    shape : tuple of int
        (C, H, W) of a picture; the first P·C·H·W values of a row are its P pictures.
    pictures : int
        P.

    Notes
    -----
    **Shape**: (B, P·C·H·W + D) → (B, out_features).
    """

    def __init__(
        self, picture: nn.Module, table: nn.Module | None, head: nn.Module, shape: Sequence[int], pictures: int = 1
    ) -> None:
        super().__init__()
        self.picture, self.table, self.head = picture, table, head
        self.shape, self.pictures = tuple(shape), pictures

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        pixels = self.pictures * math.prod(self.shape)
        parts = [self._seen(x[:, :pixels].reshape(-1, *self.shape)).reshape(len(x), -1)]
        if self.table is not None:
            parts.append(self.table(x[:, pixels:]))
        out: Tensor = self.head(torch.cat(parts, dim=1))
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
    """Settings of a network for rows that are pictures and further columns.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height and width of a picture, whose values come first in a row.
    network : str, settings, nn.Module or factory
        What looks at a picture: any network for pictures, whose outputs are taken for features; "auto" is a
        ``ConvNet``.
    features : int
        Outputs of either branch, at least 1.
    table : sequence of int
        Widths of the hidden layers over the columns.
    hidden : sequence of int
        Widths of the hidden layers of the head, which sees the features of all pictures and of the columns.
    dropout : float
        Of the hidden layers, in [0, 1).
    pictures : int
        Of a row, at least 1. All of them go through the same layers; the head sees their features one after the other,
        so that it matters which picture is which.
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
        pictures: int = 1,
    ) -> None:
        self.shape, self.network, self.features = shape, network, features
        self.table, self.hidden, self.dropout, self.pictures = table, hidden, dropout, pictures

    def build(self, layout: Layout, out_features: int) -> PictureAndTableNetwork:
        """Return a freshly initialised module that maps (B, P·C·H·W + D) to (B, out_features).

        Raises
        ------
        InputError
            If rows are not pictures with columns behind them (which several pictures need not have), or settings are
            wrong.
        """
        problems = Problems("PictureAndTable")
        good = isinstance(self.features, int) and self.features >= 1
        problems.check(good, "features must be at least 1", f"features={self.features!r}")
        several = isinstance(self.pictures, int) and self.pictures >= 1
        problems.check(several, "pictures must be at least 1", f"pictures={self.pictures!r}")
        sides = [int(side) for side in self.shape]
        problems.check(
            len(sides) == 3 and min(sides) >= 1, "shape must be (channels, height, width)", f"{self.shape!r}"
        )
        problems.raise_all()
        pixels, values = self.pictures * math.prod(sides), layout.shape[0] if len(layout.shape) == 1 else 0
        if values < pixels + (self.pictures == 1):
            got = f"rows of shape {tuple(layout.shape)} for {counted(self.pictures, 'picture')} of shape {tuple(sides)}"
            raise InputError("rows must be a picture and further columns", got, "use a network for pictures alone")
        beside = Layout((values - pixels,), layout.features[pixels:])
        trunk = as_network("convnet" if isinstance(self.network, str) and self.network == "auto" else self.network)
        shared: dict[str, Any] = {"activation": "silu", "dropout": self.dropout}
        # Features of a branch are normalised, so that neither drowns the other where they are joined.
        picture = nn.Sequential(trunk.build(Layout((sides[0], sides[1], sides[2])), self.features), _end(self.features))
        columns = None
        if values > pixels:
            columns = nn.Sequential(MLP(self.table, **shared).build(beside, self.features), _end(self.features))
        joined = (self.pictures + (columns is not None)) * self.features
        head = MLP(self.hidden, **shared).build(Layout((joined,)), out_features)
        return PictureAndTableNetwork(picture, columns, head, sides, self.pictures)

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
