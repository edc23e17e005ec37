"""How weights are updated, as one settings object: rule, weight decay, clipping and the rule's own options."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.optim import Optimizer as TorchOptimizer

from glia.core.errors import InputError
from glia.engine.clipping import Clip
from glia.engine.layer_rates import rate_scales
from glia.engine.optimizers import feature_scaled_adamw, make_optimizer
from glia.nn.feature_columns import feature_columns


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
    feature_rate : float
        How many times faster than weights the scales of a table's numbers learn, at least 0; see
        ``FeatureScaledAdamW``. For the rule "adamw" and networks that cut numbers into bins; no effect on others.
    """

    def __init__(
        self,
        name: str | Any = "adamw",
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        options: Mapping[str, Any] | None = None,
        layer_rate_decay: float | None = None,
        feature_rate: float = 0.0,
    ) -> None:
        self.name, self.weight_decay, self.options = name, weight_decay, options
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.layer_rate_decay, self.feature_rate = layer_rate_decay, feature_rate

    def make(self, network: nn.Module, lr: float | None) -> TorchOptimizer:
        """Return the optimizer for a network's parameters; ``None`` takes the rule's usual rate.

        Raises
        ------
        InputError
            If a name, option or number cannot be used.
        """
        scales = rate_scales(network, self.layer_rate_decay)
        return make_optimizer(
            self.rule(network), network, lr, self.weight_decay, lr_scales=scales or None, **(self.options or {})
        )

    def rule(self, network: nn.Module, stacked: Callable[[Tensor], Tensor] = lambda weight: weight) -> str | Any:
        """Return the rule, with the columns whose scales it learns where that is asked for.

        Parameters
        ----------
        network : nn.Module
            That is trained, or one member of a population.
        stacked : callable
            A parameter of ``network`` → what is trained in its place.

        Raises
        ------
        InputError
            If ``feature_rate`` cannot be used.
        """
        rate = self.feature_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < math.inf:
            raise InputError("feature_rate must be a number of at least 0", f"feature_rate={rate!r}")
        if rate == 0:
            return self.name
        if self.name != "adamw":
            got, do = f"feature_rate={rate!r} with {self.name!r}", "set feature_rate=0"
            raise InputError("scales of features are learned by adamw", got, do)
        found = [replace(one, weight=stacked(one.weight)) for one in feature_columns(network)]
        return partial(feature_scaled_adamw, columns=found, feature_rate=float(rate)) if found else self.name

    def clip(self) -> Clip | None:
        """Return the clipping that is asked for, or ``None``."""
        if self.clip_norm is None and self.clip_value is None:
            return None
        return Clip(norm=self.clip_norm, value=self.clip_value)
