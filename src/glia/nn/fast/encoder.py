"""``nn.TransformerEncoderLayer`` with attention and feed-forward part as one node each."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.nn.fast.attention import self_attention
from glia.nn.fast.dropout import FastDropout, dropout_noise
from glia.nn.fast.feedforward import feed_forward
from glia.nn.fast.plain import is_hooked, is_plain

MAX_LENGTH = 256
"""Without dropout, torch's kernel is faster for sequences longer than this; with dropout it has none."""
MAX_SCORES = 2**24
"""Attention scores of one layer that are kept for the backward pass at most: 64 MB; longer sequences go torch's way."""

_PARTS = {
    "self_attn": nn.MultiheadAttention,
    "linear1": nn.Linear,
    "linear2": nn.Linear,
    "norm1": nn.LayerNorm,
    "norm2": nn.LayerNorm,
    "dropout": nn.Dropout,
    "dropout1": nn.Dropout,
    "dropout2": nn.Dropout,
}


class FastEncoderLayer(nn.TransformerEncoderLayer):
    """A ``nn.TransformerEncoderLayer`` that trains faster on a CPU: same parameters, same values, same gradients.

    Evaluation, half precision, hooks inside it, replaced parts and very long sequences go the usual way. Dropout has
    torch's distribution, but other numbers from the same seed (see ``dropout_noise``).
    """

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Return the layer's output, of the shape of ``src``; see torch's own for the arguments."""
        if not self._suits(src, src_mask):
            return super().forward(src, src_mask, src_key_padding_mask, is_causal)
        attention = self.self_attn
        x = src if attention.batch_first else src.transpose(0, 1)
        mask = self._mask(x, src_mask, src_key_padding_mask)
        if self.norm_first:
            x = x + self._attend(self.norm1(x), mask)
            x = x + self._feed(self.norm2(x))
        else:
            x = self.norm1(x + self._attend(x, mask))
            x = self.norm2(x + self._feed(x))
        return x if attention.batch_first else x.transpose(0, 1).contiguous()

    def _suits(self, src: Tensor, mask: Tensor | None) -> bool:
        if not (self.training and torch.is_grad_enabled() and src.dim() == 3):
            return False
        length, batch = (src.shape[1], src.shape[0]) if self.self_attn.batch_first else src.shape[:2]
        return (
            batch * self.self_attn.num_heads * length**2 <= MAX_SCORES
            and (length <= MAX_LENGTH or self.self_attn.dropout > 0)
            and (mask is None or not mask.requires_grad)
            and is_plain(src, *self.parameters())
            and fits(self)
            and not is_hooked(self)
        )

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return _drop(self_attention(x, self.self_attn, mask), self.dropout1)

    def _feed(self, x: Tensor) -> Tensor:
        dropout = self.dropout.p if self.dropout.training else 0.0
        name: Literal["relu", "gelu"] = "relu" if _activation(self) in _RELU else "gelu"
        return _drop(feed_forward(x, self.linear1, self.linear2, name, dropout), self.dropout2)

    def _mask(self, x: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor | None:
        """Return both masks as one float tensor to add to the scores, (1 or B·H, 1 or T, T)."""
        batch, length, _ = x.shape
        heads = self.self_attn.num_heads
        found = None
        if mask is not None:
            found = _additive(mask).view(-1, length, length)
        if padding is not None:
            rows = _additive(padding).view(batch, 1, 1, length).expand(-1, heads, -1, -1)
            rows = rows.reshape(batch * heads, 1, length)
            found = rows if found is None else found + rows
        return found


_RELU: tuple[Any, ...] = (F.relu, torch.relu, nn.ReLU)
_GELU: tuple[Any, ...] = (F.gelu,)


def _drop(x: Tensor, module: nn.Dropout) -> Tensor:
    return x * dropout_noise(x, module.p) if module.training and module.p else x


def _activation(layer: nn.TransformerEncoderLayer) -> Any:
    found = layer.activation
    return type(found) if isinstance(found, nn.Module) else found


def fits(layer: nn.TransformerEncoderLayer) -> bool:
    """Return whether a layer is made of torch's own parts, with ReLU or exact GELU, and shapes that are covered."""
    a = layer.self_attn
    parts = [(getattr(layer, name), kind) for name, kind in _PARTS.items()]
    exact_gelu = isinstance(layer.activation, nn.GELU) and layer.activation.approximate == "none"
    return (
        all(type(part) is kind or isinstance(part, FastDropout) for part, kind in parts)
        and a._qkv_same_embed_dim
        and a.bias_k is None
        and not a.add_zero_attn
        and (_activation(layer) in (*_RELU, *_GELU) or exact_gelu)
    )


def _additive(mask: Tensor) -> Tensor:
    """Return a mask of truth values (true = do not look) as 0 and -∞; numbers as they are."""
    if mask.dtype is not torch.bool:
        return mask
    return torch.zeros(mask.shape).masked_fill_(mask, float("-inf"))
