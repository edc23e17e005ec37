"""The one pass over a stream before training: statistics, a sample, and the rows for validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.seeds import derive
from glia.data.findings import arrange
from glia.data.markers import strip_and_clear
from glia.data.roles import learn_schema
from glia.data.schema import INPUT_ROLES, Finding, Schema
from glia.data.split import Split
from glia.data.stream.block_reader import BlockReader
from glia.data.stream.csv_file import TypesChanged
from glia.data.stream.file_set import Block
from glia.data.stream.sampling import Lowest, row_numbers
from glia.data.stream.statistics import Gathering, StreamStatistics
from glia.data.table import Table
from glia.data.unify import words_to_strings

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """How many rows of a stream are kept in memory.

    Parameters
    ----------
    sample : int
        Training rows from which roles, preparation and the like are learned.
    test, valid : int
        Most rows for the final test, and for early stopping and calibration.
    test_fraction, validation_fraction : float
        Their shares of all rows, where that is fewer.
    """

    sample: int = 100_000
    test: int = 50_000
    valid: int = 50_000
    test_fraction: float = 0.2
    validation_fraction: float = 0.15

    def __post_init__(self) -> None:
        for name, least in (("sample", 10), ("test", 0), ("valid", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least} rows", f"{name}={getattr(self, name)}")
        fractions = self.test_fraction, self.validation_fraction
        if min(fractions) < 0 or sum(fractions) >= 1:
            got = f"test_fraction={fractions[0]} and validation_fraction={fractions[1]}"
            raise InputError("the fractions must be at least 0 and together below 1", got, "choose smaller ones")

    def within(self, rows: int) -> Parts:
        """Return parts of no more than so many rows in all, in the same proportions."""
        total = self.sample + self.test + self.valid
        if total <= rows:
            return self
        scale = rows / total
        sizes = {name: int(getattr(self, name) * scale) for name in ("test", "valid")}
        return replace(self, sample=max(10, int(self.sample * scale)), **sizes)

    def sizes(self, rows: int) -> tuple[int, int]:
        """Return the numbers of test and of validation rows among ``rows``."""
        shares = (self.test, self.test_fraction), (self.valid, self.validation_fraction)
        return tuple(min(most, round(rows * share)) for most, share in shares)  # type: ignore[return-value]  # two


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over a stream has found.

    Parameters
    ----------
    statistics : StreamStatistics
        Of all rows, those without a target included.
    table : Table
        The rows that are kept: training sample, validation, test; with the schema learned from the sample.
    split : Split
        Where these parts stand in the table.
    blocks : list of Block
    counts : ndarray (M,)
        Training rows of each block.
    held : ndarray (H,)
        Numbers of the validation and test rows among all rows, increasing.
    weight_mean : float
        Mean weight of the training rows; 1 where there are no weights.
    """

    statistics: StreamStatistics
    table: Table
    split: Split
    blocks: list[Block]
    counts: Ints
    held: Ints
    weight_mean: float = 1.0

    @property
    def rows(self) -> int:
        """Number of training rows."""
        return int(self.counts.sum())


def known_targets(frame: pl.DataFrame, targets: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return which rows have a value in every target, (N,): words that stand for a missing one are none."""
    if not targets:
        return np.ones(frame.height, dtype=np.bool_)
    cleared, _ = strip_and_clear(words_to_strings(frame.select(targets)))
    floats = [name for name, dtype in cleared.schema.items() if dtype.is_float()]
    cleared = cleared.with_columns(pl.col(floats).fill_nan(None)) if floats else cleared
    return np.asarray(cleared.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy())


def survey(
    reader: BlockReader,
    *,
    targets: tuple[str, ...] = (),
    roles: Mapping[str, str] | None = None,
    drop: tuple[str, ...] = (),
    parts: Parts | None = None,
    seed: int = 0,
    name: str = "stream",
) -> Survey:
    """Read all rows once.

    Every row has a random number of its own, which depends on the seed, its file's name and its place there. The rows
    with the lowest numbers are for the test, the next ones for validation, and the next ones are the training sample.

    Raises
    ------
    InputError
        If a file is damaged, a column does not exist, or the values cannot be learned from.
    """
    for column in targets:
        reader.files.require(column, "target")
    for column in drop:
        reader.files.require(column, "drop")
    while True:
        try:
            return _Pass(reader, targets, dict(roles or {}), drop, parts or Parts(), seed, name).run()
        except TypesChanged as changed:  # what was gathered so far had the narrower types: start again
            reader.files.widen(changed.schema)


class _Pass:
    """One try of the pass."""

    def __init__(
        self,
        reader: BlockReader,
        targets: tuple[str, ...],
        roles: dict[str, str],
        drop: tuple[str, ...],
        parts: Parts,
        seed: int,
        name: str,
    ) -> None:
        files = reader.files
        self.reader, self.files, self.blocks = reader, files, reader.blocks
        self.targets, self.parts, self.name = targets, parts, name
        self.roles, self.drop = roles, drop
        self.columns = [column for column in files.schema if column not in drop]
        self.weight = next((column for column, role in roles.items() if role == "weight"), None)
        names = [path.name for path in files.paths]  # the same in whatever folder they are
        self.keys = [derive(seed, "rows", name, names[:i].count(name)) for i, name in enumerate(names)]
        self.counts = np.zeros(len(self.blocks), dtype=np.int64)
        self.weights = 0.0
        self.infinite: dict[str, str] = {}

    def run(self) -> Survey:
        gathering = Gathering({name: self.files.schema[name] for name in self.columns}, self.targets)
        lowest = Lowest(self.parts.sample + self.parts.test + self.parts.valid)
        for i, (block, frame, ids) in enumerate(self.reader.in_order(self.columns)):
            gathering.add(frame)
            self._note_infinite(frame, block, gathering)
            known = known_targets(frame, self.targets)
            if not known.all():
                frame, ids = frame.filter(known), ids[known]
            self.counts[i] = len(ids)
            self.weights += self._weight_sum(frame, ids)
            first = int(self.files.offsets[block.file])
            lowest.add(frame, row_numbers(self.keys[block.file], ids - first), ids)
        return self._result(gathering.result(), *lowest.result())

    def _result(self, statistics: StreamStatistics, frame: pl.DataFrame | None, ids: Ints) -> Survey:
        total = int(self.counts.sum())
        if frame is None:
            shown = " and ".join(map(repr, self.targets))
            raise InputError("the target must have values", f"{shown} with only missing ones", "choose another target")
        test, valid = self.parts.sizes(total)
        held = test + valid
        sample = frame[held : held + self.parts.sample]
        if not sample.height:
            raise InputError("some rows must remain to train on", f"{total:,} rows with a target", "hand in more rows")
        kept_rows = self._finite(pl.concat([sample, frame[held - valid : held], frame[:test]]))
        rows, schema = learn_schema(kept_rows, target=self.targets or None, roles=self.roles)
        n = sample.height
        split = Split(np.arange(n), np.arange(n, n + valid), np.arange(n + valid, n + held), "random")
        kept = np.sort(ids[:held])
        starts = np.array([block.first for block in self.blocks])
        counts = self.counts - np.bincount(np.searchsorted(starts, kept, side="right") - 1, minlength=len(starts))
        mean = (self.weights - self._sum(frame[:held])) / max(1, total - held) if self.weight else 1.0
        table = Table(rows, self._exact(schema, statistics, total, n), self.name)
        return Survey(statistics, table, split, self.blocks, counts, kept, mean)

    def _finite(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows without infinite numbers: ``_exact`` refuses those of all rows, saying where they are."""
        names = list(self.infinite)
        return frame.with_columns(pl.when(~pl.col(names).is_infinite()).then(pl.col(names))) if names else frame

    def _exact(self, schema: Schema, statistics: StreamStatistics, known: int, sample: int) -> Schema:
        """Return the schema with counts of all rows; refuse infinite numbers in columns that are used."""
        used = [c.name for c in schema.columns if c.role in (*INPUT_ROLES, "target", "weight")]
        bad = [f"{name!r} ({self.infinite[name]})" for name in used if name in self.infinite]
        if bad:
            raise InputError(
                "numbers must be finite",
                f"infinite values (inf) in {', '.join(bad[:5])}",
                "replace them, leave them blank, or leave the columns out",
            )
        exact = {column.name: column for column in statistics.columns}
        columns = tuple(
            replace(
                column,
                missing=max(column.missing, exact[column.name].missing),
                unique=max(column.unique, len(exact[column.name].values or ())),
            )
            for column in schema.columns
        )
        notes = [Finding("streamed", None, f"Roles were learned from {sample:,} of {statistics.rows:,} rows.", "info")]
        if known < statistics.rows:
            left = statistics.rows - known
            message = f"{left:,} of {statistics.rows:,} rows have no target and were left out."
            notes.append(Finding("target-missing", self.targets[0] if len(self.targets) == 1 else None, message))
        kept = [finding for finding in schema.warnings if finding.code != "target-missing"]
        return replace(schema, columns=columns, warnings=arrange([*notes, *kept]), rows=statistics.rows)

    def _note_infinite(self, frame: pl.DataFrame, block: Block, gathering: Gathering) -> None:
        for name, count in gathering.infinite.items():
            if count and name not in self.infinite:
                row = frame.get_column(name).cast(pl.Float64).is_infinite().fill_null(False).arg_true()[0]
                self.infinite[name] = self.files.place(block.first + int(row))

    def _weight_sum(self, frame: pl.DataFrame, ids: Ints) -> float:
        if self.weight is None:
            return 0.0
        self.files.require(self.weight, "weight")
        values = frame.get_column(self.weight).cast(pl.Float64, strict=False).to_numpy()
        wrong = np.flatnonzero(~(values >= 0))
        if len(wrong):
            got = f"{'a missing one' if np.isnan(values[wrong[0]]) else f'{values[wrong[0]]:g}'} in {self.weight!r}"
            where = self.files.place(int(ids[wrong[0]]))
            raise InputError("weights must be numbers of at least 0", f"{got}, {where}", "correct it")
        return float(values.sum())

    def _sum(self, frame: pl.DataFrame) -> float:
        return float(frame.get_column(self.weight).cast(pl.Float64, strict=False).sum()) if self.weight else 0.0
