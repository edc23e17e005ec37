"""What is missing, why it may be missing, and what replaces it: masks, patterns, tests and Rubin's rules."""

from glia.data.missing.encoding import TableEncoding
from glia.data.missing.little import LittleTest, little_test, normal_em
from glia.data.missing.masks import MECHANISMS, missing_mask
from glia.data.missing.mechanism import Predictability, predictability
from glia.data.missing.patterns import MissingColumn, Pattern, columns_missing, pairs_missing, patterns
from glia.data.missing.pooling import Pooled, pool

__all__ = [
    "MECHANISMS",
    "LittleTest",
    "MissingColumn",
    "Pattern",
    "Pooled",
    "Predictability",
    "TableEncoding",
    "columns_missing",
    "little_test",
    "missing_mask",
    "normal_em",
    "pairs_missing",
    "patterns",
    "pool",
    "predictability",
]
