"""VGG-like networks: many 3 × 3 convolutions, pooled five times (Simonyan and Zisserman, arXiv 1409.1556)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.convolution import conv_norm, image_shape, in_layout
from glia.nn.parts import Part
from glia.nn.spec import Problems, Spec

STAGES = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Layers with weights → convolutions per stage (table 1 of the paper; three dense layers make up the number)."""


class VGGNetwork(nn.Module):
    """``features``, ``avgpool``, ``classifier``, as in published weights.

    **Shape**: (B, C, H, W) → (B, out_features).
    """

    def __init__(self, features: nn.Sequential, avgpool: nn.Module, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features, self.avgpool, self.classifier = features, avgpool, classifier

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        out: Tensor = self.classifier(self.avgpool(self.features(in_layout(x))).flatten(1))
        return out


class VGG(Spec):
    """Settings of a VGG-like network.

    Parameters
    ----------
    depth : {11, 13, 16, 19}
        Layers with weights.
    width : int
        Feature maps of the first stage; they double up to eight times as many. The paper's is 64.
    hidden : sequence of int
        Widths of the dense layers; the paper's are (4096, 4096).
    norm : {"batch", "none", "group", "layer"} or Part
        The paper has none.
    dropout : float
        Before dense layers, in [0, 1).
    head_size : int
        Positions of each axis that the dense layers see; the paper's is 7, for images of 224 × 224.

    Notes
    -----
    Each stage ends with a pooling, as long as there are two positions to pool. With the paper's settings,
    ``norm="none"`` or ``"batch"`` and ``head_size=7``, parameters have the names and shapes of the published weights.
    """

    family = "vgg"

    def __init__(
        self,
        depth: int = 11,
        width: int = 32,
        hidden: Sequence[int] = (256,),
        norm: str | Part = "batch",
        dropout: float = 0.5,
        head_size: int = 1,
    ) -> None:
        self.depth, self.width, self.hidden = depth, width, hidden
        self.norm, self.dropout, self.head_size = norm, dropout, head_size

    def build(self, layout: Layout, out_features: int) -> VGGNetwork:
        """Return a freshly initialised module that maps (B, C, H, W) to (B, out_features).

        Raises
        ------
        InputError
            If rows are no images or settings are wrong.
        """
        before, height, width = image_shape(layout.shape, "VGG")
        self._check()
        features: list[nn.Module] = []
        for stage, count in enumerate(STAGES[self.depth]):
            channels = self.width * min(2**stage, 8)
            for _ in range(count):
                after = conv_norm(self.norm, channels)
                conv = nn.Conv2d(before, channels, 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                features += [part for part in (conv, after, nn.ReLU(inplace=True)) if part is not None]
                before = channels
            if min(height, width) >= 2:
                features.append(nn.MaxPool2d(2, 2))
                height, width = height // 2, width // 2
        size = before * self.head_size**2
        layers: list[nn.Module] = []
        for hidden in self.hidden:
            layers += [nn.Linear(size, hidden), nn.ReLU(inplace=True), nn.Dropout(self.dropout)]
            size = hidden
        classifier = nn.Sequential(*layers, nn.Linear(size, out_features))
        return VGGNetwork(nn.Sequential(*features), nn.AdaptiveAvgPool2d(self.head_size), classifier)

    def _check(self) -> None:
        if self.depth not in STAGES:
            raise InputError(f"depth must be one of {', '.join(map(str, STAGES))}", f"depth={self.depth!r}")
        problems = Problems("VGG")
        for name in ("width", "head_size"):
            value = getattr(self, name)
            problems.check(isinstance(value, int) and value >= 1, f"{name} must be at least 1", f"{name}={value!r}")
        good = all(isinstance(size, int) and size >= 1 for size in self.hidden)
        problems.check(good, "hidden must be whole numbers of at least 1", f"hidden={self.hidden!r}")
        problems.check(0 <= self.dropout < 1, "dropout must be in [0, 1)", f"dropout={self.dropout!r}")
        problems.raise_all()
