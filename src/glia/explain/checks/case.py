"""An explanation together with the rows and the network it speaks of, in a form that can be tested."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.baselines import baselines
from glia.explain.entry import Entry, Point
from glia.explain.subject import Floats


class Case:
    """Rows, their values unit by unit, and a score per row with any of the units taken out.

    A unit is what is taken out at once: a column of a table, a place of an image (its channels together), one value of
    anything else. Of several outputs, each row's largest is tested.

    Parameters
    ----------
    entry : Entry
        The opened predictor.
    predictor : Predictor
        Prepares a background.
    result : AttributionResult
        Explains the entry's rows.
    baseline, background
        What takes the place of a unit: as in ``glia.explain.integrated_gradients``, but one row.

    Raises
    ------
    InputError
        If the explanation is not of these rows and outputs.
    """

    def __init__(
        self, entry: Entry, predictor: Predictor, result: AttributionResult, baseline: Any, background: Any
    ) -> None:
        self.entry, x = entry, entry.subject.x
        self.rows = entry.at(x)
        base = baselines(entry, predictor, baseline, background)
        if len(base) != 1:
            raise InputError("a unit must be replaced by one value", f"{len(base)} rows", 'use baseline="mean"')
        self.base = base
        self.unit_of, self.units = _units(entry, result)
        with torch.no_grad():
            scores = entry.score(self.rows).double().cpu().numpy()  # (N, O)
        if result.values.shape[0] != len(x) or result.several != (scores.shape[1] > 1):
            raise InputError(
                "the explanation must be of these rows and outputs",
                f"values {result.values.shape} for {len(x)} rows and {scores.shape[1]} outputs",
            )
        self.which = scores.argmax(axis=1)
        self.values = unit_values(result, self.which, self.units)  # (N, U)
        self.signed = bool((self.values < 0).any())
        self.distance = self._distances()  # (N, U): from the baseline
        self.full = np.take_along_axis(scores, self.which[:, None], axis=1)[:, 0]

    def _distances(self) -> Floats:
        moved = [
            torch.nan_to_num(a.double() - b.double()).abs()
            for a, b in zip(self.rows.tensors, self.base.tensors, strict=True)
        ]
        whole = self.entry.features(moved).flatten(1).cpu()  # (N, D)
        total = whole.new_zeros(len(whole), self.units + 1).index_add_(1, self.unit_of[:-1], whole)
        return np.asarray(total[:, :-1].numpy())

    def score(self, row: Tensor, keep: Tensor, batch_rows: int = 1024) -> Floats:
        """Return the tested output of rows, (M,), with only some units kept; ``row`` is (M,), ``keep`` (M, U)."""
        found = []
        with torch.no_grad():
            for start in range(0, len(row), batch_rows):
                part = slice(start, start + batch_rows)
                scores = self.entry.score(self._mixed(row[part], keep[part])).double().cpu()
                chosen = torch.as_tensor(self.which[row[part].cpu().numpy()])
                found.append(scores.gather(1, chosen[:, None])[:, 0].numpy())
        return np.concatenate(found)

    def _mixed(self, row: Tensor, keep: Tensor) -> Point:
        keep = torch.cat([keep, torch.ones_like(keep[:, :1])], dim=1)  # the last unit is that of nobody
        kept = keep[:, self.unit_of].to(self.rows.x.device)  # (M, D + 1): of every position, and of nobody
        x = self.rows.x[row]
        mixed = torch.where(kept[:, :-1].reshape(x.shape), x, self.base.x)
        parts = [torch.where(self.entry.codes, x, mixed) if bool(self.entry.codes.any()) else mixed]
        for tap, part, base in zip(self.entry.taps.taps, self.rows.parts, self.base.parts, strict=True):
            owners = tap.owners.flatten() % kept.shape[1]
            parts.append(torch.where(kept[:, owners].reshape(len(row), *part.shape[1:]), part[row], base))
        return Point(parts[0], tuple(parts[1:]))


def unit_values(result: AttributionResult, which: Any, units: int) -> Floats:
    """Return an explanation's values of one output per row, summed to units, (N, U)."""
    values = result.values
    if result.several:
        values = np.take_along_axis(values, np.asarray(which).reshape(-1, *[1] * (values.ndim - 1)), axis=-1)[..., 0]
    return np.asarray(values.reshape(len(values), -1, units).sum(axis=1))


def _units(entry: Entry, result: AttributionResult) -> tuple[Tensor, int]:
    """Return the unit of each position of a flattened row and, last, of nobody (D + 1,); and their number."""
    shape, groups = entry.subject.x.shape[1:], entry.subject.groups
    width = entry.subject.x[0].numel()
    players = result.settings.get("groups")  # columns that were explained as one
    if players:
        owned = dict(zip(entry.subject.feature_names, groups, strict=True))
        groups = tuple(sum((owned[c] for c in players.get(name, [name])), ()) for name in result.feature_names)
    if groups:
        unit, count = torch.full((width + 1,), len(groups)), len(groups)
        for number, where in enumerate(groups):
            unit[list(where)] = number
        return unit, count
    count = width // shape[0] if len(shape) == 3 else width  # (channels, height, width)
    return torch.cat([torch.arange(width) % count, torch.tensor([count])]), count
