"""Several models as one: bagging, boosting, stacking, different families, snapshots; and what their spread tells."""

from glia.ensemble.adaboost import AdaBoost
from glia.ensemble.architectural import Architectural
from glia.ensemble.bagging import Bagging
from glia.ensemble.balanced_bagging import BalancedBagging
from glia.ensemble.boosting import Boosting
from glia.ensemble.cycle_snapshots import CycleSnapshots
from glia.ensemble.diversity import DiversityResult, diversity
from glia.ensemble.greedy import GreedyWeights, greedy_weights
from glia.ensemble.parts import EnsembleParts, from_members, to_members
from glia.ensemble.snapshot import Snapshot
from glia.ensemble.stacking import Stacking
from glia.ensemble.uncertainty import UncertaintyResult, split_entropy

__all__ = [
    "AdaBoost",
    "Architectural",
    "Bagging",
    "BalancedBagging",
    "Boosting",
    "CycleSnapshots",
    "DiversityResult",
    "EnsembleParts",
    "GreedyWeights",
    "Snapshot",
    "Stacking",
    "UncertaintyResult",
    "diversity",
    "from_members",
    "greedy_weights",
    "split_entropy",
    "to_members",
]
