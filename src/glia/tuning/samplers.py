"""How the next configuration is proposed, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glia.core.registry import Registry

samplers: Registry[Callable[[Any, int], Any]] = Registry("sampler")


@samplers.register("tpe")
def tpe(optuna: Any, seed: int) -> Any:
    """Tree-structured Parzen estimator: near what did well, away from what did not (arXiv 2304.11127)."""
    return optuna.samplers.TPESampler(seed=seed)


@samplers.register("random")
def random(optuna: Any, seed: int) -> Any:
    """Independent draws from the space, without learning from earlier trials."""
    return optuna.samplers.RandomSampler(seed=seed)


def make_sampler(optuna: Any, name: str, seed: int, fixed: Mapping[str, Any] | None = None) -> Any:
    """Return a sampler that proposes one configuration; ``fixed`` settings are taken as they are.

    A sampler is made anew for every trial and has no memory but the study, so that a study that was cut off goes on
    with the very proposals that were still to come.
    """
    made = samplers.get(name)(optuna, seed % 2**32)
    return optuna.samplers.PartialFixedSampler(dict(fixed), made) if fixed else made
