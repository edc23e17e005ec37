"""How weights are updated, as one settings object: rule, weight decay, clipping and the rule's own options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator
from torch import nn
from torch.optim import Optimizer as TorchOptimizer

from glia.engine.clipping import Clip
from glia.engine.layer_rates import rate_scales
from glia.engine.optimizers import make_optimizer


class Optimizer(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Settings of an update rule.

    Parameters
    ----------
    name : str or callable
        A name of ``glia.engine.optimizers``, or a class of ``torch.optim``.
    weight_decay : float
        At least 0; spared are biases, norms and embeddings.
    clip_norm, clip_value : float, optional
        Bounds of the gradients, by their common norm and by each value.
    options : mapping, optional
        The rule's own, e.g. ``{"betas": (0.9, 0.95)}``.
    layer_rate_decay : float, optional
        Factor of the learning rate from each stage of the network to the one below it, in (0, 1]; the last stage has
        the full rate. By default one rate for all, unless the network itself knows better (``glia.nn.Backbone``).
    """

    def __init__(
        self,
        name: str | Any = "adamw",
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        options: Mapping[str, Any] | None = None,
        layer_rate_decay: float | None = None,
    ) -> None:
        self.name, self.weight_decay, self.options = name, weight_decay, options
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.layer_rate_decay = layer_rate_decay

    def make(self, network: nn.Module, lr: float | None) -> TorchOptimizer:
        """Return the optimizer for a network's parameters; ``None`` takes the rule's usual rate.

        Raises
        ------
        InputError
            If a name, option or number cannot be used.
        """
        scales = rate_scales(network, self.layer_rate_decay)
        return make_optimizer(
            self.name, network, lr, self.weight_decay, lr_scales=scales or None, **(self.options or {})
        )

    def clip(self) -> Clip | None:
        """Return the clipping that is asked for, or ``None``."""
        if self.clip_norm is None and self.clip_value is None:
            return None
        return Clip(norm=self.clip_norm, value=self.clip_value)
