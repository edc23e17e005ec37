"""Activations that work value by value, forward and backward, as calls on given memory, without autograd.

Small networks spend their time in getting to an operation, not in it: calls through Python's own bindings are preferred
to those through the dispatcher's general way, and operations that a pass needs anyway (products by value) to others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.activations import Step

Call = Callable[[], object]
"""One tensor operation with all of its arguments bound."""
_nn: Any = torch._C._nn  # the bindings below ``torch.nn.functional``; their stubs lack ``out``
SMALL = 1 << 14
"""Values up to which a call costs more than its arithmetic."""


@dataclass(frozen=True)
class BoundActivation:
    """An activation bound to the memory of one layer.

    Parameters
    ----------
    output : Tensor
        Where f(z) stands after ``forward``; often z's own memory. Values may be set to 0 there before ``backward`` if
        their gradient is 0 then as well, which is what dropout does.
    forward : tuple of callable
        Write f(z).
    backward : tuple of callable
        Turn ∂/∂f(z) into ∂/∂z, in the gradient's own memory.
    zero_when_off : bool
        Whether the derivative is 0 wherever the output is 0 (the ReLUs): dropout then needs no mask on the way back.
    """

    output: Tensor
    forward: tuple[Call, ...] = ()
    backward: tuple[Call, ...] = ()
    zero_when_off: bool = False


Kernel = Callable[[Tensor, Tensor], BoundActivation]
"""(z, gradient), of one shape → the activation bound to them."""


def kernel_of(module: nn.Module) -> Kernel | None:
    """Return the kernel of an activation with its options, ``None`` where there is none (learned, or across values)."""
    make = _KERNELS.get(type(module))
    return None if make is None else make(module)


def aten(name: str, overload: str) -> Any:
    """Return torch's own operation, e.g. ``aten("silu_backward", "grad_input")``, without its Python wrapper (1 µs)."""
    operation = getattr(getattr(torch.ops.aten, name), overload)
    return getattr(operation, "_op", operation)


def _identity(module: Any) -> Kernel:
    return lambda z, gradient: BoundActivation(z)


def _relu(module: Any) -> Kernel:
    threshold = aten("threshold_backward", "grad_input")

    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        back: tuple[Call, ...] = (partial(threshold, gradient, z, 0, grad_input=gradient),)
        if z.numel() <= SMALL:
            on = torch.empty_like(z)
            back = partial(torch.sign, z, out=on), partial(gradient.mul_, on)
        return BoundActivation(z, (z.relu_,), back, zero_when_off=True)

    return bind


def _silu(module: Any) -> Kernel:
    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        # σ is kept: the derivative σ + h·(1 - σ), which is h of the way from σ to 1, then needs no exponential.
        share, one = torch.empty_like(z), z.new_ones(())
        forward = partial(torch.sigmoid, z, out=share), partial(z.mul_, share)
        return BoundActivation(z, forward, (partial(share.lerp_, one, z), partial(gradient.mul_, share)))

    return bind


def _softsign(module: Any) -> Kernel:
    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        def forward() -> None:
            z.div_(z.abs().add_(1.0))

        def back() -> None:
            gradient.mul_((1.0 - z.abs()).square_())

        return BoundActivation(z, (forward,), (back,))

    return bind


def _step(module: Any) -> Kernel:
    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        forward = z.floor_, partial(z.add_, 1.0), partial(z.clamp_, 0.0, 1.0)
        return BoundActivation(z, forward, (gradient.zero_,))

    return bind


def _leaky_relu(module: Any) -> Kernel | None:
    slope = float(module.negative_slope)
    if slope <= 0.0:  # the output's sign would not tell the input's
        return None
    return _from_output(_nn.leaky_relu_, (slope,), "leaky_relu_backward", (slope, True))


def _hard_tanh(module: Any) -> Kernel:
    # At the bounds the derivative is 0, so that the output tells as much as z.
    bounds = (float(module.min_val), float(module.max_val))
    return _from_output(_nn.hardtanh_, bounds, "hardtanh_backward", bounds)


def _exponential(alpha: float, scale: float, inner: float) -> Kernel | None:
    if alpha <= 0.0:
        return None
    operation, options = aten("elu_backward", "grad_input"), (alpha, scale, inner)

    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        back = partial(operation, gradient, *options, True, z, grad_input=gradient)
        return BoundActivation(z, (partial(_nn.elu_, z, *options),), (back,))

    return bind


def _gelu(module: Any) -> Kernel:
    return _from_input(_nn.gelu, (), "gelu_backward", approximate=module.approximate)


def _softplus(module: Any) -> Kernel:
    options = (float(module.beta), float(module.threshold))
    return _from_input(_nn.softplus, options, "softplus_backward", options)


def _mish(module: Any) -> Kernel:
    operation = aten("mish_backward", "default")

    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        output = torch.empty_like(z)

        def back() -> None:
            gradient.copy_(operation(gradient, z))

        return BoundActivation(output, (partial(_nn.mish, z, out=output),), (back,))

    return bind


def _from_output(forward: Any, options: tuple[float, ...], back: str, given: tuple[Any, ...] = ()) -> Kernel:
    """Return the kernel of an activation whose derivative follows from its output, which replaces z."""
    operation = aten(back, "grad_input")

    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        after = partial(operation, gradient, z, *given, grad_input=gradient)
        return BoundActivation(z, (partial(forward, z, *options),), (after,))

    return bind


def _from_input(
    forward: Any,
    options: tuple[Any, ...],
    back: str,
    given: tuple[Any, ...] = (),
    into: str = "grad_input",
    **named: Any,
) -> Kernel:
    """Return the kernel of an activation whose derivative needs z, which is kept."""
    operation = aten(back, into)

    def bind(z: Tensor, gradient: Tensor) -> BoundActivation:
        output = torch.empty_like(z)
        after = partial(operation, gradient, z, *given, **named, **{into: gradient})
        return BoundActivation(output, (partial(forward, z, *options, **named, out=output),), (after,))

    return bind


_SELU = (1.6732632423543772, 1.0507009873554805)  # α and λ (arXiv 1706.02515) with all digits of a double

_KERNELS: dict[type[nn.Module], Callable[[Any], Kernel | None]] = {
    nn.Identity: _identity,
    nn.ReLU: _relu,
    nn.ReLU6: _hard_tanh,
    nn.Hardtanh: _hard_tanh,
    nn.LeakyReLU: _leaky_relu,
    nn.ELU: lambda module: _exponential(float(module.alpha), 1.0, 1.0),
    nn.CELU: lambda module: _exponential(float(module.alpha), 1.0, 1.0 / float(module.alpha)),
    nn.SELU: lambda module: _exponential(_SELU[0], _SELU[1], 1.0),
    nn.Sigmoid: lambda module: _from_output(torch.sigmoid_, (), "sigmoid_backward"),
    nn.Tanh: lambda module: _from_output(torch.tanh_, (), "tanh_backward"),
    nn.SiLU: _silu,
    nn.Hardsigmoid: lambda module: _from_input(_nn.hardsigmoid, (), "hardsigmoid_backward"),
    nn.Hardswish: lambda module: _from_input(_nn.hardswish, (), "hardswish_backward", into="out"),
    nn.Mish: _mish,
    nn.GELU: _gelu,
    nn.Softplus: _softplus,
    nn.Softsign: _softsign,
    Step: _step,
}
