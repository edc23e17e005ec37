"""Weight initialisers by name: each fills a weight in place, from a generator where one is given.

``fan_in`` and ``fan_out`` are the numbers of values that enter and leave one unit; weights are (out, in, …).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from glia.core.registry import Registry
from glia.nn.parts import Part, as_part, factory_of

initialisers: Registry[Callable[..., Tensor]] = Registry("initialiser")

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

_XAVIER = frozenset({"linear", "sigmoid", "tanh", "softsign", "hard_tanh", "hard_sigmoid", "softmax", "step"})


def _fan_in(weight: Tensor) -> int:
    return weight[0].numel()


@initialisers.register("zeros")
def zeros(weight: Tensor, *, generator: Generator | None = None) -> Tensor:
    """0 everywhere: units of a hidden layer then stay equal for ever."""
    return nn.init.zeros_(weight)


@initialisers.register("constant")
def constant(weight: Tensor, *, value: float = 0.1, generator: Generator | None = None) -> Tensor:
    """One value everywhere: units of a hidden layer then stay equal for ever."""
    return nn.init.constant_(weight, value)


@initialisers.register("normal", "gaussian")
def normal(weight: Tensor, *, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """N(0, std²), std = 0.01 whatever the width (Krizhevsky et al. 2012)."""
    return nn.init.normal_(weight, 0.0, std, generator=generator)


@initialisers.register("uniform")
def uniform(weight: Tensor, *, bound: float = 0.05, generator: Generator | None = None) -> Tensor:
    """U(-bound, bound), bound = 0.05 whatever the width."""
    return nn.init.uniform_(weight, -bound, bound, generator=generator)


@initialisers.register("xavier_plain", "lecun_normal")
def xavier_plain(weight: Tensor, *, generator: Generator | None = None) -> Tensor:
    """N(0, 1 / fan_in): level variance forward through linear units (LeCun et al. 1998); for SELU."""
    return nn.init.normal_(weight, 0.0, 1.0 / math.sqrt(_fan_in(weight)), generator=generator)


@initialisers.register("lecun_uniform")
def lecun_uniform(weight: Tensor, *, generator: Generator | None = None) -> Tensor:
    """U(±√(3 / fan_in)): the variance 1 / fan_in of ``xavier_plain``."""
    bound = math.sqrt(3.0 / _fan_in(weight))
    return nn.init.uniform_(weight, -bound, bound, generator=generator)


@initialisers.register("xavier_uniform", "glorot_uniform", "xavier_normalised")
def xavier_uniform(weight: Tensor, *, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(±gain·√(6 / (fan_in + fan_out))), the normalised initialisation of Glorot and Bengio (2010)."""
    return nn.init.xavier_uniform_(weight, gain, generator=generator)


@initialisers.register("xavier_normal", "glorot_normal")
def xavier_normal(weight: Tensor, *, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, gain²·2 / (fan_in + fan_out)), the normal form of Glorot and Bengio (2010); for tanh and sigmoid."""
    return nn.init.xavier_normal_(weight, gain, generator=generator)


@initialisers.register("he_normal", "kaiming_normal")
def he_normal(weight: Tensor, *, negative_slope: float = 0.0, generator: Generator | None = None) -> Tensor:
    """N(0, 2 / ((1 + slope²)·fan_in)), which makes up for the half that ReLU cuts (arXiv 1502.01852)."""
    return nn.init.kaiming_normal_(weight, negative_slope, nonlinearity="leaky_relu", generator=generator)


@initialisers.register("he_uniform", "kaiming_uniform")
def he_uniform(weight: Tensor, *, negative_slope: float = 0.0, generator: Generator | None = None) -> Tensor:
    """U(±√(6 / ((1 + slope²)·fan_in))): the variance of ``he_normal``."""
    return nn.init.kaiming_uniform_(weight, negative_slope, nonlinearity="leaky_relu", generator=generator)


@initialisers.register("orthogonal")
def orthogonal(weight: Tensor, *, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Gain times a random (semi-)orthogonal matrix: lengths are kept (arXiv 1312.6120); gain √2 for ReLU."""
    return nn.init.orthogonal_(weight, gain, generator=generator)


@initialisers.register("lsuv")
def lsuv(weight: Tensor, *, generator: Generator | None = None) -> Tensor:
    """Orthogonal, then scaled to unit variance on data by ``glia.nn.lsuv_(network, batch)`` (arXiv 1511.06422)."""
    return nn.init.orthogonal_(weight, generator=generator)


def auto_init(activation: str | Part) -> Part:
    """Return the initialiser that suits an activation: He for the ReLU family, Xavier for S-shapes, LeCun for SELU."""
    part = as_part(activation)
    if part.name == "selu":
        return Part("lecun_normal")
    if part.name in _XAVIER:
        return Part("xavier_normal")
    if part.name == "leaky_relu":
        return Part("he_normal", negative_slope=part.options.get("negative_slope", 0.01))
    if part.name == "prelu":
        return Part("he_normal", negative_slope=part.options.get("initial_slope", 0.25))
    return Part("he_normal")


def initialise_layer_(
    layer: nn.Module,
    init: str | Part = "auto",
    *,
    activation: str | Part = "relu",
    generator: Generator | None = None,
) -> None:
    """Fill the weight and bias of one linear or convolution layer.

    Parameters
    ----------
    layer : nn.Module
        Anything with a ``weight`` (out, in, …) and a ``bias`` or ``None``.
    init : str or Part
        A name of ``initialisers``, or "auto".
    activation : str or Part
        What follows the layer; "auto" chooses by it.
    generator : torch.Generator, optional
        Where random numbers come from; torch's global state without one.

    Notes
    -----
    Biases are 0, but under "auto" uniform in ±1/√fan_in, as torch draws them: with zero biases every kink of a first
    ReLU layer would pass through the origin, and networks of few inputs learn more slowly.

    Raises
    ------
    InputError
        If the name or an option is unknown.
    """
    auto = isinstance(init, str) and init == "auto"
    fill, options = factory_of(auto_init(activation) if auto else init, initialisers)
    weight, bias = layer.weight, layer.bias
    if not isinstance(weight, Tensor):
        return
    with torch.no_grad():
        fill(weight, generator=generator, **options)
        if isinstance(bias, Tensor):
            bound = 1.0 / math.sqrt(_fan_in(weight)) if auto else 0.0
            nn.init.uniform_(bias, -bound, bound, generator=generator)


def initialise_(
    network: nn.Module,
    init: str | Part = "auto",
    *,
    activation: str | Part = "relu",
    generator: Generator | None = None,
) -> nn.Module:
    """Fill every linear and convolution layer of any network, in order of definition; return the network.

    See ``initialise_layer_`` for the parameters.
    """
    for module in network.modules():
        if isinstance(module, WEIGHTED):
            initialise_layer_(module, init, activation=activation, generator=generator)
    return network
