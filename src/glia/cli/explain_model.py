"""``glia explain`` with a method that pictures the whole model: effects, importance, trees, rules, examples."""

from __future__ import annotations

import inspect
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glia.cli.evaluate import model_targets
from glia.cli.explain_rows import asked_options
from glia.cli.output import Terminal
from glia.core.errors import InputError, near
from glia.core.results import Result, Table

if TYPE_CHECKING:
    import polars as pl

    from glia.cli.explain import ExplainSettings

FEW = ("counterfactuals", "nearest", "nearest_rows")
"""Methods that explain single rows against all the others."""


def picture(
    settings: ExplainSettings, terminal: Terminal, model: Any, frame: pl.DataFrame, whole: pl.DataFrame
) -> None:
    """Picture a model on all rows of a table, and write and print the result.

    Parameters
    ----------
    settings, terminal
        Of the verb.
    model : predictor
        What is explained.
    frame, whole : polars.DataFrame
        The rows without and with what the model was not fitted on.
    """
    from glia.explain import pictures

    method = pictures.get(settings.method)
    single = settings.method in FEW
    begun = time.perf_counter()
    options = _options(method, settings, model, frame, whole)
    if options.get("column") is None and "column" in options:
        options["column"] = _leading(model, frame, options)
    result = method(model, frame.head(settings.rows) if single else frame, **options)
    seconds = time.perf_counter() - begun
    data = {**result.to_dict(), "method": settings.method, "summary": result.summary()}
    data |= {"command": terminal.command, "seconds": seconds, "files": {}}
    tables = result.tables()
    if settings.out is not None:
        data["files"] = write_picture(result, data, settings, frame.height)
        tables = [*tables, Table("Written", ("what", "where"), tuple(data["files"].items()))]
    said = result.summary()
    if single and frame.height > settings.rows:
        said += f" These are the first {settings.rows} of {frame.height:,} rows."
    terminal.report(data, said, tables)


def _options(
    method: Any, settings: ExplainSettings, model: Any, frame: pl.DataFrame, whole: pl.DataFrame
) -> dict[str, Any]:
    """Return what the method takes of the settings.

    Raises
    ------
    InputError
        If something was asked for that the method does not have, or the truth that it needs is not in the rows.
    """
    options = asked_options(method, settings, _wanted(settings.wanted, model))
    takes = inspect.signature(method).parameters
    if "column" in takes:
        options.setdefault("column", None)
    if "background" in takes:
        options["background"] = frame
    if takes.get("y") is not None and takes["y"].default is inspect.Parameter.empty:
        options["y"] = _truth(settings, whole)
    return options


def _truth(settings: ExplainSettings, whole: pl.DataFrame) -> Any:
    targets = model_targets(settings.model)
    for target in targets:
        if target not in whole.columns:
            raise InputError(
                f"{settings.method} needs the right answers", f"no column {target!r}", near(target, whole.columns)
            )
    values = whole.select(targets).to_numpy()
    return values[:, 0] if len(targets) == 1 else values


def _wanted(words: str | None, model: Any) -> Any:
    """Return the wanted answer: a class, or of values a range written as ``low..high`` with either end left out."""
    if words is None or model.task_ != "regression":
        return words
    low, dots, high = words.partition("..")
    try:
        ends = tuple(float(end) if end.strip() else None for end in (low, high))
    except ValueError:
        dots = ""
    if not dots:
        raise InputError("wanted must be a range of values", repr(words), "write e.g. 10..20, 10.. or ..20")
    return ends


def _leading(model: Any, frame: pl.DataFrame, options: dict[str, Any]) -> str:
    """Return the column with the largest effect."""
    from glia.explain import accumulated_local_effects

    shared = {name: options[name] for name in ("output", "space", "random_state") if name in options}
    sizes: dict[str, float] = {}
    for name in model.feature_names:
        try:
            sizes[name] = accumulated_local_effects(model, frame, name, points=9, rows=1000, **shared).size()
        except InputError:  # a column without two different values
            continue
    if not sizes:
        raise InputError("a column must have two different values", "none of them", "hand in more rows")
    return max(sizes, key=lambda name: sizes[name])


def write_picture(result: Result, data: dict[str, Any], settings: ExplainSettings, rows: int) -> dict[str, str]:
    """Write the result and its page; return what is where."""
    from glia.core.files import write_json, write_text
    from glia.report.model_picture import render_picture

    place = Path(str(settings.out))
    files = {"result": str(place / "explain.json"), "page": str(place / "explain.html")}
    about = {"name": Path(settings.model).name, "rows": rows, "files": files}
    about |= {"command": data["command"], "seconds": data["seconds"]}
    page = render_picture(result, settings.method, about)
    write_json(files["result"], {**data, "files": files})
    write_text(files["page"], page)
    return files
