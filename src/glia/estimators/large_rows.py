"""What estimators share whose prepared rows memory need not hold: how they are trained on, judged by and predicted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng
from glia.data.stream.memory import show_size
from glia.data.stream.prepared_rows import PreparedRows
from glia.engine.checkpointing import as_checkpoints
from glia.engine.indexed_rows import IndexedRows
from glia.engine.rows import Rows, rows_at_once
from glia.estimators.base import NetworkEstimator
from glia.estimators.choices import Choices
from glia.estimators.rebalance import as_balance
from glia.estimators.settings import FitSettings

_HELD_BYTES = 1 << 28
_BLOCK_BYTES = 1 << 26


class LargeRows(NetworkEstimator):
    """Mix-in for estimators whose prepared training rows may be ``PreparedRows``: kept on disk, or made again.

    Mini-batches are those of rows in memory, to the bit. Of very many validation rows a share judges, and rows to
    predict are prepared some at a time.
    """

    _placed: dict[str, str] | None = None

    def _rows_folder(self) -> Any:
        """Return the folder on whose disk prepared rows are kept: that of the checkpoints, where there are any."""
        checkpoints = as_checkpoints(getattr(self, "checkpoint", None))
        return None if checkpoints is None else checkpoints.folder

    def _checked_rows(self, prepared: Any) -> Any:
        """Return prepared rows, or refuse what would need all at once.

        Raises
        ------
        InputError
            If rows are made or left out by class, and memory does not hold them.
        """
        if isinstance(prepared, PreparedRows) and as_balance(getattr(self, "balance", "none")) not in (None, "batches"):
            got, do = f"balance={self.balance!r}", "use balance='batches', or class_weight='balanced'"
            raise InputError("rows that memory does not hold are not resampled", got, do)
        return prepared

    def _train(self, x: Any, *rest: Any, **options: Any) -> None:
        self._placed = None
        if isinstance(x, PreparedRows):
            size = show_size(x.nbytes)
            why = f"{size} on disk" if x.place == "disk" else f"{size} are made again whenever they are needed"
            self._placed = {"value": x.place, "why": why}
        super()._train(x, *rest, **options)

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        found = super()._choose(params, rows, members)
        self._say_place(found)
        return found

    def _say_place(self, choices: Choices) -> None:
        """Note where prepared rows are, if not in memory, beside what was chosen."""
        if self._placed is not None:
            choices.why["prepared rows"] = self._placed

    def _judges(self, x: Any, rows: int) -> NDArray[np.intp] | None:
        if not isinstance(x, PreparedRows):
            return None
        return few_judges(rows, math.prod(x.shape[1:]), self._seed("held"))

    def _as_rows(self, x: Any, y: NDArray[Any], weight: Any) -> Any:
        if not isinstance(x, PreparedRows):
            return super()._as_rows(x, y, weight)
        scaled = None if weight is None else torch.from_numpy((weight / weight.mean()).astype(np.float32))
        none = Rows(torch.empty(0), torch.from_numpy(np.ascontiguousarray(y)), scaled).to(self._device)
        return IndexedRows(lambda index: x[index], none.y, none.weight, x.shape[1:], x.fingerprint)

    def _drawn(self, train: Any) -> Any:
        if not isinstance(train, IndexedRows):
            return super()._drawn(train)
        return train.evenly() if as_balance(getattr(self, "balance", "none")) == "batches" else train

    def _outputs(self, X: Any) -> NDArray[np.float32]:
        """Return raw network outputs for rows, (N, O); some rows are prepared at a time."""
        return np.concatenate([super(LargeRows, self)._outputs(part) for part in self._in_parts(X)])

    def _member_outputs(self, X: Any) -> NDArray[np.float32]:
        """Return raw outputs of every member, (K, N, O); some rows are prepared at a time."""
        parts = [super(LargeRows, self)._member_outputs(part) for part in self._in_parts(X)]
        return np.concatenate(parts, axis=1)

    def _in_parts(self, X: Any) -> list[Any]:
        """Return rows in blocks that memory holds prepared."""
        check_is_fitted(self, "network_")
        rows: Any = self._read_known(X)
        most = block_rows(self.layout_.shape)
        return [rows] if len(rows) <= most else [rows[i : i + most] for i in range(0, len(rows), most)]


def few_judges(rows: int, values: int, seed: int) -> NDArray[np.intp] | None:
    """Return the numbers of the validation rows that judge, ``None`` for all; of too many a share that takes 256 MB.

    Parameters
    ----------
    rows : int
        Validation rows.
    values : int
        Of one prepared row.
    seed : int
    """
    most = max(1000, _HELD_BYTES // (4 * values))
    return None if rows <= most else np.sort(numpy_rng(seed).permutation(rows)[:most])


def block_rows(shape: tuple[int, ...]) -> int:
    """Return how many rows are prepared at once for predictions: whole batches of those that go through together."""
    batch = rows_at_once(shape)
    return batch * max(1, _BLOCK_BYTES // (4 * math.prod(shape) * batch))


def keep_for(settings: FitSettings) -> str:
    """Return where a run keeps its prepared rows: what ``stream`` means for rows that are no table's."""
    return "auto" if settings.stream == "auto" else "disk" if settings.stream else "memory"
