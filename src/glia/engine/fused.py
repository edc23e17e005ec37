"""The gradient of a dense network without autograd: a fraction of its cost where the arithmetic is small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as common

from glia.engine.gradients import Autograd, RowLoss, autocast
from glia.engine.loss_gradients import LossGradient, loss_gradient
from glia.nn.dense_pass_bfloat16 import BFloat16Pass, suits_bfloat16
from glia.nn.dense_pass_compiled import CompiledDensePass, suits_compiled_pass
from glia.nn.dense_stack import DensePass, DenseStack, dense_stack, first_trained_column, is_watched

_SIZES = 8
"""Sizes of batches for which memory is kept: usually two, the full one and the last of an epoch."""


def fused_gradient(network: nn.Module, loss: RowLoss, *, bfloat16: bool = False) -> FusedGradient | None:
    """Return what computes the gradient of a network's mean loss, ``None`` where only autograd can.

    The answer is for the network as it is now: see ``FusedGradient.holds``.

    Parameters
    ----------
    network : nn.Module
        Taken are stacks of linear layers, activations and dropout (``dense_stack``) in float32 on the processor; an
        input stage before them may be anything.
    loss : callable
        ``(output, target) → (B,)``.
    bfloat16 : bool
        Multiply in bfloat16 before the last layer (see ``BFloat16Pass``).
    """
    stack = dense_stack(network) if _is_quiet() else None
    if stack is None or (bfloat16 and not suits_bfloat16(stack.layers)):
        return None
    held = [p for layer in stack.layers for p in layer.parameters]
    usual = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in held)
    dropouts = [layer.dropout for layer in stack.layers if layer.dropout is not None]
    one_mode = all(dropout.training is network.training for dropout in dropouts)
    if not (usual and one_mode and any(p.requires_grad for p in held)):
        return None
    return FusedGradient(network, stack, loss, bfloat16=bfloat16)


def _is_quiet() -> bool:
    hooks = (common._global_forward_hooks, common._global_forward_pre_hooks, common._global_backward_hooks)
    watched = any(hooks) or bool(common._global_backward_pre_hooks)
    return not (watched or torch.is_autocast_enabled("cpu") or torch.is_anomaly_enabled())


_Pass = DensePass | CompiledDensePass | BFloat16Pass


@dataclass(frozen=True)
class _Prepared:
    """Everything for batches of one size."""

    layers: _Pass
    score: LossGradient | None


class FusedGradient:
    """Forward and backward pass of a dense network and its loss, for batches of any size.

    Parameters
    ----------
    network : nn.Module
        Its ``training`` decides about dropout.
    stack : DenseStack
        What the network consists of.
    loss : callable
        ``(output, target) → (B,)``.
    bfloat16 : bool
        Whether products before the last layer are those of bfloat16; the stack must suit it.
    """

    def __init__(self, network: nn.Module, stack: DenseStack, loss: RowLoss, *, bfloat16: bool = False) -> None:
        self.network, self.stack, self.loss, self.bfloat16 = network, stack, loss, bfloat16
        own = [p for layer in stack.layers for p in layer.parameters]
        self._gradients = {id(p): torch.empty_like(p, requires_grad=False) for p in own if p.requires_grad}
        # Each parameter, what its gradient is (nothing where it is frozen), and where its memory lies.
        self._held = [(p, self._gradients.get(id(p)), p.data_ptr()) for p in own]
        before = [] if stack.input is None else list(stack.input.parameters())
        self._stage = [p for p in before if p.requires_grad]
        self._sizes: dict[tuple[int, int, bool], _Prepared] = {}
        self._seen = self._look()

    def holds(self) -> bool:
        """Whether the network is still what it was: no layer frozen, replaced, given a hook or another dropout.

        Takes as long as a step of a small network: for the beginning of an epoch.
        """
        return _is_quiet() and not is_watched(self.network) and self._look() == self._seen

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Replace the gradients of all trained parameters by those of the batch's mean loss, which is returned.

        Parameters
        ----------
        x : Tensor
            (B, …), float32.
        y : Tensor
            Targets as the loss takes them.
        weight : Tensor, optional
            Row weights, (B,).

        Returns
        -------
        Tensor
            (Σ weight · loss) / B, a scalar without a graph; the next call may overwrite it.
        """
        for p, gradient, place in self._held:
            if p.grad is not gradient:
                p.grad = gradient
            if p.data_ptr() != place:
                self._move()
                break
        if self.stack.input is not None:
            return self._through_stage(self.stack.input, x, y, weight)
        return self._run(x, y, weight)[0] if x.ndim == 2 else self._plain(x, y, weight)

    def _through_stage(self, stage: nn.Module, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        for p in self._stage:
            p.grad = None
        with torch.set_grad_enabled(bool(self._stage)), autocast(x.device, self.bfloat16):
            inner = stage(x)
        if inner.ndim != 2:
            return self._plain(x, y, weight)
        loss, below = self._run(inner.detach(), y, weight)
        if below is not None and inner.requires_grad:
            inner.backward(below.to(inner.dtype))
        return loss

    def _run(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        key = (x.shape[0], y.ndim, self.network.training)
        prepared = self._sizes.get(key) or self._prepare(key, y)
        layers, score = prepared.layers, prepared.score
        with torch._C._InferenceMode(True):
            layers.forward(x)
            if score is not None:
                loss = score(y, weight)
                return loss, layers.backward(x)
        loss = self._by_autograd(layers, y, weight)
        with torch._C._InferenceMode(True):
            return loss, layers.backward(x)

    def _by_autograd(self, layers: _Pass, y: Tensor, weight: Tensor | None) -> Tensor:
        """Differentiate the loss alone."""
        with torch.enable_grad():
            output = layers.output.detach().clone().requires_grad_()  # a user's loss may keep it
            losses = self.loss(output, y)
            loss = losses.mean() if weight is None else (losses * weight).mean()
            layers.output_gradient.copy_(torch.autograd.grad(loss, output)[0])
        return loss.detach()

    def _plain(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Take the way of autograd: linear layers also act on the last of more axes."""
        return Autograd(self.network, self.loss, bfloat16=self.bfloat16)(x, y, weight)

    def _prepare(self, key: tuple[int, int, bool], y: Tensor) -> _Prepared:
        if len(self._sizes) >= _SIZES:
            self._sizes.clear()
        stage = self.stack.input
        column = None if stage is None else first_trained_column(stage)
        layers = self._kind(key[0])(self.stack.layers, key[0], self._gradients, training=key[2], input_gradient=column)
        score = loss_gradient(self.loss, layers.output, layers.output_gradient, y)
        self._sizes[key] = _Prepared(layers, score)
        return self._sizes[key]

    def _kind(self, rows: int) -> type[_Pass]:
        if self.bfloat16:
            return BFloat16Pass
        return CompiledDensePass if suits_compiled_pass(self.stack.layers, rows) else DensePass

    def _look(self) -> list[Any]:
        """Return what must stay for the calls that were bound to be right."""
        dropouts = [layer.dropout for layer in self.stack.layers if layer.dropout is not None]
        seen: list[Any] = [(dropout.p, dropout.training is self.network.training) for dropout in dropouts]
        for module in self.network.modules():
            held = [p for p in module._parameters.values() if p is not None]
            seen += [id(module), type(module), [(id(p), p.requires_grad) for p in held]]
        return seen

    def _move(self) -> None:
        """Bind anew: a parameter was given other memory."""
        self._held = [(p, gradient, p.data_ptr()) for p, gradient, _ in self._held]
        self._sizes.clear()
