"""The fit of an estimator to rows that stay on disk: a stream of files, or arrays that are mapped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import is_classifier

from glia.core.errors import InputError
from glia.core.hardware import pick_device
from glia.core.seeds import numpy_rng
from glia.data import unify
from glia.data.impute import read_impute
from glia.data.preparation import Preparation
from glia.data.stream import Budget, MappedBlocks, Stream, Survey
from glia.data.stream.kept_blocks import keep_blocks
from glia.data.stream.mapped import gather
from glia.data.stream.survey import known_targets
from glia.engine.rows import Rows
from glia.engine.stream_source import StreamSource
from glia.estimators.choices import choose
from glia.estimators.inference import network_outputs
from glia.estimators.inputs import read_weight
from glia.estimators.stream_targets import StreamTargets
from glia.estimators.training import build_network, to_rows, train_network
from glia.nn import Spec

Arrays = tuple[NDArray[Any], ...]
_VALID, _SAMPLE = 50_000, 100_000


@dataclass(frozen=True, eq=False)
class PreparedStream:
    """The training rows of a stream as the network takes them, block by block: see ``glia.data.stream.Blocks``.

    Parameters
    ----------
    stream : Stream
    survey : Survey
    targets : StreamTargets
    estimator : Classifier or Regressor
        With its preparation and target fitted.
    factors : ndarray (C,), optional
        Weights of classes.
    """

    stream: Stream
    survey: Survey
    targets: StreamTargets
    estimator: Any
    factors: NDArray[np.float64] | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training rows of each block."""
        return self.survey.counts

    @property
    def ready(self) -> bool:
        """Whether rows need no unpacking."""
        return self.stream.unpacked

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self.stream.weight is not None or self.factors is not None

    def read(self, block: int) -> Arrays:
        """Return inputs (n, *shape), targets, and weights where there are any.

        Raises
        ------
        InputError
            If values cannot be used, or the files are not the ones that were surveyed.
        """
        schema = self.survey.table.schema
        wanted = [*schema.inputs(), *schema.names("target"), *schema.names("weight")]
        frame, ids = self.stream.read(block, wanted)
        keep = np.array(known_targets(frame, self.targets.names))
        if len(ids):
            held = self.survey.held
            first, last = np.searchsorted(held, [ids[0], ids[-1] + 1])
            if last > first:
                keep[held[first:last] - ids[0]] = False  # the rows of a block follow one another
        frame = frame if keep.all() else frame.filter(keep)
        if frame.height != self.counts[block]:
            place = self.stream.files.place(self.stream.blocks[block].first)
            got = f"{frame.height:,} rows instead of {self.counts[block]:,} from {place} on"
            raise InputError("files must stay as they are during a fit", got, "start again")
        try:
            return self.arrays(unify(frame, schema))
        except InputError as error:
            place = self.stream.files.place(self.stream.blocks[block].first)
            raise InputError(error.must, f"{error.got}, {frame.height:,} rows from {place} on", error.do) from error

    def arrays(self, frame: pl.DataFrame) -> Arrays:
        """Return unified rows as inputs, targets, and weights of mean 1 where there are any."""
        x = self.estimator._transform(frame.select(self.survey.table.schema.inputs()))
        y = self.estimator.target_.encode(self.estimator._check_y(self.targets.values(frame)))
        if not self.weighted:
            return x, np.ascontiguousarray(y)
        return x, np.ascontiguousarray(y), self._weights(frame, y)

    def fingerprint(self) -> str:
        """Return a hash of what all rows are like and of how they are divided, prepared and weighted."""
        found, targets = self.survey, self.targets
        state, learned = self.estimator.preparation_.to_state()
        texts = [found.statistics.fingerprint(), f"{found.weight_mean:.9g}", repr(state), repr(targets.names)]
        return digest(texts, [found.counts, found.held, *learned.values(), self.factors])

    def _weights(self, frame: pl.DataFrame, y: NDArray[Any]) -> NDArray[np.float32]:
        weight = np.ones(frame.height)
        if self.stream.weight is not None:
            weight = frame.get_column(self.stream.weight).cast(pl.Float64).to_numpy() / self.survey.weight_mean
        if self.factors is not None:
            weight = weight * self.factors[y.astype(np.int64)]
        return weight.astype(np.float32)


def fit_stream(estimator: Any, stream: Stream, target: Any = None) -> Any:
    """Fit an estimator to a stream.

    Parameters
    ----------
    estimator : Classifier or Regressor
    stream : Stream
    target : str or sequence of str, optional
        Column or columns to predict, where the stream does not say so.

    Returns
    -------
    Classifier or Regressor
        The same, fitted. ``stream.test`` holds rows that it has not seen.

    Raises
    ------
    InputError
        If the stream or the settings cannot be used.
    """
    stream = _checked(estimator, stream, target)
    found = stream.survey()
    targets = StreamTargets(found, is_classifier(estimator))
    sample, valid = stream.sample, stream.valid
    rows = estimator._read_new(sample)
    if not rows.width:
        why = "; ".join(f"{column.name}: {column.reason}" for column in found.table.schema.columns[:6])
        raise InputError("at least one column must be usable", why, "see glia describe, and set roles")
    values = estimator._check_y(targets.values(sample.frame))
    estimator.target_ = estimator._new_target(values, targets.classes)
    x = estimator._fit_preparation(rows, values, onehot=not isinstance(estimator.network, (str, Spec)))
    factors = targets.class_factors(getattr(estimator, "class_weight", None))
    if is_classifier(estimator):
        estimator._counted = factors  # its probabilities are corrected by them
    blocks = PreparedStream(stream, found, targets, estimator, factors)
    width = sum(array[:1].nbytes for array in blocks.arrays(unify(sample.frame[:1], found.table.schema)))
    held = None
    device = pick_device(estimator.device)
    if len(valid) and estimator.early_stopping is not False:
        inputs, known, *_ = blocks.arrays(unify(valid.frame, found.table.schema))
        held = to_rows(inputs, known, None, device)
    source = StreamSource(blocks, stream.budget.pool_rows(width), device, x.shape[1:])
    return _train(estimator, source, held, x, weighted=blocks.weighted, keep=(stream.keep, width))


def fit_mapped(
    estimator: Any,
    X: NDArray[Any],
    y: Any,
    sample_weight: Any = None,
    validation: tuple[Any, Any] | None = None,
    budget: Budget | None = None,
) -> Any:
    """Fit an estimator to an array on disk; targets are in memory.

    Parameters
    ----------
    estimator : Classifier or Regressor
    X : ndarray (N, …)
        A memory map: ``numpy.load(path, mmap_mode="r")`` or ``numpy.memmap``.
    y : array-like (N,) or (N, T)
    sample_weight : array-like (N,), optional
    validation : (X, y), optional
        By default a share of the rows, at most 50,000.
    budget : Budget, optional
        Of the memory.

    Raises
    ------
    InputError
        If rows, targets or settings cannot be used.
    """
    _refuse(estimator)
    values = estimator._check_y(y)
    if len(values) != len(X) or len(X) < 2:
        raise InputError("there must be one target per row, and two rows at least", f"{len(X)} and {len(values)}")
    rows = estimator._read_new(X)
    weight = estimator._row_weight(values, read_weight(rows, sample_weight))
    rng = numpy_rng(estimator._seed("stream"))
    held_rows = np.zeros(0, dtype=np.int64)
    if validation is None and estimator.early_stopping is not False:
        size = min(_VALID, round(len(X) * estimator.validation_fraction))
        held_rows = np.sort(rng.choice(len(X), size, replace=False)).astype(np.int64)
    plain = MappedBlocks(X, without=held_rows)
    chosen = plain.sample(_SAMPLE, rng)
    estimator.target_ = estimator._new_target(values[chosen], np.unique(values) if values.ndim == 1 else None)
    onehot = not isinstance(estimator.network, (str, Spec))
    x = estimator._fit_preparation(gather(X, chosen), values[chosen], onehot=onehot)
    encoded = np.ascontiguousarray(estimator.target_.encode(values))
    arrays: Arrays = (X, encoded)
    if weight is not None:
        used = np.delete(weight, held_rows)
        arrays = (*arrays, (weight / used.mean()).astype(np.float32))
    blocks = PreparedArrays(MappedBlocks(*arrays, without=held_rows), estimator)
    width = sum(array[:1].nbytes for array in blocks.read(0))
    device = pick_device(estimator.device)
    held = None
    if len(held_rows):
        held = to_rows(estimator._transform(gather(X, held_rows)), encoded[held_rows], None, device)
    elif validation is not None:
        known = estimator.target_.encode(estimator._check_y(validation[1]))
        held = to_rows(estimator._transform(estimator._read_known(validation[0])), known, None, device)
    source = StreamSource(blocks, (budget or Budget()).pool_rows(width), device, x.shape[1:])
    return _train(estimator, source, held, x, weighted=weight is not None)


@dataclass(frozen=True, eq=False)
class PreparedArrays:
    """Blocks of arrays as the network takes them; whole numbers that need no preparation stay as small as they are."""

    blocks: MappedBlocks
    estimator: Any

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training rows of each block."""
        return self.blocks.counts

    def read(self, block: int) -> Arrays:
        """Return inputs, targets, and weights where there are any."""
        x, *others = self.blocks.read(block)
        small = self.estimator.preparation_ is None and x.dtype.kind in "biu" and x.dtype.itemsize < 4
        return (x if small else self.estimator._transform(x)), *others

    def fingerprint(self) -> str:
        """Return a hash of the targets and weights, of 64 blocks of the rows, and of how they are prepared."""
        rows, *others = self.blocks.arrays
        places = np.unique(np.linspace(0, len(self.counts) - 1, 64).astype(int))
        state, learned = ({}, {}) if self.estimator.preparation_ is None else self.estimator.preparation_.to_state()
        some = [self.blocks.read(int(place))[0] for place in places]
        texts = [f"{rows.dtype} {rows.shape}", repr(state)]
        return digest(texts, [self.blocks.without, *others, *some, *learned.values()])


def digest(texts: list[str], arrays: list[NDArray[Any] | None]) -> str:
    """Return the SHA-256 of texts and arrays, in hex."""
    found = hashlib.sha256("\0".join(texts).encode())
    for array in arrays:
        found.update(b"none" if array is None else f"{array.dtype} {array.shape}".encode())
        found.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _checked(estimator: Any, stream: Stream, target: Any) -> Stream:
    _refuse(estimator)
    wanted = target if isinstance(target, (str, list, tuple)) else None
    if target is not None and wanted is None:
        raise InputError("the target of a stream is the name of a column", f"a {type(target).__name__}", "name it")
    if wanted is not None and tuple([wanted] if isinstance(wanted, str) else wanted) != stream.targets:
        stream = stream.with_target(wanted)
    if not stream.targets:
        raise InputError("a stream needs a target to be fitted to", repr(stream), "say target='…'")
    return stream


def _refuse(estimator: Any) -> None:
    if getattr(estimator, "balance", "none") not in (None, "none"):
        got = f"balance={estimator.balance!r}"
        raise InputError("rows that stay on disk are not resampled", got, "use class_weight='balanced'")
    if estimator.members not in (1, "auto"):
        raise InputError("a stream is fitted by one network", f"members={estimator.members!r}", "use members=1")
    if estimator.warm_start and hasattr(estimator, "network_"):
        raise InputError("a stream is fitted from the beginning", "warm_start=True", "use partial_fit for further rows")
    if isinstance(estimator.preparation, Preparation) and estimator.preparation.impute == "delete":
        raise InputError("a stream keeps rows with gaps", "impute='delete'", "use impute='auto'")
    impute = read_impute(estimator.preparation.impute)[0] if isinstance(estimator.preparation, Preparation) else ""
    if impute in ("linear", "spline", "nearest"):
        raise InputError(
            "a stream's rows come in no order to interpolate along", f"impute={impute!r}", "use 'iterative'"
        )


def _train(
    estimator: Any,
    source: StreamSource,
    held: Rows | None,
    x: NDArray[np.float32],
    *,
    weighted: bool,
    keep: tuple[str, int] = ("none", 0),
) -> Any:
    """Build the network, train it on the source, and leave on the estimator what every fit leaves there.

    ``keep`` says where prepared rows are kept that are needed more than once, and the bytes of one.
    """
    estimator._resolve(weighted)
    estimator._device = source.device
    choices = choose(estimator.get_params(deep=False), rows=len(source), task=estimator.task_, layout=estimator.layout_)
    if choices.epochs > 1:
        source = source.over(keep_blocks(source.blocks, keep[1], keep[0]))
    outputs = estimator._resolved.out_features(estimator.target_.outputs)
    estimator.spec_, estimator.specs_, estimator.members_ = choices.network, [choices.network], 1
    network = build_network(choices.network, estimator.layout_, outputs, estimator._seed(), x)
    estimator.network_ = network.to(source.device)
    history, trainer, stopping = train_network(
        estimator.network_,
        estimator._resolved,
        choices,
        source,
        held,
        seed=estimator._seed("training"),
        precision=estimator.precision,
        verbose=estimator.verbose,
        checkpoint=estimator.checkpoint,
    )
    estimator._note(history, trainer, stopping.best_epoch, choices)
    estimator._kept = None
    estimator._calibrate(None if held is None else (network_outputs(network, held.x), held.y.cpu().numpy()))
    return estimator
