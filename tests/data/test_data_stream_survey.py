import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data import unify
from glia.data.stream import Parts, Stream, must_stream
from glia.data.stream.sampling import Lowest, row_numbers
from glia.data.stream.statistics import Gathering


def frame(rows=5000, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": 1e6 + rng.normal(size=rows),
            "b": pl.Series(rng.integers(0, 5, rows)).set(pl.Series(rng.random(rows) < 0.1), None),
            "word": pl.Series(rng.choice(["red", "green", "blue"], rows)).set(pl.Series(rng.random(rows) < 0.2), None),
            "flag": rng.random(rows) < 0.3,
            "y": rng.choice(["no", "yes", "NA"], rows, p=[0.6, 0.3, 0.1]),
        }
    ).with_columns(c=pl.when(pl.col("b") == 2).then(float("nan")).otherwise(pl.col("a") * -3))


def resident():
    """Return this process's own resident memory, in MB."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text()).group(1)) / 1024


@pytest.fixture
def folder(tmp_path):
    frame(3000, 0).write_parquet(tmp_path / "p0.parquet", row_group_size=300)
    frame(2000, 1).write_parquet(tmp_path / "p1.parquet", row_group_size=700)
    return tmp_path


def whole():
    return pl.concat([frame(3000, 0), frame(2000, 1)])


def test_statistics_are_exact(folder):
    """Against Polars on all rows at once; the mean of ``a`` is a million times its spread."""
    rows, found = whole(), Stream(folder, target="y").statistics
    assert found.rows == 5000
    for name in ("a", "b", "c"):
        column, values = found.column(name), rows[name].cast(pl.Float64).fill_nan(None)
        assert column.missing == values.null_count()
        assert column.mean == pytest.approx(values.mean(), rel=1e-14)
        assert column.std == pytest.approx(values.std(ddof=0), rel=1e-9)
        assert (column.low, column.high) == (values.min(), values.max())
    for name in ("word", "flag", "y"):
        counts = dict(rows[name].drop_nulls().value_counts().iter_rows())
        assert found.column(name).values == counts
    assert found.to_dict()["columns"][3]["values"] == {str(k): n for k, n in found.column("flag").values.items()}
    assert "5,000 rows × 6 columns" in repr(found)
    with pytest.raises(InputError, match="did you mean 'flag'"):
        found.column("flags")


def test_joining_moments_loses_no_digits():
    """The textbook sum of squares, as the negative control, is off by far at this offset."""
    values = 1e9 + np.random.default_rng(0).normal(size=9000)
    gathering = Gathering({"a": pl.Float64()})
    for part in np.split(values, 9):
        gathering.add(pl.DataFrame({"a": part}))
    exact = float(np.std(values.astype(np.longdouble)))
    assert gathering.result().column("a").std == pytest.approx(exact, rel=1e-6)
    naive = np.sqrt(max(0.0, float(np.mean(values**2) - np.mean(values) ** 2)))
    assert naive != pytest.approx(exact, rel=1e-2)


def test_many_values_are_not_kept(monkeypatch):
    monkeypatch.setattr("glia.data.stream.statistics.MOST_VALUES", 50)
    gathering = Gathering({"s": pl.String(), "t": pl.Int64()}, counted=("t",))
    for i in range(5):
        gathering.add(pl.DataFrame({"s": [f"{i} {j}" for j in range(20)], "t": [0] * 20}))
    assert gathering.result().column("s").values is None
    assert gathering.result().column("t").values == {0: 100}


def test_parts_are_disjoint_of_exact_size_and_leave_the_rest(folder):
    stream = Stream(folder, target="y", parts=Parts(sample=500, test=300, valid=200))
    found = stream.survey()
    known = whole().filter(pl.col("y") != "NA")
    assert (len(stream.sample), len(stream.valid), len(stream.test)) == (500, 200, 300)
    assert found.rows == known.height - 500
    assert len(np.unique(found.held)) == 500
    values = [part.frame["a"].to_list() for part in (stream.sample, stream.valid, stream.test)]
    assert len(set().union(*values)) == 1000
    held = whole()["a"].to_numpy()[found.held]
    assert sorted(held) == sorted([*values[1], *values[2]])
    every = np.concatenate([stream.read(i, ["a"])[1] for i in range(len(stream.blocks))])
    assert np.array_equal(every, np.arange(5000))


def test_small_streams_are_divided_by_fractions(folder):
    stream = Stream(folder, target="y")
    known = whole().filter(pl.col("y") != "NA").height
    assert len(stream.test) == round(0.2 * known)
    assert len(stream.valid) == round(0.15 * known)
    assert len(stream.sample) == known - len(stream.test) - len(stream.valid) == stream.survey().rows


def test_parts_depend_on_seed_and_rows_only(folder, tmp_path):
    def test_rows(**settings):
        return sorted(Stream(folder, target="y", **settings).test.frame["a"].to_list())

    assert test_rows() == test_rows(memory="16MB") == test_rows(drop=["flag"])
    assert test_rows() != test_rows(random_state=1)
    frame(3000, 0).write_parquet(folder / "p0.parquet", row_group_size=1000)
    assert test_rows() == sorted(Stream(folder, target="y").test.frame["a"].to_list())


def test_the_sample_is_uniform():
    """The share of rows from each tenth of a stream, against its binomial spread; runs of rows as negative control."""
    size, rows = 2000, 20_000
    lowest = Lowest(size)
    for start in range(0, rows, 1000):
        ids = np.arange(start, start + 1000)
        lowest.add(pl.DataFrame({"i": ids}), row_numbers(12345, ids), ids)
        assert lowest._held <= 1.5 * size + 1000
    found, ids = lowest.result()
    assert np.array_equal(found["i"].to_numpy(), ids)
    assert len(np.unique(ids)) == size
    expected, spread = size / 10, np.sqrt(size * 0.1 * 0.9)
    assert np.abs(np.histogram(ids, 10, (0, rows))[0] - expected).max() < 4 * spread
    assert np.abs(np.histogram(np.arange(size), 10, (0, rows))[0] - expected).max() > 4 * spread
    gaps = np.diff(np.sort(ids))
    assert gaps.mean() == pytest.approx(10, rel=0.05)
    assert gaps.std() == pytest.approx(np.sqrt(90), rel=0.1)  # of a geometric distribution


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to see resident memory")
def test_rows_that_stay_do_not_hold_the_text_of_those_that_do_not():
    """A hundred blocks of a megabyte of text each, of which three rows stay; the control keeps the rows as chosen."""

    def grown(keep):
        start = resident()
        for i in range(100):
            ids = np.arange(1000 * i, 1000 * i + 1000)
            texts = pl.Series(ids).cast(pl.String).str.pad_start(1000, "x")
            keep(pl.DataFrame({"t": texts}), ids)
        return resident() - start

    lowest, kept = Lowest(300), []
    assert grown(lambda frame, ids: lowest.add(frame, row_numbers(1, ids), ids)) < 40
    assert grown(lambda frame, ids: kept.append(frame[::300])) > 60
    assert lowest.result()[0]["t"].str.len_chars().unique().to_list() == [1000]


def test_row_numbers_are_those_of_splitmix64():
    """The first outputs of the published generator with seed 1234567."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert row_numbers(1234567, np.arange(5)).tolist() == known


def test_the_schema_counts_all_rows_and_notes_the_sample(folder):
    stream = Stream(folder, target="y", parts=Parts(sample=100, test=50, valid=50))
    schema = stream.schema
    assert schema.rows == 5000
    assert schema.column("b").missing == whole()["b"].null_count()
    assert schema.role("y") == "target"
    messages = " ".join(finding.message for finding in schema.warnings)
    assert "learned from 100 of 5,000 rows" in messages
    assert "have no target and were left out" in messages
    assert unify(stream.read(0, stream.columns)[0], schema).columns[:3] == ["a", "b", "word"]


def test_a_csv_whose_types_change_late_is_surveyed_from_the_start(tmp_path):
    lines = [f"{i % 7},{i if i < 9000 else i + 0.5},{'ab'[i % 2]}" for i in range(12_000)]
    (tmp_path / "a.csv").write_text("u,v,y\n" + "\n".join(lines))
    stream = Stream(tmp_path / "a.csv", target="y")
    assert stream.statistics.column("v").mean == pytest.approx(np.mean([i + 0.5 * (i >= 9000) for i in range(12_000)]))
    assert stream.statistics.column("y").values == {"a": 6000, "b": 6000}
    assert stream.schema.column("v").dtype == "Float64"


def test_weights_have_their_exact_mean_and_bad_ones_are_found(folder, tmp_path):
    rows = whole().with_columns(w=pl.Series(np.random.default_rng(0).random(5000)))
    path = tmp_path / "w.parquet"
    rows.write_parquet(path)
    found = Stream(path, target="y", weight="w").survey()
    train = np.delete(rows["w"].to_numpy(), found.held)[np.delete((rows["y"] != "NA").to_numpy(), found.held)]
    assert found.weight_mean == pytest.approx(train.mean(), rel=1e-12)
    rows.with_columns(w=pl.when(pl.int_range(5000) == 4321).then(-1.0).otherwise("w")).write_parquet(path)
    with pytest.raises(InputError, match=r"at least 0 .* -1 in 'w', row 4,322 of .*w\.parquet"):
        Stream(path, weight="w").survey()


def test_infinite_numbers_are_named_unless_left_out(tmp_path):
    path = tmp_path / "a.parquet"
    frame().with_columns(a=pl.when(pl.int_range(5000) == 77).then(float("inf")).otherwise("a")).write_parquet(path)
    with pytest.raises(InputError, match=r"finite .* 'a' \(row 78 of .*a\.parquet'\)"):
        Stream(path, target="y").survey()
    Stream(path, target="y", drop=["a"]).survey()
    Stream(path, target="y", roles={"a": "ignored"}).survey()


def test_what_cannot_be(folder):
    for settings, message in (
        ({"target": "yy"}, "target must be a column .* did you mean 'y'"),
        ({"drop": ["flagg"], "target": "y"}, "drop must be a column .* 'flag'"),
        ({"weight": "w"}, "weight must be a column"),
        ({"roles": {"a": "number"}}, "role"),
        ({"memory": "1kB"}, "at least 16 MB"),
        ({"limit": 0}, "limit must be at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            Stream(folder, **settings).survey()
    for settings in ({"sample": 1}, {"test": -1}, {"test_fraction": 0.8, "validation_fraction": 0.3}):
        with pytest.raises(InputError):
            Parts(**settings)
    pl.DataFrame({"a": [1.0] * 20, "y": [None] * 20}).write_parquet(folder.parent / "empty.parquet")
    with pytest.raises(InputError, match="target must have values"):
        Stream(folder.parent / "empty.parquet", target="y").survey()


def test_a_stream_shows_itself(folder):
    stream = Stream(folder, target="y", memory="100MB")
    assert len(stream) == 5000
    assert repr(stream).startswith(f"Stream {folder.name!r}: 5,000 rows × 6 columns, target 'y' (2 Parquet files, ")
    assert stream.columns == ("a", "b", "word", "flag", "y", "c")
    assert stream.with_target("flag").targets == ("flag",)
    assert stream.targets == ("y",)
    assert len(Stream(folder, limit=700)) < 5000


def test_small_budgets_keep_fewer_rows(folder):
    """Memory decides how many rows stay and how large blocks are."""
    parts = Stream(folder, memory="16MB", parts=Parts(sample=10**6, test=10**6, valid=10**6)).parts
    assert parts.sample == parts.test == parts.valid < 10**5


def test_long_texts_leave_room_for_fewer_rows(tmp_path):
    rows = frame(2000)
    rows.write_parquet(tmp_path / "short.parquet")
    rows.with_columns(word=pl.lit("x" * 5000)).write_parquet(tmp_path / "long.parquet")
    wanted = Parts(sample=10**6)
    short, long = (Stream(tmp_path / f"{name}.parquet", memory="20MB", parts=wanted) for name in ("short", "long"))
    assert long.parts.sample * 30 < short.parts.sample
    assert long.parts.sample * 5000 < 4e6


def test_what_must_be_streamed(folder, tmp_path, monkeypatch):
    path = folder / "p0.parquet"
    assert must_stream(folder) and must_stream([path]) and must_stream(str(folder / "*.parquet"))
    assert not must_stream(path) and not must_stream(frame()) and not must_stream([[1, 2]])
    assert not must_stream(tmp_path / "none.csv")
    monkeypatch.setattr("glia.data.stream.stream.memory_bytes", lambda: 100_000)
    assert must_stream(path)
