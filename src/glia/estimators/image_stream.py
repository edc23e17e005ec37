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

_HELD_BYTES = 1 << 28
_BLOCK_BYTES = 1 << 26


def check_streamed(estimator: Any) -> None:
    """Refuse what needs all pictures at once.

    Raises
    ------
    InputError
        If classes are resampled, or several networks trained.
    """
    if getattr(estimator, "balance", "none") not in (None, "none"):
        got = f"balance={estimator.balance!r}"
        raise InputError("pictures that memory does not hold are not resampled", got, "use class_weight='balanced'")
    if estimator.members_ > 1:
        got = f"members={estimator.members!r}"
        raise InputError("pictures that memory does not hold are learned by one network", got, "set members=1")


def bounded(valid: tuple[Any, Any], values: int, seed: int) -> tuple[Any, Any]:
    """Return validation rows and targets, of too many a random share whose prepared pictures take 256 MB.

    Parameters
    ----------
    valid : (rows, targets)
    values : int
        Of one prepared picture.
    seed : int
    """
    rows, known = valid
    most = max(1000, _HELD_BYTES // (4 * values))
    if len(rows) <= most:
        return valid
    chosen = np.sort(numpy_rng(seed).permutation(len(rows))[:most])
    return rows[chosen], known[chosen]


def block_rows(shape: tuple[int, ...]) -> int:
    """Return how many rows are prepared at once for predictions: whole batches of those that go through together."""
    batch = rows_at_once(shape)
    return batch * max(1, _BLOCK_BYTES // (4 * math.prod(shape) * batch))


def small_parts(y: NDArray[Any], weight: NDArray[Any] | None) -> tuple[Tensor, Tensor | None]:
    """Return targets and weights of mean 1 as tensors."""
    scaled = None if weight is None else torch.from_numpy((weight / weight.mean()).astype(np.float32))
    return torch.from_numpy(np.ascontiguousarray(y)), scaled
