"""Does accuracy mislead: what it hides where one class is much more common than the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.results import Interval, Result, Table
from glia.objectives.calibration import wilson
from glia.objectives.scored import scored

COMMON = 0.7
"""From this share on, one class is so common that accuracy is compared with always answering it."""
RARE = 0.2
"""Up to this share, a class is rare."""
_ADVICE = (
    "Judge it by recall, precision and average precision. Balanced training (balance) or another threshold finds more "
    "rows of the rare class, at the cost of false alarms."
)


@dataclass(frozen=True)
class ClassFigures:
    """One class: how common it is, and how much of it is found.

    Parameters
    ----------
    name : str
        The class.
    rows, predicted, right : int
        Rows of the class, rows that were called so, and those that were called so and are.
    share : float
        Of all rows, by weight.
    recall : Interval
        Share of the class that is found, with a 95 % Wilson interval.
    precision : float or None
        Share of those called so that are; ``None`` where none were.
    """

    name: str
    rows: int
    predicted: int
    right: int
    share: float
    recall: Interval
    precision: float | None


@dataclass(frozen=True)
class ImbalanceResult(Result):
    """What accuracy says, and what it hides.

    Parameters
    ----------
    n_rows : int
    accuracy : Interval
        With a 95 % Wilson interval.
    common : str
        The most common class.
    common_share : float
        Its share: the accuracy of always answering it.
    classes : tuple of ClassFigures
        All classes that occur.
    finding : {"none", "no better", "hidden", "by choice"}
        "no better": accuracy cannot be told from, or is below, that of always answering the most common class;
        "hidden": accuracy is high while most rows of a rare class are missed; "by choice": accuracy is low because
        rare classes are looked for, and they are found.
    message : str
        The warning in words; empty where there is none.
    """

    n_rows: int
    accuracy: Interval
    common: str
    common_share: float
    classes: tuple[ClassFigures, ...]
    finding: Literal["none", "no better", "hidden", "by choice"]
    message: str

    @property
    def misleads(self) -> bool:
        """Whether accuracy gives a wrong picture."""
        return self.finding != "none"

    def summary(self) -> str:
        """Return the warning, or that there is none."""
        return self.message or f"Accuracy ({_percent(self.accuracy.value)}) gives no wrong picture of these rows."

    def tables(self) -> list[Table]:
        """Return one row per class."""
        heads = ("class", "rows", "share", "found", "recall", "recall, low", "recall, high", "precision")
        rows = tuple(
            (c.name, c.rows, c.share, c.right, c.recall.value, c.recall.low, c.recall.high, c.precision)
            for c in self.classes
        )
        return [Table(f"Classes of {self.n_rows:,} rows", heads, rows)]


def imbalance(
    y: ArrayLike,
    prediction: ArrayLike,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    sample_weight: ArrayLike | None = None,
) -> ImbalanceResult:
    """Say whether accuracy gives a wrong picture of predicted classes.

    Parameters
    ----------
    y, prediction : array-like (N,)
        True and predicted classes.
    classes : array-like, optional
        Those that may occur.
    sample_weight : array-like (N,), optional
        At least 0.

    Raises
    ------
    InputError
        If shapes differ or a label is not among the classes.
    """
    data = scored("multiclass", y, prediction, None, sample_weight, classes)
    guess, weight = data.predicted, data.weight
    found = tuple(_of_class(data.y, guess, weight, code, str(data.classes[code])) for code in np.unique(data.y))
    accuracy = _share((data.y == guess).astype(np.float64), weight)
    common = max(found, key=lambda one: one.share)
    finding: Literal["none", "no better", "hidden", "by choice"] = "none"
    rare = [one for one in found if one.share <= RARE and one is not common]
    worst = min(rare or [one for one in found if one is not common] or [common], key=lambda one: one.recall.value)
    balanced = float(np.mean([one.recall.value for one in found]))
    if len(found) > 1 and common.share >= COMMON and accuracy.low <= common.share:
        useful = accuracy.value < common.share and balanced >= 0.5 * (1.0 + 1.0 / len(found))
        finding = "by choice" if useful else "no better"
    elif rare and worst.recall.value < 0.5 and worst.recall.high < accuracy.low:
        finding = "hidden"
    message = _message(finding, accuracy, common, worst)
    return ImbalanceResult(len(data), accuracy, common.name, common.share, found, finding, message)


def _of_class(y: NDArray[Any], guess: NDArray[Any], weight: NDArray[np.float64], code: int, name: str) -> ClassFigures:
    own, called = y == code, guess == code
    right = own & called
    return ClassFigures(
        name=name,
        rows=int(own.sum()),
        predicted=int(called.sum()),
        right=int(right.sum()),
        share=float(weight[own].sum() / weight.sum()),
        recall=_share(right[own].astype(np.float64), weight[own]),
        precision=float(weight[right].sum() / weight[called].sum()) if called.any() else None,
    )


def _share(happened: NDArray[np.float64], weight: NDArray[np.float64]) -> Interval:
    value = float(np.average(happened, weights=weight))
    return Interval(value, *wilson(value, float(weight.sum() ** 2 / (weight**2).sum())))


def _message(finding: str, accuracy: Interval, common: ClassFigures, worst: ClassFigures) -> str:
    right, always = _percent(accuracy.value), _percent(common.share)
    one = f"of the {worst.rows:,} rows of {worst.name!r}, {worst.right:,} are found"
    one += f" ({_percent(worst.recall.value)}, 95 % interval {_bare(worst.recall.low)} to {_bare(worst.recall.high)})"
    if finding == "no better":
        return (
            f"Accuracy misleads: {right} of the rows are right, but so would be {always} by always answering "
            f"{common.name!r}; {one}. {_ADVICE}"
        )
    if finding == "hidden":
        return (
            f"Accuracy misleads: {right} of the rows are right because {common.name!r} is common ({always}), yet "
            f"{one}. {_ADVICE}"
        )
    if finding == "by choice":
        sure = "" if worst.precision is None else f", and of {worst.predicted:,} rows called so, {worst.right:,} are"
        return (
            f"Do not judge it by accuracy: {right} of the rows are right, and always answering {common.name!r} would "
            f"give {always}, but this network is set to find the rare ones: {one}{sure}."
        )
    return ""


def _bare(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def _percent(share: float) -> str:
    return f"{_bare(share)} %"
