"""Activations by name: factories of modules, torch's own where it has them.

z is the pre-activation. Every factory returns a new module, because some (PReLU) learn.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.registry import Registry
from glia.nn.parts import Part, factory_of

activations: Registry[Callable[..., nn.Module]] = Registry("activation")


class Step(nn.Module):
    """The threshold of the perceptron: 1 where z ≥ 0, else 0; its gradient is 0 everywhere."""

    def forward(self, z: Tensor) -> Tensor:
        """Return 0 or 1 for each value, NaN for NaN."""
        # floor carries a zero gradient, so that autograd, vmap and export all pass through a step.
        return (torch.floor(z) + 1.0).clamp(0.0, 1.0)


@activations.register("step", "heaviside")
def step() -> nn.Module:
    """1 where z ≥ 0, else 0; range {0, 1}; derivative 0."""
    return Step()


@activations.register("linear", "identity")
def linear() -> nn.Module:
    """z; range (-∞, ∞); derivative 1."""
    return nn.Identity()


@activations.register("sigmoid", "logistic")
def sigmoid() -> nn.Module:
    """σ(z) = 1 / (1 + e⁻ᶻ); range (0, 1); derivative σ(z)(1 - σ(z)), at most 1/4."""
    return nn.Sigmoid()


@activations.register("tanh")
def tanh() -> nn.Module:
    """f(z) = (eᶻ - e⁻ᶻ) / (eᶻ + e⁻ᶻ); range (-1, 1); derivative 1 - tanh² z, at most 1."""
    return nn.Tanh()


@activations.register("relu")
def relu() -> nn.Module:
    """max(0, z); range [0, ∞); derivative 1 where z > 0, else 0."""
    return nn.ReLU()


@activations.register("relu6")
def relu6() -> nn.Module:
    """min(max(0, z), 6); range [0, 6]; derivative 1 where 0 < z < 6, else 0."""
    return nn.ReLU6()


@activations.register("leaky_relu")
def leaky_relu(*, negative_slope: float = 0.01) -> nn.Module:
    """f(z) = z where z > 0, else slope·z; range (-∞, ∞); derivative 1 or the slope."""
    return nn.LeakyReLU(negative_slope)


@activations.register("prelu")
def prelu(*, initial_slope: float = 0.25) -> nn.Module:
    """f(z) = z where z > 0, else a·z with a learned slope a (arXiv 1502.01852); derivative 1 or a."""
    return nn.PReLU(init=initial_slope)


@activations.register("elu")
def elu(*, alpha: float = 1.0) -> nn.Module:
    """f(z) = z where z > 0, else α(eᶻ - 1) (arXiv 1511.07289); range (-α, ∞); derivative 1 or αeᶻ."""
    return nn.ELU(alpha)


@activations.register("celu")
def celu(*, alpha: float = 1.0) -> nn.Module:
    """max(0, z) + min(0, α(e^(z/α) - 1)) (arXiv 1704.07483); range (-α, ∞); derivative 1 or e^(z/α)."""
    return nn.CELU(alpha)


@activations.register("selu")
def selu() -> nn.Module:
    """λ·ELU with α ≈ 1.6733, λ ≈ 1.0507, which keep mean 0 and variance 1 (arXiv 1706.02515); range (-1.758, ∞)."""
    return nn.SELU()


@activations.register("gelu")
def gelu(*, approximate: str = "none") -> nn.Module:
    """z·Φ(z), Φ the normal distribution function (arXiv 1606.08415); derivative Φ(z) + z·φ(z)."""
    return nn.GELU(approximate)


@activations.register("silu", "swish")
def silu() -> nn.Module:
    """z·σ(z) (arXiv 1702.03118); range [-0.279, ∞); derivative σ(z)(1 + z(1 - σ(z)))."""
    return nn.SiLU()


@activations.register("mish")
def mish() -> nn.Module:
    """z·tanh(softplus z) (arXiv 1908.08681); range [-0.309, ∞)."""
    return nn.Mish()


@activations.register("softplus")
def softplus(*, beta: float = 1.0) -> nn.Module:
    """ln(1 + e^(βz)) / β; range (0, ∞); derivative σ(βz)."""
    return nn.Softplus(beta)


@activations.register("softsign")
def softsign() -> nn.Module:
    """f(z) = z / (1 + |z|); range (-1, 1); derivative 1 / (1 + |z|)²."""
    return nn.Softsign()


@activations.register("hard_tanh", "hardtanh")
def hard_tanh() -> nn.Module:
    """min(max(-1, z), 1); range [-1, 1]; derivative 1 inside, else 0."""
    return nn.Hardtanh()


@activations.register("hard_sigmoid", "hardsigmoid")
def hard_sigmoid() -> nn.Module:
    """min(max(0, z/6 + 1/2), 1); range [0, 1]; derivative 1/6 where |z| < 3, else 0."""
    return nn.Hardsigmoid()


@activations.register("hard_swish", "hardswish", "hard_silu")
def hard_swish() -> nn.Module:
    """z·hard_sigmoid(z) (arXiv 1905.02244); range [-0.375, ∞); derivative z/3 + 1/2 where |z| < 3, else 0 or 1."""
    return nn.Hardswish()


@activations.register("softmax")
def softmax() -> nn.Module:
    """e^(zᵢ) / Σⱼ e^(zⱼ) over the last axis; range (0, 1), sum 1; derivative the matrix diag(s) - s sᵀ."""
    return nn.Softmax(dim=-1)


_ACROSS = (nn.Softmax, nn.LogSoftmax, nn.Softmin)
_MORE = (nn.LogSigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Threshold, nn.RReLU, nn.Softmax2d, *_ACROSS)


def make_activation(activation: str | Part) -> nn.Module:
    """Return a new module for a name or a ``Part``.

    Raises
    ------
    InputError
        If the name or an option is unknown.
    """
    factory, options = factory_of(activation, activations)
    module: nn.Module = factory(**options)
    return module


def activation_name(module: nn.Module) -> str | None:
    """Return the registered name whose default module is like ``module``; ``None`` where its options differ."""
    for name in activations.names():
        made = activations.get(name)()
        if type(made) is type(module) and repr(made) == repr(module):
            return name
    return None


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation: one of torch's, or of a registered kind."""
    return isinstance(module, _MORE) or any(type(module) is type(activations.get(n)()) for n in activations.names())


def local_derivative(module: nn.Module, z: Tensor) -> Tensor:
    """Return the derivative of an activation at its pre-activation.

    Parameters
    ----------
    module : nn.Module
        An activation.
    z : Tensor
        Pre-activation, any shape ``(…, D)``, floating point.

    Returns
    -------
    Tensor
        The shape of ``z`` for activations that work value by value; ``(…, D, D)``, row i holding ∂outputᵢ/∂z, for
        those across the last axis (softmax).

    Raises
    ------
    InputError
        If the module's output has another shape than its input.
    """
    with torch.enable_grad():
        point = z.detach().clone().requires_grad_(True)
        # A copy, as in-place activations may not write into a leaf; forward itself, so that no hook sees this call.
        output = module.forward(point.clone())
        if output.shape != point.shape:
            raise InputError("an activation must keep the shape", f"{tuple(z.shape)} → {tuple(output.shape)}")
        if not output.requires_grad:
            return torch.zeros_like(z)
        if isinstance(module, _ACROSS):
            rows = [torch.autograd.grad(part.sum(), point, retain_graph=True)[0] for part in output.unbind(-1)]
            return torch.stack(rows, dim=-2)
        return torch.autograd.grad(output.sum(), point)[0]
