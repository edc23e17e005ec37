"""An explanation together with the rows and the network it speaks of, in a form that can be tested."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.baselines import baselines
from glia.explain.entry import Entry
from glia.explain.segments import Segments, summed
from glia.explain.subject import Floats


class Case:
    """Rows, their values unit by unit, and a score per row with any of the units taken out.

    A unit is what is taken out at once: a column of a table, a place of an image (its channels together), a step of one
    channel of a sequence, one value of anything else; or a segment, where the explanation is of segments. Of several
    outputs, each row's largest is tested.

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
        self.values = unit_values(result, self.which, self.units, self._value_unit(result))  # (N, U)
        self.signed = bool((self.values < 0).any())
        self.distance = self._distances()  # (N, U): from the baseline
        self.full = np.take_along_axis(scores, self.which[:, None], axis=1)[:, 0]

    def _value_unit(self, result: AttributionResult) -> NDArray[np.int64] | None:
        """Return the unit of each value of an explanation of segments; ``None`` where values and units are in order."""
        segments = Segments.of(result)
        if segments is not None:
            return segments.units_of(result.values.shape[1 : result.values.ndim - result.several])
        return None

    def unit_values(self, result: AttributionResult) -> Floats:
        """Return the values of another explanation of these rows, unit by unit, (N, U)."""
        return unit_values(result, self.which, self.units, self._value_unit(result))

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
                scores = (
                    self.entry.score(self.entry.mixed(self.rows, self.base, self.unit_of, row[part], keep[part]))
                    .double()
                    .cpu()
                )
                chosen = torch.as_tensor(self.which[row[part].cpu().numpy()])
                found.append(scores.gather(1, chosen[:, None])[:, 0].numpy())
        return np.concatenate(found)


def unit_values(result: AttributionResult, which: Any, units: int, unit: NDArray[np.int64] | None = None) -> Floats:
    """Return an explanation's values of one output per row, summed to units, (N, U); ``unit`` is that of each value."""
    values = result.values
    if result.several:
        values = np.take_along_axis(values, np.asarray(which).reshape(-1, *[1] * (values.ndim - 1)), axis=-1)[..., 0]
    if unit is None:
        return np.asarray(values.reshape(len(values), -1, units).sum(axis=1))
    return summed(values, unit, units)


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
    owners, segments = entry.subject.owners, Segments.of(result)
    if owners:
        steps, channels = shape[0], entry.subject.channels
        place = np.arange(steps)[:, None] * channels + np.asarray(owners)[None, :]  # (T, P)
        place[:, np.asarray(owners) < 0] = steps * channels
        own, count = np.append(np.arange(steps * channels), steps * channels), steps * channels
        if segments is not None:
            own, count = np.append(segments.units_of((steps, channels)), segments.count), segments.count
        return torch.from_numpy(np.append(own[place.ravel()], count).astype(np.int64)), count
    if segments is not None:
        own = segments.units_of(tuple(shape))
        return torch.from_numpy(np.append(own, segments.count)), segments.count
    count = width // shape[0] if len(shape) == 3 else width  # (channels, height, width)
    return torch.cat([torch.arange(width) % count, torch.tensor([count])]), count
