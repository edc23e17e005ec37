"""The settings of ``glia tune``: all those of a fit, and how they are searched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from glia.core.errors import InputError
from glia.core.settings import extra_of, setting
from glia.core.source_kinds import source_kind
from glia.engine.intervals import read_interval
from glia.estimators.settings import FitSettings
from glia.tuning.halving import Halving

_SEARCH = "Search"
_GROUPS = ("Network", "Preparation", "Objective", "Training")
_NEVER = ("members", "radial", "bagging", "threshold", "cost", "time_budget")
"""Settings that a trial, which is one network and its loss, does not feel."""
Whole = Annotated[int, Field(ge=2)]


class TuneSettings(FitSettings):
    """What is tuned on which rows, and how the settings of a fit are searched."""

    out: str = setting("tuned", "folder for the model, the settings, the report and the study", group="Data")
    trials: Annotated[int, Field(ge=1)] = setting(
        50, "configurations to try; of a study that is shared or goes on, in all", group=_SEARCH
    )
    time_budget: str | None = setting(None, "time for the search: 90s, 10m, 1h", group=_SEARCH)
    study: str | None = setting(
        None, "file of the study, which processes share; by default study.db in the folder", group=_SEARCH
    )
    folds: Whole | None = setting(
        None, "judge by so many folds of the training and validation rows instead of by the latter", group=_SEARCH
    )
    sampler: Literal["tpe", "random"] = setting("tpe", "how configurations are proposed", group=_SEARCH)
    halving: bool = setting(True, "stop poor configurations early, and train those alike at once", group=_SEARCH)
    bracket: Whole = setting(18, "configurations that start together", group=_SEARCH)
    siblings: Annotated[int, Field(ge=1)] = setting(
        6, "how many of them have one architecture and are trained in one computation", group=_SEARCH
    )
    eta: Whole = setting(3, "one in so many goes on to so many times the epochs", group=_SEARCH)
    rungs: Annotated[int, Field(ge=1)] = setting(3, "how often configurations are compared", group=_SEARCH)
    untuned: bool = setting(True, "fit Glia's own choice of settings too, and compare on the test rows", group=_SEARCH)

    @model_validator(mode="after")
    def _can_be_searched(self) -> TuneSettings:
        if self.time_budget is not None and read_interval(self.time_budget).seconds is None:
            raise InputError("a time budget must be a time", repr(self.time_budget), "write 90s, 10m or 1h")
        if self.workers > 1:
            raise InputError(
                "a search trains on one process", f"workers={self.workers}", "start it several times with one --study"
            )
        if self.stream is True and source_kind(self.data) != "images":
            raise InputError("a search needs rows in memory", "stream=True", "tune on some of them: --max-rows")
        timed = self.time is not None and self.group is None and self.id is None  # with id, time orders its steps
        if self.folds is not None and (self.split == "time" or timed):
            raise InputError("folds would learn from the future", f"folds={self.folds} with time", "leave folds away")
        return self

    @property
    def plan(self) -> Halving | bool:
        """How brackets are thinned out; ``False`` for one configuration at a time."""
        return Halving(self.bracket, self.eta, self.rungs, self.siblings) if self.halving else False

    def fit_settings(self, **changes: Any) -> FitSettings:
        """Return the settings of a fit, with some of them changed."""
        own = {name: value for name, value in self.model_dump().items() if name in FitSettings.model_fields}
        return FitSettings(**{**own, "out": "run", "time_budget": None, **changes})


def searchable() -> tuple[str, ...]:
    """Return the settings of a fit that can be searched."""
    fields = FitSettings.model_fields.items()
    return tuple(name for name, field in fields if extra_of(field, "group") in _GROUPS and name not in _NEVER)


def descriptions() -> dict[str, str]:
    """Return what each of them means."""
    return {name: str(FitSettings.model_fields[name].description) for name in searchable()}
