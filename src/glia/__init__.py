"""Glia: networks that can be trusted, from data to report.

Names are loaded when they are first used, so that ``import glia`` takes a few milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Classifier": "glia.estimators.classifier",
    "Regressor": "glia.estimators.regressor",
    "Perceptron": "glia.estimators.perceptron",
    "Checkpoints": "glia.engine.checkpointing",
    "Preparation": "glia.data.preparation",
    "Objective": "glia.objectives",
    "Optimizer": "glia.engine.optimizer_settings",
    "Stream": "glia.data.stream",
    "fit": "glia.estimators.table_fit",
    "tune": "glia.tuning.tune",
    "TunedEstimator": "glia.tuning.tuned",
    "wrap": "glia.estimators.wrap",
    "load": "glia.estimators.persist",
    "save": "glia.estimators.persist",
    "read": "glia.data",
    "describe": "glia.data",
    "GliaError": "glia.core.errors",
    "InputError": "glia.core.errors",
}
_PARTS = (
    "data",
    "diagnose",
    "engine",
    "ensemble",
    "estimators",
    "explain",
    "lab",
    "nn",
    "objectives",
    "repair",
    "report",
    "tuning",
)

__all__ = [
    "Checkpoints",
    "Classifier",
    "GliaError",
    "InputError",
    "Objective",
    "Optimizer",
    "Perceptron",
    "Preparation",
    "Regressor",
    "Stream",
    "TunedEstimator",
    "__version__",
    "data",
    "describe",
    "diagnose",
    "engine",
    "ensemble",
    "estimators",
    "explain",
    "fit",
    "lab",
    "load",
    "nn",
    "objectives",
    "read",
    "repair",
    "report",
    "save",
    "tune",
    "tuning",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
        globals()[name] = found
        return found
    if name in _PARTS:
        return import_module(f"glia.{name}")
    raise AttributeError(f"module 'glia' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
