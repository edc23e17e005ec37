"""From series to the rows that a forecasting network takes: scaled windows, and what is known of the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from glia.core.errors import InputError, ModelFileError, near
from glia.core.layout import Feature, Layout
from glia.data.series.bases import BASES, base_forecast
from glia.data.series.resting import at_rest
from glia.data.series.series_table import SeriesTable
from glia.data.series.time_steps import Step
from glia.data.series.windows import Gatherer, Windows, seasonal_scale

Floats = NDArray[np.float64]
FORMS = ("vector", "sequence")
MOST_WINDOWS = 100_000
_FAR, _LONG, VERSION = 20.0, 512, 1


@dataclass(frozen=True, eq=False)
class Prepared:
    """Prepared origins: what the network takes, and how its answers become values.

    Parameters
    ----------
    x : ndarray (N, *shape)
    base : ndarray (N, H)
        Simple forecasts, to which the network's answers are added,
    unit : ndarray (N, 1)
        times these.
    windows : Windows
    """

    x: NDArray[np.float32]
    base: Floats
    unit: Floats
    windows: Windows

    def targets(self) -> Floats:
        """Return what the network is to answer, (N, H)."""
        return np.asarray(np.clip((self.windows.future - self.base) / self.unit, -_FAR, _FAR))

    def values(self, answers: Floats) -> Floats:
        """Return values for answers (N, H, Q); next to where a series rests, that value."""
        found = np.asarray(self.base[..., None] + self.unit[..., None] * answers)
        return at_rest(found, self.windows.past, self.windows.counts)


class WindowPreparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """How origins of forecasts become rows; one for all series.

    Parameters
    ----------
    horizon : int
        H.
    input_length : "auto" or int
        Values L before the origin that the network sees; "auto" is two seasons (a week of hours), 8 to 336.
    season : "auto" or int
        Steps after which things repeat; "auto" by the calendar.
    base : "auto", "last", "mean", "seasonal" or "theta"
        Simple forecast that the network corrects; "auto" is the one that errs least on training windows.
    identity : bool
        Whether the network is told which series it is, as a category.
    form : {"vector", "sequence"}
        "vector": one row (D,); "sequence": (L + H, C + 1) with the mask last, for networks of sequences.

    Attributes
    ----------
    layout_ : Layout
    step_ : Step
    season_, length_ : int
    base_ : str
    base_errors_ : dict
        Mean absolute error of each base on training windows, in units of the series' seasonal changes.
    trust_ : float
        Share of the network's correction that is made: what served best from an earlier origin.
    stretch_ : float
        Factor of the distances of the quantiles from the median, by which the widest interval covered what came.

    Notes
    -----
    Windows are taken about their last value and in units of their mean absolute seasonal change, so that series of any
    size learn together.
    """

    layout_: Layout
    step_: Step
    season_: int
    length_: int
    base_: str
    base_errors_: dict[str, float]
    ids_: tuple[str, ...]
    tail_: SeriesTable
    trust_: float = 1.0
    stretch_: float = 1.0
    _centre: Floats
    _spread: Floats

    def __init__(
        self,
        horizon: int = 1,
        input_length: int | str = "auto",
        season: int | str = "auto",
        base: str = "auto",
        identity: bool = False,
        form: str = "vector",
    ) -> None:
        self.horizon, self.input_length, self.season = horizon, input_length, season
        self.base, self.identity, self.form = base, identity, form

    @property
    def memory(self) -> int:
        """Values before an origin that are used at all: the simple forecast looks further back than the network."""
        return max(self.length_, min(12 * self.season_, _LONG), 24)

    def fit(self, table: SeriesTable) -> WindowPreparation:
        """Learn from the known part of series.

        Raises
        ------
        InputError
            If a setting is out of range, or no series is long enough for the horizon.
        """
        self._check()
        self.step_, self.ids_ = table.step, tuple(map(str, table.ids))
        self.season_ = table.step.season if self.season == "auto" else int(self.season)
        self.length_ = self._length(table) if self.input_length == "auto" else int(self.input_length)
        self._names = dict(table.names)
        seen = np.concatenate([table.covariates[o : o + k] for o, k in zip(table.offsets, table.known, strict=True)])
        self._centre = seen.mean(axis=0)
        spread = seen.std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        self.tail_ = self._tail(table)
        gather = Gatherer(table, self.horizon)
        series, origins = gather.learning_origins(self._least, 4000)
        windows = gather.at(series, origins, self.memory)
        scales = np.array([seasonal_scale(table.series(i), self.season_) for i in range(len(table))])
        self.base_errors_ = {
            how: float(np.mean(np.abs(windows.future - self._base(windows, how)) / scales[series][:, None]))
            for how in (BASES if self.base == "auto" else (self.base,))
        }
        self.base_ = min(self.base_errors_, key=lambda how: self.base_errors_[how])
        self._calendar = gather.calendar_names
        self.layout_ = self._layout(len(self._calendar), table.covariates.shape[1])
        return self

    @property
    def _least(self) -> int:
        """Steps before the first origin to learn from: simple forecasts from less are other than those to come."""
        return self.memory

    def training(self, table: SeriesTable) -> tuple[Prepared, Floats]:
        """Return all origins to learn from, and their weights: every series alike, errors in its seasonal changes."""
        gather = Gatherer(table, self.horizon)
        series, origins = gather.learning_origins(self._least, MOST_WINDOWS)
        made = self.prepare(gather.at(series, origins, self.memory), table)
        counts = np.bincount(series, minlength=len(table))
        scales = np.array([seasonal_scale(table.series(i), self.season_) for i in range(len(table))])
        weight = np.minimum(made.unit[:, 0] / scales[series], 5.0) / counts[series]
        return made, weight / weight.mean()

    def ends(self, table: SeriesTable) -> Prepared:
        """Return the origins at the ends of all series."""
        gather = Gatherer(table, self.horizon)
        return self.prepare(gather.at(np.arange(len(table)), table.known, self.memory), table)

    def transform(self, table: SeriesTable) -> NDArray[np.float32]:
        """Return the rows at the ends of all series, (N, *shape)."""
        return self.ends(table).x

    def prepare(self, windows: Windows, table: SeriesTable) -> Prepared:
        """Return windows as rows."""
        recent = windows.past[:, -self.length_ :]
        base = self._base(windows, self.base_)
        centre, unit = recent[:, -1:], self._units(windows)
        own = np.clip((recent - centre) / unit, -_FAR, _FAR)
        ahead = np.clip((base - centre) / unit, -_FAR, _FAR)
        covariates = np.clip((windows.covariates - self._centre) / self._spread, -_FAR, _FAR)
        if self.form == "sequence":
            x = self._sequence(own, ahead, windows, covariates)
        else:
            calendar = windows.calendar[:, -self.horizon]
            later = covariates[:, -self.horizon :].reshape(len(own), -1)
            parts = [own, ahead, calendar, covariates[:, -self.horizon - 1], later]
            if self.identity:
                places = {name: i + 1 for i, name in enumerate(self.ids_)}
                codes = np.array([places.get(str(name), 0) for name in table.ids], dtype=np.float64)
                parts.append(codes[windows.series][:, None])
            x = np.concatenate(parts, axis=1)
        return Prepared(np.ascontiguousarray(x, dtype=np.float32), base, unit, windows)

    def _sequence(self, own: Floats, ahead: Floats, windows: Windows, covariates: Floats) -> Floats:
        n, steps = len(own), self.length_ + self.horizon
        late = np.concatenate([np.zeros_like(own), np.ones_like(ahead)], axis=1)
        values = np.concatenate([own, ahead], axis=1)
        channels = [values[..., None], late[..., None], windows.calendar[:, -steps:], covariates[:, -steps:]]
        x = np.concatenate([*channels, np.ones((n, steps, 1))], axis=2)
        lacking = np.maximum(self.length_ - windows.counts, 0)  # real steps come first, padding after them
        place = np.arange(steps)[None, :] + lacking[:, None]
        x = np.take_along_axis(x, np.minimum(place, steps - 1)[..., None], axis=1)
        return np.where((place < steps)[..., None], x, 0.0)

    def _base(self, windows: Windows, how: str) -> Floats:
        return base_forecast(windows.past, windows.counts, self.horizon, self.season_, how)

    def _units(self, windows: Windows) -> Floats:
        """Return the mean absolute seasonal change in each window's memory, kept away from 0, (N, 1)."""
        past, lag = windows.past, min(self.season_, windows.past.shape[1] - 1)
        real = np.arange(past.shape[1])[None, :] >= (past.shape[1] - windows.counts)[:, None]
        size = np.abs(np.where(real, past, 0.0)).sum(axis=1) / windows.counts
        unit = np.zeros(len(past))
        for one in {lag, 1}:
            there = real[:, :-one]
            count = there.sum(axis=1)
            change = np.where(there, np.abs(past[:, one:] - past[:, :-one]), 0.0).sum(axis=1) / np.maximum(count, 1)
            unit = np.where((count >= one) | (unit == 0), np.maximum(unit, change), unit)
        floor = np.where(size > 0, 0.01 * size, 1.0)
        return np.maximum(unit, floor)[:, None]

    def _length(self, table: SeriesTable) -> int:
        season = self.season_
        week = 7 * season if table.step.unit == "us" and 6 <= season <= 48 and table.step.season == season > 7 else 0
        wanted = week or (2 * season if season > 1 else 3 * self.horizon)
        return int(max(2, min(max(wanted, 8), 336, int(table.known.max()) - self.horizon)))

    def _layout(self, calendar: int, covariates: int) -> Layout:
        if self.form == "sequence":
            return Layout((self.length_ + self.horizon, 2 + calendar + covariates + 1))
        target, names = str(self._names["target"]), self._names["covariates"]
        found = [Feature(f"{target} {self.length_ - i} steps ago", target) for i in range(self.length_)]
        found += [Feature(f"simple forecast of step {h + 1}", target) for h in range(self.horizon)]
        found += [Feature(f"next {name}", str(self._names["time"])) for name in self._calendar]
        found += [Feature(f"{name} now", name) for name in names]
        found += [Feature(f"{name} of step {h + 1}", name) for h in range(self.horizon) for name in names]
        if self.identity:
            found.append(Feature("series", "series", "code", cardinality=len(self.ids_) + 1))
        return Layout((len(found),), tuple(found))

    def _tail(self, table: SeriesTable) -> SeriesTable:
        """Return the last part of the series, all that forecasts from their ends need."""
        kept = np.minimum(table.known, self.memory)
        begin = table.known - kept
        pieces = [np.arange(o + b, o + n) for o, b, n in zip(table.offsets, begin, table.lengths, strict=True)]
        places = np.concatenate(pieces)
        firsts = zip(table.start, begin, strict=True)
        start = np.array([table.step.times(int(s), np.array([b]))[0] for s, b in firsts], dtype=np.int64)
        values, covariates = table.values[places], table.covariates[places]
        return SeriesTable(
            values, covariates, table.lengths - begin, kept, start, table.step, table.ids, dict(table.names)
        )

    def _check(self) -> None:
        for name, value, least in (
            ("horizon", self.horizon, 1), ("input_length", self.input_length, 2), ("season", self.season, 1),
        ):  # fmt: skip
            if name != "horizon" and value == "auto":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                other = "" if name == "horizon" else "'auto' or "
                raise InputError(f"{name} must be {other}a whole number of at least {least}", f"{name}={value!r}")
        if self.base not in ("auto", *BASES):
            raise InputError("the base must be known", f"base={self.base!r}", near(str(self.base), ("auto", *BASES)))
        if self.form not in FORMS:
            raise InputError(f"form must be one of {', '.join(FORMS)}", f"form={self.form!r}")

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return all that was learned, and the ends of the series, as plain JSON data and named arrays."""
        tail = self.tail_
        plain = {k: v if isinstance(v, (bool, str)) else int(v) for k, v in self.get_params(deep=False).items()}
        state = {
            "version": VERSION, "params": plain, "step": self.step_.to_dict(), "season": self.season_,
            "length": self.length_, "base": self.base_, "base_errors": self.base_errors_, "ids": list(self.ids_),
            "names": {**self._names, "covariates": list(self._names["covariates"])},
            "calendar": list(self._calendar), "layout": self.layout_.to_dict(),
            "trust": self.trust_, "stretch": self.stretch_,
        }  # fmt: skip
        arrays = {
            "centre": self._centre, "spread": self._spread, "values": tail.values, "covariates": tail.covariates,
            "lengths": tail.lengths, "known": tail.known, "start": tail.start,
        }  # fmt: skip
        return state, arrays

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> WindowPreparation:
        """Rebuild what ``to_state`` gave: its forecasts have the same bits.

        Raises
        ------
        ModelFileError
            If the state is of another version, or contradicts itself.
        """
        if state.get("version") != VERSION:
            must = f"the preparation must have the format version {VERSION}"
            raise ModelFileError(must, f"version={state.get('version')!r}", "use the release of Glia that wrote it")
        made = cls(**state["params"])
        made._check()
        made.step_ = Step(state["step"]["unit"], int(state["step"]["size"]))
        made.season_, made.length_, made.base_ = int(state["season"]), int(state["length"]), str(state["base"])
        made.base_errors_ = {str(k): float(v) for k, v in state["base_errors"].items()}
        made.ids_ = tuple(map(str, state["ids"]))
        made._names = {**state["names"], "covariates": tuple(state["names"]["covariates"])}
        made._calendar = tuple(state["calendar"])
        made.layout_ = Layout.from_dict(state["layout"])
        made.trust_, made.stretch_ = float(state["trust"]), float(state["stretch"])
        made._centre, made._spread = arrays["centre"].astype(float), arrays["spread"].astype(float)
        count = len(made._names["covariates"])
        lengths, known = arrays["lengths"].astype(np.int64), arrays["known"].astype(np.int64)
        sound = (
            made._centre.shape == made._spread.shape == (count,)
            and lengths.shape == known.shape == arrays["start"].shape == (len(made.ids_),)
            and arrays["values"].shape == (lengths.sum(),)
            and arrays["covariates"].shape == (lengths.sum(), count)
            and (known >= 1).all()
            and (known <= lengths).all()
            and made.base_ in BASES
            and made.length_ >= 1
        )
        if not sound:
            raise ModelFileError("the parts of a preparation must fit together", f"{len(made.ids_)} series")
        made.tail_ = SeriesTable(
            arrays["values"].astype(float), arrays["covariates"].astype(float), lengths, known,
            arrays["start"].astype(np.int64), made.step_, made.ids_, made._names,
        )  # fmt: skip
        return made
