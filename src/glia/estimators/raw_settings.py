"""What the estimators of a run take from its settings, whatever their rows are."""

from __future__ import annotations

from typing import Any

from glia.core.errors import InputError
from glia.estimators.choices import usual_optimizer
from glia.estimators.settings import FitSettings
from glia.objectives import Objective

_FOR_TABLES = (
    "hidden", "activation", "norm", "dropout", "impute", "scale", "encode", "numeric_embedding", "image_size",
    "target_transform", "at_least", "at_most",
)  # fmt: skip


def named_roles(settings: FitSettings) -> dict[str, str]:
    """Return the roles of columns that were said: by ``roles``, and by ``group`` and ``weight``."""
    named = (("group", settings.group), ("weight", settings.weight))
    return {**settings.roles, **{column: role for role, column in named if column}}


def table_settings(settings: FitSettings, but: tuple[str, ...] = ()) -> list[str]:
    """Return which settings were given that only tables or pictures have."""
    defaults = FitSettings.model_fields
    asked = [name for name in _FOR_TABLES if name not in but]
    return [name for name in asked if getattr(settings, name) != defaults[name].default]


def refuse_settings(settings: FitSettings, noun: str, but: tuple[str, ...] = ()) -> None:
    """Raise an ``InputError`` if a setting was given that only tables or pictures have."""
    wrong = table_settings(settings, but)
    if wrong:
        got = ", ".join(f"{name}={getattr(settings, name)!r}" for name in wrong)
        raise InputError(
            "these settings are for tables or pictures", got, f"leave them away; --network names a family for {noun}"
        )


def common_settings(settings: FitSettings, verbose: int) -> dict[str, Any]:
    """Return the arguments of an estimator that rows of all kinds share, all but ``preparation``."""
    optimizer: Any = settings.optimizer
    if settings.weight_decay != "auto":
        optimizer = usual_optimizer(optimizer, float(settings.weight_decay))
    return {
        "network": settings.network, "optimizer": optimizer,
        "objective": Objective(settings.loss, l1=settings.l1, l2=settings.l2),
        "lr": settings.lr, "schedule": settings.schedule, "batch_size": settings.batch_size,
        "epochs": settings.epochs, "validation_fraction": settings.validation_fraction,
        "early_stopping": "auto" if settings.early_stopping is True else settings.early_stopping,
        "effort": settings.effort, "precision": settings.precision, "device": settings.device,
        "random_state": settings.seed, "verbose": verbose,
        "members": settings.members if settings.workers == 1 else 1, "bootstrap": settings.bagging,
    }  # fmt: skip
