"""The doctor: measures of a network and what they mean. ``glia.diagnose(model, X, y)`` calls ``diagnose``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from glia.diagnose.activation_statistics import LayerActivation, activation_statistics
from glia.diagnose.diagnosis import diagnose
from glia.diagnose.effective_rank import effective_rank, layer_ranks
from glia.diagnose.gradient_norms import LayerGradient, gradient_norms
from glia.diagnose.landscape import Landscape, loss_slices
from glia.diagnose.layers import run_layers
from glia.diagnose.monitor import Monitor, MonitorResult
from glia.diagnose.noise_scale import NoiseScale, noise_scale
from glia.diagnose.rate_trial import RateTrial, rate_trial
from glia.diagnose.result import DiagnosisResult
from glia.diagnose.units import LayerUnits, unit_health
from glia.diagnose.update_ratios import update_ratios
from glia.diagnose.verdict import Proof, Remedy, Sign, Verdict

__all__ = [
    "DiagnosisResult",
    "Landscape",
    "LayerActivation",
    "LayerGradient",
    "LayerUnits",
    "Monitor",
    "MonitorResult",
    "NoiseScale",
    "Proof",
    "RateTrial",
    "Remedy",
    "Sign",
    "Verdict",
    "activation_statistics",
    "diagnose",
    "effective_rank",
    "gradient_norms",
    "layer_ranks",
    "loss_slices",
    "noise_scale",
    "rate_trial",
    "run_layers",
    "unit_health",
    "update_ratios",
]


class _Callable(ModuleType):
    """A part that can be called: the part and its one main function share the name that people look for."""

    def __call__(self, *args: Any, **kwargs: Any) -> DiagnosisResult:
        """Return ``diagnose(*args, **kwargs)``."""
        return diagnose(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
