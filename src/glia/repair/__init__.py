"""Missing data put right: what is missing and why, which remedy errs least on these data, several completed sets."""

from glia.repair.multiple import MultipleImputation
from glia.repair.remedies import REMEDIES, Remedy, find_remedy
from glia.repair.repair import complete, repair
from glia.repair.result import RepairResult

__all__ = ["REMEDIES", "MultipleImputation", "Remedy", "RepairResult", "complete", "find_remedy", "repair"]
