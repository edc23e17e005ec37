"""Where labels of steps are wrong: by class, and the sequences that were hardest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.results import jsonable
from glia.data import Table
from glia.estimators.table_fit import TableFit
from glia.objectives.bootstrap import interval, row_counts
from glia.report.charts.label_strip import runs
from glia.report.words import shorten

HARDEST, DRAWN = 10, 6
LONGEST = 300
"""Steps of a sequence that are drawn at most."""


def per_class(
    y: NDArray[Any],
    prediction: NDArray[Any],
    row: NDArray[np.intp],
    classes: NDArray[Any],
    n_boot: int,
    weight: NDArray[np.float64] | None = None,
) -> list[dict[str, Any]]:
    """Return how many steps each class has, which share of them is found, and which share of those called so is right.

    Intervals resample whole sequences. ``None`` stands for a share of nothing.
    """
    owner = np.unique(row, return_inverse=True)[1]
    count, mass = int(owner.max()) + 1, np.ones(len(y)) if weight is None else weight
    true, said = y[:, None] == classes, prediction[:, None] == classes  # (S, K)
    parts = np.concatenate([true & said, true, said], axis=1)
    sums = np.stack([np.bincount(owner[own], mass[own], count) for own in parts.T], axis=1)  # (N, 3 K)
    whole = sums.sum(axis=0).reshape(3, -1)
    drawn = row_counts(count, n_boot, 0) if n_boot and count > 1 else ()
    draws = np.concatenate([block @ sums for block in drawn]) if n_boot and count > 1 else sums[:0]
    draws = draws.reshape(len(draws), 3, len(classes))  # (R, 3, K)

    def share(of: int, place: int) -> dict[str, float] | None:
        if not whole[of, place]:
            return None
        value = float(whole[0, place] / whole[of, place])
        if not len(draws):
            return {"value": value}
        above, below = draws[:, 0, place], draws[:, of, place]
        found = interval(value, np.divide(above, below, out=np.full(len(draws), np.nan), where=below > 0), 0.95)
        return {"value": value, "low": found.low, "high": found.high}

    return [
        {
            "class": str(label), "steps": int(true[:, place].sum()), "predicted": int(said[:, place].sum()),
            "recall": share(1, place), "precision": share(2, place),
        }
        for place, label in enumerate(classes)
    ]  # fmt: skip


def hardest_sequences(
    fitted: TableFit, rows: Table, probability: NDArray[np.float64]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the test sequences with the highest mean loss a step, for the record, and how their labels are drawn.

    Parameters
    ----------
    fitted : TableFit
    rows : Table
        The test sequences.
    probability : ndarray (S, K)
        Of all of their steps, one sequence after the other.
    """
    classes = fitted.estimator.classes_
    index = fitted.split.test
    parts = fitted.y[index]
    cut = np.split(probability, np.cumsum([len(part) for part in parts])[:-1])
    found = [_judged(codes_of(part, classes), own) for part, own in zip(parts, cut, strict=True)]
    losses = np.array([one["loss"] for one in found])
    order = [int(i) for i in np.argsort(-losses, kind="stable")]
    shown = list(rows.schema.names("id", "group"))
    hardest: list[dict[str, Any]] = []
    strips: list[dict[str, Any]] = []
    for place in order[:HARDEST]:
        one, values = found[place], rows.frame.select(shown).row(place, named=True) if shown else {}
        name = str(values[shown[0]]) if shown else f"no. {index[place]}"
        told = {"labelled steps": one["labelled"], "wrong": one["missed"]}
        hardest.append({
            "row": int(index[place]), "truth": _words(one["truth"], classes),
            "prediction": _words(one["said"], classes), "confidence": one["sure"], "loss": one["loss"],
            "values": jsonable({**values, **told}),
        })  # fmt: skip
        if len(strips) < DRAWN:
            strips.append({
                "name": name, "wrong": one["missed"] / one["labelled"], "cut": len(one["said"]) > LONGEST,
                "truth": one["truth"][:LONGEST].tolist(), "prediction": one["said"][:LONGEST].tolist(),
            })  # fmt: skip
    return hardest, strips


def codes_of(part: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the place of each label of a sequence among the classes, −1 where there is none, (T,)."""
    places = {label: place for place, label in enumerate(classes.tolist())}
    return np.array([-1 if label is None else places[label] for label in part.tolist()], dtype=np.intp)


def _judged(truth: NDArray[np.intp], probability: NDArray[np.float64]) -> dict[str, Any]:
    there = truth >= 0
    said = probability.argmax(axis=1)
    right = probability[there, truth[there]]
    return {
        "truth": truth, "said": said, "labelled": int(there.sum()), "missed": int((said != truth)[there].sum()),
        "loss": float(-np.log(np.clip(right, 1e-7, 1.0)).mean()), "sure": float(probability.max(axis=1).mean()),
    }  # fmt: skip


def _words(codes: NDArray[np.intp], classes: NDArray[Any]) -> str:
    """Return labels in words: how many steps of each there are, one stretch after the other."""
    said = [f"{'?' if code < 0 else classes[code]}×{end - start}" for start, end, code in runs(codes.tolist())]
    return shorten(" ".join(said), 120)
