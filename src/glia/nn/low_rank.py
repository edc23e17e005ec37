"""Low-rank adapters (LoRA): a frozen layer plus a product of two thin matrices, which alone learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError

Adapted = nn.Linear | nn.Conv1d | nn.Conv2d
_KINDS: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d)


class LowRank(nn.Module):
    """A layer with an adapter of rank r: y = W x + b + (alpha / r) · U (D x), arXiv 2106.09685, eq. 3.

    Parameters
    ----------
    base : nn.Linear, nn.Conv1d or nn.Conv2d
        Its parameters are frozen; convolutions must have one group.
    rank : int
        r ≥ 1. ``D`` maps the inputs to r values (for a convolution with the kernel of ``base``), ``U`` these to the
        outputs. ``U`` begins at zero, so that at first nothing changes.
    alpha : float
        Scale of the adapter, > 0.

    Notes
    -----
    **Shape**: that of ``base``. Parameters of the adapter: r · (fan-in + outputs).
    """

    def __init__(self, base: Adapted, rank: int = 8, alpha: float = 16.0) -> None:
        super().__init__()
        self.base, self.rank, self.alpha = base, rank, alpha
        self.scaling = alpha / rank
        like: dict[str, Any] = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.down = nn.Parameter(torch.empty(rank, *base.weight.shape[1:], **like))
        self.up = nn.Parameter(torch.zeros(base.weight.shape[0], rank, *[1] * (base.weight.ndim - 2), **like))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        base.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output with the adapter's share."""
        out: Tensor = self.base(x)
        if isinstance(self.base, nn.Linear):
            return out + (x @ self.down.T) @ self.up.T * self.scaling
        # The layer's own way to run a kernel knows about its stride and all kinds of padding.
        thin = self.base._conv_forward(x, self.down, None)
        run = nn.functional.conv1d if isinstance(self.base, nn.Conv1d) else nn.functional.conv2d
        share: Tensor = run(thin, self.up)
        return out + share * self.scaling

    @torch.no_grad()
    def merged(self) -> Adapted:
        """Return the plain layer with the adapter added to its weights."""
        change = (self.up.flatten(1) @ self.down.flatten(1)).view_as(self.base.weight)
        self.base.weight.add_(change, alpha=self.scaling)
        return self.base

    def extra_repr(self) -> str:
        """Return what settings there are."""
        return f"rank={self.rank}, alpha={self.alpha}"


def adaptable(module: nn.Module, names: Sequence[str] | None = None) -> list[str]:
    """Return the dotted names of the layers that ``add_adapters`` would adapt.

    Parameters
    ----------
    module : nn.Module
    names : sequence of str, optional
        Names or patterns; one fits a layer if it is the end of its dotted name: ``"query"``, ``"attention.*.dense"``.
        By default all linear layers, and convolutions where there are none.
    """
    found = {name: layer for name, layer in _layers(module).items() if name}
    if names is None:
        linear = [name for name, layer in found.items() if isinstance(layer, nn.Linear)]
        return linear or list(found)
    return [name for name in found if any(_fits(name, pattern) for pattern in names)]


def add_adapters(
    module: nn.Module, rank: int = 8, alpha: float | None = None, names: Sequence[str] | None = None
) -> list[str]:
    """Put adapters into layers of a module, in place, and freeze everything else.

    Parameters
    ----------
    module : nn.Module
        Linear layers and convolutions with one group can be adapted; those inside ``nn.MultiheadAttention``, which
        reads their weights without running them, cannot.
    rank : int
        At least 1.
    alpha : float, optional
        Scale; ``2 · rank`` by default, so that the rate need not change with the rank.
    names : sequence of str, optional
        Which layers; see ``adaptable``.

    Returns
    -------
    list of str
        Names of the adapted layers.

    Raises
    ------
    InputError
        If the numbers are out of range, or no layer can be adapted.
    """
    whole = isinstance(rank, int) and not isinstance(rank, bool) and rank >= 1
    if not whole or (alpha is not None and not (math.isfinite(alpha) and alpha > 0)):
        must = "an adapter needs a rank of at least 1 and a scale above 0"
        raise InputError(must, f"rank={rank!r}, alpha={alpha!r}", "for example rank=8, alpha=16")
    chosen, known = adaptable(module, names), adaptable(module, ["*"])
    if not chosen:
        got = f"names={list(names)!r}" if names is not None else f"a {type(module).__name__}"
        shown = ", ".join(known[:8]) or "none of its layers is linear or a convolution"
        raise InputError("adapters need linear layers or convolutions by name", got, f"there are: {shown}")
    module.requires_grad_(False)
    layers = _layers(module)
    for name in chosen:
        _put(module, name, LowRank(layers[name], rank, 2.0 * rank if alpha is None else alpha))
    return chosen


def merge(module: nn.Module) -> int:
    """Add all adapters to the weights of their layers, in place; return how many there were.

    The module is then one of plain layers again, with outputs equal up to rounding and no further cost.
    """
    found = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, LowRank)]
    if any(not name for name, _ in found):
        raise InputError("adapters are merged within a module", "the adapted layer itself", "use its merged()")
    for name, layer in found:
        _put(module, name, layer.merged())
    return len(found)


def _layers(module: nn.Module) -> dict[str, Any]:
    """Return the layers that can be adapted.

    Subclasses may pad or use their weights in other ways and are left out, but for 1 × 1 convolutions.
    """
    skipped: list[str] = []
    found: dict[str, Any] = {}
    for name, layer in module.named_modules():
        if any(name.startswith(f"{prefix}.") if prefix else True for prefix in skipped):
            continue
        if isinstance(layer, nn.MultiheadAttention | nn.TransformerEncoderLayer | LowRank):
            skipped.append(name)  # they read the weights of their layers
        elif (type(layer) in _KINDS or _is_pointwise(layer)) and getattr(layer, "groups", 1) == 1:
            found[name] = layer
    return found


def _is_pointwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv1d | nn.Conv2d) and {*layer.kernel_size, *layer.stride} == {1}


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def _put(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, layer)
