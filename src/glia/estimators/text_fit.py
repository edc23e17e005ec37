"""From a table with a column of texts to what a run needs of it: that column and the targets, an estimator, columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.data import Finding, Schema, Table, read
from glia.data.findings import arrange
from glia.data.texts import TextPreparation
from glia.estimators.backbone_folder import backbone_reads, check_folder
from glia.estimators.large_rows import keep_for
from glia.estimators.raw_settings import common_settings, named_roles, refuse_settings, table_settings
from glia.estimators.settings import FitSettings
from glia.estimators.text_classifier import TextClassifier
from glia.estimators.text_regressor import TextRegressor
from glia.nn import Backbone

FAMILIES = ("text_convnet",)
"""Networks by name that read texts and nothing else."""
_NAMED = 5


def is_texts(settings: FitSettings) -> bool:
    """Tell whether a run was asked to have a network read texts: by a backbone, or by a family that does only that."""
    if settings.backbone is not None:
        return backbone_reads(settings.backbone) == "texts"
    return settings.network in FAMILIES


def texts_alone(schema: Schema, settings: FitSettings) -> bool:
    """Tell whether all that can be learned from is one column of texts, and nothing was asked of a table's network."""
    plain = settings.network == "auto" and not table_settings(settings)
    return plain and len(schema.inputs()) == len(schema.names("text")) == 1


def read_text_table(settings: FitSettings, source: Any = None) -> Table:
    """Return a table whose one input is its column of texts; all others are named in a finding and left out.

    Raises
    ------
    InputError
        If there is no backbone where one is said to be, or not one column of texts with words in it.
    """
    if settings.backbone is not None:
        check_folder(settings.backbone)
    table = read(
        settings.data if source is None else source,
        target=settings.target,
        roles=named_roles(settings),
        drop=settings.drop,
        limit=settings.max_rows,
    )
    name = _column_of(table.schema, settings)
    texts = table.frame[name].cast(pl.String)
    if not texts.str.contains(r"\w").any():
        raise InputError(f"some text of {name!r} must have words", f"none in {len(texts):,} rows", "check the column")
    return Table(table.frame.with_columns(texts), _text_schema(table.schema, name, texts, settings), table.name)


def _column_of(schema: Schema, settings: FitSettings) -> str:
    names = schema.names("text")
    asked = [name for name in names if settings.roles.get(name) == "text"]
    chosen = names if len(names) == 1 else asked
    if len(chosen) == 1:
        return chosen[0]
    if not names:
        why = "; ".join(f"{column.name}: {column.reason or column.role}" for column in schema.columns[:6])
        raise InputError("one column must hold texts", why, "say which: --role NAME=text")
    got = " and ".join(repr(name) for name in (asked or names))
    raise InputError("a network of texts reads one column", got, "say which: --role NAME=text for one of them")


def _text_schema(schema: Schema, name: str, texts: pl.Series, settings: FitSettings) -> Schema:
    others = [one for one in schema.inputs() if one != name]
    reason = f"the network reads {name!r} alone"
    columns = tuple(
        replace(column, role="ignored", reason=reason)
        if column.name in others
        else replace(column, note=length_note(texts))
        if column.name == name
        else column
        for column in schema.columns
    )
    left = [one for one in others if one != settings.time]
    if not left:
        return replace(schema, columns=columns)
    named = ", ".join(map(repr, left[:_NAMED])) + (f" and {len(left) - _NAMED} more" if len(left) > _NAMED else "")
    text = f"The network reads {name!r} alone: {named} {'is' if len(left) == 1 else 'are'} not used."
    # What was found about columns that are not used concerns nobody.
    kept = [one for one in schema.warnings if one.column not in others]
    return replace(schema, columns=columns, warnings=arrange([Finding("left-out-columns", None, text), *kept]))


def length_note(texts: pl.Series) -> str:
    """Return how long texts are, in words."""
    words = texts.fill_null("").str.count_matches(r"\w+").to_numpy()
    low, middle, high = (int(value) for value in np.quantile(words, [0, 0.5, 1], method="lower"))
    return f"{low:,} to {high:,} words, {middle:,} in the middle"


def make_text_estimator(settings: FitSettings, task: Task, verbose: int = 0) -> Any:
    """Return an unfitted estimator of texts with the settings of a run.

    Raises
    ------
    InputError
        If settings are for tables.
    """
    refuse_settings(settings, "texts")
    length: Any = settings.text_length
    preparation = TextPreparation(max_length=length, keep=keep_for(settings))
    common = {**common_settings(settings, verbose), "preparation": preparation}
    if settings.backbone is not None:
        common["network"] = Backbone(settings.backbone, tune=settings.tune)
    if task == "regression":
        return TextRegressor(**common)
    return TextClassifier(
        **common, class_weight=settings.class_weight, balance=settings.balance, threshold=settings.rule.value
    )


def text_copies(table: Table, train: NDArray[Any], valid: NDArray[Any], test: NDArray[Any]) -> int:
    """Return how many validation and test texts are, letter for letter, also among those learned from before them."""
    name = table.schema.names("text")[0]
    hashes = table.frame[name].fill_null("").hash().to_numpy()
    in_valid = np.isin(hashes[valid], hashes[train])
    in_test = np.isin(hashes[test], hashes[np.concatenate([train, valid])])
    return int(in_valid.sum() + in_test.sum())


def text_columns(
    train: pl.DataFrame | Sequence[str], test: pl.DataFrame | Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Return texts as they are, with the role by which classic models weigh their words."""
    made = [part if isinstance(part, pl.DataFrame) else pl.DataFrame({"text": list(part)}) for part in (train, test)]
    return made[0], made[1], dict.fromkeys(made[0].columns, "text")
