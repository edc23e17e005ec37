"""Counterfactuals: the closed form of linear models, columns that stay, ranges, categories, and validity."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from explain_functions import Prepared, assert_untouched, known, untouched

import glia
from glia.core.errors import InputError
from glia.explain import counterfactuals
from glia.explain.row_distance import RowDistance

WEIGHT = np.array([1.0, -2.0, 0.5], dtype=np.float32)
SPREAD = np.array([1.0, 1.0, 6.0])
"""Effects for one unit of spread: 1, 2 and 3."""


def linear(names=("a", "b", "c"), task="regression", **options):
    network = known(lambda x: x @ torch.from_numpy(WEIGHT)).network_
    return glia.wrap(network, task, feature_names=names, **options)


def known_rows(count=400, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame((rng.normal(size=(count, 3)) * SPREAD).astype(np.float32), schema=["a", "b", "c"])


def test_a_linear_model_gives_the_closed_form_along_allowed_columns():
    B = known_rows()
    value = pl.Series(B.to_numpy() @ WEIGHT)
    X = B.filter((value > 0) & (value < 1) & (B["a"].abs() < 0.5) & (B["b"].abs() < 0.5))[:4]
    scale = RowDistance.of(B).scales
    values = X.to_numpy() @ WEIGHT
    for fixed, column in (((), "c"), (("c",), "b"), (("b", "c"), "a")):
        # per unit of cost the column with the largest |weight| · scale moves the output most: it alone has to move
        weight, place = float(WEIGHT["abc".index(column)]), "abc".index(column)
        aim = 1.3
        found = counterfactuals(linear(), X, background=B, target=(aim, None), immutable=fixed)
        for i, row in enumerate(found.rows):
            changes = row.found[0].changes
            assert list(changes) == [column]
            before, after = changes[column]
            need = (aim - values[i]) / weight
            assert before == pytest.approx(float(X[column][i]))
            assert after - before == pytest.approx(need, rel=1e-3, abs=1e-4)
            assert row.found[0].cost == pytest.approx(abs(need) / scale[column], rel=1e-3)
            assert row.found[0].answer >= aim
        assert place == "abc".index(column)


def test_what_must_stay_stays_and_ranges_hold():
    B = known_rows(300)
    X = B[:10]
    model = linear(task="binary", classes=["no", "yes"])
    found = counterfactuals(
        model, X, background=B, immutable=["b"], ranges={"a": "up", "c": (-8.0, 8.0)}, number=4, most_changed=2
    )
    assert found.immutable == ("b",) and found.columns == ("a", "c")
    ways = [(row, way) for row in found.rows for way in row.found]
    assert len({row.row for row, _ in ways}) >= 6
    for row, way in ways:
        assert "b" not in way.changes and len(way.changes) <= 2
        if "a" in way.changes:
            assert way.changes["a"][1] > way.changes["a"][0]
        if "c" in way.changes:
            assert -8 <= way.changes["c"][1] <= 8
        whole = X[row.row].with_columns(**{n: pl.lit(v, pl.Float32) for n, (_, v) in way.changes.items()})
        assert model.predict(whole)[0] == way.answer == row.wanted != row.answer  # the model itself says so
    for row in found.rows:
        sets = [frozenset(way.changes) for way in row.found]
        assert len({(s, tuple(w.changes[n][1] > w.changes[n][0] for n in w.changes)) for s, w in
                    zip(sets, row.found, strict=True)}) == len(sets)  # fmt: skip
        assert not any(one < other for one in sets for other in sets)  # more columns than needed are no other way


def test_categories_change_as_wholes_and_only_where_needed():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({
        "kind": rng.choice(["red", "green", "blue"], 200), "other": rng.choice(["p", "q"], 200),
        "size": rng.normal(size=200), "count": rng.integers(0, 9, 200),
    })  # fmt: skip
    kinds = {"kind": ["red", "green", "blue"], "other": ["p", "q"]}
    # at least 6 needs blue, however large the size is; then whole counts
    model = Prepared(lambda x: 5 * x[:, 2] + 0.5 * x[:, 6], kinds, ["size", "count"])
    row = pl.DataFrame({"kind": ["red"], "other": ["p"], "size": [0.3], "count": [1]})
    before = untouched(model.network_)
    found = counterfactuals(model, row, background=frame, target=(6.0, None))
    assert_untouched(model.network_, before)
    best = found.rows[0].found[0]
    assert best.changes == {"kind": ("red", "blue"), "count": (1, 2)} and best.answer == 6
    assert isinstance(best.changes["count"][1], int)
    only = counterfactuals(model, row, background=frame, target=(6.0, None), ranges={"kind": ["green"]})
    assert only.rows[0].found == () and "none was found" in only.summary()


def test_two_columns_are_changed_together_where_one_is_not_enough():
    B = known_rows(300)
    model = known(lambda x: torch.where((x[:, 0] > 0.5) & (x[:, 1] > 0.5), 4.0, -4.0), ["a", "b", "c"])
    model = glia.wrap(model.network_, "binary", feature_names=["a", "b", "c"], classes=["no", "yes"])
    X = pl.DataFrame({"a": [-0.2], "b": [0.1], "c": [0.0]}, schema_overrides=dict.fromkeys("abc", pl.Float32))
    (row,) = counterfactuals(model, X, background=B).rows
    assert set(row.found[0].changes) == {"a", "b"} and row.wanted == "yes"
    assert [row.found[0].changes[n][1] for n in "ab"] == pytest.approx([0.5, 0.5], abs=1e-2)


def test_a_row_unlike_all_others_is_told():
    rng = np.random.default_rng(0)
    a = rng.normal(size=400)
    B = pl.DataFrame({"a": a, "b": a + 0.02 * rng.normal(size=400)})
    model = glia.wrap(known(lambda x: x[:, 0] - x[:, 1] - 1.0).network_, "binary", feature_names=["a", "b"])
    found = counterfactuals(model, B[:5], background=B)
    assert all(row.found[0].typical < 0.05 for row in found.rows) and "unlike all that are known" in found.summary()
    fine = glia.wrap(known(lambda x: x[:, 0] + x[:, 1]).network_, "binary", feature_names=["a", "b"])
    near = B.filter(pl.col("a").abs() < 0.05)[:3]
    assert all(row.found[0].typical > 0.05 for row in counterfactuals(fine, near, background=B).rows)


def test_a_fitted_classifier_of_three_classes():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"size": rng.normal(size=300), "kind": rng.choice(["u", "v"], 300)})
    label = np.array(["low", "mid", "high"])[np.digitize(frame["size"].to_numpy(), [-0.5, 0.5])]
    model = glia.Classifier(network=glia.nn.MLP((16,)), members=1, epochs=25, lr=0.02, random_state=0).fit(frame, label)
    before = untouched(model.network_)
    found = counterfactuals(model, frame[:3], background=frame, target="high", number=2)
    assert_untouched(model.network_, before)
    for row in found.rows:
        if row.answer == "high":
            assert not row.found
            continue
        assert row.found[0].answer == "high" and list(row.found[0].changes) == ["size"]
    assert found.tables()[0].rows and found.plot().patches and found.to_dict()["rows"]
    again = counterfactuals(model, frame[:3], background=frame, target="high", number=2)
    assert again.rows == found.rows
    with pytest.raises(InputError, match="choose from high, low, mid"):
        counterfactuals(model, frame[:3], background=frame, target="hgh")


def test_arrays_and_mistakes():
    B = known_rows().to_numpy()
    model = linear(None)
    found = counterfactuals(model, B[:2], background=B, target=(50.0, None))
    assert {n for row in found.rows for way in row.found for n in way.changes} <= {"x0", "x1", "x2"}
    for options, message in (
        ({}, "must be a range"),
        ({"target": (3, 1)}, "must rise"),
        ({"target": (0, 1), "immutable": ["z"]}, "choose one of"),
        ({"target": (0, 1), "ranges": {"x0": "upp"}}, "'up' or 'down'"),
        ({"target": (0, 1), "immutable": ["x0", "x1", "x2"]}, "free to change"),
        ({"target": (0, 1), "number": 0}, "at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            counterfactuals(model, B[:2], background=B, **options)
