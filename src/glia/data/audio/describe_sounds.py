"""What a folder of sounds holds and what looks wrong with it: classes, lengths, rates, silence, clipping, groups."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.hardware import cores
from glia.core.results import Result, Table
from glia.data.audio.folder import AudioFolder
from glia.data.audio.wav import Level, level_of
from glia.data.broken_files import broken_findings, rare_class_findings
from glia.data.findings import arrange, findings_table
from glia.data.schema import Finding

QUIET = 1e-3
"""A sound whose greatest swing is below this share of full scale (−60 dB) is silent."""
CLIPPED = 1e-3
"""A sound is clipped where more than this share of its samples stands at the limit, three or more in a row."""
BRIEF = 0.05
"""Seconds below which a sound holds one or two spectra."""
NAMED = 5

Sound = tuple[str, str, str, Level]
"""Name, class, group and level of a sound."""


@dataclass(frozen=True)
class SoundClass:
    """One class: its name, sounds, and their lengths in seconds; ``total`` is their sum."""

    name: str
    sounds: int
    shortest: float
    median: float
    longest: float
    total: float


@dataclass(frozen=True)
class SoundsResult(Result):
    """What a folder of sounds holds.

    Parameters
    ----------
    name : str
        Of the folder.
    sounds : int
        Files that could be read.
    seconds : float
        Their length in all.
    classes : tuple of SoundClass
        By name; one without a name where sounds have no class.
    formats : tuple of (int, int, str, int)
        Samples per second, channels, coding, and how many sounds are so; the most frequent first.
    groups : tuple of (str, int)
        Groups and their sounds; empty where there are none.
    silent, clipped, broken : tuple of str
        Names of the files.
    findings : tuple of Finding
        The gravest first.
    """

    name: str
    sounds: int
    seconds: float
    classes: tuple[SoundClass, ...]
    formats: tuple[tuple[int, int, str, int], ...]
    groups: tuple[tuple[str, int], ...]
    silent: tuple[str, ...]
    clipped: tuple[str, ...]
    broken: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def summary(self) -> str:
        """Return size, classes and the number of findings in one sentence."""
        named = [one for one in self.classes if one.name]
        said = f"{len(named)} class{'es' * (len(named) != 1)}" if named else "no classes"
        whose = f", {len(self.groups)} groups" if self.groups else ""
        length = f"{self.seconds / 60:.1f} min" if self.seconds >= 120 else f"{self.seconds:.3g} s"
        found = f"{len(self.findings)} finding{'s' * (len(self.findings) != 1)}" if self.findings else ""
        sounds = f"{self.sounds:,} sound{'s' * (self.sounds != 1)}"
        return f"{self.name}: {sounds}, {length}, {said}{whose}; {found or 'nothing looks wrong'}."

    def tables(self) -> list[Table]:
        """Return classes, formats, groups and findings."""
        classes = tuple(
            (c.name or "(none)", c.sounds, c.shortest, c.median, c.longest, c.total / 60) for c in self.classes
        )
        heads = ("class", "sounds", "shortest, s", "median, s", "longest, s", "in all, min")
        tables = [
            Table("Classes", heads, classes),
            Table("Formats", ("samples a second", "channels", "coding", "sounds"), self.formats),
        ]
        if self.groups:
            largest = sorted(self.groups, key=lambda one: (-one[1], one[0]))
            tables.append(Table("Groups", ("group", "sounds"), tuple(largest[:20])))
        return [*tables, findings_table(self.findings)] if self.findings else tables


def describe_sounds(folder: AudioFolder, *, target: str = "label", group: str = "group") -> SoundsResult:
    """Look at every sound of a folder.

    Parameters
    ----------
    folder : AudioFolder
        As ``read_audio_folder`` gives it.
    target, group : str
        What classes and groups are called in findings.
    """
    with ThreadPoolExecutor(min(4, 2 * cores())) as pool:
        seen = list(pool.map(_leveled, folder.paths))
    rows = list(zip(folder.names, folder.classes, folder.groups, seen, strict=True))
    broken = [*folder.broken, *((name, one) for name, _, _, one in rows if isinstance(one, str))]
    sounds: list[Sound] = [(n, c, g, one) for n, c, g, one in rows if isinstance(one, Level)]
    if not sounds:
        raise InputError("there must be sounds that can be read", f"none of {len(rows)}", "give a folder of WAV files")
    silent = tuple(name for name, _, _, level in sounds if level.peak < QUIET)
    clipped = tuple(name for name, _, _, level in sounds if level.clipped > CLIPPED)
    formats = Counter((level.clip.rate, level.clip.channels, level.coding) for _, _, _, level in sounds)
    groups = Counter(whose for _, _, whose, _ in sounds if whose)
    findings = [
        *broken_findings("broken-sound", "audio", broken),
        *_named("truncated-sound", [n for n, _, _, level in sounds if level.clip.truncated], _TRUNCATED),
        *_named("silent-sound", silent, "nothing is heard of {count} (below −60 dB of full scale)"),
        *_named("clipped-sound", clipped, "{count} cut off at the limit of the range, and so distorted"),
        *_named("brief-sound", [n for n, _, _, level in sounds if level.clip.seconds < BRIEF], _BRIEF),
        *_class_findings(sounds, target),
        *_format_findings(sounds, target),
        *_group_findings(sounds, group),
        *_copy_findings(folder.root, sounds, target),
    ]
    return SoundsResult(
        folder.root.resolve().name, len(sounds), sum(level.clip.seconds for _, _, _, level in sounds),
        _classes(sounds), tuple((*what, count) for what, count in formats.most_common()),
        tuple(sorted(groups.items())), silent, clipped, tuple(name for name, _ in broken), arrange(findings),
    )  # fmt: skip


_BRIEF = f"{{count}} shorter than {BRIEF:g} s, which gives one or two spectra"
_TRUNCATED = "{count} with fewer samples than the header says: the rest was lost"


def _leveled(path: str) -> Level | str:
    try:
        return level_of(path)
    except InputError as error:
        return error.got or error.must


def _classes(sounds: Sequence[Sound]) -> tuple[SoundClass, ...]:
    lengths: dict[str, list[float]] = defaultdict(list)
    for _, name, _, level in sounds:
        lengths[name].append(level.clip.seconds)
    return tuple(
        SoundClass(name, len(own), min(own), float(np.median(own)), max(own), sum(own))
        for name, own in sorted(lengths.items())
    )


def _named(code: str, names: Sequence[str], text: str) -> list[Finding]:
    """Return a finding that names the first of some files, where there are any."""
    if not names:
        return []
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    said = text.format(count=counted(len(names), "sound"))
    return [Finding(code, "audio", f"{said[0].upper()}{said[1:]}: {listed}.")]


def _class_findings(sounds: Sequence[Sound], target: str) -> list[Finding]:
    loose = [name for name, label, _, _ in sounds if not label]
    labels = [label for _, label, _, _ in sounds if label]
    found = []
    if loose and labels:
        found += _named("no-class", loose, "{count} in no folder of a class")
    if labels and len(set(labels)) == 1:
        found.append(Finding("one-class", target, f"All sounds are of one class, {labels[0]}."))
    return [*found, *rare_class_findings(target, labels, "sounds")] if labels else found


def _format_findings(sounds: Sequence[Sound], target: str) -> list[Finding]:
    """Return findings about rates and channels that differ, above all where they tell classes apart."""
    found = []
    kinds: list[tuple[str, str, Callable[[Level], int]]] = [
        ("rate", "samples a second", lambda level: level.clip.rate),
        ("channels", "channels", lambda level: level.clip.channels),
    ]
    for kind, words, of in kinds:
        values = Counter(of(level) for _, _, _, level in sounds)
        if len(values) == 1:
            continue
        by_class = {(label, of(level)) for _, label, _, level in sounds if label}
        labels = {label for label, _ in by_class}
        if len(labels) > 1 and len(by_class) == len(labels):
            text = f"Each class has its own number of {words}: that alone may tell classes apart."
            found.append(Finding(f"{kind}-by-class", target, text))
            continue
        listed = ", ".join(f"{value:,} ({count})" for value, count in values.most_common(NAMED))
        what = "the most frequent rate is taken, at most 16,000" if kind == "rate" else "their mean is taken"
        found.append(Finding(f"mixed-{kind}", "audio", f"Sounds differ in {words}: {listed}; {what}.", "info"))
    return found


def _group_findings(sounds: Sequence[Sound], group: str) -> list[Finding]:
    """Return a finding where every class has groups of its own, so that the two cannot be told from each other."""
    classes: dict[str, set[str]] = defaultdict(set)
    for _, label, whose, _ in sounds:
        if whose and label:
            classes[whose].add(label)
    labels = {label for _, label, _, _ in sounds if label}
    few = [label for label in sorted(labels) if sum(label in own for own in classes.values()) == 1]
    if classes and len(labels) > 1 and few and all(len(own) == 1 for own in classes.values()):
        text = f"One {group} alone stands for {', '.join(few[:NAMED])}: the {group} may be what is recognised."
        return [Finding("group-is-class", group, text)]
    return []


def _copy_findings(root: Path, sounds: Sequence[Sound], target: str) -> list[Finding]:
    """Return findings about sounds that are there twice; grave where under different classes."""
    same: dict[Any, list[tuple[str, str]]] = defaultdict(list)
    sizes = Counter((level.clip.frames, level.clip.rate) for _, _, _, level in sounds)
    for name, label, _, level in sounds:
        if sizes[level.clip.frames, level.clip.rate] > 1:  # others cannot be copies
            content = (root / name).read_bytes()
            same[hashlib.blake2b(content, digest_size=16).digest()].append((name, label))
    twice = [files for files in same.values() if len(files) > 1]
    if not twice:
        return []
    odd = [files for files in twice if len({label for _, label in files}) > 1]
    first = " and ".join(name for name, _ in (odd or twice)[0][:2])
    if odd:
        text = f"{counted(len(odd), 'sound')} in several classes, byte for byte: {first}."
        return [Finding("copies-in-classes", target, text, "failure")]
    return [Finding("copies", "audio", f"{counted(len(twice), 'sound')} more than once, byte for byte: {first}.")]
