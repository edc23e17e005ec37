"""Which explanation to believe: measures of an explanation's trustworthiness."""

from glia.explain.checks.agreement import AgreementResult, agreement
from glia.explain.checks.quick import quick_check
from glia.explain.checks.removal import RemovalResult, removal
from glia.explain.checks.run import THRESHOLDS, check

__all__ = ["AgreementResult", "RemovalResult", "THRESHOLDS", "agreement", "check", "quick_check", "removal"]
