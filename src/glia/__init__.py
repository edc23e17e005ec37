"""Glia: networks that can be trusted, from data to report.

Names are loaded when they are first used, so that ``import glia`` takes a few milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "AudioClassifier": "glia.estimators.audio_classifier",
    "AudioPreparation": "glia.data.audio",
    "Augment": "glia.estimators.image_augment",
    "Classifier": "glia.estimators.classifier",
    "ImageClassifier": "glia.estimators.image_classifier",
    "ImagePreparation": "glia.data.images",
    "ImageRegressor": "glia.estimators.image_regressor",
    "PictureTablePreparation": "glia.data.images",
    "Regressor": "glia.estimators.regressor",
    "SequenceClassifier": "glia.estimators.sequence_classifier",
    "SequenceLabeler": "glia.estimators.sequence_labeler",
    "SequencePreparation": "glia.data.series",
    "SequenceRegressor": "glia.estimators.sequence_regressor",
    "SpecAugment": "glia.estimators.spec_augment",
    "Perceptron": "glia.estimators.perceptron",
    "TextClassifier": "glia.estimators.text_classifier",
    "TextPreparation": "glia.data.texts",
    "TextRegressor": "glia.estimators.text_regressor",
    "Checkpoints": "glia.engine.checkpointing",
    "Preparation": "glia.data.preparation",
    "Objective": "glia.objectives",
    "Optimizer": "glia.engine.optimizer_settings",
    "Stream": "glia.data.stream",
    "fit": "glia.estimators.table_fit",
    "tune": "glia.tuning.tune",
    "TunedEstimator": "glia.tuning.tuned",
    "wrap": "glia.estimators.wrap",
    "load": "glia.ensemble.persist",
    "save": "glia.ensemble.persist",
    "read": "glia.data",
    "describe": "glia.data",
    "Forecaster": "glia.estimators.forecaster",
    "rolling_origin": "glia.estimators.rolling_origin",
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
    "transfer",
    "tuning",
)

__all__ = [
    "AudioClassifier",
    "AudioPreparation",
    "Augment",
    "Checkpoints",
    "Classifier",
    "Forecaster",
    "GliaError",
    "ImageClassifier",
    "ImagePreparation",
    "ImageRegressor",
    "InputError",
    "Objective",
    "Optimizer",
    "Perceptron",
    "PictureTablePreparation",
    "Preparation",
    "Regressor",
    "SequenceClassifier",
    "SequenceLabeler",
    "SequencePreparation",
    "SequenceRegressor",
    "SpecAugment",
    "Stream",
    "TextClassifier",
    "TextPreparation",
    "TextRegressor",
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
    "rolling_origin",
    "save",
    "transfer",
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
