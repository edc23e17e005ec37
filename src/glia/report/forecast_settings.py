"""The settings of ``glia forecast``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from glia.core.settings import REQUIRED, Settings, setting

_DATA, _FORECAST, _TRAINING, _JUDGING = "Data", "Forecast", "Training", "Judging"
Count = Annotated[int, Field(ge=1)]
Auto = Literal["auto"]


class ForecastSettings(Settings):
    """Everything that decides a forecast; "auto" where Glia chooses from the series and records its choice."""

    data: str = setting(REQUIRED, "the series as a long table: CSV, TSV, Parquet, Arrow or JSON lines", group=_DATA)
    target: str = setting(REQUIRED, "column to forecast", group=_DATA)
    time: str = setting(REQUIRED, "column of dates, times or whole numbers", group=_DATA)
    horizon: Count = setting(REQUIRED, "steps to forecast", group=_DATA)
    id: list[str] = setting([], "column that tells series apart", group=_DATA)
    covariates: list[str] = setting(
        [], "column that is known of the steps to come too, in rows without a target", group=_DATA, flag="--covariate"
    )
    out: str = setting("run", "folder for the model, the forecasts, the report and the record", group=_DATA)

    season: Auto | Count = setting("auto", "steps after which things repeat; auto by the calendar", group=_FORECAST)
    input_length: Auto | Annotated[int, Field(ge=2)] = setting(
        "auto", "values before the origin that the network sees", group=_FORECAST
    )
    base: Literal["auto", "last", "mean", "seasonal", "theta"] = setting(
        "auto", "simple forecast that the network corrects; auto is the one that errs least", group=_FORECAST
    )
    identity: bool = setting(False, "tell the network which series it is", group=_FORECAST)

    network: str = setting("auto", "the network's family by name", group=_TRAINING)
    members: Auto | Count = setting("auto", "networks whose answers are averaged", group=_TRAINING)
    effort: Literal["quick", "default", "best"] = setting(
        "default", "how much time a good result is worth", group=_TRAINING
    )
    epochs: Auto | Count = setting("auto", "passes over the windows", group=_TRAINING)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:0, mps", group=_TRAINING)
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = setting(0, "the one seed of everything random", group=_TRAINING)

    origins: Annotated[int, Field(ge=0)] = setting(
        3, "earlier origins from which the report judges; 0 for none", group=_JUDGING
    )
    compare_series: Count = setting(50, "series at most that are compared with classic methods", group=_JUDGING)
