"""Tables of labelled steps: read in any order, with gaps, from long tables and arrays, as their own arrays would be."""

import numpy as np
import polars as pl
import pytest

import glia
from glia import InputError, SequenceLabeler
from glia.data.series import as_sequences, from_nested
from glia.estimators.raw_kinds import LABELS, kind_of
from glia.estimators.sequence_fit import read_sequence_table, sequences_from
from glia.estimators.settings import FitSettings
from glia.estimators.step_fit import check_seen_steps, step_columns
from glia.estimators.step_table import flat_labels, rarest_labels, split_labels
from glia.estimators.table_fit import fit_table, targets

QUICK = {"epochs": 2, "network": "gru", "early_stopping": False}


def parts(count=40, seed=0):
    """Sequences of two channels; a step is "up" where the first channel is above 0."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(int(n), 2)) for n in rng.integers(4, 9, count)]
    return X, [np.where(x[:, 0] > 0, "up", "down") for x in X]


def long_table(X, y, seed=1):
    rows = [
        (f"s{i}", t, one[t] if one[t] is None else str(one[t]), f"p{i // 5}", *values)
        for i, (x, one) in enumerate(zip(X, y, strict=True))
        for t, values in enumerate(x.tolist())
    ]
    frame = pl.DataFrame(rows, schema=["who", "t", "state", "clinic", "a", "b"], orient="row", infer_schema_length=None)
    return frame.sample(fraction=1.0, shuffle=True, seed=seed)


def settings(data, **more):
    return FitSettings(data=str(data), **{"target": "state", "id": "who", "time": "t", **more})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "steps.csv"
    long_table(*parts()).write_csv(path)
    return path


def test_every_step_keeps_its_label_whatever_the_order_of_the_file(file):
    X, y = parts()
    table = read_sequence_table(settings(file, group="clinic"))
    assert kind_of(table.schema, settings(file)) is LABELS
    order = [int(name[1:]) for name in table.frame["who"]]
    assert sorted(order) == list(range(40))
    np.testing.assert_allclose(
        from_nested(table.frame.select("a", "b")).values, np.concatenate([X[i] for i in order]), rtol=1e-12
    )
    labels, task = targets(table, settings(file))
    assert task == "binary"
    for place, i in enumerate(order):
        assert labels[place].tolist() == y[i].tolist()
        assert table.frame["t"][place].to_list() == list(range(len(y[i])))
    assert table.schema.names("group") == ("clinic",) and not table.schema.warnings


def test_a_run_is_the_fit_to_its_arrays(file):
    X, y = parts()
    fitted = fit_table(settings(file, drop=["clinic"], **QUICK))
    order = [int(name[1:]) for name in fitted.table.frame["who"]]
    alone = SequenceLabeler()
    alone.set_params(**{k: v for k, v in fitted.estimator.get_params(deep=False).items() if k != "preparation"})
    train, valid, test = ([order[i] for i in getattr(fitted.split, name)] for name in ("train", "valid", "test"))
    alone.fit([X[i] for i in train], [y[i] for i in train],
              validation=([X[i] for i in valid], [y[i] for i in valid]))  # fmt: skip
    for mine, other in zip(
        fitted.estimator.predict_proba(fitted.part("test")[0]), alone.predict_proba([X[i] for i in test]), strict=True
    ):
        np.testing.assert_array_equal(mine, other)


def test_no_sequence_and_no_group_is_in_two_parts(file):
    fitted = fit_table(settings(file, group="clinic", **QUICK))
    clinics = fitted.table.frame["clinic"].to_numpy()
    found = [set(clinics[getattr(fitted.split, name)]) for name in ("train", "valid", "test")]
    assert all(found) and not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]


def test_missing_labels_are_none_and_sequences_without_any_are_left_out(tmp_path):
    X, y = parts(20)
    y = [np.array(one, dtype=object) for one in y]
    y[3][:] = None
    y[4][1] = y[5][0] = None
    long_table(X, y).write_csv(tmp_path / "gaps.csv")
    table = read_sequence_table(settings(tmp_path / "gaps.csv", drop=["clinic"]))
    assert len(table) == 19 and "s3" not in table.frame["who"].to_list()
    labels, _ = targets(table, settings("x"))
    place = table.frame["who"].to_list().index("s4")
    assert labels[place][1] is None and labels[place][0] == y[4][0]
    told = {one.code: one.message for one in table.schema.warnings}
    assert "1 sequence without any label" in told["no-labels"]
    assert f"{2 + len(y[3])} steps of" in told["steps-without-label"]
    flat, there, row = flat_labels(labels)
    assert (~there).sum() == 2 and len(flat) == sum(len(x) for i, x in enumerate(X) if i != 3) and row[-1] == 18


def test_a_few_slips_are_told(tmp_path):
    X, y = parts(20)
    y = [np.full(len(one), "ab"[i % 2], dtype=object) for i, one in enumerate(y)]
    y[7][2] = "a"
    long_table(X, y).write_csv(tmp_path / "slip.csv")
    found = read_sequence_table(settings(tmp_path / "slip.csv", drop=["clinic"])).schema.warnings
    assert [one.code for one in found] == ["few-vary"] and "within 1 sequence of 20" in found[0].message


@pytest.mark.parametrize("kind", ["words", "numbers", "truths", "numbers with gaps"])
def test_labels_of_every_type_come_back(tmp_path, kind):
    X, y = parts(24)
    codes = [(one == "up").astype(int) for one in y]
    frame = long_table(X, y).drop("clinic")
    change = {"words": pl.col("state"), "numbers": (pl.col("state") == "up") * 3 + 1,
              "truths": pl.col("state") == "up",
              "numbers with gaps": pl.when(pl.col("t") > 0).then((pl.col("state") == "up") * 3.0)}[kind]  # fmt: skip
    frame.with_columns(state=change).write_parquet(tmp_path / "f.parquet")
    fitted = fit_table(settings(tmp_path / "f.parquet", **QUICK))
    wanted = {"words": ["down", "up"], "numbers": [1, 4], "truths": [False, True], "numbers with gaps": [0, 3]}[kind]
    assert fitted.estimator.classes_.tolist() == wanted
    order = [int(name[1:]) for name in fitted.table.frame["who"]]
    for place, one in zip(order, fitted.y, strict=True):
        right = [wanted[code] for code in codes[place]]
        assert one.tolist() == ([None, *right[1:]] if "gaps" in kind else right)
    glia.save(fitted.estimator, tmp_path / "m.glia", target="state")
    rows, labels = sequences_from(tmp_path / "f.parquet", glia.load(tmp_path / "m.glia").schema_, "state")
    assert [one.tolist() for one in labels] == [one.tolist() for one in fitted.y] and len(rows) == 24


def test_arrays_are_the_same_as_a_long_table(tmp_path, file):
    X, y = parts(30)
    cube, labels = np.full((30, 9, 2), np.nan), np.full((30, 9), np.nan)
    for i, (x, one) in enumerate(zip(X, y, strict=True)):
        cube[i, : len(x)], labels[i, : len(x)] = x, one == "up"
    np.savez(tmp_path / "a.npz", X=cube, y=labels)
    model = glia.fit(tmp_path / "a.npz", **QUICK)
    assert isinstance(model, SequenceLabeler) and model.classes_.tolist() == [0, 1]
    frame = long_table(X, [(one == "up").astype(int) for one in y]).drop("clinic").sort("who", "t")
    frame = frame.with_columns(pl.col("state").cast(int))
    pl.concat([frame.filter(who=f"s{i}") for i in range(30)]).write_csv(tmp_path / "a.csv")
    same = glia.fit(tmp_path / "a.csv", "state", id="who", time="t", **QUICK)
    for mine, other in zip(model.predict_proba(X), same.predict_proba(X), strict=True):
        np.testing.assert_array_equal(mine, other)
    rows, told = sequences_from(tmp_path / "a.npz", model.schema_, "label")
    assert len(rows) == 30 and told[2].tolist() == (y[2] == "up").astype(int).tolist()
    np.savez(tmp_path / "b.npz", X=cube, y=labels[:, 0])
    with pytest.raises(InputError, match="one label for each step"):
        sequences_from(tmp_path / "b.npz", model.schema_, "label")


def test_the_rarest_label_divides_sequences():
    y = split_labels(pl.Series(list("aaab" + "aaaa" + "aabc")), np.array([4, 4, 4]))
    assert rarest_labels(y).tolist() == ["b", "a", "c"]
    y = split_labels(pl.Series(["a", None, "b", None, "a", "a"]), np.array([2, 2, 2]))
    assert rarest_labels(y).tolist() == ["a", "b", "a"]


def test_a_label_that_is_only_judged_is_refused():
    y = split_labels(pl.Series(list("ab" * 4 + "cb")), np.full(5, 2))
    parts = (np.array([0, 1]), np.array([2]), np.array([3, 4]))
    with pytest.raises(InputError, match=r"'c' in the test part alone \(1 row\)"):
        check_seen_steps(glia.data.Split(*parts, "random"), y, "multiclass")
    check_seen_steps(glia.data.Split(parts[2], parts[1], parts[0], "random"), y, "multiclass")


def test_columns_of_steps_are_those_of_their_neighbours():
    X = [np.arange(5.0), np.arange(10.0, 13.0)]
    frame = glia.data.series.nested_frame(as_sequences(X))
    alone, _, roles = step_columns(frame, frame)
    assert (
        alone.columns == ["x0"] and alone["x0"].to_list() == [0, 1, 2, 3, 4, 10, 11, 12] and roles == {"x0": "numeric"}
    )
    around, _, _ = step_columns(frame, frame, beside=1)
    assert around.columns == ["x0", "x0 -1", "x0 +1"]
    np.testing.assert_array_equal(around["x0 -1"].to_numpy(), [np.nan, 0, 1, 2, 3, np.nan, 10, 11])
    np.testing.assert_array_equal(around["x0 +1"].to_numpy(), [1, 2, 3, 4, np.nan, 11, 12, np.nan])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"members": 3}, "members=3"),
        ({"bagging": True}, "bagging=True"),
        ({"l1": 1.0}, "l1=1.0"),
        ({"loss": "focal"}, "loss='focal'"),
        ({"balance": "smote"}, "balance='smote'"),
        ({"threshold": "0.3"}, "threshold='0.3'"),
        ({"hidden": [3]}, "tables or pictures"),
        ({"task": "regression"}, "labels of steps must be classes"),
        ({"scale": "robust"}, "standard, per_series or not"),
        ({"id": "whom"}, "the id must be a column"),
    ],
)
def test_what_labels_have_no_use_for_is_refused(file, more, said):
    with pytest.raises(InputError, match=said):
        fit_table(settings(file, **{"drop": ["clinic"], **QUICK, **more}))
