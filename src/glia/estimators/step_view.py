"""One step of every sequence seen alone: a predictor with one answer a row, for all that looks into such predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.core.seeds import numpy_rng
from glia.data.series import Sequences
from glia.estimators.sequence_labeler import SequenceLabeler
from glia.estimators.step_table import flat_labels, known_values
from glia.estimators.targets import ClassTarget
from glia.nn.modes import evaluating

_VALUES = 20_000_000
"""Values of rows that are copied for single steps, at most."""


@dataclass(frozen=True, eq=False)
class StepRows:
    """Sequences, of each of which one step is looked at.

    Parameters
    ----------
    sequences : Sequences
        No longer than the network reads: of longer ones, the part around the step.
    start : ndarray of int (N,)
        At which step of the whole sequence each begins.
    step : ndarray of int (N,)
        The step, counted in the whole sequence from 0.
    """

    sequences: Sequences
    start: NDArray[np.intp]
    step: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.step)

    def __getitem__(self, index: Any) -> StepRows:
        where = np.arange(len(self))[index]
        return StepRows(self.sequences[where], self.start[where], self.step[where])


def at_steps(sequences: Sequences, step: NDArray[np.intp], longest: int) -> StepRows:
    """Return the rows to look at: of every sequence at most ``longest`` steps, with the chosen one in their middle.

    Raises
    ------
    InputError
        If a sequence has no such step.
    """
    wrong = np.flatnonzero((step < 0) | (step >= sequences.lengths))
    if len(wrong):
        name = sequences.ids[wrong[0]] if sequences.ids else f"number {wrong[0]}"
        got = f"step {step[wrong[0]]} of {name!r}, which has {sequences.lengths[wrong[0]]:,}"
        raise InputError("the step must be one of the sequence, counted from 0", got, "choose an earlier one")
    kept = np.minimum(sequences.lengths, longest)
    start = np.clip(step - longest // 2, 0, sequences.lengths - kept)
    begin = np.cumsum(sequences.lengths) - sequences.lengths + start
    source = np.repeat(begin - np.cumsum(kept) + kept, kept) + np.arange(int(kept.sum()))
    cut = Sequences(sequences.values[source], kept, sequences.channels, sequences.ids)
    return StepRows(cut, start.astype(np.intp), np.asarray(step, dtype=np.intp))


class MarkedStep(nn.Module):
    """A network that labels steps, read out at the step that the last channel of its rows marks with 1.

    Shape
    -----
    (B, T, P + 1) → (B, K)
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of the marked steps."""
        scores = self.network(x[..., :-1].contiguous()).reshape(*x.shape[:2], -1)
        return (scores * x[..., -1:]).sum(1)  # type: ignore[no-any-return]


class _Owners:
    """Of which channel each prepared one tells, as ``SequencePreparation`` says it; the mark is nobody's."""

    def __init__(self, owners: tuple[int, ...]) -> None:
        self.owners_ = (*owners, -1)


class AtStep:
    """A fitted ``SequenceLabeler`` as a predictor of one step of each row.

    Parameters
    ----------
    model : SequenceLabeler
        Its network is run as it is, and not changed.
    """

    def __init__(self, model: SequenceLabeler) -> None:
        self.model = model
        self.network_ = MarkedStep(model.network_)
        self.task_: Task = model.task_
        self.classes_ = model.classes_
        self.target_ = ClassTarget(model.classes_, model.task_)
        self.temperature_ = model.temperature_
        self.history_ = getattr(model, "history_", ())
        self.target_name_ = getattr(model, "target_name_", None)
        steps, width = model.layout_.shape
        self.layout_ = Layout((steps, width + 1))
        self.preparation_ = _Owners(model._sequences.owners_)

    @property
    def feature_names(self) -> list[str]:
        """Names of the channels."""
        return self.model.feature_names

    def prepare(self, X: StepRows) -> Tensor:
        """Return rows as the network takes them, and the mark as last channel, (N, T, P + 1)."""
        x = self.model.prepare(X.sequences)
        mark = torch.zeros_like(x[..., :1])
        mark[torch.arange(len(x)), torch.from_numpy(X.step - X.start)] = 1.0
        return torch.cat([x, mark], 2)

    def forward(self, batch: Tensor) -> Tensor:
        """Run the network in evaluation mode: (B, T, P + 1) → (B, K), raw scores."""
        with evaluating(self.network_):
            out: Tensor = self.network_(batch)
        return out

    def predict_proba(self, X: StepRows) -> NDArray[np.float64]:
        """Return the probabilities of the classes at the steps, (N, K)."""
        with torch.no_grad():
            parts = [self.forward(part) for part in torch.split(self.prepare(X), 256)]
        scores = torch.cat(parts).double().cpu() / self.temperature_
        if scores.shape[1] == 1:
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
        return np.asarray(torch.softmax(scores, 1).numpy())

    def decide(self, probability: NDArray[np.float64]) -> NDArray[Any]:
        """Return the most probable classes, (N,)."""
        return np.asarray(self.classes_[probability.argmax(axis=1)])

    def predict(self, X: StepRows) -> NDArray[Any]:
        """Return the most probable class of each row's step, (N,)."""
        return self.decide(self.predict_proba(X))


def hardest_steps(
    model: SequenceLabeler, sequences: Sequences, y: NDArray[Any] | None = None
) -> tuple[NDArray[np.intp], bool]:
    """Return the step of each sequence that is hardest to get right, and whether that is known from right answers.

    Parameters
    ----------
    model : SequenceLabeler
    sequences : Sequences
    y : ndarray (N,) of arrays (T,), optional
        Labels, None where one is missing: the hardest step is the one whose right answer has the least probability.
        Where none is known, it is the step of which the model is least certain.
    """
    places = {label: place for place, label in enumerate(model.classes_.tolist())}
    steps, told = [], False
    for row, probability in enumerate(model.predict_proba(sequences)):
        doubt = 1.0 - probability.max(axis=1)
        if y is not None:
            codes = np.array([places.get(label, -1) for label in y[row].tolist()])
            there = codes >= 0
            if there.any():
                told = True
                right = probability[np.arange(len(codes)), np.maximum(codes, 0)]
                doubt = np.where(there, 1.0 - right, -1.0)
        steps.append(int(doubt.argmax()))
    return np.asarray(steps, dtype=np.intp), told


def labelled_rows_of(
    model: SequenceLabeler, sequences: Sequences, y: NDArray[Any], *, most: int, random_state: int = 0
) -> tuple[StepRows, NDArray[Any]]:
    """Return labelled steps, drawn at random where there are many, each as a row of its own, and their labels.

    Parameters
    ----------
    model : SequenceLabeler
    sequences : Sequences
    y : ndarray (N,) of arrays (T,)
        Labels, None where one is missing.
    most : int
        Rows; fewer where sequences are so long that their copies would fill the memory.
    random_state : int
        Of the draw.
    """
    flat, there, row = flat_labels(y)
    step = np.concatenate([np.arange(n) for n in sequences.lengths])
    places = np.flatnonzero(there)
    bound = max(8, min(most, _VALUES // int(np.prod(model.layout_.shape))))
    if len(places) > bound:
        places = np.sort(numpy_rng(random_state, "labelled steps").permutation(places)[:bound])
    rows = at_steps(sequences[row[places]], step[places], model.layout_.shape[0])
    chosen = np.zeros(len(flat), dtype=bool)
    chosen[places] = True
    return rows, known_values(flat, chosen)
