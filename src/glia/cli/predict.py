"""``glia predict MODEL DATA --out FILE``."""

from __future__ import annotations

from pathlib import Path

from glia.cli.flags import verb
from glia.cli.output import Terminal, check_suffix, write_frame
from glia.core.errors import InputError
from glia.core.settings import REQUIRED, Settings, setting


class PredictSettings(Settings):
    """What is predicted, with what, and where the answers go."""

    model: str = setting(REQUIRED, "the model file, as glia fit wrote it")
    data: str = setting(
        REQUIRED,
        "the rows: CSV, TSV, Parquet, Arrow or JSON lines; a folder of pictures or sounds; or a file of series",
    )
    out: str = setting(REQUIRED, "file for the predictions: .csv, .tsv, .parquet, .arrow, .feather or .jsonl")


@verb(PredictSettings, "model", "data")
def command(settings: PredictSettings, terminal: Terminal) -> None:
    """Predict the rows of a table with a saved model."""
    check_suffix(settings.out)
    if Path(settings.out).exists() and Path(settings.data).exists() and Path(settings.out).samefile(settings.data):
        raise InputError("the output must not be the table itself", repr(settings.out), "give another file name")
    from glia.data import read
    from glia.estimators.image_inputs import ImageInputs
    from glia.estimators.persist import load
    from glia.estimators.raw_rows import reads_files, unlabelled_rows

    model = load(settings.model)
    if reads_files(model):
        rows = unlabelled_rows(model, settings.data)
    else:
        rows = settings.data if isinstance(model, ImageInputs) else read(settings.data, infer=False).frame
    frame = model.predict_frame(rows)
    write_frame(frame, settings.out)
    data = {"out": settings.out, "rows": frame.height, "columns": frame.columns}
    noun = "prediction" if frame.height == 1 else "predictions"
    terminal.report(data, f"{frame.height:,} {noun} in {settings.out}", [])
