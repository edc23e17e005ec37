"""From a folder of pictures to what a run needs of it: a table of paths, an estimator, columns for classic models."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.data import Column, Finding, Schema, Table
from glia.data.broken_files import broken_findings, rare_class_findings
from glia.data.images import ImageFolder, ImagePreparation, PictureTablePreparation, read_image_folder
from glia.data.preparation import Preparation
from glia.estimators.backbone_folder import check_folder, picture_preparation
from glia.estimators.choices import usual_optimizer
from glia.estimators.image_classifier import ImageClassifier
from glia.estimators.image_inputs import COLUMN
from glia.estimators.image_regressor import ImageRegressor
from glia.estimators.large_rows import keep_for
from glia.estimators.settings import FitSettings
from glia.nn import Backbone
from glia.objectives import Objective

FILE = "file"
_FOR_TABLES = ("hidden", "activation", "norm", "dropout", "numeric_embedding")
_FOR_COLUMNS = ("impute", "scale", "encode")
_THUMBNAIL, _COMPONENTS = 16, 50


def read_image_table(settings: FitSettings, source: Any = None) -> Table:
    """Return a folder of pictures as a table of paths and classes.

    Raises
    ------
    InputError
        If pictures do not lie in one sub-folder per class, or settings are for tables.
    """
    for name in ("group", "time", "weight"):
        if getattr(settings, name) is not None:
            raise InputError(f"{name} names a column of a table", f"{name}={getattr(settings, name)!r}", "leave it out")
    folder = read_image_folder(settings.data if source is None else source, limit=settings.max_rows)
    loose = sum(not name for name in folder.classes)
    if loose:
        raise InputError(
            "pictures to learn from must lie in one sub-folder per class",
            f"{loose} of {len(folder)} directly in {str(folder.root)!r}",
            "sort them into folders that are named after their classes",
        )
    if len(settings.targets) != 1:
        raise InputError("pictures in folders have one target", f"target={settings.target!r}", "leave --target away")
    return _table(folder, settings.targets[0])


def _table(folder: ImageFolder, target: str) -> Table:
    frame = pl.DataFrame({FILE: folder.names, COLUMN: folder.paths, target: folder.classes})
    many, classes = len(folder), len(set(folder.classes))
    columns = (
        Column(FILE, "ignored", "String", "name of the picture", 0, many),
        Column(COLUMN, "image", "String", "path of the picture", 0, many, note=_note(folder)),
        Column(target, "target", "String", "name of the sub-folder", 0, classes),
    )
    return Table(frame, Schema(columns, _findings(folder, target), many), folder.root.resolve().name)


def _note(folder: ImageFolder) -> str:
    sizes = np.array([(one.height, one.width) for one in folder.pictures])
    low, high = sizes.min(axis=0), sizes.max(axis=0)
    grey = sum(one.grey for one in folder.pictures)
    if (low == high).all():
        said = f"all {low[0]} × {low[1]} pixels"
    else:
        said = f"{low[0]} × {low[1]} to {high[0]} × {high[1]} pixels"
    return f"{said}; {grey:,} of {len(folder):,} without colours"


def _findings(folder: ImageFolder, target: str) -> tuple[Finding, ...]:
    found = broken_findings("broken-picture", COLUMN, folder.broken)
    moving = sum(one.frames > 1 for one in folder.pictures)
    if moving:
        have = counted(moving, "picture has", "pictures have")
        text = f"{have} several frames or pages; the first one is used."
        found.append(Finding("several-frames", COLUMN, text, "info"))
    return (*found, *rare_class_findings(target, folder.classes, "pictures"))


def copies(table: Table, train: NDArray[Any], valid: NDArray[Any], test: NDArray[Any]) -> int:
    """Return how many validation and test pictures are, byte for byte, also among those learned from before them."""
    content = np.array([hashlib.blake2b(Path(p).read_bytes(), digest_size=16).hexdigest() for p in table.frame[COLUMN]])
    in_valid = np.isin(content[valid], content[train])
    in_test = np.isin(content[test], content[np.concatenate([train, valid])])
    return int(in_valid.sum() + in_test.sum())


def make_image_estimator(settings: FitSettings, task: Task, verbose: int = 0, *, beside: bool = False) -> Any:
    """Return an unfitted estimator of pictures with the settings of a run.

    Parameters
    ----------
    settings : FitSettings
    task : Task
    verbose : int
    beside : bool
        Whether there are columns beside the pictures.

    Raises
    ------
    InputError
        If settings are for tables.
    """
    defaults = FitSettings.model_fields
    changed = [name for name in (*_FOR_TABLES, *_FOR_COLUMNS) if getattr(settings, name) != defaults[name].default]
    wrong = [name for name in changed if not (beside and name in _FOR_COLUMNS)]
    if wrong:
        got = ", ".join(f"{name}={getattr(settings, name)!r}" for name in wrong)
        raise InputError("these settings are for tables", got, "leave them away; --network names a family for pictures")
    optimizer: Any = settings.optimizer
    if settings.weight_decay != "auto":
        optimizer = usual_optimizer(optimizer, float(settings.weight_decay))
    preparation: Any = "auto"
    network: Any = settings.network
    keep, side = keep_for(settings), None if settings.image_size == "auto" else int(settings.image_size)
    if settings.backbone is not None:
        check_folder(settings.backbone)
        network = Backbone(settings.backbone, tune=settings.tune)
        preparation = picture_preparation(settings.backbone, side, keep)
    elif side is not None or settings.stream != "auto":
        preparation = ImagePreparation(size=side or "auto", keep=keep)
    if beside and set(changed) & set(_FOR_COLUMNS):
        columns = Preparation(**{name: getattr(settings, name) for name in _FOR_COLUMNS})
        preparation = PictureTablePreparation(None if preparation == "auto" else preparation, columns)
    common = {
        "network": network, "augment": settings.augment, "optimizer": optimizer, "preparation": preparation,
        "objective": Objective(settings.loss, l1=settings.l1, l2=settings.l2),
        "lr": settings.lr, "schedule": settings.schedule, "batch_size": settings.batch_size,
        "epochs": settings.epochs, "validation_fraction": settings.validation_fraction,
        "early_stopping": "auto" if settings.early_stopping is True else settings.early_stopping,
        "effort": settings.effort, "precision": settings.precision, "device": settings.device,
        "random_state": settings.seed, "verbose": verbose, "members": settings.members,
        "bootstrap": settings.bagging,
    }  # fmt: skip
    if task == "regression":
        return ImageRegressor(**common)
    return ImageClassifier(
        **common, class_weight=settings.class_weight, balance=settings.balance, threshold=settings.rule.value
    )


def beside_classic_columns(
    train: pl.DataFrame, test: pl.DataFrame, pictures: Sequence[str], others: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Return columns of pictures as ``classic_columns`` does, behind the other columns of both parts.

    Parameters
    ----------
    train, test : polars.DataFrame
        With all these columns.
    pictures : sequence of str
        Columns of paths.
    others : sequence of str
        Columns that stay as they are.

    Returns
    -------
    train, test : polars.DataFrame
    roles : dict
        Of the columns of pictures.
    """
    parts: list[list[pl.DataFrame]] = [[train.select(others)], [test.select(others)]] if others else [[], []]
    roles: dict[str, str] = {}
    for column in pictures:
        called = "" if len(pictures) == 1 else f"of {column}"
        *frames, found = classic_columns(train[column].to_list(), test[column].to_list(), others, called)
        for part, frame in zip(parts, frames, strict=True):
            part.append(frame)
        roles |= found
    whole = [pl.concat(part, how="horizontal") for part in parts]
    return whole[0], whole[1], roles


def classic_columns(
    train: Sequence[str], test: Sequence[str], taken: Sequence[str] = (), called: str = ""
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Return pictures as columns for classic models: at most 50 principal components of 16 × 16 pixels.

    Components are those of the training pictures. Also returned are the columns' roles. ``taken`` are names of columns
    that stand beside them, ``called`` is what their names end with.
    """
    small = ImagePreparation(size=_THUMBNAIL).fit(list(train))
    seen, asked = (small.transform(list(part)).reshape(len(part), -1) for part in (train, test))
    found = PCA(min(_COMPONENTS, *seen.shape), svd_solver="full").fit(seen)
    names = [f"component {i + 1} {called}".rstrip() for i in range(found.n_components_)]
    names = [f"{name} of the picture" if name in taken else name for name in names]
    frames = [pl.DataFrame(found.transform(part), schema=names) for part in (seen, asked)]
    return frames[0], frames[1], dict.fromkeys(names, "numeric")
