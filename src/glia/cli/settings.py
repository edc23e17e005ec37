"""``glia settings [VERB] [--schema]``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from glia.cli.describe import DescribeSettings
from glia.cli.doctor import DoctorSettings
from glia.cli.evaluate import EvaluateSettings
from glia.cli.explain import ExplainSettings
from glia.cli.flags import settings_class
from glia.cli.lab import LabSettings
from glia.cli.predict import PredictSettings
from glia.cli.repair import RepairSettings
from glia.core.settings import Settings
from glia.estimators.settings import FitSettings
from glia.report.forecast_settings import ForecastSettings
from glia.tuning.settings import TuneSettings

CLASSES: dict[str, type[Settings]] = {
    "fit": FitSettings,
    "forecast": ForecastSettings,
    "predict": PredictSettings,
    "evaluate": EvaluateSettings,
    "describe": DescribeSettings,
    "repair": RepairSettings,
    "doctor": DoctorSettings,
    "explain": ExplainSettings,
    "lab": LabSettings,
    "tune": TuneSettings,
}


def command(
    verb: Annotated[
        str,
        typer.Argument(
            help="The verb: fit, forecast, predict, evaluate, describe, repair, doctor, explain, lab or tune.",
            metavar="VERB",
        ),
    ] = "fit",
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema instead.")] = False,
) -> None:
    """Print the settings of a verb as a commented TOML file or as a JSON schema."""
    cls = settings_class(CLASSES, verb)
    if not schema:
        print(f"# Read by: glia {verb} --config THIS_FILE; flags count before the file.")
    print(
        json.dumps(cls.schema_dict(), indent=2, ensure_ascii=False) if schema else cls.template(),
        end="\n" if schema else "",
    )
