"""Forecasts of many series by one model, with quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.data.series import SeriesTable, WindowPreparation, as_series
from glia.data.series.window_preparation import Prepared
from glia.data.series.windows import Gatherer
from glia.estimators.earlier_origin import corrected, learn_trust
from glia.estimators.forecast_choices import MEMBERS, settle_forecasts
from glia.estimators.inference import member_outputs, network_outputs
from glia.estimators.inputs import RowsIn
from glia.estimators.own_choices import OwnChoices
from glia.estimators.regressor import Regressor
from glia.estimators.targets import ValueTarget
from glia.nn import MLPNetwork, as_network
from glia.nn.sequence_network import SequenceSpec
from glia.objectives.regression_losses import Quantile

Floats = NDArray[np.float64]
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


class Forecaster(OwnChoices, Regressor):
    """A network that forecasts many series at once, all steps of the horizon with their quantiles.

    Parameters
    ----------
    horizon : int
        Steps to forecast, at least 1.
    time, target : str
        Columns of the time and of the value.
    id : str, sequence of str or None
        Column or columns that tell series apart.
    covariates : sequence of str
        Columns that are known of the steps to come too; rows without a target carry them.
    input_length, season, base, identity
        See ``glia.data.series.WindowPreparation``: what the network sees, and the simple forecast that it corrects.
    levels : sequence of float
        Quantiles, increasing; 0.5 among them is the forecast itself.
    network : "auto", str, settings, nn.Module or factory
        Vectors go into it, (B, D), and (B, H·Q) comes out; families of sequences ("lstm", "tcn", …) get sequences.
    optimizer, lr, schedule, batch_size, epochs, effort, precision, device, random_state, verbose, checkpoint
        As in ``Regressor``.
    calibrate : bool
        Whether a second fit, to all but the last horizon of each series, finds out how far the network is to be
        trusted, and how wide its intervals must be. Without it the network is taken at its word.
    members : "auto" or int
        Networks whose answers are averaged; "auto" is 4, of "quick" effort 2 and of "best" 10, and 1 where a network
        is given.

    Attributes
    ----------
    preparation_ : WindowPreparation
        Knows the ends of the series that were fitted: ``predict()`` goes on from there.

    Notes
    -----
    The network answers by how much a simple forecast is wrong, in units of the series' own seasonal change. It learns
    the pinball loss (Koenker and Bassett 1978) of all levels and steps; levels are put in order, so that they never
    cross.
    """

    warm_start, bootstrap, validation_fraction, early_stopping = False, False, 0.0, False
    target_transform, bounds, preparation = "none", None, "auto"

    def __init__(
        self,
        horizon: int = 1,
        time: str = "ds",
        target: str = "y",
        id: Any = None,
        covariates: Any = (),
        input_length: Any = "auto",
        season: Any = "auto",
        base: str = "auto",
        identity: bool = False,
        levels: Any = LEVELS,
        network: Any = "auto",
        optimizer: Any = "auto",
        lr: Any = "auto",
        schedule: Any = "auto",
        batch_size: Any = "auto",
        epochs: Any = "auto",
        effort: str = "default",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = 0,
        verbose: int = 0,
        checkpoint: Any = None,
        members: Any = "auto",
        calibrate: bool = True,
    ) -> None:
        self.horizon, self.time, self.target, self.id, self.covariates = horizon, time, target, id, covariates
        self.input_length, self.season, self.base, self.identity = input_length, season, base, identity
        self.levels, self.network, self.optimizer, self.lr, self.schedule = levels, network, optimizer, lr, schedule
        self.batch_size, self.epochs, self.effort, self.precision = batch_size, epochs, effort, precision
        self.device, self.random_state, self.verbose, self.checkpoint = device, random_state, verbose, checkpoint
        self.members, self.calibrate = members, calibrate

    @property
    def objective(self) -> Quantile:
        """The loss: that of all levels."""
        return Quantile(tuple(self.levels))

    @property
    def windows_(self) -> WindowPreparation:
        """How series become rows."""
        found: Any = self.preparation_
        return found  # type: ignore[no-any-return]

    @property
    def feature_names(self) -> list[str]:
        """Names of the original columns that are used."""
        return [self.target, self.time, *self.covariates]

    def series(self, X: Any) -> SeriesTable:
        """Return a long table as series on equal steps; those of the fit, once there was one."""
        fitted = getattr(self, "preparation_", None)
        step = None if fitted is None else self.windows_.step_
        return as_series(
            X, time=self.time, target=self.target, id=self.id, covariates=tuple(self.covariates), step=step
        )

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: Any = None) -> Any:
        """Fit to the series of a long table: one row for each step of each series.

        Parameters
        ----------
        X : frame
            With the columns that the settings name.
        y, sample_weight, validation
            Not used: the target is a column.

        Raises
        ------
        InputError
            If the table or a setting cannot be used.
        TrainingError
            If the loss stops being finite.
        """
        if hasattr(self, "preparation_"):
            del self.preparation_
        table = self.series(X)
        spec = None if isinstance(self.network, str) and self.network == "auto" else as_network(self.network)
        form = "sequence" if isinstance(spec, SequenceSpec) else "vector"
        made: Any = WindowPreparation(self.horizon, self.input_length, self.season, self.base, self.identity, form)
        self._fitting = made.fit(table)
        if self.calibrate:
            made.trust_, made.stretch_ = self._earlier(table)
        prepared, weight = made.training(table)
        return super().fit(prepared.x, prepared.targets(), weight)

    def _earlier(self, table: SeriesTable) -> tuple[float, float]:
        """Return how far to trust the network and to stretch its quantiles, as it was one horizon ago."""
        past = table.cut(self.horizon)
        if not len(past) or int(past.known.max()) < self.horizon + 2:
            return 1.0, 1.0  # nothing is left to learn from
        model = clone(self).set_params(calibrate=False, checkpoint=None, verbose=0).fit(past)
        made = model.windows_.ends(past)
        kept = np.array([table.ids.index(name) for name in past.ids], dtype=np.int64)
        future = Gatherer(table, self.horizon).at(kept, past.known, 1).future
        answers = model.answers(made)
        return learn_trust(answers, (future - made.base) / made.unit, self._level_array())

    def _level_array(self) -> Floats:
        return np.asarray(self.objective.levels)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Any:
        """Refuse: a forecaster learns from whole series."""
        raise InputError("a forecaster learns from whole series", "partial_fit", "use fit")

    def predict(self, X: Any = None) -> Floats:
        """Return the medians of the next steps of every series, (N, H).

        Parameters
        ----------
        X : frame, optional
            Series to go on from, also others than were fitted; without them, from the ends of those that were.
        """
        return self._middle(self.predict_quantiles(X))

    def predict_quantiles(self, X: Any = None) -> Floats:
        """Return all quantiles of the next steps of every series, in order, (N, H, Q)."""
        table = self._table(X)
        return self.quantiles_of(self.windows_.ends(table))

    def predict_members(self, X: Any = None) -> Floats:
        """Return the medians of every member, (K, N, H)."""
        made = self.windows_.ends(self._table(X))
        outputs = member_outputs(self.network_, torch.from_numpy(made.x).to(self._device))
        return np.stack([self._middle(self._restored(self._shaped(one), made)) for one in outputs])

    def predict_interval(self, X: Any = None, coverage: float = 0.9) -> tuple[Floats, Floats]:
        """Return lower and upper bounds (N, H) between learned quantiles.

        Raises
        ------
        InputError
            If the levels for this coverage were not learned.
        """
        wanted = ((1 - coverage) / 2, (1 + coverage) / 2)
        places = [next((i for i, q in enumerate(self.levels) if abs(q - w) < 1e-9), None) for w in wanted]
        low, high = places
        if low is None or high is None:
            got = f"levels {tuple(self.levels)}"
            raise InputError(f"an interval of {coverage:g} needs the levels {wanted[0]:g} and {wanted[1]:g}", got)
        found = self.predict_quantiles(X)
        return found[..., low], found[..., high]

    def predict_frame(self, X: Any = None) -> pl.DataFrame:
        """Return a long frame: series, time, ``prediction`` and ``quantile_<level>``."""
        table = self._table(X)
        quantiles = self.predict_quantiles(table)
        gather = Gatherer(table, self.horizon)
        times = gather.future_times(np.arange(len(table)), table.known).ravel()
        when = pl.Series(self.time, times)
        moment = when if table.step.unit == "number" else when.cast(pl.Datetime("us"))
        if table.step.unit != "number" and (times % 86_400_000_000 == 0).all():
            moment = moment.cast(pl.Date)
        names = [str(name) for name in table.ids for _ in range(self.horizon)]
        named = self.id if isinstance(self.id, str) else "series"
        first = {} if self.id is None else {named: names}
        flat = quantiles.reshape(-1, quantiles.shape[2])
        columns = {"prediction": self._middle(quantiles).ravel()}
        columns |= {f"quantile_{level:g}": flat[:, i] for i, level in enumerate(self.levels)}
        return pl.DataFrame({**first, self.time: moment, **columns})

    def evaluate(self, X: Any, y: Any = None, sample_weight: Any = None, *, n_boot: int = 500) -> Any:
        """Refuse: see ``rolling_origin``, which forecasts only what a fit has not seen."""
        do = "call glia.estimators.rolling_origin.rolling_origin(forecaster, frame)"
        raise InputError("forecasts are judged from earlier origins", "evaluate", do)

    def prepare(self, X: Any = None) -> Tensor:
        """Return the rows at the ends of series as the network takes them, (N, *shape)."""
        return torch.from_numpy(self.windows_.ends(self._table(X)).x).to(self._device)

    def quantiles_of(self, prepared: Prepared) -> Floats:
        """Return the quantiles of prepared origins, (N, H, Q), in order."""
        return self._restored(self.answers(prepared), prepared)

    def answers(self, prepared: Prepared) -> Floats:
        """Return what the network says of prepared origins, in their units and in order, (N, H, Q)."""
        return self._shaped(network_outputs(self.network_, torch.from_numpy(prepared.x).to(self._device)))

    def _shaped(self, outputs: NDArray[np.float32]) -> Floats:
        return np.sort(outputs.reshape(len(outputs), self.horizon, -1).astype(np.float64), axis=2)

    def _restored(self, answers: Floats, prepared: Prepared) -> Floats:
        made = self.windows_
        return prepared.values(corrected(answers, self._level_array(), made.trust_, made.stretch_))

    def _middle(self, quantiles: Floats) -> Floats:
        middle = min(range(len(self.levels)), key=lambda i: abs(self.levels[i] - 0.5))
        return np.asarray(quantiles[..., middle])

    def _table(self, X: Any) -> SeriesTable:
        check_is_fitted(self, "network_")
        return self.windows_.tail_ if X is None else self.series(X)

    def _read_new(self, X: Any) -> RowsIn:
        self._from_table, self.schema_ = False, None
        self.n_features_in_ = 2 + len(self.covariates)
        return np.asarray(X)

    def _fit_preparation(self, rows: RowsIn, y: NDArray[Any], *, onehot: bool) -> NDArray[np.float32]:
        self.preparation_, self.layout_ = self._fitting, self._fitting.layout_
        return np.ascontiguousarray(rows, dtype=np.float32)

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> ValueTarget:
        return ValueTarget(np.zeros(values.shape[1]), np.ones(values.shape[1]), single=False)

    def _settle(self, params: dict[str, Any], rows: int) -> dict[str, Any]:
        settled, self._why = settle_forecasts({**params, "bootstrap": False}, rows=rows)
        if settled["members"] == "auto":
            settled["members"] = self.members_
            self._why["members"] = {"value": self.members_, "why": "the mean of several is better than one"}
        base = self.windows_.base_
        said = f"the share of its correction that served best one horizon ago: {self.windows_.trust_:g}"
        if self.calibrate:
            self._why["trust"] = {"value": self.windows_.trust_, "why": said}
        self._why["base"] = {"value": base, "why": "the simple forecast that errs least on training windows"}
        return settled

    def _auto_members(self) -> int:
        alone = not (isinstance(self.network, str) and self.network == "auto")
        return 1 if alone else MEMBERS.get(self.effort, 1)

    def _build(self, x: NDArray[np.float32], weighted: bool) -> None:
        """Build the network so that it begins as the simple forecast: its answers are 0."""
        super()._build(x, weighted)
        for part in self.network_.modules():
            if isinstance(part, MLPNetwork) and isinstance(part.output, nn.Linear):
                nn.init.zeros_(part.output.weight)
                nn.init.zeros_(part.output.bias)
