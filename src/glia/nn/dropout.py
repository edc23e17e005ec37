"""Dropout: inverted, spatial (whole channels), and Monte-Carlo dropout, which keeps it on for predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.registry import Registry
from glia.core.seeds import seeded
from glia.nn.modes import keeping_modes
from glia.nn.parts import Part, factory_of

dropouts: Registry[Callable[..., nn.Module]] = Registry("dropout")

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@dropouts.register("inverted")
def inverted(p: float) -> nn.Module:
    """Each value is 0 with probability p, else divided by 1 - p: the expectation is kept (arXiv 1207.0580)."""
    return nn.Dropout(p)


@dropouts.register("spatial", "channel")
def spatial(p: float, *, dims: int = 2) -> nn.Module:
    """Whole channels of (B, C, …) are dropped together, else divided by 1 - p (arXiv 1411.4280)."""
    kinds = {1: nn.Dropout1d, 2: nn.Dropout2d, 3: nn.Dropout3d}
    if dims not in kinds:
        raise InputError("dims must be 1, 2 or 3", f"dims={dims!r}", "use 1 for series, 2 for images")
    return kinds[dims](p)


@dropouts.register("alpha")
def alpha(p: float) -> nn.Module:
    """Dropout that keeps mean and variance of SELU networks (arXiv 1706.02515)."""
    return nn.AlphaDropout(p)


def make_dropout(p: float, kind: str | Part = "inverted") -> nn.Module | None:
    """Return a new dropout layer, or ``None`` for p = 0, so that nothing is run for nothing.

    Raises
    ------
    InputError
        If p is outside of [0, 1) or the kind is unknown.
    """
    factory, options = factory_of(kind, dropouts)
    if not 0.0 <= p < 1.0:
        raise InputError("a dropout probability must be in [0, 1)", f"p={p!r}", "give e.g. 0.1")
    if p == 0.0:
        return None
    module: nn.Module = factory(p, **options)
    return module


@contextmanager
def monte_carlo_dropout(network: nn.Module) -> Iterator[nn.Module]:
    """Evaluate a block with dropout on and all else (batch normalisation) in evaluation mode.

    Every module's own mode is put back at the end, also on errors. Source: Gal and Ghahramani, arXiv 1506.02142.
    """
    with keeping_modes(network):
        network.eval()
        for module in network.modules():
            if isinstance(module, DROPOUTS):
                module.training = True
        yield network


def monte_carlo_samples(network: nn.Module, x: Tensor, samples: int = 32, *, random_state: int = 0) -> Tensor:
    """Return outputs of randomly thinned networks; their spread estimates the model's own uncertainty.

    Parameters
    ----------
    network : nn.Module
        Any network with dropout layers; its modes and torch's random state are left as they were.
    x : Tensor
        (B, …).
    samples : int
        S ≥ 1.
    random_state : int
        Seed of the masks.

    Returns
    -------
    Tensor
        (S, B, outputs), without gradients.

    Raises
    ------
    InputError
        If the network has no dropout that could vary, or ``samples`` < 1.
    """
    if samples < 1:
        raise InputError("the number of samples must be at least 1", f"samples={samples!r}")
    if not any(isinstance(m, DROPOUTS) and float(m.p) > 0.0 for m in network.modules()):
        raise InputError("Monte-Carlo dropout must find dropout layers with p > 0", "none", "build it with dropout=0.1")
    with monte_carlo_dropout(network), seeded(random_state, "monte_carlo_dropout"), torch.no_grad():
        return torch.stack([network(x) for _ in range(samples)])
