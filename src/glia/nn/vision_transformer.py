"""A small vision transformer: an image as a sequence of patches (Dosovitskiy and others, arXiv 2010.11929)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glia.core.layout import Layout
from glia.nn.convolution import image_shape
from glia.nn.spec import Problems, Spec


class VisionTransformerNetwork(nn.Module):
    """Patches → tokens with learned positions → encoder layers → mean over tokens → output layer.

    Notes
    -----
    **Shape**: (B, C, H, W) → (B, out_features). Images that patches do not divide are padded with zeros on the right
    and at the bottom. The mean over tokens stands in for the class token of the paper, which needs more data
    (arXiv 2205.01580).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        out_features: int,
        *,
        patch: int,
        dim: int,
        layers: int,
        num_heads: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        rows, columns = -(-height // patch), -(-width // patch)
        self.pad = nn.ZeroPad2d((0, columns * patch - width, 0, rows * patch - height))
        self.patches = nn.Conv2d(channels, dim, patch, patch)
        self.position = nn.Parameter(torch.empty(1, rows * columns, dim))
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            dim, num_heads, hidden, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, out_features)
        nn.init.trunc_normal_(self.position, std=0.02)
        for one in self.encoder.layers:  # copies of one layer would start alike
            for weight in (p for p in one.parameters() if p.dim() > 1):
                nn.init.xavier_uniform_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        tokens = self.patches(self.pad(x)).flatten(2).transpose(1, 2)  # (B, N, dim)
        tokens = self.encoder(self.dropout(tokens + self.position))
        out: Tensor = self.fc(self.norm(tokens).mean(1))
        return out


class VisionTransformer(Spec):
    """Settings of a small vision transformer.

    Parameters
    ----------
    patch : int or "auto"
        Side of a patch in pixels; "auto" gives about 7 × 7 tokens.
    dim : int
        Width of a token; ``num_heads`` divides it.
    layers, num_heads : int
        At least 1 each.
    hidden : int, optional
        Width inside of the encoder layers' dense part; twice ``dim`` by default.
    dropout : float
        In [0, 1).
    """

    family = "vision_transformer"

    def __init__(
        self,
        patch: int | str = "auto",
        dim: int = 64,
        layers: int = 4,
        num_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        self.patch, self.dim, self.layers, self.num_heads = patch, dim, layers, num_heads
        self.hidden, self.dropout = hidden, dropout

    def build(self, layout: Layout, out_features: int) -> VisionTransformerNetwork:
        """Return a freshly initialised module that maps (B, C, H, W) to (B, out_features).

        Raises
        ------
        InputError
            If rows are no images or settings are wrong.
        """
        shape = image_shape(layout.shape, "VisionTransformer")
        problems = Problems("VisionTransformer")
        for name in ("dim", "layers", "num_heads"):
            value = getattr(self, name)
            problems.check(isinstance(value, int) and value >= 1, f"{name} must be at least 1", f"{name}={value!r}")
        problems.raise_all()
        divided = self.dim % self.num_heads == 0
        problems.check(divided, "num_heads must divide dim", f"dim={self.dim}, num_heads={self.num_heads}")
        patch = max(1, round(min(shape[1:]) / 7)) if self.patch == "auto" else self.patch
        good = isinstance(patch, int) and 1 <= patch <= max(shape[1:])
        problems.check(good, "patch must be 'auto' or lie within the image", f"patch={self.patch!r}")
        problems.check(0 <= self.dropout < 1, "dropout must be in [0, 1)", f"dropout={self.dropout!r}")
        problems.raise_all()
        return VisionTransformerNetwork(
            shape,
            out_features,
            patch=int(patch),
            dim=self.dim,
            layers=self.layers,
            num_heads=self.num_heads,
            hidden=self.hidden or 2 * self.dim,
            dropout=self.dropout,
        )
