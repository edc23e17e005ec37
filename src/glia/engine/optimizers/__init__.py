"""Optimizers by their standard names: torch's own where it has them."""

from glia.engine.optimizers.factory import default_lr, evaluation_point, make_optimizer
from glia.engine.optimizers.feature_scales import FeatureScaledAdamW, feature_scaled_adamw
from glia.engine.optimizers.groups import parameter_groups
from glia.engine.optimizers.lion import Lion
from glia.engine.optimizers.muon import MuonAdamW
from glia.engine.optimizers.rules import optimizers
from glia.engine.optimizers.schedule_free import ScheduleFree

__all__ = [
    "FeatureScaledAdamW",
    "Lion",
    "MuonAdamW",
    "ScheduleFree",
    "default_lr",
    "evaluation_point",
    "feature_scaled_adamw",
    "make_optimizer",
    "optimizers",
    "parameter_groups",
]
