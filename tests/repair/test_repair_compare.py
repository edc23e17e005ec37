"""A whole repair: patterns, remedies that are told apart, a recommendation, and the completed table."""

import json

import numpy as np
import polars as pl
import pytest

from glia.core.errors import InputError
from glia.data.missing import TableEncoding, missing_mask
from glia.data.read import read
from glia.data.table import Table
from glia.repair import REMEDIES, complete, find_remedy, repair
from glia.repair.compare import RemedyError, compare_remedies, hide, interval
from glia.repair.downstream import compare_downstream
from glia.repair.recommend import recommend
from glia.repair.repair import steps

QUICK = ["native", "mean", "knn", "iterative", "multiple"]


def linear_table(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 2))
    x = z @ rng.normal(size=(2, 4)) + 0.2 * rng.normal(size=(rows, 4))
    gone = rng.random(rows) < 1 / (1 + np.exp(1.0 - 2 * x[:, 3]))
    frame = pl.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "d": x[:, 3], "grade": np.where(x[:, 0] > 0, "hi", "lo")}
    )
    return frame.with_columns(
        pl.when(~pl.Series(gone)).then("a").alias("a"), pl.Series("y", x[:, 0] - x[:, 1] + 0.1 * rng.normal(size=rows))
    )


@pytest.fixture(scope="module")
def found():
    return repair(linear_table(), target="y", repeats=3, remedies=QUICK)


def score(result, remedy, mechanism="mcar"):
    return next(e for e in result.errors if (e.remedy, e.mechanism) == (remedy, mechanism)).score.value


def test_linear_data_are_repaired_by_regression(found):
    assert found.recommended in ("iterative", "multiple")
    assert score(found, "iterative") < 0.75 < 0.9 < score(found, "mean") < 1.1
    assert found.verdict == "mar" and "'a'" in found.mechanism_words()
    assert "cannot be seen" in found.summary()
    assert found.missing == linear_table()["a"].null_count() and found.columns[0].column == "a"


def test_the_target_is_neither_filled_in_nor_used(found):
    frame = linear_table().with_columns(pl.when(pl.int_range(pl.len()) % 7 > 0).then("y").alias("y"))
    table = read(frame)
    (filled,) = complete(table, "iterative", target="y")
    (other,) = complete(read(frame.with_columns(pl.col("y") * -5)), "iterative", target="y")
    assert (
        filled["y"].null_count() == frame["y"].null_count()
        and filled.drop("y").null_count().sum_horizontal().item() == 0
    )
    assert filled.drop("y").equals(other.drop("y"))
    assert "y" in repair(frame, target="y", repeats=1, remedies=["mean"]).left_alone


def test_downstream_quality_is_measured_on_rows_that_nobody_saw(found):
    errors = {(d.remedy, d.model, d.indicators): d.error.value for d in found.downstream}
    assert errors["iterative", "linear", False] < errors["mean", "linear", False]
    assert ("native", "boosted trees", False) in errors and ("native", "linear", False) not in errors
    rng = np.random.default_rng(0)
    frame = linear_table().drop("y")
    encoding = TableEncoding.fit(frame)
    noise = compare_downstream(
        encoding.encode(frame), rng.normal(size=400), encoding.blocks, [find_remedy("knn")], "regression"
    )
    assert all(d.error.value > 0.95 for d in noise)  # nothing leaks from the test folds


def test_independent_columns_get_the_simplest_remedy():
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({name: rng.normal(size=300) for name in "abc"})
    result = repair(frame, repeats=4, remedies=["mean", "median", "knn", "multiple"])
    assert result.recommended == "mean"
    assert result.verdict == "complete" and "No value" in result.summary()
    assert score(result, "knn") > 1.0


def test_series_are_repaired_by_their_neighbours_along_time():
    rng = np.random.default_rng(4)
    at = np.arange(300.0)
    frame = pl.DataFrame({"t": at, "v": np.sin(at / 8)})[rng.permutation(300)]
    frame = frame.with_columns(pl.when(pl.Series(rng.random(300) > 0.2)).then("v").alias("v"))
    table = read(frame, roles={"t": "numeric"})
    (filled,) = complete(table, "linear", time="t")
    known = frame.drop_nulls()["t"]  # before the first and after the last value there is no line
    inside = filled.filter(pl.col("t").is_between(known.min(), known.max()))
    np.testing.assert_allclose(inside["v"].to_numpy(), np.sin(inside["t"].to_numpy() / 8), atol=0.1)
    (wrong,) = complete(table, "linear")
    assert np.abs(wrong["v"].to_numpy() - np.sin(wrong["t"].to_numpy() / 8)).max() > 0.5  # negative control
    with pytest.raises(InputError, match="did you mean 't'"):
        complete(table, "linear", time="tt")


def test_intervals_of_multiple_imputation_cover_what_was_taken_away(found):
    covered = [e.coverage for e in found.errors if e.remedy == "multiple" and e.mechanism == "mcar"]
    assert covered[0] == pytest.approx(0.9, abs=0.07)
    assert all(e.coverage is None for e in found.errors if e.remedy != "multiple")


def test_completed_sets_differ_where_values_were_missing_only():
    table = read(linear_table())
    sets = complete(table, "multiple")
    assert len(sets) == 5
    known = table.frame["a"].is_not_null()
    for other in sets[1:]:
        assert other.filter(known).equals(sets[0].filter(known))
        assert not other.filter(~known)["a"].equals(sets[0].filter(~known)["a"])


def test_nothing_is_done_by_native_and_rows_go_with_delete():
    table = read(linear_table())
    assert complete(table, "native")[0].equals(table.frame)
    assert complete(table, "delete")[0].equals(table.frame.drop_nulls())


def test_the_same_seed_gives_the_same_result():
    def once():
        data = repair(linear_table(200), repeats=2, remedies=["knn", "multiple"]).to_dict()
        return json.dumps([{**error, "seconds": 0} for error in data["errors"]])

    assert once() == once()


def test_errors_are_those_of_the_hidden_cells_by_hand():
    frame = pl.DataFrame({"a": [0.0, 2.0, 4.0, 6.0, 8.0] * 40, "w": (["x"] * 3 + ["y"] * 2) * 40})
    encoding = TableEncoding.fit(frame)
    x, codes = encoding.encode(frame), encoding.codes(frame)
    (error,) = compare_remedies(x, codes, encoding, [find_remedy("mean")], ["mcar"], rate=0.3, repeats=1)
    assert error.score.value == pytest.approx(1.0)  # what a constant costs is what the mean costs
    seeds = []

    def spy(values, mechanism, rate, *, random_state):
        seeds.append(random_state)
        return missing_mask(values, mechanism, rate, random_state=random_state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glia.repair.compare.missing_mask", spy)
        compare_remedies(x, codes, encoding, [find_remedy("mean")], ["mcar"], rate=0.3, repeats=1)
    mask = missing_mask(codes, "mcar", 0.3, random_state=seeds[0])
    left = frame["a"].to_numpy()[~mask[:, 0]].mean()
    truth = frame["a"].to_numpy()[mask[:, 0]]
    assert error.nrmse.value == pytest.approx(np.sqrt(((truth - left) ** 2).mean()) / frame["a"].to_numpy().std())
    assert error.error_rate.value == pytest.approx((frame["w"].to_numpy()[mask[:, 1]] == "y").mean())
    assert np.isnan(hide(x, encoding.blocks, mask)).any(axis=1).sum() == mask.any(axis=1).sum()


def test_the_recommendation_follows_the_figures():
    def error(name, scores):
        return RemedyError(name, "mcar", None, None, interval(scores), tuple(scores), None, 0.0)

    clear = [error("mean", [1.0, 1.0, 1.0]), error("iterative", [0.5, 0.51, 0.49])]
    assert recommend(clear, ())[0] == "iterative"
    unclear = [error("mean", [0.5, 0.52, 0.48]), error("iterative", [0.49, 0.53, 0.46])]
    name, why = recommend(unclear, ())
    assert name == "mean" and "simplest" in why and "chained regressions" in why
    assert recommend([], ())[0] == "median"


def test_progress_counts_what_is_told():
    told = []
    table, few = read(linear_table(150)), ["delete", "mean", "knn"]
    repair(table, target="y", repeats=2, remedies=few, tell=told.append)
    assert len(told) == steps(table, "y", 2, few)


def test_results_speak_and_draw(found):
    heads = [table.title.split(" ")[0] for table in found.tables()]
    assert heads == ["Columns", "Missing", "Errors", "Predicting"]
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.plot().get_title(loc="left").startswith("Take")


def test_wrong_words_are_answered():
    with pytest.raises(InputError, match="did you mean 'knn'"):
        repair(linear_table(), remedies=["knnn"])
    with pytest.raises(InputError, match="must be a column"):
        repair(linear_table(), target="yy")
    assert len({remedy.name for remedy in REMEDIES}) == len(REMEDIES)
    assert isinstance(read(linear_table()), Table)
