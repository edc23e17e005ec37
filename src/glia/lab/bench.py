"""The bench that a question works at: the user's data, networks of a usual size, and training by seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from glia.core.seeds import derive
from glia.engine.rows import Rows
from glia.lab.data import LabData
from glia.lab.runs import Runs, train_runs
from glia.nn.mlp import MLPNetwork

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bench:
    """What a question measures with.

    Parameters
    ----------
    data : LabData
        The user's data, or made data that stand in their place.
    seed : int
        Of the whole lab run.
    say : callable
        Takes a few words on what is running now.
    """

    data: LabData
    seed: int = 0
    say: Callable[[str], None] = lambda words: None

    @property
    def outputs(self) -> int:
        """Values that a network gives per row: 1 of two classes, else one for each class or target."""
        return 1 if self.data.task == "binary" else self.data.outputs

    @property
    def batch_size(self) -> int:
        """Rows per step: 64, but fewer of a short table, whose epochs would have next to no steps."""
        return min(64, max(8, len(self.data.train) // 16))

    @property
    def score_name(self) -> str:
        """What the score on test rows is called."""
        return "R² on test rows" if self.data.task == "regression" else "test accuracy"

    def points(self, runs: Runs, part: str) -> Floats:
        """Return the last score of every seed on a part, of 100; a network that failed scores what chance does.

        R² ends at −100: of a network that is far off, how far would outweigh all others.
        """
        return np.maximum(100.0 * runs.final(part, chance=self.data.chance), -100.0)

    def on(self, data: LabData) -> Bench:
        """Return the same bench with other data."""
        return replace(self, data=data)

    def network(self, hidden: Sequence[int] = (64, 64), **settings: Any) -> MLPNetwork:
        """Return a multilayer perceptron that fits the data; settings as in ``glia.nn.MLP``."""
        return MLPNetwork(self.data.layout.in_features, self.outputs, tuple(hidden), **settings)

    def train(
        self, make: Callable[[], nn.Module], seeds: Sequence[int], *, train: Rows | None = None, **options: Any
    ) -> Runs:
        """Train one network for each seed on the training rows; see ``train_runs``.

        All three parts are watched, unless ``watched`` names others.
        """
        data = self.data
        watched = options.pop("watched", {"train": data.train, "valid": data.valid, "test": data.test})
        return train_runs(make, seeds, train or data.train, watched, data.task, root=self.seed, **options)

    def sweep(
        self, make: Callable[[], nn.Module], seeds: Sequence[int], name: str, levels: Sequence[float], **options: Any
    ) -> list[Runs]:
        """Train every seed at every level of a setting that members may differ in, all in one population.

        Parameters
        ----------
        make, seeds, **options
            As in ``train``.
        name : {"lr", "weight_decay", "l1", "l2", "dropout"}
            The setting.
        levels : sequence of float
            Its values.

        Returns
        -------
        list of Runs
            One for each level, with the seeds in their order.
        """
        count = len(seeds)
        each = [level for level in levels for _ in seeds]
        runs = self.train(make, [seed for _ in levels for seed in seeds], **{**options, name: each})
        return [_part(runs, slice(i * count, (i + 1) * count), len(levels)) for i in range(len(levels))]

    def number(self, *names: str | int) -> int:
        """Return the seed of a named stream of random numbers of this run."""
        return derive(self.seed, "lab", *names)


def _part(runs: Runs, where: slice, parts: int) -> Runs:
    return Runs(
        runs.networks[where],
        {name: table[where] for name, table in runs.loss.items()},
        {name: table[where] for name, table in runs.score.items()},
        runs.failed[where],
        runs.seconds / parts,
    )
