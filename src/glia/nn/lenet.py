"""LeNet-like networks: two convolutions with pooling, then dense layers (LeCun and others, 1998)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from glia.core.layout import Layout
from glia.nn.activations import make_activation
from glia.nn.convolution import image_shape, in_layout
from glia.nn.parts import Part
from glia.nn.pooling import make_pool
from glia.nn.spec import Problems, Spec


class LeNetNetwork(nn.Module):
    """Convolution, pooling, convolution, pooling, dense layers.

    **Shape**: (B, C, H, W) → (B, out_features).
    """

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features, self.classifier = features, classifier

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        out: Tensor = self.classifier(self.features(in_layout(x)).flatten(1))
        return out


class LeNet(Spec):
    """Settings of a LeNet-like network, as in "Gradient-based learning applied to document recognition".

    Parameters
    ----------
    channels : sequence of int
        Of the two convolutions (more or fewer are taken).
    hidden : sequence of int
        Widths of the dense layers.
    activation, pool : str or Part
        The paper's are "tanh" and "average"; rectifiers and the largest value learn faster.
    """

    family = "lenet"

    def __init__(
        self,
        channels: Sequence[int] = (6, 16),
        hidden: Sequence[int] = (120, 84),
        activation: str | Part = "relu",
        pool: str | Part = "max",
    ) -> None:
        self.channels, self.hidden, self.activation, self.pool = channels, hidden, activation, pool

    def build(self, layout: Layout, out_features: int) -> LeNetNetwork:
        """Return a freshly initialised module that maps (B, C, H, W) to (B, out_features).

        Raises
        ------
        InputError
            If rows are no images or a setting is wrong.
        """
        before, height, width = image_shape(layout.shape, "LeNet")
        problems = Problems("LeNet")
        for name in ("channels", "hidden"):
            sizes = getattr(self, name)
            good = all(isinstance(size, int) and size >= 1 for size in sizes) and (name == "hidden" or len(sizes) > 0)
            problems.check(good, f"{name} must be whole numbers of at least 1", f"{name}={sizes!r}")
        problems.raise_all()
        features: list[nn.Module] = []
        for channels in self.channels:
            features += [nn.Conv2d(before, channels, 5, padding=2), make_activation(self.activation)]
            if min(height, width) >= 2:
                features.append(make_pool(self.pool))
                height, width = height // 2, width // 2
            before = channels
        size = before * height * width
        layers: list[nn.Module] = []
        for hidden in self.hidden:
            layers += [nn.Linear(size, hidden), make_activation(self.activation)]
            size = hidden
        return LeNetNetwork(nn.Sequential(*features), nn.Sequential(*layers, nn.Linear(size, out_features)))
