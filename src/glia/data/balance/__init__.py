"""Training rows drawn so that rare classes count: over- and undersampling, synthetic rows, cleaning."""

from glia.data.balance import clean as _clean  # noqa: F401  (registers its ways, as do the others)
from glia.data.balance import combined as _combined  # noqa: F401
from glia.data.balance import oversample as _oversample  # noqa: F401
from glia.data.balance import synthetic as _synthetic  # noqa: F401
from glia.data.balance import undersample as _undersample  # noqa: F401
from glia.data.balance.base import Balance, Balanced, balance_rows, balancers

__all__ = ["Balance", "Balanced", "balance_rows", "balancers"]
