"""Learning rates by depth: what lies near the input of a network moves less than what lies near its output."""

from __future__ import annotations

from torch import nn

from glia.core.errors import InputError
from glia.nn.layer_order import layer_stages


def rate_scales(network: nn.Module, decay: float | None = None) -> dict[str, float]:
    """Return the start of a parameter's name → factor of its learning rate, as ``make_optimizer`` takes it.

    Parameters
    ----------
    network : nn.Module
    decay : float, optional
        Factor from each stage of the network (``glia.nn.layer_stages``) to the one below it, in (0, 1]; the last stage
        has the full rate (arXiv 1801.06146, section 3.2). By default what the network says in ``rate_scales()``, it
        or a module within, and nothing where none does.

    Raises
    ------
    InputError
        If ``decay`` is out of range.
    """
    if decay is None:
        return {
            f"{place}.{name}" if place else name: scale
            for place, module in network.named_modules()
            for name, scale in _own(module).items()
        }
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0 < decay <= 1:
        raise InputError("layer_rate_decay must be above 0 and at most 1", f"layer_rate_decay={decay!r}")
    stages = layer_stages(network)
    last = len(stages) - 1
    return {name: float(decay) ** (last - i) for i, stage in enumerate(stages) for name in stage.names}


def _own(module: nn.Module) -> dict[str, float]:
    found = getattr(module, "rate_scales", None)
    return dict(found()) if callable(found) else {}
