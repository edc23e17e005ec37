"""Tables of 200,000 rows: what a sample of rows decides is what counting all rows decides, rare things included."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data import Schema, describe, find_leaks, infer_schema, learn_schema, read, roles_checks, roles_overview
from glia.data import read_csv as csv_module
from glia.data import read_shape as shape_module
from glia.data.read_sniff import sniff

N, LATE = 200_000, 180_000
RNG = np.random.default_rng(3)
NORMAL, WHOLE = RNG.normal(size=N), RNG.integers(0, 50, N)
COLOURS = np.array(["red", "green", "blue"])[RNG.integers(0, 3, N)]


def with_one(values: np.ndarray, value: object, at: int = LATE) -> pl.Series:
    """Return the values with another one late."""
    return pl.Series([*values[:at].tolist(), value, *values[at + 1 :].tolist()], strict=False)


def findings(schema: Schema, code: str) -> list[str]:
    return [finding.message for finding in schema.findings(code)]


@pytest.fixture
def in_full(monkeypatch: pytest.MonkeyPatch):
    """Return the schema that is learned when every table counts as short, so that all rows are looked at."""

    def learn(frame: pl.DataFrame, **options: object) -> tuple[pl.DataFrame, Schema]:
        with monkeypatch.context() as patch:
            patch.setattr(roles_overview, "LONG", N + 1)
            patch.setattr(roles_checks, "LONG", N + 1)
            return learn_schema(frame, **options)

    return learn


def many_kinds() -> pl.DataFrame:
    gaps = RNG.random(N) < 0.1
    return pl.DataFrame(
        {
            "decimals": NORMAL,
            "rounded": NORMAL.round(3),
            "few": WHOLE,
            "holes": WHOLE * 7,
            "many": RNG.integers(0, 30_000, N),
            "order_id": RNG.permutation(N),
            "rating": RNG.integers(1, 6, N),
            "store_code": RNG.integers(100, 140, N),
            "floats": WHOLE.astype(np.float64),
            "colour": COLOURS,
            "size": np.array(["small", "medium", "large"])[RNG.integers(0, 3, N)],
            "word": [f"w{i}" for i in RNG.integers(0, 9_000, N)],
            "note": [f"the visit of customer {i} went very well" for i in RNG.permutation(N)],
            "day": [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)],
            "price": [f"${i},000" for i in RNG.integers(1, 90, N)],
            "flag": WHOLE > 20,
            "nothing": pl.Series([None] * N, dtype=pl.Float64),
            "same": ["x"] * N,
            "tail": np.exp(2.5 * NORMAL),
            "y": np.array(["no", "yes"])[(NORMAL + RNG.normal(size=N) > 0).astype(int)],
        }
    ).with_columns(
        pl.when(pl.Series(gaps)).then(None).otherwise(pl.col(name)).alias(name) for name in ("rounded", "few", "day")
    )


def test_roles_and_findings_are_those_of_all_rows(in_full):
    frame = many_kinds()
    rows, schema = learn_schema(frame, target="y")
    same, full = in_full(frame, target="y")
    assert rows.equals(same)
    for found, wanted in zip(schema.columns, full.columns, strict=True):
        assert (found.role, found.dtype, found.format, found.order) == (
            wanted.role,
            wanted.dtype,
            wanted.format,
            wanted.order,
        ), found.name
        assert found.missing == wanted.missing
        if wanted.unique <= 2000 or wanted.role == "id":
            assert found.unique == wanted.unique, found.name
        assert 0 <= found.unique <= 1.07 * wanted.unique, found.name

    def kinds(learned: Schema) -> set[tuple[str, str | None]]:
        return {(finding.code, finding.column) for finding in learned.warnings}

    assert kinds(schema) == kinds(full)
    assert {"id", "constant", "all-missing"} <= {code for code, _ in kinds(schema)}  # there was something to find
    assert schema.column("many").unique < 31_000 < full.column("decimals").unique
    described = describe(frame, target="y")
    for found, wanted in zip(described.schema.columns, full.columns, strict=True):
        assert found.unique == pytest.approx(wanted.unique, rel=0.07), found.name
    shown = {row[0]: row[4] for row in described.tables()[0].rows}
    assert shown["decimals"].startswith("about ") and isinstance(shown["few"], int)


def test_counts_are_exact_below_the_bound():
    rows = roles_overview.LONG - 1
    schema = infer_schema({"x": NORMAL[:rows].round(3), "z": NORMAL[:rows]})
    assert schema.column("x").unique == len(np.unique(NORMAL[:rows].round(3)))


def test_a_late_word_among_numbers_is_lost_and_told():
    frame, schema = learn_schema({"x": with_one(WHOLE.astype(str), "oops"), "z": NORMAL})
    assert schema.role("x") == "numeric" and frame["x"].null_count() == 1
    assert findings(schema, "unparsed") == [
        "1 of 200,000 values of 'x' cannot be read as a number and count as missing: 'oops'."
    ]


def test_a_late_word_in_a_file_is_found_too(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_module, "_LARGE", 0)
    path = tmp_path / "late.csv"
    pl.DataFrame({"x": with_one(WHOLE.astype(str), "oops"), "z": WHOLE}).write_csv(path)
    table = read(path)
    assert table.schema.role("x") == "numeric" and table.frame["x"].null_count() == 1
    assert table.frame["x"].drop_nulls().sum() == WHOLE.sum() - WHOLE[LATE]
    assert "'oops'" in findings(table.schema, "unparsed")[0]


@pytest.mark.parametrize("marker", ["?", "NA", " ? ", "-", ""])
def test_a_marker_that_comes_late_is_cleared_and_counted(marker):
    frame, schema = learn_schema({"c": with_one(COLOURS, marker), "z": NORMAL})
    assert frame["c"].null_count() == schema.column("c").missing == 1 and schema.column("c").unique == 3
    assert frame["c"][LATE] is None
    wanted = [f"{marker.strip()!r} was read as missing in c (1)."] if marker else []
    assert findings(schema, "missing-marker") == wanted


def test_late_spaces_are_dropped_and_dashes_beside_a_plus_are_kept():
    frame, schema = learn_schema({"c": with_one(COLOURS, "red "), "s": with_one(np.array(["+", "o"] * (N // 2)), "-")})
    assert schema.column("c").unique == 3 and frame["c"][LATE] == "red"
    assert schema.column("s").unique == 3 and schema.column("s").format == "-" and not schema.column("s").missing


@pytest.mark.parametrize("share, role", [(0.0, "id"), (0.03, "id"), (0.08, "categorical")])
def test_identifiers_are_counted_exactly(share, role):
    numbers = RNG.permutation(10 * N)[:N]
    copies = int(share * N)
    numbers[:copies] = numbers[N - copies :]
    schema = infer_schema({"customer_id": numbers, "z": NORMAL})
    assert schema.role("customer_id") == role
    assert schema.column("customer_id").unique == pytest.approx(N - copies, rel=0 if role == "id" else 0.05)


def test_columns_that_count_the_rows_and_words_that_never_repeat_are_identifiers():
    words = [f"k{i}" for i in RNG.permutation(N)]
    schema = infer_schema({"n": np.arange(N), "m": with_one(np.arange(N), 0), "w": words, "z": NORMAL})
    assert schema.names("id") == ("n", "w")  # one repetition, and it does not count the rows
    again = infer_schema({"w": [*words[1:], words[5]], "z": NORMAL})
    assert again.role("w") == "categorical" and again.column("w").unique == N - 1


@pytest.mark.parametrize("values, value", [(np.zeros(N, int), 1), (np.full(N, "a"), "b"), (np.full(N, 1.5), 2.5)])
def test_a_constant_with_one_late_exception_is_none(values, value):
    schema = infer_schema({"x": with_one(values, value), "c": values, "z": NORMAL})
    assert schema.column("x").unique == 2 and schema.role("x") in ("numeric", "categorical")
    assert [finding.column for finding in schema.findings("constant")] == ["c"]


def test_leaks_are_found_and_strong_columns_are_not_taken_for_leaks():
    y = NORMAL > 0
    frame = {"leak": NORMAL, "word": np.where(y, "paid", "open"), "strong": NORMAL + RNG.normal(size=N) / 2, "y": y}
    found = infer_schema(frame, target="y").findings("leak")
    assert [finding.column for finding in found] == ["leak", "word"]
    frame["y"] = 3 * NORMAL + 1
    assert [finding.column for finding in infer_schema(frame, target="y").findings("leak")] == ["leak"]


def test_leaks_of_a_class_that_the_sample_hardly_holds_are_found():
    y = np.zeros(N, int)
    y[RNG.permutation(N)[:60]] = 1  # six of them in a sample of 20,000 rows
    frame = {"leak": NORMAL + 20 * y, "weak": NORMAL + y, "y": y}
    assert [finding.column for finding in infer_schema(frame, target="y").findings("leak")] == ["leak"]


def test_first_rows_spare_only_columns_that_are_far_from_a_leak():
    frame = pl.DataFrame(
        {"a": NORMAL, "b": NORMAL + RNG.normal(size=N) / 100, "c": RNG.normal(size=N), "y": NORMAL > 0}
    )
    rows = frame.head(20_000)
    assert find_leaks(rows, "y", ["a", "b", "c"], first=2000) == find_leaks(rows, "y", ["a", "b", "c"])
    assert [finding.column for finding in find_leaks(rows, "y", ["a", "b", "c"])] == ["a", "b"]


def test_one_copy_of_one_row_is_found():
    frame = pl.DataFrame({"x": NORMAL, "c": COLOURS, "z": RNG.normal(size=N), "w": RNG.normal(size=N)})
    assert not infer_schema(frame).findings("duplicate-rows")
    copied = pl.concat([frame.head(N - 1), frame.slice(7, 1)])
    assert findings(infer_schema(copied), "duplicate-rows") == [
        "1 of 200,000 rows (0.0%) are exact copies of other rows."
    ]


def test_rows_that_agree_only_in_the_columns_compared_first_are_no_copies():
    frame = pl.DataFrame({"x": NORMAL, "z": RNG.normal(size=N), "w": RNG.normal(size=N), "few": WHOLE})
    frame = pl.concat([frame.head(N - 1), frame.slice(7, 1).with_columns(few=pl.lit(99, pl.Int64))])
    assert not infer_schema(frame).findings("duplicate-rows")
    same = pl.DataFrame({"few": WHOLE, "c": COLOURS})
    wanted = N - same.n_unique()
    assert findings(infer_schema(same), "duplicate-rows")[0].startswith(f"{wanted:,} of 200,000 rows")


def test_late_infinities_are_refused_and_late_nan_is_missing():
    with pytest.raises(InputError, match=re.escape("infinite values (inf) in 'x' (row 180001)")):
        infer_schema({"x": with_one(NORMAL, float("inf")), "z": NORMAL})
    frame, schema = learn_schema(pl.DataFrame({"x": np.where(np.arange(N) == LATE, np.nan, NORMAL), "z": NORMAL}))
    assert frame["x"].null_count() == schema.column("x").missing == 1
    assert infer_schema({"x": np.full(N, np.nan), "z": NORMAL}).findings("all-missing")[0].column == "x"


def test_describe_says_about_where_numbers_are_estimated():
    shown = {row[0]: row[4] for row in describe({"x": NORMAL, "few": WHOLE, "user_id": np.arange(N)}).tables()[0].rows}
    assert shown == {"x": "about 200,000", "few": 50, "user_id": N}


def test_large_files_are_read_like_small_ones(tmp_path, monkeypatch):
    path = tmp_path / "large.csv"
    many_kinds().with_columns(text=pl.Series(['say "a, b"\nand c'] * N)).write_csv(path, null_value="?")
    small = read(path, infer=False)
    monkeypatch.setattr(csv_module, "_LARGE", 0)
    assert read(path, infer=False).frame.equals(small.frame) and len(small) == N
    assert read(path, infer=False, limit=1000).frame.equals(small.frame.head(1000))


@pytest.mark.parametrize("chunk", [7, 64, 1 << 20])
def test_delimiters_outside_quotes_are_counted_in_pieces(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(shape_module, "_CHUNK", chunk)
    rows = [["a", "b", "c"], ["1", "x, y", ""], ['say ""', "two\nlines, here", "z"], ["", ",,,", "?"]] * 5
    path = tmp_path / "quotes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert shape_module._delimiters(path, ord(",")) == 2 * len(rows)


def test_a_late_short_row_is_named_where_the_last_column_has_gaps(tmp_path):
    lines = ["a,b,c", *(f'{i},"x, {i}",{"?" if i % 9 == 0 else i}' for i in range(30_000))]
    path = tmp_path / "short.csv"
    path.write_text("\n".join(lines) + "\n")
    assert read(path).frame.height == 30_000
    spared(path, lines)
    lines[25_000] = '24999,"x, y"'
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="2 fields in line 25001"):
        read(path)


def spared(path: Path, lines: list[str]) -> None:
    """Check that the quick count alone lets the whole file pass."""
    dialect = sniff(path, False)
    assert shape_module._delimiters(path, ord(dialect.separator)) == len(lines) * 2
