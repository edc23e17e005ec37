"""What a fit to more pictures than memory holds must mind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng
from glia.engine.rows import rows_at_once
from glia.estimators.rebalance import as_balance

_HELD_BYTES = 1 << 28
_BLOCK_BYTES = 1 << 26


def check_streamed(estimator: Any) -> None:
    """Refuse what needs all pictures at once.

    Raises
    ------
    InputError
        If rows are made or left out by class.
    """
    if as_balance(getattr(estimator, "balance", "none")) not in (None, "batches"):
        got = f"balance={estimator.balance!r}"
        do = "use balance='batches', or class_weight='balanced'"
        raise InputError("pictures that memory does not hold are not resampled", got, do)


def few_judges(rows: int, values: int, seed: int) -> NDArray[np.intp] | None:
    """Return the numbers of the validation rows that judge, ``None`` for all; of too many a share that takes 256 MB.

    Parameters
    ----------
    rows : int
        Validation rows.
    values : int
        Of one prepared picture.
    seed : int
    """
    most = max(1000, _HELD_BYTES // (4 * values))
    return None if rows <= most else np.sort(numpy_rng(seed).permutation(rows)[:most])


def block_rows(shape: tuple[int, ...]) -> int:
    """Return how many rows are prepared at once for predictions: whole batches of those that go through together."""
    batch = rows_at_once(shape)
    return batch * max(1, _BLOCK_BYTES // (4 * math.prod(shape) * batch))


def small_parts(y: NDArray[Any], weight: NDArray[Any] | None) -> tuple[Tensor, Tensor | None]:
    """Return targets and weights of mean 1 as tensors."""
    scaled = None if weight is None else torch.from_numpy((weight / weight.mean()).astype(np.float32))
    return torch.from_numpy(np.ascontiguousarray(y)), scaled
