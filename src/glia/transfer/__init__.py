"""Domain adaptation: a model that was fitted in one place, made ready for unlabelled rows of another."""

from glia.transfer.adapt import adapt
from glia.transfer.result import AdaptationResult

__all__ = ["AdaptationResult", "adapt"]
