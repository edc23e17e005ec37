"""The gradients of a population of dense networks without autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glia.engine.gradients import RowLoss
from glia.engine.mixing import Mixing
from glia.engine.population_gradient import StackedAutograd, member_losses, weighted_targets
from glia.engine.population_losses import closed_form, row_factors
from glia.nn.population import StackedPopulation
from glia.nn.population.compiled_pass import CompiledPass, suits_compiled
from glia.nn.population.dense_pass import StackedDense, StackedPass, stacked_dense
from glia.nn.population.linear import SplitRows, blended

_SIZES = 8
"""Sizes of batches for which memory is kept: usually two, the full one and the last of an epoch."""


class StackedFused(StackedAutograd):
    """Forward and backward pass of dense members and their losses, for batches of any size.

    Parameters
    ----------
    population : StackedPopulation
        Its ``training`` decides about dropout.
    dense : StackedDense
        What its members consist of.
    loss : RowLoss
    mixing : Mixing, optional
        As in ``StackedAutograd``.
    """

    def __init__(
        self, population: StackedPopulation, dense: StackedDense, loss: RowLoss, mixing: Mixing | None = None
    ) -> None:
        super().__init__(population, loss, mixing=mixing)
        self.dense = dense
        held = [p for layer in dense.layers for p in layer.linear.parameters()]
        self._gradients = {id(p): torch.empty_like(p, requires_grad=False) for p in held if p.requires_grad}
        self._trained = [(p, self._gradients[id(p)]) for p in held if p.requires_grad]
        stage = [] if dense.input is None else list(dense.input.parameters())
        self._stage = [p for p in stage if p.requires_grad]
        self._held, self._places = held, self._where(held)
        self._passes: dict[tuple[int, int, bool], StackedPass | CompiledPass] = {}

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Replace all gradients; return the members' mean losses, (K,)."""
        for p, gradient in self._trained:
            p.grad = gradient
        for p in self._stage:
            p.grad = None
        if self._where(self._held) != self._places:  # parameters were given other memory
            self._places = self._where(self._held)
            self._passes.clear()
        drawn = self.drawn(len(y), y.device)
        with torch.set_grad_enabled(bool(self._stage)):
            inner = x if self.dense.input is None else self.dense.input(x)
            if drawn is not None:
                inner = blended(inner, *drawn)
        means, below = self._run(_detached(inner), weighted_targets(y, weight, drawn))
        if below is not None:
            (inner.own if isinstance(inner, SplitRows) else inner).backward(below)
        return means

    @torch.no_grad()
    def _run(self, x: Tensor | SplitRows, targets: list[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
        layers = self._pass(x, len(targets[0][0]))
        output = layers.forward(x)
        y, weight = targets[0]
        means = self._compare(output, y, weight, layers.output_gradient)
        for y, weight in targets[1:]:  # of mixed rows
            other = torch.empty_like(layers.output_gradient)
            means += self._compare(output, y, weight, other)
            layers.output_gradient.add_(other)
        return means, layers.backward(x, input_gradient=bool(self._stage))

    def _compare(self, output: Tensor, y: Tensor, weight: Tensor | None, gradient: Tensor) -> Tensor:
        """Return the members' mean losses, (K,), and write their gradient with respect to the outputs."""
        factors = row_factors(weight, len(y))
        score = closed_form(self.loss, output, y)
        if score is None:
            return self._by_autograd(output, y, factors, gradient)
        losses = score(self.loss, output, y, gradient)
        # (K, B): a row's share in its member's mean.
        gradient.mul_(factors.unsqueeze(-2) if isinstance(factors, Tensor) else factors)
        return (losses * factors).sum(1)

    def _by_autograd(self, output: Tensor, y: Tensor, factors: Tensor | float, gradient: Tensor) -> Tensor:
        with torch.enable_grad():
            rows = output.mT.contiguous().requires_grad_()
            means = (member_losses(self.loss, rows, y) * factors).sum(1)
            gradient.copy_(torch.autograd.grad(means.sum(), rows)[0].mT)
        return means.detach()

    def _pass(self, x: Tensor | SplitRows, rows: int) -> StackedPass | CompiledPass:
        shared = x.shared.shape[1] if isinstance(x, SplitRows) else x.shape[1] if x.ndim == 2 else 0
        key = rows, shared, self.network.training
        if key not in self._passes:
            if len(self._passes) >= _SIZES:
                self._passes.clear()
            way = CompiledPass if suits_compiled(self.dense.layers, rows) else StackedPass
            self._passes[key] = way(self.dense.layers, rows, shared, self._gradients, training=self.network.training)
        return self._passes[key]

    @staticmethod
    def _where(parameters: list[Any]) -> list[int]:
        return [p.data_ptr() for p in parameters]


def stacked_gradient(
    population: StackedPopulation, loss: RowLoss, *, bfloat16: bool, mixing: Mixing | None = None
) -> StackedAutograd:
    """Return the fastest way to the gradients of stacked members."""
    dense = None if bfloat16 or population.form != "batched" else stacked_dense(population.network)
    if dense is None or not all(p.dtype == torch.float32 for p in population.parameters()):
        return StackedAutograd(population, loss, bfloat16=bfloat16, mixing=mixing)
    return StackedFused(population, dense, loss, mixing)


def _detached(x: Tensor | SplitRows) -> Tensor | SplitRows:
    return SplitRows(x.shared, x.own.detach()) if isinstance(x, SplitRows) else x.detach()
