"""Labelled sequences from files: long tables, arrays, UCR's tables; as their own arrays would be fitted."""

import numpy as np
import polars as pl
import pytest

import glia
from glia import InputError, SequenceClassifier, SequenceRegressor
from glia.core.source_kinds import looks_like_series, source_kind
from glia.data.series import as_sequences, from_nested, nested_frame
from glia.estimators.raw_kinds import raw_kind
from glia.estimators.sequence_fit import read_sequence_table, sequence_copies, sequences_from
from glia.estimators.settings import FitSettings
from glia.estimators.table_fit import fit_table
from glia.tuning.validation import as_rows, take

QUICK = {"epochs": 2, "network": "gru", "early_stopping": False}


def made(count=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(count) % 2, "up", "down")
    X = [
        np.stack([np.arange(n) * (0.2 if label == "up" else -0.2), rng.normal(size=n)], 1)
        for n, label in zip(rng.integers(5, 15, count), y, strict=True)
    ]
    return X, y


def long_table(X, y, seed=1):
    """Steps in a random order; the names of the sequences in order of their first step."""
    rows = [
        (f"s{i}", t, str(label), f"p{i // 6}", a, b)
        for i, (one, label) in enumerate(zip(X, y, strict=True))
        for t, (a, b) in enumerate(one)
    ]
    frame = pl.DataFrame(rows, schema=["series", "t", "label", "who", "a", "b"], orient="row")
    return frame.sample(fraction=1.0, shuffle=True, seed=seed)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    X, y = made()
    path = tmp_path_factory.mktemp("long") / "gestures.csv"
    long_table(X, y).write_csv(path)
    return path


def settings(data, **more):
    return FitSettings(data=str(data), **{"target": "label", "id": "series", "time": "t", **more})


def test_a_long_table_becomes_one_row_a_sequence(file):
    X, y = made()
    table = read_sequence_table(settings(file, group="who"))
    order = [int(name[1:]) for name in table.frame["series"]]
    assert sorted(order) == list(range(60))
    assert table.frame["label"].to_list() == [y[i] for i in order]
    back = from_nested(table.frame.select("a", "b"))
    np.testing.assert_allclose(back.values, np.concatenate([X[i] for i in order]), rtol=1e-12)
    assert table.schema.inputs() == ("a", "b") and table.schema.names("group") == ("who",)


def test_a_run_is_the_fit_to_its_arrays(file):
    X, y = made()
    fitted = fit_table(settings(file, drop=["who"], **QUICK))
    order = [int(name[1:]) for name in fitted.table.frame["series"]]
    train, valid = fitted.split.train, fitted.split.valid
    alone = SequenceClassifier(**{**QUICK, "random_state": 0})
    alone.set_params(**{k: v for k, v in fitted.estimator.get_params(deep=False).items() if k != "preparation"})
    alone.fit(
        [X[order[i]] for i in train], y[[order[i] for i in train]],
        validation=([X[order[i]] for i in valid], y[[order[i] for i in valid]]),
    )  # fmt: skip
    rows, _ = fitted.part("test")
    np.testing.assert_array_equal(
        fitted.estimator.predict_proba(rows), alone.predict_proba([X[order[i]] for i in fitted.split.test])
    )


def test_no_group_is_in_two_parts(file):
    fitted = fit_table(settings(file, group="who", **QUICK))
    parts = [
        set(fitted.table.frame["who"].to_numpy()[getattr(fitted.split, name)]) for name in ("train", "valid", "test")
    ]
    assert all(parts) and not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_a_model_reads_new_files_as_it_was_fitted(file, tmp_path):
    fitted = fit_table(settings(file, drop=["who"], **QUICK)).estimator
    glia.save(fitted, tmp_path / "m.glia", target="label")
    model = glia.load(tmp_path / "m.glia")
    new = made(8, 5)
    frame = long_table(*new, seed=3).drop("label").select("b", "t", "a", "series")  # columns in another order
    frame.write_csv(tmp_path / "new.csv")
    rows, y = sequences_from(tmp_path / "new.csv", model.schema_, "label")
    assert y is None
    order = [int(name[1:]) for name in rows.ids]
    np.testing.assert_array_equal(model.predict_proba(rows), fitted.predict_proba([new[0][i] for i in order]))
    answers = model.predict_frame(rows)
    assert answers.columns[:2] == ["id", "prediction"] and answers["id"].to_list() == list(rows.ids)
    frame.drop("b").write_csv(tmp_path / "bad.csv")
    with pytest.raises(InputError, match="no 'b'"):
        sequences_from(tmp_path / "bad.csv", model.schema_, None)
    steps = long_table(*new, seed=3).drop("who").sort("series", "t")
    steps.write_csv(tmp_path / "same.csv")
    assert sequences_from(tmp_path / "same.csv", model.schema_, "label")[1].to_list() == [new[1][i] for i in range(8)]
    turned = steps.with_columns(pl.col("label").reverse())
    turned.write_csv(tmp_path / "several.csv")
    with pytest.raises(InputError, match="all steps of a sequence must have the same 'label'"):
        sequences_from(tmp_path / "several.csv", model.schema_, "label")


def test_arrays_and_ucr_tables_say_the_same(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2 + 1
    X = rng.normal(size=(40, 12)).cumsum(1) + y[:, None]
    np.savez(tmp_path / "a.npz", X=X, y=y)
    np.savetxt(tmp_path / "a.tsv", np.column_stack([y, X]), delimiter="\t", fmt="%.17g")
    assert source_kind(tmp_path / "a.npz") == "sequences" and looks_like_series(tmp_path / "a.tsv")
    found = [glia.fit(tmp_path / name, **QUICK) for name in ("a.npz", "a.tsv")]
    assert all(isinstance(one, SequenceClassifier) for one in found)
    np.testing.assert_array_equal(found[0].predict_proba(X), found[1].predict_proba(X))
    np.savez(tmp_path / "q.npz", X=X, y=X[:, -1] + 0.5)
    assert isinstance(glia.fit(tmp_path / "q.npz", **QUICK), SequenceRegressor)


def test_a_plain_table_stays_one(tmp_path):
    pl.DataFrame({f"x{i}": [1.0, 2.0] for i in range(12)}).write_csv(tmp_path / "t.tsv", separator="\t")
    assert not looks_like_series(tmp_path / "t.tsv") and not looks_like_series(tmp_path / "absent.tsv")
    np.savetxt(tmp_path / "u.tsv", np.ones((3, 12)), delimiter="\t")
    named = FitSettings(data=str(tmp_path / "u.tsv"), target="column_1")
    assert raw_kind(named) is None and raw_kind(FitSettings(data=str(tmp_path / "u.tsv"))) is not None


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (lambda f: f.with_columns(label=pl.col("t") * 0.5), {}, "labels of steps must be classes"),
        (lambda f: f.with_columns(w=pl.col("t")), {"weight": "w"}, "same 'w'"),
        (lambda f: f.with_columns(a=pl.lit("word")), {}, "channels must be numbers"),
        (lambda f: pl.concat([f, f[:1]]), {}, "once in each sequence"),
        (lambda f: f, {"id": "serie"}, "the id must be a column"),
        (lambda f: f, {"id": "t"}, "one part to play"),
        (lambda f: f, {"hidden": [3]}, "tables or pictures"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, change, more, said):
    change(long_table(*made(20)).drop("who")).write_csv(tmp_path / "f.csv")
    with pytest.raises(InputError, match=said):
        fit_table(settings(tmp_path / "f.csv", **{**QUICK, **more}))


def test_files_of_arrays_are_checked(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "lacking.npz", Z=np.zeros(3))
    np.savez(tmp_path / "odd.npz", X=np.zeros((3, 4)), y=np.zeros(2))
    np.savez(tmp_path / "unknown.npz", X=np.zeros((3, 4)))
    np.savez(tmp_path / "code.npz", X=np.array([{}], dtype=object), y=np.zeros(1))
    for name, said in (("text", "plain arrays"), ("lacking", "hold X"), ("odd", "one value for each"),
                       ("unknown", "hold the answers"), ("code", "plain arrays")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            glia.fit(tmp_path / f"{name}.npz")


def test_copies_across_parts_are_counted():
    X, _ = made(6)
    frame = nested_frame(as_sequences([X[0], X[1], X[2], X[0], X[2], X[3]]))
    columns = tuple(glia.data.Column(name, "sequence", "List(Float64)") for name in frame.columns)
    table = glia.data.Table(frame, glia.data.Schema(columns))
    parts = (np.array([0, 1]), np.array([2, 3]), np.array([4, 5]))
    assert sequence_copies(table, *parts) == 2  # row 3 is row 0, row 4 is row 2


def test_sequences_can_be_taken_by_number():
    X, _ = made(5)
    rows = as_sequences(X)[np.array([3, 0])]
    np.testing.assert_array_equal(rows.values, np.concatenate([X[3], X[0]]))
    kept = as_rows(X)
    assert isinstance(kept, list) and take(kept, np.array([4]))[0] is X[4]
    with pytest.raises(InputError, match="as many steps"):
        from_nested(pl.DataFrame({"a": [[1.0, 2.0]], "b": [[1.0]]}))
    with pytest.raises(InputError, match="list of numbers"):
        from_nested(pl.DataFrame({"a": [1.0]}))
