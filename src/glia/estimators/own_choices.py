"""The fit of estimators whose data are no table: their own meaning of "auto", one network unless several are wanted."""

from __future__ import annotations

from typing import Any

from glia.estimators.base import NetworkEstimator
from glia.estimators.choices import Choices, choose


class OwnChoices(NetworkEstimator):
    """Base of estimators that settle every "auto" themselves, in ``_settle``."""

    members: Any
    _why: dict[str, dict[str, Any]]

    def _settle(self, params: dict[str, Any], rows: int) -> dict[str, Any]:
        """Return parameters without any "auto"; keep in ``_why`` how they came about."""
        raise TypeError(f"{type(self).__name__} does not say what it chooses")

    def _auto_members(self) -> int:
        """Return how many networks ``members="auto"`` means."""
        return 1

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        settled = self._settle(params, rows)
        found = choose(settled, rows=rows, task=self.task_, layout=self.layout_, members=members)
        found.why = {**found.why, **self._why}
        return found

    def _choose_members(self, rows: int) -> int:
        return self._auto_members() if isinstance(self.members, str) else super()._choose_members(rows)

    def _folded(self) -> bool:
        return False
