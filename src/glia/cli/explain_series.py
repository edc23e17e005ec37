"""``glia explain`` of sounds and sequences: strips over time and channels, gates and attention."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glia.cli.explain_model import write_picture
from glia.cli.explain_rows import answers, row_options, same_space
from glia.cli.output import Terminal
from glia.core.counts import counted
from glia.core.errors import InputError, near
from glia.core.results import Table

if TYPE_CHECKING:
    from glia.cli.explain import ExplainSettings
    from glia.cli.series_rows import Asked

METHODS = ("occlusion", "integrated_gradients", "input_x_gradient", "saliency", "smoothgrad")
"""Methods for steps and channels; the first is what "auto" means. They leave the mask of a sequence as it is."""
AGAINST = ("occlusion", "input_x_gradient")
_NOT_FOR_SERIES = ("column", "wanted", "immutable")


def explain_series(settings: ExplainSettings, terminal: Terminal, model: Any) -> None:
    """Explain a model's answers for sounds or sequences, and write and print the result.

    Raises
    ------
    InputError
        If there are none, or the method cannot explain them.
    """
    from glia.cli.series_rows import asked_rows, asked_steps
    from glia.estimators.sequence_labeler import SequenceLabeler
    from glia.explain import insides, methods, quick_check, removal

    if settings.method == "auto":
        settings = settings.replace(method=METHODS[0])
    known = (*METHODS, *insides.names())
    if settings.method not in known:
        got = f"method={settings.method!r}"
        raise InputError("sounds and sequences are explained by steps and channels", got, near(settings.method, known))
    for flag in _NOT_FOR_SERIES:
        if getattr(settings, flag):
            raise InputError(f"{settings.method} of sequences must take --{flag}", f"--{flag}", "leave it out")
    if len(model.layout_.shape) != 2:
        got = f"{type(model).__name__} of rows {model.layout_.shape}"
        raise InputError("the model must read sequences of steps", got, "use glia.explain in Python")
    labels = isinstance(model, SequenceLabeler)
    if settings.step is not None and (not labels or settings.method in insides):
        got = f"--step with {type(model).__name__ if not labels else settings.method}"
        raise InputError("a step is chosen where every step has an answer of its own", got, "leave it out")
    if settings.method in insides:
        _inside(settings, terminal, model, asked_rows(model, settings))
        return
    model, asked = asked_steps(model, settings) if labels else (model, asked_rows(model, settings))
    begun = time.perf_counter()
    method = methods.get(settings.method)
    result = method(model, asked.rows, **row_options(method, settings))
    curves = None
    if settings.checks and same_space(result):
        result = quick_check(model, asked.rows, result, against=AGAINST)
        curves = removal(model, asked.rows, result, output=settings.output)
    _tell(settings, terminal, model, asked, result, curves, begun)


def _tell(
    settings: ExplainSettings, terminal: Terminal, model: Any, asked: Asked, result: Any, curves: Any, begun: float
) -> None:
    from glia.cli.series_rows import strips_of

    strips = strips_of(model, asked, result, *answers(model, asked.rows, result))
    about: dict[str, Any] = {
        "name": Path(settings.model).name, "method": settings.method, "summary": result.summary(), "noun": asked.noun,
        "warnings": [*result.warnings, *([asked.remark] if asked.remark and not asked.about else [])],
        "settings": dict(result.settings), "remark": asked.remark if asked.about else "",
        "rows": len(strips), "command": terminal.command, "seconds": time.perf_counter() - begun,
        "output_names": list(result.output_names), "checks": dict(result.checks),
    }  # fmt: skip
    heads = ("name", "predicted", "explained", "from", "to", "channel")
    listed = tuple((one.name, one.said, one.output, *one.strongest) for one in strips)
    tables = [Table("What counts most", heads, listed)]
    if about["checks"]:
        tables.append(Table("How far to trust it", ("check", "figure"), tuple(about["checks"].items())))
    data = {**about, "explained": [dict(zip(heads, row, strict=True)) for row in listed]}
    if settings.out is not None:
        about["files"] = data["files"] = _write(settings, data, strips, about, (model, asked, result, curves))
        tables.append(Table("Written", ("what", "where"), tuple(data["files"].items())))
    steps, channels = result.values.shape[1:3]
    lead = f"{settings.method}, {counted(len(strips), asked.noun)} of {steps:,} × {channels:,}."
    if len(strips) < asked.whole:
        lead += f" There are {asked.whole:,} in all."
    lead += f" {about['remark']}" if about["remark"] else ""
    doubt = f" Do not rely on it: {'; '.join(result.warnings)}." if result.warnings else ""
    terminal.report(data, (lead if curves is None else f"{lead} {curves.summary()}") + doubt, tables)


def _write(
    settings: ExplainSettings, data: dict[str, Any], strips: list[Any], about: dict[str, Any], found: tuple[Any, ...]
) -> dict[str, str]:
    """Write the values, the whole result and the page; return what is where."""
    import numpy as np

    from glia.core.files import atomic_path, write_json, write_text
    from glia.report.inside_sequences import inside, inside_charts
    from glia.report.series_explanation import render_strips

    model, asked, result, curves = found
    place = Path(str(settings.out))
    files = {
        "page": str(place / "explain.html"), "result": str(place / "explain.json"),
        "values": str(place / "attributions.npy"),
    }  # fmt: skip
    charts = [chart for one in inside(model, asked.rows) for chart in inside_charts(one)]
    page = render_strips(strips, {**about, "files": files}, curves, charts)
    write_json(files["result"], {**data, "files": files})
    with atomic_path(files["values"]) as aside, open(aside, "wb") as file:
        np.save(file, result.values)
    write_text(files["page"], page)
    return files


def _inside(settings: ExplainSettings, terminal: Terminal, model: Any, asked: Asked) -> None:
    """Tell what happens inside the network: gates, or attention."""
    from glia.explain import insides
    from glia.report.inside_sequences import inside_record

    if settings.output is not None or settings.space != "logit":
        flag = "output" if settings.output is not None else "space"
        raise InputError(f"{settings.method} must take --{flag}", f"--{flag}", "leave it out")
    begun = time.perf_counter()
    result = insides.get(settings.method)(model, asked.rows)
    data = {**inside_record(result), "method": settings.method, "summary": result.summary()}
    data |= {"command": terminal.command, "seconds": time.perf_counter() - begun, "files": {}}
    tables = result.tables()
    if settings.out is not None:
        data["files"] = write_picture(result, data, settings, len(asked.rows))
        tables = [*tables, Table("Written", ("what", "where"), tuple(data["files"].items()))]
    terminal.report(data, result.summary(), tables)
