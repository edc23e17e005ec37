"""What looks wrong with data is found, and nothing is said of data that are right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from glia.core.errors import InputError
from glia.data import SchemaResult, Table, check_target, describe, find_leaks, infer_schema, infer_task, read

N = 4000


def codes(schema: object, *skip: str) -> list[tuple[str, str | None]]:
    return [(f.code, f.column) for f in schema.warnings if f.code not in skip]  # type: ignore[attr-defined]


def test_sound_data_give_no_finding() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=N), "b": rng.choice(["u", "v"], N), "y": rng.choice(["no", "yes"], N)})
    assert infer_schema(frame, target="y").warnings == ()


def test_every_finding_says_what_and_where() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "id": range(N),
            "same": ["k"] * N,
            "empty": [None] * N,
            "gaps": [1.5 if i % 4 == 0 else None for i in range(N)],
            "many": [f"k{i % 2500}" for i in range(N)],
            "mixed": rng.choice(["1", "2", "a few", "many"], N),
            "marked": ["?" if i % 10 == 0 else "w" + str(i % 3) for i in range(N)],
            "tail": np.exp(4 * rng.normal(size=N)),
            "y": ["rare" if i < 40 else "common" for i in rng.permutation(N)],
        }
    ).with_columns(gaps=pl.when(pl.int_range(N) % 8 == 0).then(pl.lit(2.5)).otherwise(pl.col("gaps")))
    schema = infer_schema(frame, target="y")
    messages = {(f.code, f.column): (f.severity, f.message) for f in schema.warnings}
    assert messages["id", "id"] == ("info", "'id' looks like an identifier (it counts the rows) and is left out.")
    assert messages["constant", "same"] == ("warning", "'same' has the same value in every row ('k') and is left out.")
    assert messages["all-missing", "empty"] == ("warning", "'empty' has no values at all and is left out.")
    assert messages["missing", "gaps"] == ("warning", "75% of 'gaps' is missing.")
    assert messages["high-cardinality", "many"] == (
        "warning",
        "'many' has 2,500 categories, 1.6 rows each on average.",
    )
    mixed = messages["mixed-types", "mixed"]
    assert mixed[0] == "warning" and mixed[1].startswith("'mixed' mixes numbers with words (")
    assert mixed[1].endswith("), so its values count as categories.")
    assert messages["missing-marker", "marked"] == ("info", "'?' was read as missing in marked (400).")
    assert messages["outliers", "tail"][0] == "info"
    assert messages["class-imbalance", "y"] == (
        "warning",
        "The classes of 'y' are unbalanced: 'rare' has 40 of 4,000 rows (1.00%).",
    )
    assert schema.inputs() == ("gaps", "many", "mixed", "marked", "tail")


def test_a_few_words_among_numbers_count_as_missing() -> None:
    frame = pl.DataFrame({"n": [str(i / 2) for i in range(98)] + ["ten", "abc"], "y": range(100)})
    schema = infer_schema(frame)
    assert (schema.role("n"), schema.column("n").missing) == ("numeric", 2)
    assert [finding.message for finding in schema.findings("unparsed")] == [
        "2 of 100 values of 'n' cannot be read as a number and count as missing: 'ten', 'abc'."
    ]


def test_ten_thousand_categories() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"c": [f"k{i % 10_000}" for i in range(20_000)], "v": rng.normal(size=20_000)})
    schema = infer_schema(frame)
    assert schema.role("c") == "categorical"
    assert [f.message for f in schema.warnings] == ["'c' has 10,000 categories, 2.0 rows each on average."]


def test_copies_are_counted_exactly() -> None:
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({"a": rng.normal(size=100), "b": rng.choice(["u", "v"], 100)})
    frame = pl.concat([frame, frame.head(7), frame.head(2)])
    numbered = frame.with_columns(id=pl.int_range(frame.height))
    for rows in (frame, numbered):  # a running number does not make copies different
        assert [f.message for f in infer_schema(rows).findings("duplicate-rows")] == [
            "9 of 109 rows (8.3%) are exact copies of other rows."
        ]


def test_many_alike_findings_become_one() -> None:
    frame = pl.DataFrame({**{f"c{i}": [1.5] * 5 for i in range(30)}, "v": [1.5, 2.5, 3.0, 4.0, 5.5]})
    (finding,) = infer_schema(frame).findings("constant")
    assert finding.column is None
    assert finding.message.startswith("30 columns, among them c0, c1")


def classification(rows: int = 3000) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=rows), "b": rng.choice(["u", "v", "w"], rows)})
    y = (frame["a"].to_numpy() + rng.normal(size=rows) > 0).astype(int)
    return frame.with_columns(y=pl.Series(["yes" if v else "no" for v in y])), y


def leaks() -> Iterator[tuple[str, pl.Series]]:
    y = classification()[1]
    rng = np.random.default_rng(4)
    yield "other words", pl.Series(np.where(y == 1, "approved", "refused"))
    yield "a number that is high for yes", pl.Series(y * 10 + rng.normal(size=len(y)))
    yield "not monotone", pl.Series(np.where(y == 1, rng.normal(size=len(y)), rng.choice([-9, 9], len(y))))
    yield "missing where no", pl.Series([1.5 + v if v else None for v in y * rng.random(len(y))])
    yield "many codes", pl.Series([f"{'A' if v else 'B'}{i % 50}" for i, v in enumerate(y)])
    flipped = np.where(rng.random(len(y)) < 0.002, 1 - y, y)
    yield "wrong in two rows of a thousand", pl.Series(flipped)


@pytest.mark.parametrize(("case", "column"), list(leaks()), ids=[case for case, _ in leaks()])
def test_leaks_into_classes_are_found(case: str, column: pl.Series) -> None:
    frame, _ = classification()
    found = infer_schema(frame.with_columns(column.alias("after")), target="y").findings("leak")
    assert [(f.column, f.severity) for f in found] == [("after", "failure")]
    assert (
        found[0].message.startswith("'after' alone all but gives the target away (AUC 0.99")
        or "AUC 1.0" in found[0].message
    )


def test_strong_but_honest_columns_are_no_leaks() -> None:
    frame, y = classification()
    rng = np.random.default_rng(5)
    strong = frame.with_columns(after=pl.Series(2.5 * y + rng.normal(size=len(y))))  # AUC about 0.96
    noisy = frame.with_columns(after=pl.Series(np.where(rng.random(len(y)) < 0.02, 1 - y, y)))  # AUC 0.98
    unique = frame.with_columns(after=pl.Series([f"k{i}" for i in range(len(y))]))
    for rows in (frame, strong, noisy, unique):
        assert find_leaks(rows, "y", [c for c in rows.columns if c != "y"]) == []


def test_leaks_into_quantities() -> None:
    rng = np.random.default_rng(6)
    y = np.exp(rng.normal(size=3000))
    frame = pl.DataFrame(
        {
            "euro": 1.1 * y,
            "curved": np.log(y) ** 3,
            "near": y + 0.01 * rng.normal(size=3000),
            "honest": y + 0.3 * rng.normal(size=3000),  # R² about 0.98
            "noise": rng.normal(size=3000),
            "y": y,
        }
    )
    found = infer_schema(frame, target="y").findings("leak")
    assert [f.column for f in found] == ["euro", "curved", "near"]


def test_leaks_in_rare_and_many_classes() -> None:
    rng = np.random.default_rng(8)
    y = (np.arange(50_000) < 60).astype(int)
    frame = pl.DataFrame({"told": y + 0.01 * rng.normal(size=50_000), "noise": rng.normal(size=50_000), "y": y})
    assert [f.column for f in find_leaks(frame, "y", ["told", "noise"])] == ["told"]
    letters = rng.choice(list("abcdefghijklmnopqrst"), 3000)
    frame = pl.DataFrame({"told": [ord(c) for c in letters], "noise": rng.normal(size=3000), "y": letters})
    assert [f.column for f in find_leaks(frame, "y", ["told", "noise"])] == ["told"]


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_diabetes])
def test_real_tables_hold_no_leak(load: object) -> None:
    data = load(as_frame=True).frame  # type: ignore[operator]
    assert infer_schema(data, target="target").findings("leak") == ()


def test_few_rows_prove_no_leak() -> None:
    frame = pl.DataFrame({"a": range(20), "y": range(20)})
    assert find_leaks(frame, "y", ["a"]) == []


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b", "a"], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([True, False], "binary"),
        ([0, 1, 1, 0], "binary"),
        ([0.0, 1.0, None], "binary"),
        ([1, 2, 3] * 20, "multiclass"),
        ([1, 2, 3], "regression"),
        (list(range(100)), "regression"),
        ([1.5, 2.0] * 30, "regression"),
    ],
)
def test_tasks(values: list[object], task: str) -> None:
    assert infer_task(pl.Series(values)) == task


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (
            ["a", "a"],
            None,
            "the target must have at least two classes · got target='y' with one class: 'a' · "
            "choose another target, or more rows",
        ),
        (
            [2.5, 2.5],
            None,
            "a target must vary · got target='y' with one value: 2.5 · choose another target, or more rows",
        ),
        (
            [None, None],
            None,
            "the target must have values · got target='y' with only missing ones in 2 rows · "
            "choose another target, or fill it in",
        ),
        ([2.5], None, "there must be at least two rows with a target · got 1 row · hand in more rows"),
        (
            ["a", "b", "c"],
            "binary",
            "a binary target must have two values · got target='y' with 3 · "
            "choose the task 'multiclass' or 'regression'",
        ),
        (
            ["a", "b"],
            "regression",
            "the target of a regression must hold numbers · got target='y' with 'a', 'b' · "
            "choose another target, or fit a classifier",
        ),
    ],
)
def test_targets_from_which_nothing_is_learned(values: list[object], task: str | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_target(pl.DataFrame({"y": values}), "y", task)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_target_that_is_not_there() -> None:
    with pytest.raises(InputError) as caught:
        check_target(pl.DataFrame({"income": [1, 2]}), "incme")
    assert str(caught.value) == (
        "the target must be a column of the table · got target='incme' · did you mean 'income'?"
    )
    check_target(pl.DataFrame({"y": ["a", "b"]}), "y", "binary")


ADULT = """age, workclass, fnlwgt, education, hours-per-week, income
39, State-gov, 77516, Bachelors, 40, <=50K
50, Self-emp-not-inc, 83311, Bachelors, 13, <=50K
38, Private, 215646, HS-grad, 40, <=50K
53, ?, 234721, 11th, 40, >50K
28, Private, 338409, Bachelors, ?, >50K
"""


def test_adult_like_file_from_bytes_to_sentence(tmp_path: Path) -> None:
    path = tmp_path / "adult.csv"
    path.write_text(ADULT)
    table: Table = read(path, target="income")
    assert {c.name: c.role for c in table.schema.columns} == {
        "age": "numeric",
        "workclass": "categorical",
        "fnlwgt": "numeric",
        "education": "categorical",
        "hours-per-week": "numeric",
        "income": "target",
    }
    assert table.frame.row(4) == (28, "Private", 338409, "Bachelors", None, ">50K")
    result: SchemaResult = describe(path, target="income")
    assert result.summary() == ("adult: 5 rows × 6 columns (3 numeric, 2 categorical, 1 target); 1 finding.")
    columns, findings = result.tables()
    assert columns.rows[1] == ("workclass", "categorical", "String", 1, 3, "words with 3 different values")
    assert findings.rows == (
        ("info", "missing-marker", "", "'?' was read as missing in workclass (1), hours-per-week (1)."),
    )
    assert result.to_dict()["schema"]["columns"][0]["name"] == "age"
