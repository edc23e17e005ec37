"""The methods that share an output out among inputs, by name."""

from __future__ import annotations

from collections.abc import Callable

from glia.core.registry import Registry
from glia.explain.attribution import AttributionResult

Method = Callable[..., AttributionResult]
"""(predictor, X, **options) → AttributionResult."""

methods: Registry[Method] = Registry("method of explanation")
