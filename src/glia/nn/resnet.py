"""Residual networks (He and others, arXiv 1512.03385), with the parameter names of the field's published weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.convolution import image_shape, in_layout
from glia.nn.spec import Problems, Spec

DEPTHS: dict[int, tuple[str, tuple[int, ...]]] = {
    10: ("basic", (1, 1, 1, 1)),
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
"""Layers with weights → block and blocks per stage (table 1 of the paper; 10 is a small one in its manner)."""
LARGE = 96
"""From so long a shorter side on, "auto" takes the stem for large images."""


def _conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)


def _shortcut(before: int, after: int, stride: int) -> nn.Sequential | None:
    """Return what fits the input to the output where their shapes differ (option B of the paper)."""
    if stride == 1 and before == after:
        return None
    return nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and the identity around them: relu(x + f(x)).

    **Shape**: (B, C, H, W) → (B, width, ⌈H / stride⌉, ⌈W / stride⌉).
    """

    expansion = 1

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(before, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)
        self.downsample = _shortcut(before, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(x + f(x))."""
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions, the middle one on a quarter of the channels: relu(x + f(x)).

    The stride is that of the 3 × 3 convolution, as in most published weights.

    **Shape**: (B, C, H, W) → (B, 4 · width, ⌈H / stride⌉, ⌈W / stride⌉).
    """

    expansion = 4

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        after = width * self.expansion
        self.conv1, self.bn1 = _conv(before, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, after, 1), nn.BatchNorm2d(after)
        self.downsample = _shortcut(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(x + f(x))."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(out)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


_BLOCKS: dict[str, type[BasicBlock | Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNetNetwork(nn.Module):
    """Stem, four stages of residual blocks, global mean, output layer.

    **Shape**: (B, C, H, W) → (B, out_features).
    """

    def __init__(
        self, channels: int, out_features: int, *, block: str, counts: tuple[int, ...], width: int, large: bool
    ) -> None:
        super().__init__()
        kind = _BLOCKS[block]
        self.conv1 = _conv(channels, width, 7, 2) if large else _conv(channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if large else nn.Identity()
        before = width
        for stage, count in enumerate(counts):
            blocks = []
            for place in range(count):
                stride = 2 if stage and not place else 1
                blocks.append(kind(before, width * 2**stage, stride))
                before = width * 2**stage * kind.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.counts = counts
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, out_features)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock | Bottleneck):
                # Blocks begin as the identity, which makes deep networks start well (arXiv 1706.02677).
                last: Any = module.bn2 if isinstance(module, BasicBlock) else module.bn3
                nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(in_layout(x)))))
        for stage in range(len(self.counts)):
            x = getattr(self, f"layer{stage + 1}")(x)
        out: Tensor = self.fc(self.avgpool(x).flatten(1))
        return out


class ResNet(Spec):
    """Settings of a residual network.

    Parameters
    ----------
    depth : {10, 18, 34, 50, 101, 152}
        Layers with weights; from 50 on with bottleneck blocks.
    width : int
        Feature maps of the first stage; each further stage has twice as many. The paper's is 64.
    stem : {"auto", "large", "small"}
        "large" begins with a 7 × 7 convolution and a pooling, which leave a quarter of each side, as the paper does for
        224 × 224; "small" with a 3 × 3 convolution at full size, as it does for 32 × 32. "auto" is large from 96 pixels
        on.

    Notes
    -----
    With width 64, stem "large", three channels and 1,000 outputs, parameters and buffers have the names and shapes of
    the published ImageNet weights, which ``load_state_dict`` then takes.
    """

    family = "resnet"

    def __init__(self, depth: int = 18, width: int = 64, stem: str = "auto") -> None:
        self.depth, self.width, self.stem = depth, width, stem

    def build(self, layout: Layout, out_features: int) -> ResNetNetwork:
        """Return a freshly initialised module that maps (B, C, H, W) to (B, out_features).

        Raises
        ------
        InputError
            If rows are no images or settings are wrong.
        """
        channels, height, width = image_shape(layout.shape, "ResNet")
        if self.depth not in DEPTHS:
            raise InputError(f"depth must be one of {', '.join(map(str, DEPTHS))}", f"depth={self.depth!r}")
        problems = Problems("ResNet")
        problems.check(self.stem in ("auto", "large", "small"), "stem must be auto, large or small", f"{self.stem!r}")
        problems.check(isinstance(self.width, int) and self.width >= 1, "width must be at least 1", f"{self.width!r}")
        problems.raise_all()
        block, counts = DEPTHS[self.depth]
        large = self.stem == "large" or (self.stem == "auto" and min(height, width) >= LARGE)
        return ResNetNetwork(channels, out_features, block=block, counts=counts, width=self.width, large=large)
