"""``glia explain MODEL DATA [--method shap] [--out explain/]``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from glia.cli.explain_model import picture
from glia.cli.explain_rows import asked_options
from glia.cli.flags import verb
from glia.cli.output import Terminal, write_frame
from glia.core.errors import InputError, near
from glia.core.results import Table
from glia.core.settings import REQUIRED, Settings, setting

if TYPE_CHECKING:
    import polars as pl

    from glia.explain.attribution import AttributionResult


class ExplainSettings(Settings):
    """Which model is explained, on which rows, how, and where the result goes."""

    model: str = setting(REQUIRED, "the model file, or the run's folder, as glia fit wrote it")
    data: str = setting(
        REQUIRED,
        "the rows: CSV, TSV, Parquet, Arrow or JSON lines; a folder of pictures or sounds; a file of series",
    )
    method: str = setting(
        "auto",
        "of single rows: shap, lime, …; of the model: ale, pdp, importance, interactions, tree, rules, …; of pictures: "
        "grad_cam, integrated_gradients, lime, …; of texts: occlusion, lime; of sounds and sequences: occlusion, "
        "integrated_gradients, gates, attention, …; auto is shap, grad_cam or occlusion",
    )
    column: str | None = setting(None, "the column that ale and pdp look at; by default the one with most effect")
    wanted: str | None = setting(None, "the answer that counterfactuals look for: a class, or low..high")
    immutable: list[str] = setting([], "columns that counterfactuals leave as they are")
    output: str | None = setting(None, "the class or target to explain; by default all of them")
    space: Literal["logit", "probability"] = setting("logit", "what of a classifier is explained")
    step: Annotated[int, Field(ge=0)] | None = setting(
        None, "of models that label every step: the one to explain, counted from 0; by default each sequence's hardest"
    )
    rows: Annotated[int, Field(ge=1)] = setting(20, "explain at most this many rows, from the first on")
    background: Annotated[int, Field(ge=1)] = setting(
        100, "rows drawn from the data that stand for an unknown column, at most"
    )
    checks: bool = setting(True, "measure on 16 rows whether the shares of columns can be relied upon")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = setting(0, "the one seed of everything random")
    out: str | None = setting(None, "folder for attributions.parquet, explain.json and explain.html")


@verb(ExplainSettings, "model", "data")
def command(settings: ExplainSettings, terminal: Terminal) -> None:
    """Explain a saved model's answers for rows of a table."""
    if settings.out is not None and Path(settings.out).exists() and not Path(settings.out).is_dir():
        raise InputError("out must be a folder", f"the file {settings.out!r}", "choose another name")
    from glia.cli.explain_images import explain_images
    from glia.data import read
    from glia.estimators.image_inputs import ImageInputs
    from glia.estimators.persist import load
    from glia.explain import methods, pictures, quick_check
    from glia.report.effects import leading_effects
    from glia.report.explanation import explanation_record

    settings = settings.replace(model=_file(settings.model))
    model = load(settings.model)
    other = _of_its_own(model)
    if settings.step is not None and (other is None or not hasattr(model, "layout_") or len(model.layout_.shape) != 2):
        raise InputError("a step is chosen of sequences", f"--step with {type(model).__name__}", "leave it out")
    if other is not None:
        other(settings, terminal, model)
        return
    of_pictures = isinstance(model, ImageInputs) and len(model.layout_.shape) == 3
    if settings.method == "auto":
        settings = settings.replace(method=_usual(model) if of_pictures else "shap")
    if settings.method not in methods and settings.method not in pictures:
        known = (*methods.names(), *pictures.names())
        raise InputError("method must be a known name", f"method={settings.method!r}", near(settings.method, known))
    if of_pictures:
        explain_images(settings, terminal, model)
        return
    whole = read(settings.data, infer=False).frame
    frame = _inputs(model, whole)
    if not frame.height:
        raise InputError("the data must have rows", f"none in {settings.data!r}", "hand in at least one")
    if settings.method in pictures:
        picture(settings, terminal, model, frame, whole)
        return
    method = methods.get(settings.method)
    options = _options(method, frame, settings)
    asked = frame.head(settings.rows)
    result = method(model, asked, **options)
    if settings.checks:
        result = quick_check(model, asked, result, background=options.get("background"))
    if "background" in options:
        drawn = f"{len(options['background']):,} of {frame.height:,} rows of the data"
        result = replace(result, settings={**result.settings, "background": drawn})
    record = explanation_record(result)
    if settings.out is not None and frame.height > 1:
        record["effects"] = leading_effects(model, frame, result)
    data: dict[str, Any] = {**result.to_dict(), "summary": result.summary(), "command": terminal.command, "files": {}}
    tables = result.tables()
    if settings.out is not None:
        data["files"] = _write(result, data, record, settings)
        tables = [*tables, Table("Written", ("what", "where"), tuple(data["files"].items()))]
    said = result.summary()
    if frame.height > settings.rows:
        said += f" These are the first {settings.rows} of {frame.height:,} rows."
    terminal.report(data, said, tables)


def _file(path: str) -> str:
    """Return the model file that a run's folder holds; a file as it is."""
    inside = Path(path) / "model.glia"
    return str(inside) if inside.is_file() else path


def _of_its_own(model: Any) -> Callable[[ExplainSettings, Terminal, Any], None] | None:
    """Return what explains texts, sounds and sequences; ``None`` for tables and pictures."""
    from glia.cli.explain_series import explain_series
    from glia.cli.explain_texts import explain_texts
    from glia.estimators.audio_inputs import AudioInputs
    from glia.estimators.sequence_input import SequenceInput
    from glia.estimators.text_inputs import TextInputs

    if isinstance(model, TextInputs):
        return explain_texts
    return explain_series if isinstance(model, (AudioInputs, SequenceInput)) else None


def _usual(model: Any) -> str:
    """Return the method for pictures: that of convolutions where there are any."""
    from torch import nn

    convolves = any(isinstance(module, nn.Conv2d) for module in model.network_.modules())
    return "grad_cam" if convolves else "integrated_gradients"


def _inputs(model: Any, frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out what the model was not fitted on, such as the answers."""
    names = [str(name) for name in getattr(model, "feature_names_in_", [])]
    return frame.select(names) if names and set(names) <= set(frame.columns) else frame


def _options(method: Any, frame: pl.DataFrame, settings: ExplainSettings) -> dict[str, Any]:
    """Return what a method for tables takes of the settings, with the rows that stand for unknown columns."""
    from glia.core.seeds import numpy_rng

    options, takes = asked_options(method, settings), inspect.signature(method).parameters
    if "background" in takes:
        count = min(settings.background, frame.height)
        drawn = numpy_rng(settings.seed, "background of glia explain").permutation(frame.height)[:count]
        options["background"] = frame[sorted(drawn.tolist())]
    if "max_background" in takes:
        options["max_background"] = settings.background
    return options


def _write(
    result: AttributionResult, data: dict[str, Any], record: dict[str, Any], settings: ExplainSettings
) -> dict[str, str]:
    """Write the values, the whole result and the page; return what is where."""
    from glia.core.files import write_json, write_text
    from glia.report.explanation import render_explanation

    place = Path(str(settings.out))
    files = {
        "values": str(place / "attributions.parquet"),
        "result": str(place / "explain.json"),
        "page": str(place / "explain.html"),
    }
    page = render_explanation({**record, "name": Path(settings.model).name, "files": files, "command": data["command"]})
    write_frame(attribution_frame(result), files["values"])
    write_json(files["result"], {**data, "files": files})
    write_text(files["page"], page)
    return files


def attribution_frame(result: AttributionResult) -> pl.DataFrame:
    """Return one row for each explained row (and output, where there are several): its number, and each share."""
    import numpy as np
    import polars as pl

    values = result.values if result.several else result.values[..., None]  # (N, C, O)
    rows, columns, outputs = values.shape
    flat = np.moveaxis(values, 2, 1).reshape(rows * outputs, columns)
    heads = {_free("row", result.feature_names): np.repeat(np.arange(rows), outputs)}
    frame = pl.DataFrame(heads)
    if result.several:
        names = pl.Series(_free("output", result.feature_names), list(result.output_names) * rows)
        frame = frame.with_columns(names)
    return frame.with_columns(pl.Series(name, flat[:, i]) for i, name in enumerate(result.feature_names))


def _free(name: str, taken: tuple[str, ...]) -> str:
    """Return a name that no column has."""
    while name in taken:
        name += "_"
    return name
