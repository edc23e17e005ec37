"""``glia explain`` of texts: which words move the answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glia.cli.output import Terminal, write_frame
from glia.core.errors import InputError, near
from glia.core.results import Table

if TYPE_CHECKING:
    import polars as pl

    from glia.cli.explain import ExplainSettings
    from glia.explain.words_result import WordsResult

METHODS = ("occlusion", "lime")
"""Methods for texts; the first is what "auto" means."""
_NOT_FOR_TEXTS = ("column", "wanted", "immutable")


def explain_texts(settings: ExplainSettings, terminal: Terminal, model: Any) -> None:
    """Explain a model's answers for the texts of a table, and write and print the result.

    Raises
    ------
    InputError
        If there are no texts, or the method cannot explain them.
    """
    from glia.core.files import write_json, write_text
    from glia.data import read
    from glia.data.texts import as_texts
    from glia.explain import word_lime, word_occlusion
    from glia.report.word_explanation import render_words, told, words_record

    name = METHODS[0] if settings.method == "auto" else settings.method
    if name not in METHODS:
        raise InputError("texts are explained word by word", f"method={name!r}", near(name, METHODS))
    for flag in _NOT_FOR_TEXTS:
        if getattr(settings, flag):
            raise InputError(f"{name} of texts must take --{flag}", f"--{flag}", "leave it out")
    frame = read(settings.data, infer=False).frame
    listed = as_texts(frame, _column(model))["text"].to_list()
    if not listed:
        raise InputError("the data must have rows", f"none in {settings.data!r}", "hand in at least one")
    asked = listed[: settings.rows]
    method = word_lime if name == "lime" else word_occlusion
    result = method(
        model, asked, output=settings.output, space=settings.space, checks=settings.checks, random_state=settings.seed
    )
    record = words_record(result, told(model.predict(asked)), _truths(model, frame, len(asked)), shown=len(asked))
    data: dict[str, Any] = {**result.to_dict(), "summary": result.summary(), "command": terminal.command, "files": {}}
    tables = result.tables()
    if settings.out is not None:
        place = Path(settings.out)
        files = {
            "values": str(place / "attributions.parquet"), "result": str(place / "explain.json"),
            "page": str(place / "explain.html"),
        }  # fmt: skip
        data["files"] = files
        about = {"name": Path(settings.model).name, "files": files, "command": terminal.command}
        page = render_words({**record, **about})
        write_frame(words_frame(result), files["values"])
        write_json(files["result"], data)
        write_text(files["page"], page)
        tables = [*tables, Table("Written", ("what", "where"), tuple(files.items()))]
    said = result.summary()
    if len(listed) > len(asked):
        said += f" These are the first {len(asked)} of {len(listed):,} texts."
    terminal.report(data, said, tables)


def _column(model: Any) -> str | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else str(names[0])


def _truths(model: Any, frame: pl.DataFrame, rows: int) -> list[str] | None:
    """Return the right answers where the rows hold them."""
    from glia.report.word_explanation import told

    target = getattr(model, "target_name_", None)
    if not isinstance(target, str) or target not in frame.columns or frame[target].head(rows).null_count():
        return None
    return told(frame[target].head(rows).to_numpy())


def words_frame(result: WordsResult) -> pl.DataFrame:
    """Return one row for each word (and output, where there are several): where it stands, and its share."""
    import polars as pl

    rows = [
        (row, start, end, word, output, float(share))
        for row, (spans, values) in enumerate(zip(result.spans, result.values, strict=True))
        for (start, end), word, shares in zip(spans, result.words(row), values, strict=True)
        for output, share in zip(result.output_names, shares, strict=True)
    ]
    heads = {"row": pl.Int64, "start": pl.Int64, "end": pl.Int64, "word": pl.String, "output": pl.String,
             "share": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=heads, orient="row")
