"""What sequences hold and what looks wrong with them: lengths, channels, gaps, copies, classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.results import Result, Table
from glia.data.findings import arrange, findings_table
from glia.data.schema import Finding
from glia.data.series.sequence_preparation import LONGEST
from glia.data.series.sequences import Sequences, as_sequences

FEW, NAMED = 5, 5
UNEVEN = 10
"""How much longer than the median the longest sequence may be before it is told: all are padded to its length."""


@dataclass(frozen=True)
class Channel:
    """One channel: values in all, how many are missing, and what the known ones are."""

    name: str
    values: int
    missing: int
    mean: float
    deviation: float
    least: float
    greatest: float


@dataclass(frozen=True)
class SequenceClass:
    """One class: its name, sequences, and their least, median and greatest length."""

    name: str
    sequences: int
    shortest: int
    median: float
    longest: int


@dataclass(frozen=True)
class Times:
    """When steps are: the column, first and last time, the usual distance, and what is odd.

    Parameters
    ----------
    column, first, last, step : str
        In words; ``step`` is empty where no sequence has two times.
    distances : int
        From one step to the next, in all sequences.
    irregular : int
        Distances that are another than the usual one.
    duplicates, missing : int
        Steps at a time that their sequence has already, and without a time.
    """

    column: str
    first: str
    last: str
    step: str
    distances: int
    irregular: int
    duplicates: int
    missing: int


@dataclass(frozen=True)
class SequencesResult(Result):
    """What sequences hold.

    Parameters
    ----------
    name : str
        Of the source.
    sequences, steps : int
        How many there are, and their steps in all.
    lengths : tuple of int
        Least, lower quartile, median, upper quartile, greatest.
    channels : tuple of Channel
    classes : tuple of SequenceClass
        Empty where there is no target of classes.
    times : Times or None
        Of a long table whose steps have times.
    findings : tuple of Finding
        The gravest first.
    """

    name: str
    sequences: int
    steps: int
    lengths: tuple[int, ...]
    channels: tuple[Channel, ...]
    classes: tuple[SequenceClass, ...] = ()
    times: Times | None = None
    findings: tuple[Finding, ...] = ()

    def summary(self) -> str:
        """Return size, lengths and the number of findings in one sentence."""
        low, high = self.lengths[0], self.lengths[-1]
        length = f"{low:,} steps each" if low == high else f"{low:,} to {high:,} steps"
        width, classes = len(self.channels), len(self.classes)
        said = f", {classes} class{'es' * (classes > 1)}" if classes else ""
        found = f"{len(self.findings)} finding{'s' * (len(self.findings) != 1)}" if self.findings else ""
        sequences = f"{self.sequences:,} sequence{'s' * (self.sequences != 1)}"
        shape = f"{sequences} of {length} × {width} channel{'s' * (width != 1)}"
        return f"{self.name}: {shape}{said}; {found or 'nothing looks wrong'}."

    def tables(self) -> list[Table]:
        """Return lengths, channels, classes, times and findings."""
        ends = ("shortest", "lower quartile", "median", "upper quartile", "longest", "steps in all")
        tables = [Table("Lengths", ends, ((*self.lengths, self.steps),))]
        rows = tuple((c.name, c.values, c.missing, c.mean, c.deviation, c.least, c.greatest) for c in self.channels)
        heads = ("channel", "values", "missing", "mean", "deviation", "least", "greatest")
        tables.append(Table("Channels", heads, rows))
        if self.classes:
            counted = tuple((c.name, c.sequences, c.shortest, c.median, c.longest) for c in self.classes)
            tables.append(Table("Classes", ("class", "sequences", "shortest", "median", "longest"), counted))
        if self.times is not None:
            t = self.times
            pairs = (("from", t.first), ("to", t.last), ("one step", t.step or "unknown"),
                     ("distances", t.distances), ("other distances", t.irregular), ("twice", t.duplicates),
                     ("missing", t.missing))  # fmt: skip
            tables.append(Table(f"Times in {t.column}", ("what", "value"), pairs))
        return [*tables, findings_table(self.findings)] if self.findings else tables


def describe_sequences(
    sequences: Sequences,
    y: Sequence[Any] | NDArray[Any] | None = None,
    *,
    name: str = "sequences",
    target: str = "label",
    times: Times | None = None,
    findings: Sequence[Finding] = (),
) -> SequencesResult:
    """Look at sequences, and at their classes.

    Parameters
    ----------
    sequences : Sequences
    y : sequence (N,), optional
        Targets; ``None`` for one that is missing. Quantities are not counted as classes.
    name, target : str
        What they are called.
    times : Times, optional
        What was found of the times.
    findings : sequence of Finding
        What was found before.
    """
    lengths = sequences.lengths
    classes = _classes(lengths, y)
    found = [*findings, *_length_findings(lengths, classes, target), *_channel_findings(sequences)]
    found += [*_class_findings(classes, target), *_copies(sequences, y, target)]
    quartiles = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1], method="lower")
    return SequencesResult(
        name, len(sequences), int(lengths.sum()), tuple(int(q) for q in quartiles),
        tuple(_channel(n, sequences.values[:, i]) for i, n in enumerate(sequences.channels)), classes, times,
        arrange(found),
    )  # fmt: skip


def describe_arrays(
    X: NDArray[Any], y: NDArray[Any] | None = None, *, name: str = "arrays", target: str = "label"
) -> SequencesResult:
    """Look at series (N, T) or (N, T, C) and their targets; those that a fit would refuse are told by number.

    Targets are (N,), or (N, T): a label for every step.

    Raises
    ------
    InputError
        If they are no such array, or no series has a value.
    """
    found: list[Finding] = []
    if y is not None and y.ndim == 2:
        found.append(Finding("labels-of-steps", target, "A fit learns a label for every step.", "info"))
        y = None
    kept: NDArray[np.bool_] | None = None
    if X.dtype.kind in "biuf" and X.ndim in (2, 3) and X.size:
        cube = np.asarray(X if X.ndim == 3 else X[..., None], dtype=np.float64)
        endless = np.isinf(cube).any(axis=(1, 2))
        kept = np.asarray(~np.isnan(cube).all(axis=(1, 2)) & ~endless)
        for code, bad, what in (
            ("empty-sequence", np.isnan(cube).all(axis=(1, 2)), "without any value"),
            ("infinite", endless, "with an infinite value"),
        ):
            if bad.any():
                numbers = np.flatnonzero(bad)
                listed = ", ".join(map(str, numbers[:NAMED])) + (", …" if len(numbers) > NAMED else "")
                text = f"{counted(len(numbers), 'sequence')} {what}; a fit refuses that: number {listed}."
                found.append(Finding(code, None, text, "failure"))
    if kept is None or kept.all() or not kept.any():
        return describe_sequences(as_sequences(X), y, name=name, target=target, findings=found)
    left = replace(as_sequences(X[kept]), ids=tuple(np.flatnonzero(kept).tolist()))
    return describe_sequences(left, None if y is None else y[kept], name=name, target=target, findings=found)


def _channel(name: str, values: NDArray[np.float64]) -> Channel:
    known = values[~np.isnan(values)]
    if not len(known):
        return Channel(name, len(values), len(values), *[float("nan")] * 4)
    figures = (float(known.mean()), float(known.std()), float(known.min()), float(known.max()))
    return Channel(name, len(values), len(values) - len(known), *figures)


def _classes(lengths: NDArray[np.intp], y: Any) -> tuple[SequenceClass, ...]:
    if y is None:
        return ()
    values = [one.item() if isinstance(one, np.generic) else one for one in y]
    if any(isinstance(one, float) and one != round(one) for one in values if one is not None and one == one):
        return ()
    by_class: dict[str, list[int]] = defaultdict(list)
    for one, length in zip(values, lengths.tolist(), strict=True):
        if one is not None and one == one:
            by_class[str(one)].append(length)
    if len(by_class) > max(20, 0.5 * len(values)):
        return ()
    return tuple(
        SequenceClass(label, len(own), min(own), float(np.median(own)), max(own))
        for label, own in sorted(by_class.items())
    )


def _length_findings(lengths: NDArray[np.intp], classes: tuple[SequenceClass, ...], target: str) -> list[Finding]:
    found, longest, median = [], int(lengths.max()), float(np.median(lengths))
    single = int((lengths == 1).sum())
    if single:
        text = f"{counted(single, 'sequence')} of one step only: nothing happens over time."
        found.append(Finding("one-step", None, text))
    far = int((lengths > LONGEST).sum())
    if far:
        text = f"{counted(far, 'sequence')} of more than {LONGEST:,} steps: the last {LONGEST:,} are learned from."
        found.append(Finding("long-sequences", None, text))
    if longest > UNEVEN * median and not far:
        text = f"The longest has {longest:,} steps, half of all at most {median:,.0f}: padding takes most of the work."
        found.append(Finding("uneven-lengths", None, text, "info"))
    spans = sorted((one.shortest, one.longest) for one in classes)
    if len(spans) > 1 and all(before[1] < after[0] for before, after in pairwise(spans)):
        found.append(Finding("length-by-class", target, "The number of steps alone tells the classes apart."))
    return found


def _channel_findings(sequences: Sequences) -> list[Finding]:
    found = []
    for place, name in enumerate(sequences.channels):
        values = sequences.values[:, place]
        known = values[~np.isnan(values)]
        if len(known) == 0:
            found.append(Finding("empty-channel", name, f"{name!r} has no value."))
        elif known.min() == known.max() and len(known) > 1:
            found.append(Finding("constant", name, f"{name!r} is always {known[0]:.6g}."))
        elif len(known) < 0.5 * len(values):
            found.append(Finding("missing", name, f"{1 - len(known) / len(values):.0%} of {name!r} is missing."))
    return found


def _class_findings(classes: tuple[SequenceClass, ...], target: str) -> list[Finding]:
    if len(classes) == 1:
        return [Finding("one-class", target, f"All sequences are of one class, {classes[0].name}.")]
    rare = [f"{one.name} ({one.sequences})" for one in classes if one.sequences < FEW]
    if not rare:
        return []
    return [Finding("rare-class", target, f"Classes with fewer than five sequences: {', '.join(rare[:NAMED])}.")]


def _copies(sequences: Sequences, y: Any, target: str) -> list[Finding]:
    """Return findings about sequences that are there twice, value for value; grave where their targets differ."""
    same: dict[bytes, list[int]] = defaultdict(list)
    for number, part in enumerate(np.split(sequences.values, np.cumsum(sequences.lengths)[:-1])):
        same[np.ascontiguousarray(part).tobytes()].append(number)
    twice = [numbers for numbers in same.values() if len(numbers) > 1]
    if not twice:
        return []
    odd = [] if y is None else [numbers for numbers in twice if len({str(y[i]) for i in numbers}) > 1]

    def called(number: int) -> str:
        return str(sequences.ids[number] if sequences.ids else number)

    first = " and ".join(called(number) for number in (odd or twice)[0][:2])
    if odd:
        text = f"{counted(len(odd), 'sequence')} with several targets, value for value the same: {first}."
        return [Finding("copies-in-classes", target, text, "failure")]
    return [Finding("copies", None, f"{counted(len(twice), 'sequence')} more than once, value for value: {first}.")]
