"""What stands in for a missing number: one value per column, or an imputer that looks at the other columns or rows.

``imputers`` is their registry: a new one is a ``MatrixImputer`` with a name.
"""

from glia.data.impute.autoencoder import Autoencoder
from glia.data.impute.base import Block, MatrixImputer, imputer_from_state, imputers, make_imputer
from glia.data.impute.chained import Chained
from glia.data.impute.completer import Completer
from glia.data.impute.constants import Constant, Mean, Median, Mode
from glia.data.impute.interpolation import Interpolation, LinearInterpolation, NearestRow, SplineInterpolation
from glia.data.impute.neighbours import Neighbours
from glia.data.impute.simple import (
    BY_COLUMN,
    IMPUTE,
    INDICATOR,
    Impute,
    Indicator,
    fill_values,
    indicator_columns,
    read_impute,
)
from glia.data.impute.stochastic import Stochastic

__all__ = [
    "BY_COLUMN",
    "IMPUTE",
    "INDICATOR",
    "Autoencoder",
    "Block",
    "Chained",
    "Completer",
    "Constant",
    "Impute",
    "Indicator",
    "Interpolation",
    "LinearInterpolation",
    "MatrixImputer",
    "Mean",
    "Median",
    "Mode",
    "NearestRow",
    "Neighbours",
    "SplineInterpolation",
    "Stochastic",
    "fill_values",
    "imputer_from_state",
    "imputers",
    "indicator_columns",
    "make_imputer",
    "read_impute",
]
