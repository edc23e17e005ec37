"""Stacks of linear layers, activations and dropout: their forward and backward pass as plain tensor operations.

Autograd costs a small network more time than its arithmetic. Here the operations of a pass are bound once to memory
that is allocated once, and then called one after the other; gradients are written into their place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor, nn

from glia.nn.activation_kernels import BoundActivation, Call, kernel_of
from glia.nn.embeddings import TabularInput
from glia.nn.fast import FastDropout, FastSequential

_STEPS = 1 << 16
"""Dropout compares 16 random bits with a bound: probabilities are rounded to multiples of 1/65536."""


@dataclass(frozen=True)
class DenseLayer:
    """linear → activation → dropout.

    Parameters
    ----------
    linear : nn.Linear
        Weights (out, in), bias (out,) or none.
    activation : nn.Module
        One that has a kernel (``kernel_of``).
    dropout : nn.Dropout, optional
        After the activation.
    """

    linear: nn.Linear
    activation: nn.Module
    dropout: nn.Dropout | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Weight and, where there is one, bias."""
        return list(self.linear.parameters())


@dataclass(frozen=True)
class DenseStack:
    """A network that is nothing but dense layers, perhaps behind a first stage of another kind.

    Parameters
    ----------
    layers : tuple of DenseLayer
        At least one.
    input : nn.Module, optional
        What a batch passes before the first layer (embeddings, flattening).
    """

    layers: tuple[DenseLayer, ...]
    input: nn.Module | None = None


def dense_stack(network: nn.Module) -> DenseStack | None:
    """Return what a network consists of, ``None`` where it is not such a stack.

    Asked are networks with a method ``dense_stack`` of their own, and ``nn.Sequential``s, of which what stands up to a
    ``nn.Flatten`` may be anything. Anything that could see or change a pass (hooks, replaced methods, parametrisations,
    shared weights) makes the answer ``None``.
    """
    own = getattr(network, "dense_stack", None)
    if own is not None:
        found = own()
        return found if isinstance(found, DenseStack) else None
    chain = type(network) is nn.Sequential or isinstance(network, FastSequential)
    if not (chain and isinstance(network, nn.Sequential)) or is_watched(network):
        return None
    parts = list(network)
    start = max((i + 1 for i, part in enumerate(parts) if _is_flatten(part)), default=0)
    return stack_of(parts[start:], network[:start] if start else None)  # a slice is of the network's class


def _is_flatten(part: nn.Module) -> bool:
    return type(part) is nn.Flatten and (part.start_dim, part.end_dim) == (1, -1)


def stack_of(parts: list[nn.Module], input: nn.Module | None = None) -> DenseStack | None:
    """Return the stack of linear layers, activations and dropout in this order, ``None`` where other parts are in it.

    An activation and dropout may be missing after a layer. Weights that are used twice make the answer ``None``.
    """
    layers: list[DenseLayer] = []
    for part in parts:
        last = layers[-1] if layers else None
        if type(part) is nn.Linear:
            layers.append(DenseLayer(part, nn.Identity()))
        elif last is None or last.dropout is not None:
            return None  # what comes after dropout must be a product, which takes its factor along
        elif _is_dropout(part) and round(part.p * _STEPS) < _STEPS:
            layers[-1] = DenseLayer(last.linear, last.activation, part)
        elif type(last.activation) is nn.Identity and kernel_of(part) is not None:
            layers[-1] = DenseLayer(last.linear, part)
        else:
            return None
    if not layers or layers[-1].dropout is not None:
        return None
    own = [p for layer in layers for p in layer.parameters]
    every = own if input is None else [*own, *input.parameters()]
    plain = all(p.layout is torch.strided and p.is_contiguous() for p in own)
    return DenseStack(tuple(layers), input) if plain and len({id(p) for p in every}) == len(every) else None


def _is_dropout(part: nn.Module) -> TypeGuard[nn.Dropout]:
    # During a training torch's own dropout is of a faster class, of the same distribution. Of probability 0 it is left
    # to autograd, whose bits are those of a loop written by hand.
    return type(part) is nn.Dropout or (isinstance(part, FastDropout) and part.p > 0)


def first_trained_column(stage: nn.Module) -> int | None:
    """Return from which output on a stage needs gradients to train, ``None`` where nothing in it is trained.

    The embedded codes of a table stand last: numbers that pass, or are cut into pieces, need no gradient.
    """
    if not any(p.requires_grad for p in stage.parameters()):
        return None
    if type(stage) is not TabularInput or stage.categorical is None:
        return 0
    numbers = [] if stage.numeric is None else list(stage.numeric.parameters())
    return 0 if any(p.requires_grad for p in numbers) else stage.out_features - stage.categorical.out_features


def is_watched(network: nn.Module) -> bool:
    """Whether a module or parameter has hooks or a replaced ``forward``, so that only its own way may be run."""
    return any(_is_watched(module) for module in network.modules())


def _is_watched(module: nn.Module) -> bool:
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        return True
    replaced = "forward" in module.__dict__ or module._compiled_call_impl is not None
    held = [p for p in module._parameters.values() if p is not None]
    return replaced or any(p._backward_hooks or p._post_accumulate_grad_hooks for p in held)


class DensePass:
    """Forward and backward pass of a stack's layers over batches of one size.

    Parameters
    ----------
    layers : sequence of DenseLayer
        Their weights may change between calls, in place; float32 or float64, on the processor.
    rows : int
        Rows of a batch, B ≥ 1.
    gradients : dict of int to Tensor
        ``id(parameter)`` → where its gradient is written; parameters that are missing get none.
    training : bool
        Whether dropout is on.
    input_gradient : int, optional
        ``backward`` gives the gradient of the input from this column on (0 before it); without it, none.

    Attributes
    ----------
    output : Tensor
        (B, O), written by ``forward``.
    output_gradient : Tensor
        (B, O), where the loss's gradient has to stand when ``backward`` is called, which overwrites it.

    Notes
    -----
    Bias and activation are operations of their own after the product: ``addmm`` was no faster.

    Call within ``torch.no_grad`` or ``torch.inference_mode``. A dropped value is set to 0 and the others' factor
    1 / (1 - p) goes into the next layer's product, which scales for nothing. Masks are drawn from torch's global
    generator, 16 bits a value: a quarter of the draws of ``nn.Dropout``, whose masks they equal in distribution.
    """

    def __init__(
        self,
        layers: tuple[DenseLayer, ...],
        rows: int,
        gradients: dict[int, Tensor],
        *,
        training: bool = True,
        input_gradient: int | None = None,
    ) -> None:
        linears = [layer.linear for layer in layers]
        like = linears[0].weight.detach()
        z = [like.new_empty(rows, linear.out_features) for linear in linears]
        d = [torch.empty_like(each) for each in z]
        acts = [bind(*each) for each in zip(layers, z, d, strict=True)]
        h = [act.output for act in acts]
        shares = [layer.dropout.p if training and layer.dropout is not None else 0.0 for layer in layers]
        self.masks, kept, self._draw = draw_masks(shares, h)
        factors = [1.0, *(1.0 / share for share in kept)]  # of a layer's input, for the dropout before it
        self.output, self.output_gradient = h[-1], d[-1]
        self._input_gradient = None if input_gradient is None else like.new_zeros(rows, linears[0].in_features)

        self._first, self._first_out = linears[0].weight.detach().t(), z[0]
        self._rest: list[Call] = []
        for i, (linear, act, mask) in enumerate(zip(linears, acts, self.masks, strict=True)):
            if i > 0:
                self._rest.append(product(h[i - 1], linear.weight.detach().t(), z[i], factors[i]))
            self._rest += [] if linear.bias is None else [partial(z[i].add_, linear.bias.detach())]
            self._rest += [*act.forward, *([] if mask is None else [partial(h[i].mul_, mask)])]

        trained = [i for i, layer in enumerate(layers) if any(id(p) in gradients for p in layer.parameters)]
        reach = min(trained, default=len(layers)) if input_gradient is None else 0
        self._back: list[Call] = []
        ones = like.new_ones(1, rows)
        for i in range(len(layers) - 1, reach - 1, -1):
            mask = None if acts[i].zero_when_off else self.masks[i]
            self._back += [*([] if mask is None else [partial(d[i].mul_, mask)]), *acts[i].backward]
            bias, weight = gradients.get(id(linears[i].bias)), gradients.get(id(linears[i].weight))
            if bias is not None:
                self._back.append(partial(torch.mm, ones, d[i], out=bias.view(1, -1)))
            if weight is not None and i > 0:
                self._back.append(product(d[i].t(), h[i - 1], weight, factors[i]))
            if i > reach:
                self._back.append(product(d[i], linears[i].weight.detach(), d[i - 1], factors[i]))
        if self._input_gradient is not None:
            below = linears[0].weight.detach()[:, input_gradient:]
            self._back.append(partial(torch.mm, d[0], below, out=self._input_gradient[:, input_gradient:]))
        self._into_first, self._into_first_out = d[0].t(), gradients.get(id(linears[0].weight))

    def forward(self, x: Tensor) -> Tensor:
        """Write and return the outputs, (B, O), for a batch (B, D); they stay until the next call."""
        for call in self._draw:
            call()
        torch.mm(x, self._first, out=self._first_out)
        for call in self._rest:
            call()
        return self.output

    def backward(self, x: Tensor) -> Tensor | None:
        """Write the parameters' gradients; return that of the batch where it was asked for, (B, D)."""
        for call in self._back:
            call()
        if self._into_first_out is not None:
            torch.mm(self._into_first, x, out=self._into_first_out)
        return self._input_gradient


def bind(layer: DenseLayer, z: Tensor, gradient: Tensor) -> BoundActivation:
    """Return a layer's activation, bound to its memory.

    Raises
    ------
    TypeError
        If the activation has no kernel.
    """
    kernel = kernel_of(layer.activation)
    if kernel is None:
        raise TypeError(f"no kernel for the activation {layer.activation!r}")
    return kernel(z, gradient)


def product(a: Tensor, b: Tensor, out: Tensor, factor: float) -> Call:
    """Return what writes factor · a b."""
    if factor == 1.0:
        return partial(torch.mm, a, b, out=out)
    return partial(torch.addmm, out, a, b, beta=0, alpha=factor, out=out)


def draw_masks(shares: list[float], like: list[Tensor]) -> tuple[list[Tensor | None], list[float], list[Call]]:
    """Return per layer its mask of 0 and 1 and the probability of a 1, and the calls that draw all masks."""
    steps = [round(share * _STEPS) for share in shares]
    counts = [h.numel() if step else 0 for step, h in zip(steps, like, strict=True)]
    if not any(counts):
        return [None] * len(like), [1.0] * len(like), []
    words = torch.empty(math.ceil(sum(counts) / 4), dtype=torch.int64)
    # random_ without bounds leaves the sign bit 0.
    draw: list[Call] = [partial(words.random_, torch.iinfo(torch.int64).min, None)]
    masks: list[Tensor | None] = []
    bits = words.view(torch.int16)
    for own, step, h in zip(torch.split(bits[: sum(counts)], counts), steps, like, strict=True):
        masks.append(torch.empty_like(h) if step else None)
        if step:
            bound = torch.tensor(step - _STEPS // 2, dtype=torch.int16)
            draw.append(partial(torch.ge, own.view_as(h), bound, out=masks[-1]))
    return masks, [1.0 - step / _STEPS for step in steps], draw
