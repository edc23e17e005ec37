"""Learning-rate schedules by their standard names."""

from glia.engine.schedules.base import ObservingSchedule, Schedule, as_schedule, curve, schedules
from glia.engine.schedules.cycles import OneCycle, WarmRestarts
from glia.engine.schedules.decay import Constant, CosineDecay, ExponentialDecay, LinearDecay, StepDecay
from glia.engine.schedules.plateau import Plateau
from glia.engine.schedules.warmup import Warmup, WarmupCosine

__all__ = [
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "LinearDecay",
    "ObservingSchedule",
    "OneCycle",
    "Plateau",
    "Schedule",
    "StepDecay",
    "WarmRestarts",
    "Warmup",
    "WarmupCosine",
    "as_schedule",
    "curve",
    "schedules",
]
