"""Sounds and sequences that ``glia explain`` was asked for, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glia.data.audio import hertz, mel, read_audio_folder, resampled
from glia.data.audio.rows import as_sounds
from glia.estimators.audio_inputs import AudioInputs
from glia.estimators.sequence_fit import sequences_from
from glia.estimators.step_view import AtStep, at_steps, hardest_steps
from glia.explain.segments import Segments
from glia.report.series_explanation import Strip, shares_of

if TYPE_CHECKING:
    from glia.cli.explain import ExplainSettings
    from glia.report.charts.heat_strip import Line

_POINTS = 200


@dataclass(frozen=True)
class Asked:
    """What is explained: rows as the model takes them, their names and right answers, and how many there are in all."""

    rows: Any
    names: tuple[str, ...]
    truths: tuple[str, ...]
    whole: int
    noun: str
    remark: str = ""
    starts: tuple[int, ...] = ()
    about: tuple[str, ...] = ()

    def said(self, row: int) -> str:
        """Return a row's name, with the step that is asked about where it is one of many."""
        return f"{self.names[row]}, {self.about[row]}" if self.about else self.names[row]


def asked_steps(model: Any, settings: ExplainSettings) -> tuple[AtStep, Asked]:
    """Return a model that labels steps as one of a single step a sequence, and the sequences with their steps.

    The step is the one that was asked for, else the hardest one of each sequence: the one whose right label has the
    least probability, or where labels are not known, the one of which the model is least certain.

    Raises
    ------
    InputError
        If there are no sequences, they are not what the model was fitted to, or one has no such step.
    """
    target = getattr(model, "target_name_", None)
    sequences, y = sequences_from(settings.data, model.schema_, target if isinstance(target, str) else None)
    kept, labels = sequences[: settings.rows], None if y is None else y[: settings.rows]
    steps, told = hardest_steps(model, kept, labels)
    remark = (
        f"Of each sequence the step is shown {'that is hardest to get right' if told else 'that is least certain'}."
    )
    if settings.step is not None:
        steps, remark = np.full(len(kept), settings.step), ""
    rows = at_steps(kept, steps, model.layout_.shape[0])
    right = [None if labels is None else labels[row][step] for row, step in enumerate(steps.tolist())]
    return AtStep(model), Asked(
        rows, _names(kept), tuple("" if one is None else str(one) for one in right), len(sequences), "sequence", remark,
        tuple(rows.start.tolist()), tuple(f"step {step}" for step in steps.tolist()),
    )  # fmt: skip


def _names(sequences: Any) -> tuple[str, ...]:
    return tuple(map(str, sequences.ids)) if sequences.ids else tuple(f"number {i}" for i in range(len(sequences)))


def asked_rows(model: Any, settings: ExplainSettings) -> Asked:
    """Return the sounds of a folder, or the sequences of a file, that are explained.

    Raises
    ------
    InputError
        If there are none, or they are not what the model was fitted to.
    """
    target = getattr(model, "target_name_", None)
    if isinstance(model, AudioInputs):
        folder = read_audio_folder(settings.data, limit=settings.rows)
        rows = as_sounds(folder)
        return Asked(rows, folder.names, folder.classes, len(rows), "sound", folder.remark)
    sequences, y = sequences_from(settings.data, model.schema_, target if isinstance(target, str) else None)
    kept = sequences[: settings.rows]
    names = _names(kept)
    truths = ("",) * len(kept) if y is None else tuple("" if one is None else str(one) for one in list(y)[: len(kept)])
    return Asked(kept, names, truths, len(sequences), "sequence")


def strips_of(model: Any, asked: Asked, result: Any, said: list[str], outputs: list[int]) -> list[Strip]:
    """Return a strip for each explained row."""
    draw = _sound if isinstance(model, AudioInputs) else _sequence
    named = list(result.output_names)
    return [
        draw(model, asked, result, row, (named[outputs[row]] if outputs[row] < len(named) else "", said[row]))
        for row in range(len(asked.names))
    ]


def _sequence(model: Any, asked: Asked, result: Any, row: int, told: tuple[str, str]) -> Strip:
    one = asked.rows[[row]]
    values = (one.sequences if asked.starts else one).values  # (T, C), as they were handed in
    steps = min(len(values), result.values.shape[1])
    cut = len(values) - steps  # of longer sequences the last steps are looked at
    before = cut + (asked.starts[row] if asked.starts else 0)
    shares, grid = shares_of(result, row, told_output(result, told[0]), steps)
    names = _grouped(tuple(model.feature_names), grid)
    best = grid.second[int(np.abs(shares).max(axis=0).argmax())]  # the first of the group that counts most
    drawn = [float(before + i) for i in range(steps)], values[cut:, best].tolist()
    edges = tuple(float(before + edge) for edge in grid.first)
    place = float(asked.rows.step[row]) if asked.starts else None
    return Strip(
        asked.said(row), shares, edges, names, drawn, model.feature_names[best], "step", *told, asked.truths[row], place
    )


def _sound(model: Any, asked: Asked, result: Any, row: int, told: tuple[str, str]) -> Strip:
    preparation = model.preparation_
    samples, rate = asked.rows.samples(row, preparation.seconds_)
    before = max(0.0, asked.rows.clip(row).seconds - len(samples) / rate) / 2  # of longer sounds, the middle
    wave = resampled(samples, rate, preparation.rate_)
    hop = preparation.hop
    spectra = min(preparation.steps_, max(1, round(len(wave) / preparation.rate_ / hop)))
    shares, grid = shares_of(result, row, told_output(result, told[0]), spectra)
    points = mel_edges(preparation.bands, preparation.rate_)
    names = tuple(_span(points[a], points[b + 1]) for a, b in zip(grid.second[:-1], grid.second[1:], strict=True))
    edges = tuple(before + edge * hop for edge in grid.first)
    drawn = _envelope(wave, before, len(wave) / preparation.rate_)
    # Low bands stand at the bottom, as in any spectrogram.
    return Strip(
        asked.names[row], shares[:, ::-1], edges, names[::-1], drawn, "wave", "second", *told, asked.truths[row]
    )


def _span(low: float, high: float) -> str:
    """Return a span of frequencies in words."""
    return f"{low:.0f}–{high:.0f} Hz" if high < 1000 else f"{low / 1000:.1f}–{high / 1000:.1f} kHz"


def told_output(result: Any, name: str) -> int:
    """Return the place of an explained output."""
    return result.output_names.index(name) if name in result.output_names else 0


def mel_edges(bands: int, rate: int) -> Any:
    """Return the frequencies in Hz where the bands of the mel scale begin and end, (bands + 2,)."""
    return hertz(np.linspace(mel(0.0), mel(rate / 2), bands + 2))


def _grouped(names: tuple[str, ...], grid: Segments) -> tuple[str, ...]:
    """Return the names of groups of channels: the first and the last of each."""
    pairs = zip(grid.second[:-1], grid.second[1:], strict=True)
    return tuple(names[a] if b - a == 1 else f"{names[a]} … {names[b - 1]}" for a, b in pairs)


def _envelope(wave: Any, before: float, seconds: float) -> Line:
    """Return the least and the greatest value of each of 200 stretches of a wave, one after the other."""
    edges = np.unique(np.linspace(0, len(wave), min(len(wave), _POINTS) + 1).round().astype(int))
    low, high = np.minimum.reduceat(wave, edges[:-1]), np.maximum.reduceat(wave, edges[:-1])
    at = before + (edges[:-1] + edges[1:]) / 2 / len(wave) * seconds
    return np.repeat(at, 2).tolist(), np.stack([low, high], 1).ravel().tolist()
