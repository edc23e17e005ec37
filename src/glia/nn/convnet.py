"""The default network for images: a few stages of small convolutions, each at half of the last one's resolution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from glia.core.layout import Layout
from glia.nn.convolution import ConvBlock, image_shape, in_layout
from glia.nn.parts import Part
from glia.nn.pooling import make_pool
from glia.nn.spec import Problems, Spec

SMALLEST = 4
"""Feature maps are halved as long as their shorter side has so many positions."""


class ConvNetwork(nn.Module):
    """Stages of convolutions, then a head.

    **Shape**: (B, C, H, W) → (B, out_features).
    """

    def __init__(self, features: nn.Sequential, head: nn.Sequential) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        out: Tensor = self.head(self.features(in_layout(x)))
        return out

    def stages(self) -> list[tuple[str, nn.Module]]:
        """Return the parts that a row goes through, one after the other."""
        return [("features", self.features), ("head", self.head)]


class ConvNet(Spec):
    """Settings of a plain convolutional network.

    Parameters
    ----------
    channels : sequence of int
        Feature maps of each stage; every stage ends with a pooling to half the size, while there is size left.
    depth : int
        Convolutions per stage, at least 1.
    kernel : int
        Odd.
    stem : int
        Stride of the first convolution: 2 makes everything behind it four times as cheap.
    kind : {"full", "depthwise_separable"}
        Of all convolutions but the first.
    dilation : int
        Of all convolutions but the first of each stage.
    norm, activation, pool : str or Part
        See ``ConvBlock`` and ``glia.nn.poolings``.
    spatial_dropout : float
        Share of whole feature maps dropped in training, in [0, 1).
    head : str
        "flatten" hands all positions to the output layer; a name of ``glia.nn.global_poolings`` pools them first.
    hidden : sequence of int
        Widths of dense layers before the output.
    dropout : float
        Share of the values before dense layers that is dropped in training, in [0, 1).
    """

    family = "convnet"

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128),
        depth: int = 1,
        kernel: int = 3,
        stem: int = 1,
        kind: str = "full",
        dilation: int = 1,
        norm: str | Part = "batch",
        activation: str | Part = "relu",
        pool: str | Part = "max",
        spatial_dropout: float = 0.0,
        head: str = "average",
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
        self.channels, self.depth, self.kernel, self.stem = channels, depth, kernel, stem
        self.kind, self.dilation = kind, dilation
        self.norm, self.activation, self.pool = norm, activation, pool
        self.spatial_dropout, self.head, self.hidden, self.dropout = spatial_dropout, head, hidden, dropout

    def build(self, layout: Layout, out_features: int) -> ConvNetwork:
        """Return a freshly initialised module that maps (B, C, H, W) to (B, out_features).

        Raises
        ------
        InputError
            If rows are no images or settings are wrong.
        """
        shape = image_shape(layout.shape, "ConvNet")
        self._check()
        features, (channels, height, width) = self._features(shape)
        head: list[nn.Module] = []
        size = channels * height * width
        if self.head != "flatten":
            head.append(make_pool(self.head, whole=True))
            size = channels * (2 if self.head == "average_and_max" else 1)
        head.append(nn.Flatten())
        for wide in self.hidden:
            head += [*self._dropped(), nn.Linear(size, wide), nn.ReLU()]
            size = wide
        return ConvNetwork(
            nn.Sequential(*features), nn.Sequential(*head, *self._dropped(), nn.Linear(size, out_features))
        )

    def _dropped(self) -> list[nn.Module]:
        return [nn.Dropout(self.dropout)] if self.dropout else []

    def _features(self, shape: tuple[int, int, int]) -> tuple[list[nn.Module], tuple[int, int, int]]:
        before, height, width = shape
        made: list[nn.Module] = []
        for stage, channels in enumerate(self.channels):
            for place in range(self.depth):
                stride = 1 if made else self.stem
                height, width = -(-height // stride), -(-width // stride)
                pooled = place == self.depth - 1 and min(height, width) >= SMALLEST and self.pool != "none"
                block = ConvBlock(
                    before,
                    channels,
                    self.kernel,
                    stride=stride,
                    dilation=self.dilation if place else 1,
                    kind=self.kind if made else "full",  # type: ignore[arg-type]  # checked by the block
                    norm=self.norm,
                    activation=self.activation,
                    dropout=self.spatial_dropout if stage else 0.0,
                    pool=make_pool(self.pool) if pooled else None,
                )
                made.append(block)
                before = channels
                if pooled:
                    height, width = height // 2, width // 2
        return made, (before, height, width)

    def _check(self) -> None:
        problems = Problems("ConvNet")
        for name, least in (("channels", 1), ("hidden", 0)):
            sizes = getattr(self, name)
            good = len(sizes) >= least and all(isinstance(size, int) and size >= 1 for size in sizes)
            problems.check(good, f"{name} must be whole numbers of at least 1", f"{name}={sizes!r}")
        for name in ("depth", "stem", "dilation"):
            value = getattr(self, name)
            problems.check(isinstance(value, int) and value >= 1, f"{name} must be at least 1", f"{name}={value!r}")
        for name in ("dropout", "spatial_dropout"):
            value = getattr(self, name)
            problems.check(0 <= value < 1, f"{name} must be in [0, 1)", f"{name}={value!r}")
        problems.raise_all()
