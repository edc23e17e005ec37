"""``glia predict MODEL DATA --out FILE``."""

from __future__ import annotations

from glia.cli.flags import verb
from glia.cli.output import Terminal, check_suffix, write_frame
from glia.core.settings import REQUIRED, Settings, setting


class PredictSettings(Settings):
    """What is predicted, with what, and where the answers go."""

    model: str = setting(REQUIRED, "the model file, as glia fit wrote it")
    data: str = setting(REQUIRED, "the rows: CSV, TSV, Parquet, Arrow or JSON lines")
    out: str = setting(REQUIRED, "file for the predictions: .csv, .tsv, .parquet, .arrow, .feather or .jsonl")


@verb(PredictSettings, "model", "data")
def command(settings: PredictSettings, terminal: Terminal) -> None:
    """Predict the rows of a table with a saved model."""
    check_suffix(settings.out)
    from glia.data import read
    from glia.estimators.persist import load

    frame = load(settings.model).predict_frame(read(settings.data, infer=False).frame)
    write_frame(frame, settings.out)
    data = {"out": settings.out, "rows": frame.height, "columns": frame.columns}
    terminal.report(data, f"{frame.height} predictions in {settings.out}", [])
