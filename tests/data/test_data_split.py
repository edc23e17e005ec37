"""Splits: their invariants as properties, and the ways in which they are refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from glia.core.errors import InputError
from glia.data import Split, read, split_rows

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
FRACTIONS = st.sampled_from([0.0, 0.1, 0.2, 0.34])


def whole(split: Split, total: int) -> None:
    """Every row is in exactly one part."""
    parts = [split.train, split.valid, split.test]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(total))
    assert all(np.array_equal(part, np.sort(part)) for part in parts)
    assert len(split.train) > 0


@QUICK
@given(st.integers(3, 300), FRACTIONS, FRACTIONS, st.integers(0, 5))
def test_random_parts_have_their_sizes(total: int, test: float, valid: float, seed: int) -> None:
    split = split_rows(total, test_fraction=test, validation_fraction=valid, random_state=seed)
    whole(split, total)
    for part, fraction in ((split.test, test), (split.valid, valid)):
        assert len(part) == (0 if fraction == 0 else max(1, round(fraction * total)))
    again = split_rows(total, test_fraction=test, validation_fraction=valid, random_state=seed)
    assert all(np.array_equal(getattr(split, name), getattr(again, name)) for name in ("train", "valid", "test"))


@QUICK
@given(st.lists(st.integers(0, 6), min_size=3, max_size=120), FRACTIONS, FRACTIONS)
def test_any_classes_can_be_split(labels: list[int], test: float, valid: float) -> None:
    words = [f"class {label}" for label in labels]
    split = split_rows(len(words), y=words, test_fraction=test, validation_fraction=valid)
    whole(split, len(words))
    for word in set(words):
        rows = [i for i, other in enumerate(words) if other == word]
        singles = len(words) - sum(words.count(other) == 1 for other in words)
        if len(rows) == 1 and singles > len(split.test) + len(split.valid) + 3:
            assert rows[0] in split.train


def test_classes_are_spread_evenly() -> None:
    y = np.repeat(["a", "b", "c", "once"], [600, 300, 99, 1])
    split = split_rows(1000, y=y, test_fraction=0.2, validation_fraction=0.1)
    assert split.method == "stratified"
    for part, share in ((split.test, 0.2), (split.valid, 0.1), (split.train, 0.7)):
        for word, count in (("a", 600), ("b", 300), ("c", 99)):
            assert abs(int((y[part] == word).sum()) - share * count) <= 2
    assert "once" in y[split.train]


@QUICK
@given(st.lists(st.integers(0, 12), min_size=10, max_size=150), FRACTIONS, FRACTIONS, st.integers(0, 3))
def test_no_group_is_in_two_parts(groups: list[int], test: float, valid: float, seed: int) -> None:
    parts = 1 + (test > 0) + (valid > 0)
    arguments: dict[str, Any] = {"test_fraction": test, "validation_fraction": valid, "random_state": seed}
    if len(set(groups)) < parts:
        with pytest.raises(InputError):
            split_rows(len(groups), method="group", group=groups, **arguments)
        return
    split = split_rows(len(groups), method="group", group=groups, **arguments)
    whole(split, len(groups))
    keys = np.asarray(groups)
    held = [set(keys[part]) for part in (split.train, split.valid, split.test)]
    assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])
    assert bool(len(split.test)) == (test > 0) and bool(len(split.valid)) == (valid > 0)


def test_group_parts_come_near_their_share_and_rows_without_group_are_free() -> None:
    rng = np.random.default_rng(0)
    groups = pl.Series(rng.geometric(0.05, 2000)).cast(pl.String)
    split = split_rows(2000, method="group", group=groups)
    assert abs(len(split.test) / 2000 - 0.2) < 0.03 and abs(len(split.valid) / 2000 - 0.15) < 0.03
    alone = split_rows(30, method="group", group=pl.Series([None] * 30, dtype=pl.String))
    assert len(alone.test) == 6 and len(alone.valid) in (4, 5)  # 15 % of 30 rows are 4.5


@QUICK
@given(st.lists(st.integers(0, 40), min_size=8, max_size=120), FRACTIONS, FRACTIONS)
def test_the_test_part_is_the_latest(times: list[int], test: float, valid: float) -> None:
    parts = 1 + (test > 0) + (valid > 0)
    arguments: dict[str, Any] = {"test_fraction": test, "validation_fraction": valid}
    if len(set(times)) < parts:
        with pytest.raises(InputError):
            split_rows(len(times), method="time", time=times, **arguments)
        return
    split = split_rows(len(times), method="time", time=times, **arguments)
    whole(split, len(times))
    moments = np.asarray(times)
    ordered = [moments[part] for part in (split.train, split.valid, split.test) if len(part)]
    assert len(ordered) == parts
    for earlier, later in pairwise(ordered):
        assert earlier.max() < later.min()


def test_columns_are_found_by_role_and_by_name() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "day": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 4, 9), eager=True).shuffle(1),
            "who": rng.choice(["a", "b", "c", "d", "e", "f"], 100),
            "x": rng.normal(size=100),
            "y": rng.choice(["no", "yes"], 100),
        }
    )
    table = read(frame, target="y", roles={"who": "group"})
    assert split_rows(table).method == "stratified"
    by_time = split_rows(table, method="time")
    assert frame["day"][by_time.test.tolist()].min() > frame["day"][by_time.valid.tolist()].max()
    by_group = split_rows(table, method="group")
    assert not set(frame["who"][by_group.test.tolist()]) & set(frame["who"][by_group.train.tolist()])
    named = split_rows(frame, method="time", time="day")
    assert np.array_equal(named.test, by_time.test)


def test_copies_across_parts_are_counted() -> None:
    rows = pl.DataFrame({"a": [1, 2, 3, 4, 1, 2, 5, 5], "t": range(8)})
    # by time: train 0-3, validation 4-5, test 6-7; a copy of row 0 and one of row 1 are in validation
    split = split_rows(rows.select("a"), method="time", time=rows["t"], test_fraction=0.25, validation_fraction=0.25)
    assert (split.train.tolist(), split.valid.tolist(), split.test.tolist()) == ([0, 1, 2, 3], [4, 5], [6, 7])
    assert split.duplicates == 2
    assert split_rows(rows, method="time", time="t").duplicates == 0
    assert repr(split) == "Split(time: train 4, valid 2, test 2; 2 duplicates across parts)"
    assert split.to_dict() == {
        "method": "time",
        "duplicates": 2,
        "sizes": {"train": 4, "valid": 2, "test": 2},
        "rows": {"train": [0, 1, 2, 3], "valid": [4, 5], "test": [6, 7]},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 1}, "a split into 3 parts needs at least 3 rows · got 1 row · hand in more rows"),
        ({"rows": 2}, "a split into 3 parts needs at least 3 rows · got 2 rows · hand in more rows"),
        (
            {"rows": 9, "method": "rndom"},
            "the method of a split must be a known name · got method='rndom' · did you mean 'random'?",
        ),
        (
            {"rows": 9, "test_fraction": 1.0},
            "test_fraction must be at least 0 and below 1 · got test_fraction=1.0 · choose for instance 0.2",
        ),
        (
            {"rows": 9, "test_fraction": 0.6, "validation_fraction": 0.5},
            "the fractions must leave rows to train on · got test_fraction=0.6 and validation_fraction=0.5 · "
            "choose smaller fractions",
        ),
        (
            {"rows": 9, "method": "group"},
            "a split by group needs a column to go by · got group=None · name it, for instance group='…'",
        ),
        (
            {"rows": 9, "method": "group", "group": ["a"] * 9},
            "a split by group into 3 parts needs at least 3 groups · got 1 group · use method='random'",
        ),
        (
            {"rows": 9, "method": "time", "time": [1] * 8 + [2]},
            "a split by time into 3 parts needs at least 3 points in time · "
            "got 2 different times · use method='random'",
        ),
        (
            {"rows": pl.DataFrame({"day": [1, 2, 3]}), "method": "time", "time": "dy"},
            "time must name a column of the table · got time='dy' · did you mean 'day'?",
        ),
        (
            {"rows": 9, "method": "group", "group": [1, 2, 3]},
            "group must have one value per row · got 3 values for 9 rows · hand in as many values as rows",
        ),
        ({"rows": 9, "y": [1, 2]}, "y must have one value per row · got 2 values for 9 rows · hand in both alike"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        split_rows(arguments.pop("rows"), **arguments)
    assert str(caught.value) == message


def test_no_test_part() -> None:
    split = split_rows(10, test_fraction=0, validation_fraction=0)
    assert (len(split.train), len(split.valid), len(split.test)) == (10, 0, 0)
    assert len(split_rows(1, test_fraction=0, validation_fraction=0).train) == 1
