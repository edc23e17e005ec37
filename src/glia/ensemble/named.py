"""Ensembles of different estimators, each with a name: ``set_params(linear__alpha=1)`` reaches the one named linear."""

from __future__ import annotations

from typing import Any

from sklearn.utils.metaestimators import _BaseComposition

from glia.core.errors import InputError
from glia.ensemble.base import Ensemble
from glia.ensemble.members import fresh


class NamedEnsemble(Ensemble, _BaseComposition):  # type: ignore[misc]  # scikit-learn carries no types
    """Base of ensembles that are given a list of (name, estimator)."""

    estimators: Any
    names_: list[str]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings, those of the estimators under their names."""
        return dict(self._get_params("estimators", deep=deep))

    def set_params(self, **params: Any) -> Any:
        """Set settings; an estimator is replaced by its name."""
        self._set_params("estimators", **params)
        return self

    def _estimators(self) -> list[Any]:
        given = self.estimators
        if not isinstance(given, (list, tuple)) or not all(isinstance(p, tuple) and len(p) == 2 for p in given):
            return []
        return [one for _, one in given]

    def _check_kinds(self) -> None:
        found = self._estimators()
        names = [str(name) for name, _ in self.estimators] if found else []
        if not found:
            raise InputError(
                "estimators must be a list of (name, estimator)", repr(self.estimators)[:80], "name at least one"
            )
        if len(set(names)) < len(names) or any("__" in name or not name for name in names):
            raise InputError("names of estimators must differ, and be without a double underscore", f"{names}")
        super()._check_kinds()
        self.names_ = names

    def _fresh(self) -> list[Any]:
        """Return unfitted copies; random states that are not set follow the ensemble's."""
        made = zip(self.names_, self._estimators(), strict=True)
        return [fresh(one, self._stream("member", name), keep=True) for name, one in made]

    def _member_names(self, count: int) -> list[str]:
        return list(self.names_)
