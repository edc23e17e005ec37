"""Blocks of dense networks: plain, and with a skip connection."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from glia.nn.activations import make_activation
from glia.nn.dropout import make_dropout
from glia.nn.initialisers import initialise_layer_
from glia.nn.normalisation import make_norm
from glia.nn.parts import Part


class DenseBlock(nn.Module):
    """linear → norm → activation → dropout; absent parts are ``None`` and cost nothing.

    Parameters
    ----------
    in_features, out_features : int
        At least 1 each.
    activation, init, norm : str or Part
        Names of their registries.
    dropout : float
        In [0, 1).
    bias : bool
        Of the linear layer.
    generator : torch.Generator, optional
        Where weights are drawn from.

    Notes
    -----
    **Shape**: (B, in_features) → (B, out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: str | Part = "relu",
        init: str | Part = "auto",
        norm: str | Part = "none",
        dropout: float = 0.0,
        bias: bool = True,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.norm = make_norm(norm, out_features)
        self.activation = make_activation(activation)
        self.dropout = make_dropout(dropout)
        initialise_layer_(self.linear, init, activation=activation, generator=generator)

    def stages(self) -> list[tuple[str, nn.Module]]:
        """Return the parts that are there, in order."""
        parts = (("linear", self.linear), ("norm", self.norm), ("activation", self.activation))
        return [(name, part) for name, part in (*parts, ("dropout", self.dropout)) if part is not None]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        x = self.linear(x)
        if self.norm is not None:
            x = self.norm(x)
        x = self.activation(x)
        return x if self.dropout is None else self.dropout(x)


class ResidualBlock(nn.Module):
    """skip(x) + dropout(project(activation(linear(norm(x))))), the pre-norm form (arXiv 1603.05027, 2106.11959).

    Parameters
    ----------
    in_features, out_features : int
        Where they differ the skip is a linear layer without bias, else x itself.
    activation, init, norm, dropout, bias, generator
        As in ``DenseBlock``.

    Notes
    -----
    **Shape**: (B, in_features) → (B, out_features).

    Under ``init="auto"`` ``project`` starts at 0, so that the block starts as its skip and depth does no harm at the
    start (arXiv 1901.09321).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: str | Part = "relu",
        init: str | Part = "auto",
        norm: str | Part = "none",
        dropout: float = 0.0,
        bias: bool = True,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.norm = make_norm(norm, in_features)
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation = make_activation(activation)
        self.project = nn.Linear(out_features, out_features, bias=bias)
        self.dropout = make_dropout(dropout)
        self.skip = None if in_features == out_features else nn.Linear(in_features, out_features, bias=False)
        initialise_layer_(self.linear, init, activation=activation, generator=generator)
        initialise_layer_(self.project, "zeros" if init == "auto" else init, generator=generator)
        if self.skip is not None:
            initialise_layer_(self.skip, init, activation="linear", generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        inner: Tensor = x if self.norm is None else self.norm(x)
        inner = self.project(self.activation(self.linear(inner)))
        if self.dropout is not None:
            inner = self.dropout(inner)
        skipped: Tensor = x if self.skip is None else self.skip(x)
        return skipped + inner
