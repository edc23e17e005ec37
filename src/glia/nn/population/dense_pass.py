"""Forward and backward pass of K stacks of linear layers, activations and dropout at once, without autograd.

The operations are bound once to memory that is allocated once, as in ``glia.nn.dense_stack``. Values lie as (K, F, B),
features before rows: rows that all members share then meet their first layers in one product, (K·F, D) × (D, B), and
the last layer's few outputs do not lie side by side, where products, softmax and sums would crawl.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from glia.nn.activation_kernels import BoundActivation, Call, kernel_of
from glia.nn.mlp import MLPNetwork
from glia.nn.population.elementwise import StackedDropout
from glia.nn.population.linear import SplitRows, StackedLinear
from glia.nn.residual import DenseBlock

_STEPS = 1 << 16
"""Dropout compares 16 random bits with a bound: probabilities are rounded to multiples of 1/65536."""


@dataclass(frozen=True)
class StackedLayer:
    """linear → activation → dropout, of all members."""

    linear: StackedLinear
    activation: nn.Module
    dropout: StackedDropout | None = None


@dataclass(frozen=True)
class StackedDense:
    """Members that are nothing but dense layers, perhaps behind a first stage of another kind."""

    layers: tuple[StackedLayer, ...]
    input: nn.Module | None = None


def stacked_dense(network: nn.Module) -> StackedDense | None:
    """Return what the batched form of a network consists of, ``None`` where there are other parts in it."""
    if type(network) is nn.Sequential:
        return _layers(list(network), None)
    if type(network) is not MLPNetwork or network.stem is not None or network.last_norm is not None:
        return None
    if not all(type(block) is DenseBlock for block in network.blocks):
        return None
    parts = [part for block in network.blocks for _, part in block.stages()]  # type: ignore[operator]  # see above
    end = [] if network.output_activation is None else [network.output_activation]
    return _layers([*parts, network.output, *end], network.input)


def _layers(parts: Sequence[nn.Module], stage: nn.Module | None) -> StackedDense | None:
    layers: list[StackedLayer] = []
    for part in parts:
        last = layers[-1] if layers else None
        if isinstance(part, StackedLinear):
            layers.append(StackedLayer(part, nn.Identity()))
        elif last is None or last.dropout is not None:
            return None
        elif isinstance(part, StackedDropout):
            layers[-1] = StackedLayer(last.linear, last.activation, part if any(part.probabilities) else None)
        elif type(last.activation) is nn.Identity and kernel_of(part) is not None:
            layers[-1] = StackedLayer(last.linear, part)
        else:
            return None
    return None if not layers or layers[-1].dropout is not None else StackedDense(tuple(layers), stage)


class StackedPass:
    """The pass over batches of one size.

    Parameters
    ----------
    layers : sequence of StackedLayer
        Their weights may change between calls, in place.
    rows : int
        Rows of a batch, B ≥ 1.
    shared : int
        How many of the first layer's inputs all members share, S; the others are a member's own.
    gradients : dict of int to Tensor
        ``id(parameter)`` → where its gradient is written; parameters that are missing get none.
    training : bool
        Whether dropout is on.

    Attributes
    ----------
    output : Tensor
        (K, O, B), written by ``forward``.
    output_gradient : Tensor
        (K, O, B), where the loss's gradient has to stand when ``backward`` is called, which overwrites it.

    Notes
    -----
    Call within ``torch.no_grad``.
    """

    def __init__(
        self, layers: Sequence[StackedLayer], rows: int, shared: int, gradients: dict[int, Tensor], *, training: bool
    ) -> None:
        linears = [layer.linear for layer in layers]
        members, like = linears[0].members, linears[0].weight.detach()
        z = [like.new_empty(members, linear.out_features, rows) for linear in linears]
        d = [torch.empty_like(each) for each in z]
        bound = [_bind(*each) for each in zip(layers, z, d, strict=True)]
        drops = [_Mask(layer.dropout if training else None, f.output) for layer, f in zip(layers, bound, strict=True)]
        h = [drop.output for drop in drops]
        self.output, self.output_gradient = h[-1], d[-1]
        self._z, self._d, self._bias = z[0], d[0], None if linears[0].bias is None else linears[0].bias.detach()
        self._wide_z, self._wide_d = z[0].flatten(0, 1), d[0].flatten(0, 1)  # (K·F, B)
        self._wide_bias = None if self._bias is None else self._bias.view(-1, 1)
        self._weight, self._wide_weight = like[:, :, shared:], like.flatten(0, 1)[:, :shared]
        self._draw = [call for drop in drops for call in drop.draw]
        factors = [1.0, *(drop.factor for drop in drops)]  # of a layer's input, for the dropout before it
        self._rest: list[Call] = []
        for i in range(len(layers)):
            if i > 0:
                self._rest.append(_product(linears[i], h[i - 1], z[i], factors[i]))
            self._rest += [*bound[i].forward, *drops[i].apply]
        self._back: list[Call] = []
        for i in range(len(layers) - 1, -1, -1):
            self._back += [*drops[i].undo(d[i], bound[i]), *bound[i].backward]
            bias, weight = gradients.get(id(linears[i].bias)), gradients.get(id(linears[i].weight))
            if bias is not None:
                self._back.append(partial(torch.sum, d[i], 2, out=bias))
            if i > 0:
                if weight is not None:
                    self._back.append(_scaled(d[i], h[i - 1].mT, weight, factors[i]))
                self._back.append(_scaled(linears[i].weight.detach().mT, d[i], d[i - 1], factors[i]))
        first = gradients.get(id(linears[0].weight))
        self._into = None if first is None else first[:, :, shared:]
        self._wide_into = None if first is None else first.flatten(0, 1)[:, :shared]

    def forward(self, x: Tensor | SplitRows) -> Tensor:
        """Write the outputs, (K, O, B), for rows (B, D), (K, B, D), or split; they stay until the next call."""
        for call in self._draw:
            call()
        rows, own = _split(x)
        if rows is not None:
            if self._wide_bias is None:
                torch.mm(self._wide_weight, rows.t(), out=self._wide_z)
            else:
                torch.addmm(self._wide_bias, self._wide_weight, rows.t(), out=self._wide_z)
        if own is not None:
            before = self._z if rows is not None else None if self._bias is None else self._bias.unsqueeze(2)
            if before is None:
                torch.bmm(self._weight, own.mT, out=self._z)
            else:
                torch.baddbmm(before, self._weight, own.mT, out=self._z)
        for call in self._rest:
            call()
        return self.output

    def backward(self, x: Tensor | SplitRows, *, input_gradient: bool = False) -> Tensor | None:
        """Write the parameters' gradients; return that of the members' own inputs where asked for, (K, B, E)."""
        for call in self._back:
            call()
        rows, own = _split(x)
        if self._wide_into is not None and rows is not None:
            torch.mm(self._wide_d, rows, out=self._wide_into)
        if self._into is not None and own is not None:
            self._into.copy_(torch.bmm(self._d, own))
        return torch.bmm(self._d.mT, self._weight) if input_gradient else None


class _Mask:
    """Dropout of one layer's outputs, (K, F, B).

    A dropped value is set to 0; the others' factor 1 / (1 - p) goes into the next layer's product, which scales for
    nothing. Where members have probabilities of their own, no product can do that: values then are copied and scaled.

    Attributes
    ----------
    output : Tensor
        What goes on to the next layer.
    factor : float
        What it has still to be multiplied by.
    draw, apply : list of callable
        Draw the mask; drop the values.
    """

    def __init__(self, dropout: StackedDropout | None, values: Tensor) -> None:
        self.output, self.factor, self.mask = values, 1.0, torch.empty(0)
        self.draw, self.apply = list[Call](), list[Call]()
        if dropout is None:
            return
        steps = [round(p * _STEPS) for p in dropout.probabilities]
        kept = [1.0 - step / _STEPS for step in steps]
        words = torch.empty(math.ceil(values.numel() / 4), dtype=torch.int64, device=values.device)
        bits = words.view(torch.int16)[: values.numel()].view_as(values)
        bound = torch.tensor(steps, device=values.device).sub_(_STEPS // 2).to(torch.int16).view(-1, 1, 1)
        self.mask = torch.empty_like(values)
        # random_ without bounds leaves the sign bit 0.
        self.draw.append(partial(words.random_, torch.iinfo(torch.int64).min, None))
        if len(set(steps)) == 1:
            self.factor = 1.0 / kept[0]
            self.draw.append(partial(torch.ge, bits, bound[0, 0, 0], out=self.mask))
            self.apply.append(partial(values.mul_, self.mask))
        else:
            self.output = torch.empty_like(values)
            scale = torch.tensor(kept, device=values.device).reciprocal().view(-1, 1, 1)
            self.draw += [partial(torch.ge, bits, bound, out=self.mask), partial(self.mask.mul_, scale)]
            self.apply.append(partial(torch.mul, values, self.mask, out=self.output))

    def undo(self, gradient: Tensor, activation: BoundActivation) -> list[Call]:
        """Return the calls that take the gradient back through the mask, if the activation does not do so anyway."""
        spared = activation.zero_when_off and self.output is activation.output
        return [partial(gradient.mul_, self.mask)] if self.apply and not spared else []


def _split(x: Tensor | SplitRows) -> tuple[Tensor | None, Tensor | None]:
    if isinstance(x, SplitRows):
        return x.shared, x.own
    return (x, None) if x.ndim == 2 else (None, x)


def _bind(layer: StackedLayer, z: Tensor, gradient: Tensor) -> BoundActivation:
    kernel = kernel_of(layer.activation)
    if kernel is None:
        raise TypeError(f"no kernel for the activation {layer.activation!r}")
    return kernel(z, gradient)


def _product(linear: StackedLinear, h: Tensor, out: Tensor, factor: float) -> Call:
    weight = linear.weight.detach()
    if linear.bias is None:
        return _scaled(weight, h, out, factor)
    return partial(torch.baddbmm, linear.bias.detach().unsqueeze(2), weight, h, alpha=factor, out=out)


def _scaled(a: Tensor, b: Tensor, out: Tensor, factor: float) -> Call:
    if factor == 1.0:
        return partial(torch.bmm, a, b, out=out)
    return partial(torch.baddbmm, out, a, b, beta=0, alpha=factor, out=out)
