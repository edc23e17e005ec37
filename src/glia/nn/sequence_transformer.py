"""A transformer encoder of sequences: attention over real steps only (arXiv 1706.03762)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.modes import evaluating
from glia.nn.sequence_network import SequenceNetwork, SequenceSpec


def sinusoidal_positions(steps: int, dim: int) -> Tensor:
    """Return sines and cosines of the places 0 … steps − 1, (steps, dim): arXiv 1706.03762, section 3.5."""
    rate = torch.exp(torch.arange(0, dim, 2, dtype=torch.float64) * (-math.log(10_000.0) / dim))
    angle = torch.arange(steps, dtype=torch.float64).unsqueeze(1) * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :dim].float()


class TransformerNetwork(SequenceNetwork):
    """A linear input with positions, encoder layers (norm first), and a head; parameters as of ``SequenceTransformer``.

    Notes
    -----
    **Shape**: (B, T, C + 1) → (B, O).
    """

    positions: Tensor

    def __init__(
        self,
        channels: int,
        out_features: int,
        steps: int,
        *,
        dim: int = 64,
        num_heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
        causal: bool = False,
        pooling: str = "mean",
        head: str = "sequence",
    ) -> None:
        super().__init__(dim, out_features, steps, pooling, head)
        self.causal = causal
        self.input = nn.Linear(channels, dim)
        self.register_buffer("positions", sinusoidal_positions(steps, dim), persistent=False)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, num_heads, 2 * dim, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    def encode(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map (B, T, C) to (B, T, dim)."""
        states = self.input(values) + self.positions[: values.shape[1]]
        seen = _whole_rows(mask)
        for layer in self.layers:
            states = layer(states, src_mask=self._ahead(states), src_key_padding_mask=~seen)
        normed: Tensor = self.norm(states)
        return normed

    def _ahead(self, states: Tensor) -> Tensor | None:
        """Return which steps a step must not see, (T, T), or ``None``."""
        if not self.causal:
            return None
        steps = states.shape[1]
        return torch.ones(steps, steps, dtype=torch.bool, device=states.device).triu(1)


def _whole_rows(mask: Tensor) -> Tensor:
    """Return the mask with one step for rows that have none: attention over nothing is not a number."""
    seen = mask.clone()
    seen[:, 0] = True
    return seen


@torch.no_grad()
def attention_maps(network: nn.Module, x: Tensor) -> list[Tensor]:
    """Return what every step looks at: one tensor (B, heads, T, T) a layer, whose rows add up to 1.

    Parameters
    ----------
    network : TransformerNetwork
        Runs in evaluation mode; its modes are put back.
    x : Tensor
        (B, T, C + 1), the mask last. No step looks at padding.

    Raises
    ------
    InputError
        If it is another network.
    """
    if not isinstance(network, TransformerNetwork):
        do = 'fit with network="sequence_transformer"'
        raise InputError("attention can be read from a sequence transformer", type(network).__name__, do)
    mask = x[..., -1] > 0.5
    seen = _whole_rows(mask)
    found = []
    with evaluating(network):
        states = network.input(x[..., :-1].masked_fill(~mask.unsqueeze(-1), 0.0)) + network.positions[: x.shape[1]]
        ahead = network._ahead(states)
        for layer in network.layers:
            if not isinstance(layer, nn.TransformerEncoderLayer):
                raise InputError("attention can be read from torch's encoder layers", type(layer).__name__)
            normed = layer.norm1(states)
            _, weights = layer.self_attn(
                normed, normed, normed, key_padding_mask=~seen, attn_mask=ahead, average_attn_weights=False
            )
            found.append(weights)
            states = layer(states, src_mask=ahead, src_key_padding_mask=~seen)
    return found


class SequenceTransformer(SequenceSpec):
    """Settings of a transformer encoder of sequences.

    Parameters
    ----------
    dim, num_heads, layers : int
        Width (a multiple of the heads), heads of attention, and layers.
    dropout : float
        In [0, 1).
    causal : bool
        Whether a step sees only itself and earlier ones.
    pooling : {"last", "mean", "max"}
        How steps become one vector.
    head : {"sequence", "steps"}
        One answer per sequence or per step.
    """

    family = "sequence_transformer"

    def __init__(
        self,
        dim: int = 64,
        num_heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
        causal: bool = False,
        pooling: str = "mean",
        head: str = "sequence",
    ) -> None:
        self.dim, self.num_heads, self.layers = dim, num_heads, layers
        self.dropout, self.causal, self.pooling, self.head = dropout, causal, pooling, head

    def build(self, layout: Layout, out_features: int) -> TransformerNetwork:
        """Return a freshly initialised network that maps (B, T, C + 1) to (B, out_features).

        Raises
        ------
        InputError
            Naming everything that is wrong with the settings, at once.
        """
        whole = {"dim": self.dim, "num_heads": self.num_heads, "layers": self.layers}
        steps, channels = self._shape(layout, out_features, **whole)
        if self.dim % self.num_heads:
            got = f"dim={self.dim} and num_heads={self.num_heads}"
            raise InputError("dim must be a multiple of num_heads", got)
        return TransformerNetwork(channels, out_features, steps, **self.get_params(deep=False))
