"""Attention rollout: where in the input each place of the last attention layer has its information from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.explain.global_methods import inside
from glia.explain.layers import hooked
from glia.explain.plots.look import new_axes
from glia.explain.subject import Floats, subject
from glia.nn.modes import evaluating


@dataclass(frozen=True)
class AttentionRolloutResult(Result):
    """Attention through all layers.

    Parameters
    ----------
    rollout : ndarray of shape (N, T, T)
        [n, i, j]: how much of place i after the last layer comes from place j of the input; rows add up to 1.
    layers : tuple of str
        Paths of the attention layers, in the order in which they ran.
    attention : tuple of ndarray of shape (N, heads, T, T)
        Their weights.
    entropy : tuple of float
        Mean entropy of each layer's rows, relative to that of even attention; near 1 it looks everywhere alike.
    warnings : tuple of str
        Why this should not be relied upon.
    """

    rollout: Floats
    layers: tuple[str, ...]
    attention: tuple[Floats, ...]
    entropy: tuple[float, ...]
    warnings: tuple[str, ...] = ()

    def of(self, place: int | None = None) -> Floats:
        """Return how much comes from each place of the input, (N, T): for one place, or the mean of all."""
        return np.asarray(self.rollout.mean(axis=1) if place is None else self.rollout[:, place])

    def summary(self) -> str:
        """Return where most comes from, and whether to rely on it."""
        mean = self.of().mean(axis=0)
        place = int(mean.argmax())
        said = (
            f"Through {len(self.layers)} attention layers most comes from place {place} ({mean[place]:.0%}; even "
            f"attention gives {1 / len(mean):.0%})."
        ).replace("%", " %")
        return said + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return the mean share of each place, and each layer's evenness."""
        mean = self.of().mean(axis=0)
        places = tuple((i, float(share)) for i, share in enumerate(mean))
        rows = tuple(zip(self.layers, self.entropy, strict=True))
        return [Table("Where it comes from", ("place", "share"), places), Table("Layers", ("layer", "evenness"), rows)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``rollout``: the mean over rows as a map."""
        return {"rollout": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        ax = new_axes(ax, 4.6, 5.2)
        drawn = ax.imshow(self.rollout.mean(axis=0), cmap="viridis", vmin=0, interpolation="nearest")
        ax.figure.colorbar(drawn, ax=ax, aspect=30, pad=0.02).outline.set_visible(False)
        ax.set_xlabel("place of the input")
        ax.set_ylabel("place after the last layer")
        ax.set_title(f"Most comes from place {int(self.of().mean(axis=0).argmax())}", loc="left")
        return ax


@inside("attention")
def attention_rollout(
    predictor: Predictor, X: Any, *, residual: float = 0.5, batch_rows: int = 64
) -> AttentionRolloutResult:
    """Multiply the attention of all layers, skip connections included.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``, whose network runs ``nn.MultiheadAttention`` on itself,
        by itself or within ``nn.TransformerEncoderLayer``.
    X : rows
        N rows, whose places are T in every layer.
    residual : float
        Share that goes past the attention, in [0, 1); 0.5 where layers are x + attention(x).
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttentionRolloutResult

    Raises
    ------
    InputError
        If no such attention runs, or the number of places changes.

    Notes
    -----
    Abnar and Zuidema, arXiv 2005.00928: heads are averaged, A' = (1 − r) A + r I, and the layers' A' are multiplied,
    the last one leftmost. Weights say what is mixed, not what is then made of it: where the layers' attention is nearly
    even, the result says that it should not be relied upon. Hooks are gone afterwards.
    """
    if not 0 <= residual < 1:
        raise InputError("residual must lie in [0, 1)", f"residual={residual}", "0.5 is usual")
    network = predictor.network_
    modules = {name: m for name, m in network.named_modules() if isinstance(m, nn.MultiheadAttention)}
    if not modules:
        raise InputError("the network must hold nn.MultiheadAttention", type(network).__name__)
    ran: list[tuple[str, Tensor]] = []

    def ask(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # need_weights and average_attn_weights are the fifth and the seventh of the arguments.
        return args[:4], {**_named(args), **kwargs, "need_weights": True, "average_attn_weights": False}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            ran.append((name, output[1].detach().double().cpu()))

        return hook

    hooks: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
    for name, module in modules.items():
        hooks.append((lambda hook, m=module: m.register_forward_pre_hook(hook, with_kwargs=True), ask))
        hooks.append((module.register_forward_hook, keep(name)))
    with evaluating(network):
        x = subject(predictor, X).x
        parts = []
        with torch.no_grad(), hooked(hooks):
            for part in torch.split(x, batch_rows):
                ran.clear()
                predictor.forward(part)
                parts.append(list(ran))
    return _rolled(parts, residual)


def _named(args: tuple[Any, ...]) -> dict[str, Any]:
    names = ("need_weights", "attn_mask", "average_attn_weights", "is_causal")
    return dict(zip(names, args[4:], strict=False))


def _rolled(parts: list[list[tuple[str, Tensor]]], residual: float) -> AttentionRolloutResult:
    if not parts[0]:
        raise InputError("attention must run as a layer", "none that did", "look at the network's forward")
    layers = tuple(name for name, _ in parts[0])
    weights = [torch.cat([part[i][1] for part in parts]) for i in range(len(layers))]  # (N, heads, T, T)
    rollout: Tensor | None = None
    entropy = []
    for name, one in zip(layers, weights, strict=True):
        if one.shape[-1] != one.shape[-2] or (rollout is not None and one.shape[-1] != rollout.shape[-1]):
            raise InputError("attention must be of places on themselves", f"{name} has {tuple(one.shape[-2:])}")
        mean = one.mean(dim=1)
        mixed = (1 - residual) * mean + residual * torch.eye(mean.shape[-1], dtype=mean.dtype)
        mixed = mixed / mixed.sum(dim=-1, keepdim=True).clamp_min(1e-12)
        rollout = mixed if rollout is None else mixed @ rollout
        even = np.log(one.shape[-1]) or 1.0
        entropy.append(float(-(one * one.clamp_min(1e-12).log()).sum(dim=-1).mean() / even))
    if rollout is None:
        raise InputError("attention must run as a layer", "none that did")
    said = "all layers look nearly everywhere alike" if min(entropy) > 0.98 else ""
    attention = tuple(np.asarray(one.numpy()) for one in weights)
    return AttentionRolloutResult(np.asarray(rollout.numpy()), layers, attention, tuple(entropy), (said,) * bool(said))
