"""What a run's record says of labels of steps: shares by class, the hardest sequences, how they are drawn."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import precision_score, recall_score

from glia.core.seeds import numpy_rng
from glia.data import Column, Schema, Split, Table
from glia.estimators.step_table import split_labels
from glia.estimators.table_fit import TableFit
from glia.report.charts.label_strip import COLOURS, OTHER, Labelled, label_strip_chart, runs
from glia.report.step_figures import step_charts
from glia.report.step_mistakes import codes_of, hardest_sequences, per_class

CLASSES = np.array(["a", "b", "c"])


def made(sequences=15, seed=0):
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(sequences), rng.integers(2, 12, sequences))
    y = CLASSES[rng.integers(0, 2, len(row))]  # "c" never is right
    return y, np.where(rng.random(len(row)) < 0.6, y, CLASSES[rng.integers(0, 3, len(row))]), row


def test_shares_by_class_are_recall_and_precision():
    y, said, row = made()
    found = per_class(y, said, row, CLASSES, 150)
    assert [one["steps"] for one in found] == [int((y == c).sum()) for c in CLASSES]
    recall = recall_score(y, said, labels=CLASSES, average=None, zero_division=0)
    precision = precision_score(y, said, labels=CLASSES, average=None, zero_division=0)
    assert [one["recall"]["value"] for one in found[:2]] == pytest.approx(recall[:2].tolist())
    assert [one["precision"]["value"] for one in found] == pytest.approx(precision.tolist())
    assert found[2]["recall"] is None
    drawn = numpy_rng(0, "bootstrap").integers(0, 15, (150, 15))
    again = [np.concatenate([np.flatnonzero(row == s) for s in one]) for one in drawn]
    recalls = [recall_score(y[i], said[i], labels=["a"], average=None)[0] for i in again]
    low, high = np.quantile(recalls, [0.025, 0.975])
    assert (found[0]["recall"]["low"], found[0]["recall"]["high"]) == pytest.approx((low, high))
    weight = 1.0 + row % 3
    weighted = per_class(y, said, row, CLASSES, 0, weight)
    right = recall_score(y, said, labels=CLASSES[:2], average=None, sample_weight=weight)
    assert [one["recall"] for one in weighted[:2]] == [{"value": pytest.approx(v)} for v in right.tolist()]
    assert per_class(y, said, np.zeros_like(row), CLASSES, 50)[0]["recall"].keys() == {"value"}


class Known:
    """Stands for a fitted labeler."""

    classes_ = CLASSES


def test_the_hardest_sequence_comes_first():
    labels = split_labels(pl.Series(["a", "b", None, "c", "c", "a"]), np.array([3, 2, 1]))
    probability = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0, 0, 1.0], [0.5, 0, 0.5], [0.1, 0.1, 0.8], [0.2, 0.8, 0]])
    frame = pl.DataFrame({"who": ["x", "y", "z"], "v": [[1.0, 2, 3], [4.0, 5], [6.0]]})
    table = Table(frame, Schema((Column("who", "id", "String"), Column("v", "sequence", "List(Float64)"))))
    split = Split(np.zeros(0, np.int64), np.zeros(0, np.int64), np.arange(3), "random")
    fitted = TableFit(Known(), table, split, labels, None, "multiclass")
    hardest, strips = hardest_sequences(fitted, table, probability)
    losses = [-np.log([0.9, 0.2]).mean(), -np.log([0.5, 0.8]).mean(), -np.log(0.2)]
    assert [one["values"]["who"] for one in hardest] == ["z", "x", "y"]
    assert [one["loss"] for one in hardest] == pytest.approx(sorted(losses, reverse=True))
    assert hardest[1]["truth"] == "a×1 b×1 ?×1" and hardest[1]["prediction"] == "a×2 c×1"
    assert hardest[1]["values"] == {"who": "x", "labelled steps": 2, "wrong": 1}
    assert strips[1] == {"name": "x", "wrong": 0.5, "cut": False, "truth": [0, 1, -1], "prediction": [0, 0, 2]}


def test_codes_and_stretches():
    assert codes_of(np.array(["b", None, "a"], dtype=object), CLASSES).tolist() == [1, -1, 0]
    assert runs([1, 1, 2, 1]) == [(0, 2, 1), (2, 3, 2), (3, 4, 1)] and runs([]) == []


def test_stretches_are_drawn_to_scale_in_the_colours_of_their_classes():
    strip = Labelled("s<1>", [0, 0, -1, 1], [0, 1, 1, 1])
    chart = label_strip_chart("k", "t", [strip], ["x", "y"])
    assert chart.rows == (
        ("s<1>", "truth", 0, 1, "x"), ("s<1>", "truth", 3, 3, "y"), ("s<1>", "said", 0, 0, "x"),
        ("s<1>", "said", 1, 3, "y"),
    )  # fmt: skip
    widths = [float(part.split('"')[0]) for part in chart.svg.split('height="9"')[0].split('width="')[1:]]
    assert chart.svg.count(f'height="9" fill="{COLOURS[0]}"') == 2 and widths
    assert "<1>" not in chart.svg and chart.data["classes"] == ["x", "y"]
    many = label_strip_chart("k", "t", [Labelled("s", list(range(9)), [0] * 9)], [f"c{i}" for i in range(9)])
    assert "2 others" in many.svg and many.svg.count(OTHER) == 3
    with pytest.raises(ValueError, match="at least one strip"):
        label_strip_chart("k", "t", [], ["x"])


def test_a_record_without_labels_of_steps_has_no_such_figures():
    assert step_charts({}) == [] and step_charts({"steps": {"classes": [], "strips": []}}) == []
    shares = [
        {"class": "a", "steps": 5, "recall": {"value": 0.9}},
        {"class": "b", "steps": 2, "recall": {"value": 0.5}},
    ]
    charts = step_charts({"steps": {"classes": shares}})
    assert [one.key for one in charts] == ["recall"] and charts[0].title.startswith("'b' is found least: 50.0 %")
