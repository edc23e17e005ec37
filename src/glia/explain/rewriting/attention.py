"""Attention in small steps: linear, product, softmax, product, linear."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from glia.core.errors import InputError


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return softmax(q kᵀ · scale + mask) v; the arguments are those of torch's ``scaled_dot_product_attention``.

    Parameters
    ----------
    query, key, value : Tensor
        (…, L, E), (…, S, E) and (…, S, V).

    Returns
    -------
    Tensor
        (…, L, V).
    """
    if enable_gqa:
        shared = query.size(-3) // key.size(-3)
        key, value = key.repeat_interleave(shared, -3), value.repeat_interleave(shared, -3)
    factor = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))  # (…, L, S)
    if is_causal:
        future = torch.ones(query.size(-2), key.size(-2), dtype=torch.bool, device=query.device).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return torch.matmul(torch.softmax(scores, dim=-1), value)


def attend_heads(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return what torch's ``multi_head_attention_forward`` returns, (L, B, E), without the weights.

    Raises
    ------
    InputError
        With extra keys and values (``add_bias_kv``, ``add_zero_attn``).
    """
    if bias_k is not None or add_zero_attn or static_k is not None or static_v is not None:
        raise InputError("attention must be over the rows' own positions", "extra keys and values")
    single = query.dim() == 2
    if single:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
    weights: tuple[Any, ...] = (q_proj_weight, k_proj_weight, v_proj_weight)
    if in_proj_weight is not None and not use_separate_proj_weight:
        weights = in_proj_weight.chunk(3)
    biases: tuple[Any, ...] = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    (length, rows, width), source = query.shape, key.shape[0]
    q, k, v = (
        F.linear(t, w, b).reshape(n, rows, num_heads, -1).permute(1, 2, 0, 3)  # (B, H, n, E/H)
        for t, w, b, n in zip((query, key, value), weights, biases, (length, source, source), strict=True)
    )
    mask = None if attn_mask is None else _additive(attn_mask, q)
    if mask is not None and mask.dim() == 3:
        mask = mask.reshape(rows, num_heads, *mask.shape[1:])
    if key_padding_mask is not None:
        padding = _additive(key_padding_mask, q)[:, None, None, :]
        mask = padding if mask is None else mask + padding
    heads = attend(q, k, v, mask)  # (B, H, L, E/H)
    out = F.linear(heads.permute(2, 0, 1, 3).reshape(length, rows, width), out_proj_weight, out_proj_bias)
    return (out.squeeze(1) if single else out), None


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """Return a mask, where true means left out, as what is added to scores."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, -math.inf)
