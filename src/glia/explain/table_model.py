"""A network as a function of original columns: rows whose columns take other rows' values, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.core.seeds import numpy_rng
from glia.explain.subject import Floats, Subject, subject
from glia.nn.ensemble import MeanNetwork
from glia.nn.modes import evaluating

CHUNK = 1 << 20
"""Values of prepared rows that go through a network at once."""


@dataclass(frozen=True)
class TableModel:
    """Rows of a table, and the network's scores for them and for mixtures of them.

    A column's prepared positions depend on that column alone. A row that takes another row's value of a column is
    therefore put together from prepared rows, and no value has to be prepared again.

    Parameters
    ----------
    predictor : Predictor
        Whose network is run.
    seen : Subject
        Its rows, (N, D), and the explained outputs.
    """

    predictor: Predictor
    seen: Subject

    @property
    def x(self) -> Tensor:
        """The prepared rows, (N, D)."""
        return self.seen.x

    @property
    def names(self) -> tuple[str, ...]:
        """The original columns."""
        return self.seen.feature_names

    def place(self, column: str | int) -> int:
        """Return the position of a column given by name or position.

        Raises
        ------
        InputError
            If there is no such column.
        """
        if isinstance(column, str):
            if column not in self.names:
                raise InputError("the column must be one of the rows'", repr(column), near(column, self.names))
            return self.names.index(column)
        if not -len(self.names) <= int(column) < len(self.names):
            raise InputError("the column must be one of the rows'", str(column), f"there are {len(self.names)}")
        return int(column) % len(self.names)

    def column(self, place: int) -> NDArray[Any]:
        """Return a column's values as people read them, (N,).

        Raises
        ------
        InputError
            If they are unknown, and the column became several prepared features.
        """
        if self.seen.data is not None:
            return np.asarray(self.seen.data[:, place])
        where = self.seen.groups[place]
        if len(where) != 1:
            raise InputError(
                "values of the column must be known", f"{self.names[place]!r} as prepared", "hand in rows as a frame"
            )
        return np.asarray(self.x[:, where[0]].double().cpu().numpy())

    def taking(self, x: Tensor, columns: Sequence[int], donors: Tensor) -> Tensor:
        """Return rows (B, D) that take some columns' values from donor rows (B, D) or (1, D)."""
        where = [i for place in columns for i in self.seen.groups[place]]
        mixed = x.clone()
        mixed[:, where] = donors[:, where]
        return mixed

    @torch.no_grad()
    def score(self, x: Tensor) -> tuple[Floats, Floats]:
        """Return the explained outputs, (B, O), and those of every member, (K, B, O); K is 1 for a single network."""
        network = self.predictor.network_
        whole, members = [], []
        with evaluating(network):
            for part in torch.split(x, max(64, CHUNK // max(1, x[0].numel()))):
                if isinstance(network, MeanNetwork):
                    own = network.member_outputs(part)
                    mean = network.mean(own)
                    members.append(torch.stack([self.seen.finish(one) for one in own]).double().cpu())
                    whole.append(self.seen.finish(mean).double().cpu())
                else:
                    whole.append(self.seen.score(part).double().cpu())
                    members.append(whole[-1].unsqueeze(0))
        return np.asarray(torch.cat(whole).numpy()), np.asarray(torch.cat(members, dim=1).numpy())


def table_model(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    rows: int | None = None,
    random_state: int = 0,
) -> TableModel:
    """Return a predictor with rows of original columns.

    Parameters
    ----------
    predictor, X, output, space
        As in ``glia.explain.shap``.
    rows : int, optional
        More rows than this are thinned out by chance, at least 2.
    random_state : int
        Seed of that draw.

    Raises
    ------
    InputError
        If rows are no vectors of columns, or there are fewer than two.
    """
    with evaluating(predictor.network_):
        seen = subject(predictor, X, output=output, space=space)
    if not seen.groups:
        raise InputError("rows must have columns", f"rows of shape {tuple(seen.x.shape[1:])}", "hand in a table")
    if rows is not None and rows < 2:
        raise InputError("rows must be at least 2", f"rows={rows}", "some hundred are usual")
    if len(seen.x) < 2:
        raise InputError("there must be at least two rows", "one row", "hand in more")
    if rows is not None and len(seen.x) > rows:
        seen = _thinned(seen, rows, random_state)
    return TableModel(predictor, seen)


def _thinned(seen: Subject, rows: int, random_state: int) -> Subject:
    kept = np.sort(numpy_rng(random_state, "rows of a table").permutation(len(seen.x))[:rows])
    return Subject(
        seen.x[torch.from_numpy(kept)],
        seen.score,
        seen.layout,
        seen.feature_names,
        seen.groups,
        seen.output_names,
        seen.unit,
        None if seen.data is None else seen.data[kept],
        seen.finish,
    )
