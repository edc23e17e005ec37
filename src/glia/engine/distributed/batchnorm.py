"""Batch normalisation over the rows of all workers, so that a network learns what it would learn in one process.

torch has ``SyncBatchNorm`` for GPUs; this one also runs on processors, and with parts of unequal size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

BatchNorm = nn.modules.batchnorm._BatchNorm


class Scope:
    """What the layers must know of the running step.

    Parameters
    ----------
    counts : callable
        Whether this worker's rows count; they do not where its part of the mini-batch is empty.
    factor : callable
        By what a worker's gradients will be multiplied when all workers' are summed.
    """

    def __init__(self, counts: Callable[[], bool], factor: Callable[[], float]) -> None:
        self.counts, self.factor, self.on = counts, factor, True

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Let every worker look at its own rows for a block, for instance when only one runs the network."""
        self.on = False
        try:
            yield
        finally:
            self.on = True


class _Normalise(torch.autograd.Function):
    """x̂ = (x − μ) / √(σ² + ε) with the moments of all workers' rows, and its derivative.

    With dy for the gradient of the whole loss and N values per channel on all workers together,
    dx = (dy − Σdy / N − x̂ · Σ(dy·x̂) / N) / √(σ² + ε); Ioffe and Szegedy, arXiv 1502.03167, section 3.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, scope: Scope) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return x̂ like ``x`` (B, C, …), mean (C,), biased variance (C,) and the number of values, a scalar."""
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        here = x.numel() / x.shape[1] if scope.counts() else 0.0
        var, mean = torch.var_mean(x, dim=axes, correction=0)
        mean, var = mean.double(), var.double()
        packed = torch.cat([mean * here, (var + mean.square()) * here, mean.new_tensor([here])])
        dist.all_reduce(packed)
        count = packed[-1]
        mean, square = torch.split(packed[:-1] / count, x.shape[1])
        var = (square - mean.square()).clamp_min(0.0)
        scale = (var + eps).rsqrt().to(x.dtype).view(shape)
        normal = (x - mean.to(x.dtype).view(shape)) * scale
        ctx.save_for_backward(normal, scale)
        ctx.axes, ctx.shape, ctx.count, ctx.scope = axes, shape, count, scope
        mean, var = mean.to(x.dtype), var.to(x.dtype)
        ctx.mark_non_differentiable(mean, var, count)
        return normal, mean, var, count

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *others: Any) -> tuple[Tensor, None, None]:
        """Return the gradient with respect to ``x``."""
        normal, scale = ctx.saved_tensors
        factor = ctx.scope.factor() if ctx.scope.counts() else 0.0
        sums = torch.cat([dy.sum(ctx.axes), (dy * normal).sum(ctx.axes)]).double() * factor
        dist.all_reduce(sums)
        if not factor:
            return torch.zeros_like(dy), None, None
        first, second = (sums / (ctx.count * factor)).to(dy.dtype).chunk(2)
        return (dy - first.view(ctx.shape) - normal * second.view(ctx.shape)) * scale, None, None


def _forward(scope: Scope, original: Callable[[Tensor], Tensor]) -> Callable[[BatchNorm, Tensor], Tensor]:
    def forward(self: BatchNorm, x: Tensor) -> Tensor:
        if not (self.training and scope.on) and self.running_mean is not None:
            return original(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        normal: Tensor
        normal, mean, var, count = _Normalise.apply(x.float(), self.eps, scope)  # type: ignore[no-untyped-call]
        if self.running_mean is not None and self.running_var is not None:
            _update(self, mean, var, count)
        normal = normal.to(x.dtype)
        if self.weight is None or self.bias is None:
            return normal
        out: Tensor = normal * self.weight.view(shape) + self.bias.view(shape)
        return out

    return forward


@torch.no_grad()
def _update(layer: BatchNorm, mean: Tensor, var: Tensor, count: Tensor) -> None:
    """Move the running moments as torch does: the variance without bias, a plain average where momentum is None."""
    momentum = layer.momentum
    if layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        if momentum is None:
            momentum = 1.0 / float(layer.num_batches_tracked)
    momentum = 0.0 if momentum is None else momentum
    for running, value in (
        (layer.running_mean, mean),
        (layer.running_var, var * (count / (count - 1.0).clamp_min(1.0))),
    ):
        if running is not None:
            running.lerp_(value.to(running.dtype), momentum)


@contextmanager
def together(network: nn.Module, scope: Scope) -> Iterator[None]:
    """Let the batch normalisations of a network look at all workers' rows in training, for a block."""
    changed = [layer for layer in network.modules() if isinstance(layer, BatchNorm)]
    for layer in changed:
        layer.forward = MethodType(_forward(scope, layer.forward), layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in changed:
            del layer.__dict__["forward"]
