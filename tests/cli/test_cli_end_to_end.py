"""The whole way, from a table to files that people keep: fit, predict, evaluate, describe, and the same run again."""

import json
import os
import subprocess
import sys
import tomllib

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run
from glia.core.modelfile import read_archive
from glia.data import bundled

QUICK = ("--epochs", "2", "--effort", "quick", "--bootstrap", "50", "--importance-repeats", "0", "--no-baselines")
FILES = {"model.glia", "report.html", "run.json", "history.jsonl", "settings.toml", "predictions.parquet"}
PROMISED = {
    "settings", "versions", "schema", "split", "metrics", "choices", "timings", "verdict", "command", "source",
    "target", "task", "training", "primary", "created", "glia",
}  # fmt: skip


def adult(n=600):
    return bundled.load("adult").sample(n, seed=0)


def cli(*words):
    code = "import sys; from glia.cli.main import main; main(sys.argv[1:])"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=env, timeout=120)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def income(tmp_path_factory):
    """Return the folder of a real run on the census, with classic models and importance, by a process of its own."""
    folder = tmp_path_factory.mktemp("income")
    adult().write_csv(folder / "people.csv")
    words = ("--epochs", "3", "--effort", "quick", "--bootstrap", "50", "--importance-repeats", "2")
    done = cli("fit", str(folder / "people.csv"), "--target", "income", "--out", str(folder / "run"), *words)
    assert done.returncode == 0, done.stderr
    return folder, done


def fit(here, capsys, frame, *words, target="y"):
    """Fit in this process; return the record that ``--json`` prints and the predictions of the test part."""
    frame.write_csv("t.csv")
    targets = [target] if isinstance(target, str) else target
    flags = [word for name in targets for word in ("--target", name)]
    assert run(["fit", "t.csv", *flags, "--out", "run", "--json", *QUICK, *words]) == 0
    out, err = capsys.readouterr()
    assert err == "" and set(os.listdir("run")) == FILES
    return json.loads(out), pl.read_parquet("run/predictions.parquet")


def test_what_a_run_leaves(income):
    folder, done = income
    assert set(os.listdir(folder / "run")) == FILES
    assert "gradient boosting" in done.stdout.splitlines()[0] and all(name in done.stdout for name in FILES)
    assert all(line.startswith("glia: ") for line in done.stderr.splitlines())
    record = json.loads((folder / "run/run.json").read_text())
    assert set(record) >= PROMISED | {"baselines", "comparison", "importance", "calibration"}
    assert record["command"].startswith("glia fit ") and record["command"].endswith("--importance-repeats 2")
    assert record["settings"]["target"] == "income" and record["settings"]["epochs"] == 3
    assert set(record["versions"]) >= {"python", "torch", "numpy", "polars", "scikit-learn"}
    sizes, rows = record["split"]["rows"], record["split"]["numbers"]
    assert sorted(rows["train"] + rows["valid"] + rows["test"]) == list(range(600))
    assert {name: len(part) for name, part in rows.items()} == sizes
    for figure in record["metrics"]["test"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert {one["column"] for one in record["importance"]} <= set(adult().columns) - {"income"}
    assert len(record["baselines"]) >= 4 and record["choices"]["lr"]["why"]
    report = (folder / "run/report.html").read_text()
    assert report.lstrip().lower().startswith("<!doctype html>") and "http://" not in report.replace(
        "http://www.w3.org", ""
    )
    history = [json.loads(line) for line in (folder / "run/history.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert all({"train/loss", "valid/loss", "lr", "seconds"} <= set(entry) for entry in history)
    settings = tomllib.loads((folder / "run/settings.toml").read_text())
    assert {name: settings[name] for name in ("target", "epochs", "bootstrap")} == {
        "target": "income", "epochs": 3, "bootstrap": 50,
    }  # fmt: skip
    model = read_archive(folder / "run/model.glia")
    assert model.manifest["estimator"] == "Classifier" and model.manifest["target"] == "income"


def test_the_predictions_are_those_of_the_test_part_and_of_python(income):
    folder, _ = income
    found = pl.read_parquet(folder / "run/predictions.parquet")
    assert found.columns == ["prediction", "probability_<=50K", "probability_>50K"]
    record = json.loads((folder / "run/run.json").read_text())
    test = record["split"]["numbers"]["test"]
    model = glia.load(folder / "run/model.glia")
    rows = adult()[test].drop("income")
    assert np.array_equal(model.predict_proba(rows), found.drop("prediction").to_numpy())
    assert model.predict(rows).tolist() == found["prediction"].to_list()
    truth = adult()[test]["income"]
    assert record["metrics"]["test"]["accuracy"]["value"] == pytest.approx((truth == found["prediction"]).mean())
    again = glia.fit(folder / "people.csv", target="income", epochs=3, effort="quick", bootstrap=50)
    assert np.array_equal(again.predict_proba(rows), found.drop("prediction").to_numpy())


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "arrow", "feather", "jsonl"])
def test_predictions_in_every_format_from_every_format(income, here, kind, capsys):
    folder, _ = income
    new = adult(40).drop("income")
    write = {
        "csv": new.write_csv, "tsv": lambda p: new.write_csv(p, separator="\t"), "parquet": new.write_parquet,
        "arrow": new.write_ipc, "feather": new.write_ipc, "jsonl": new.write_ndjson,
    }  # fmt: skip
    write[kind](f"new.{kind}")
    assert run(["predict", str(folder / "run/model.glia"), f"new.{kind}", "--out", f"out/p.{kind}", "--json"]) == 0
    out, err = capsys.readouterr()
    columns = ["prediction", "probability_<=50K", "probability_>50K"]
    assert (json.loads(out), err) == ({"out": f"out/p.{kind}", "rows": 40, "columns": columns}, "")
    read = {
        "csv": pl.read_csv, "tsv": lambda p: pl.read_csv(p, separator="\t"), "parquet": pl.read_parquet,
        "arrow": pl.read_ipc, "feather": pl.read_ipc,
        "jsonl": pl.read_ndjson,
    }  # fmt: skip
    found = read[kind](f"out/p.{kind}")
    assert found.columns == columns
    expected = glia.load(folder / "run/model.glia").predict_proba(new)
    assert np.allclose(found.drop("prediction").to_numpy(), expected, rtol=0, atol=1e-12)


def test_a_row_is_predicted_alike_in_any_company(income, capsys):
    folder, _ = income
    out = folder / "again.parquet"
    words = ("predict", str(folder / "run/model.glia"), str(folder / "people.csv"), "--out", str(out), "--quiet")
    assert run(words) == 0 and capsys.readouterr() == ("", "")
    test = json.loads((folder / "run/run.json").read_text())["split"]["numbers"]["test"]
    kept = pl.read_parquet(folder / "run/predictions.parquet")
    assert np.allclose(pl.read_parquet(out)[test].drop("prediction"), kept.drop("prediction"), rtol=0, atol=1e-12)


def test_evaluate_agrees_with_the_run(income, here, capsys):
    folder, _ = income
    record = json.loads((folder / "run/run.json").read_text())
    adult()[record["split"]["numbers"]["test"]].write_csv("test.csv")
    assert run(["evaluate", str(folder / "run/model.glia"), "test.csv", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == "" and found["n_rows"] == 120
    for name, figure in record["metrics"]["test"].items():
        assert found["metrics"][name]["value"] == pytest.approx(figure["value"], abs=1e-12)


def test_describe_data_and_model(income, here, capsys):
    folder, _ = income
    assert run(["describe", str(folder / "people.csv"), "--target", "income", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    roles = {column["name"]: column["role"] for column in found["schema"]["columns"]}
    assert found["rows"] == 600 and roles["age"] == "numeric" and roles["income"] == "target"
    assert run(["describe", str(folder / "run/model.glia"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["manifest"]["target"] == "income" and found["values"] > 0
    assert run(["describe", str(folder / "people.csv")]) == 0
    assert capsys.readouterr().out.startswith("people: 600 rows × 15 columns")


def test_the_settings_file_repeats_the_run_bit_for_bit_and_flags_override_it(here, capsys):
    first, predictions = fit(here, capsys, adult(), target="income")
    config = ["fit", "--config", "run/settings.toml", "--out"]
    assert run([*config, "again", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert pl.read_parquet("again/predictions.parquet").equals(predictions)
    one, two = (read_archive(f"{name}/model.glia").tensors for name in ("run", "again"))
    assert one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)
    again = json.loads((here / "again/run.json").read_text())
    assert again["metrics"] == first["metrics"] and again["split"] == first["split"]
    assert run([*config, "other", "--seed", "1", "--epochs", "1", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert (other["settings"]["seed"], other["training"]["epochs"], other["settings"]["target"]) == (1, 1, "income")
    assert other["split"]["numbers"] != first["split"]["numbers"]


def test_settings_as_a_file_can_be_fitted_from(here, capsys):
    assert run(["settings"]) == 0
    (here / "s.toml").write_text(capsys.readouterr().out)
    bundled.load("iris").write_csv("t.csv")
    assert run(["fit", "t.csv", "--config", "s.toml", "--target", "species", "--out", "run", "-q", *QUICK]) == 0
    assert capsys.readouterr() == ("", "") and set(os.listdir("run")) == FILES
    assert run(["settings", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert set(tomllib.loads((here / "run/settings.toml").read_text())) <= set(schema["properties"])


def test_many_classes_in_words(here, capsys):
    record, found = fit(here, capsys, bundled.load("iris"), "--epochs", "30", target="species")
    names = sorted(set(bundled.load("iris")["species"]))
    assert record["task"] == "multiclass" and record["classes"] == names
    assert found.columns == ["prediction", *(f"probability_{name}" for name in names)]
    assert set(found["prediction"]) <= set(names)
    assert record["metrics"]["test"]["accuracy"]["value"] > 0.6


def test_whole_numbers_as_classes_stay_whole_numbers(here, capsys):
    frame = bundled.load("iris").with_columns(y=pl.col("species").cast(pl.Categorical).to_physical() + 7)
    record, found = fit(here, capsys, frame.drop("species"))
    assert record["task"] == "multiclass"
    assert found.columns == ["prediction", "probability_7", "probability_8", "probability_9"]
    assert found["prediction"].dtype == pl.Int64
    loaded = glia.load("run/model.glia")
    assert loaded.classes_.tolist() == [7, 8, 9]
    assert run(["evaluate", "run/model.glia", "t.csv", "--json"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] <= 1


def test_truth_values_as_classes(here, capsys):
    frame = adult().select("age", "education-num", "hours-per-week", y=pl.col("income") == ">50K")
    record, found = fit(here, capsys, frame)
    assert record["task"] == "binary" and found.width == 3 and found.height == 120
    assert run(["evaluate", "run/model.glia", "t.csv", "--json"]) == 0
    capsys.readouterr()


def test_a_quantity(here, capsys):
    frame = bundled.load("diamonds").sample(600, seed=0)
    record, found = fit(here, capsys, frame, "--epochs", "15", target="price")
    assert record["task"] == "regression" and found.columns == ["prediction", "low", "high"]
    assert (found["low"] <= found["prediction"]).all() and (found["prediction"] <= found["high"]).all()
    test = frame[record["split"]["numbers"]["test"]]
    rmse = float(np.sqrt(np.mean((test["price"] - found["prediction"]).to_numpy() ** 2)))
    assert record["metrics"]["test"]["rmse"]["value"] == pytest.approx(rmse, rel=1e-9)
    loaded = glia.load("run/model.glia").predict(test.drop("price"))
    assert np.array_equal(loaded, found["prediction"].to_numpy())


def test_several_quantities(here, capsys):
    frame = bundled.load("diamonds").sample(400, seed=0)
    record, found = fit(here, capsys, frame, target=["price", "carat"])
    assert record["task"] == "regression" and found.height == 80 and found.width >= 2
    assert run(["evaluate", "run/model.glia", "t.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "regression"
    assert not {"price", "carat"} & set(glia.load("run/model.glia").feature_names)


def test_several_labels(here, capsys):
    frame = adult().with_columns(old=pl.col("age") > 45, sex=pl.col("sex")).drop("age")
    record, found = fit(here, capsys, frame, target=["income", "old", "sex"])
    assert record["task"] == "multilabel" and found.height == 120 and found.width == 6
    loaded = glia.load("run/model.glia")
    test = frame[record["split"]["numbers"]["test"]]
    probability = loaded.predict_proba(test.drop("income", "old", "sex"))
    assert np.array_equal(probability, found.select(pl.nth(3, 4, 5)).to_numpy())


def test_several_targets_that_do_not_go_together(here, capsys):
    bundled.load("diamonds").head(300).write_csv("t.csv")
    assert run(["fit", "t.csv", "--target", "price", "--target", "cut", "--out", "run", "-q", *QUICK]) == 2
    err = capsys.readouterr().err
    assert err == (
        "glia: error: several targets must all be quantities or all have two classes · "
        "got price: regression, cut: multiclass · fit them one by one\n"
    )
    assert os.listdir() == ["t.csv"]


def test_a_split_by_group_keeps_groups_together(here, capsys):
    frame = adult().with_columns(
        family=(pl.int_range(600) // 6).map_elements(lambda i: f"f{i}", return_dtype=pl.String)
    )
    record, _ = fit(here, capsys, frame, "--group", "family", target="income")
    rows = record["split"]["numbers"]
    families = {name: set(frame[part]["family"]) for name, part in rows.items()}
    assert not (families["train"] & families["test"] or families["train"] & families["valid"])
    assert not families["valid"] & families["test"] and record["split"]["method"] == "group"
    roles = {column["name"]: column["role"] for column in record["schema"]["columns"]}
    assert roles["family"] == "group" and "family" not in glia.load("run/model.glia").feature_names


@pytest.mark.parametrize("said", [True, False])
def test_a_split_by_time_tests_on_the_latest(said, here, capsys):
    start = pl.datetime(2024, 1, 1)
    words = ("--split", "time") if said else ()
    frame = adult().with_columns(when=start + pl.duration(hours=pl.int_range(600).shuffle(seed=1)))
    record, _ = fit(here, capsys, frame, *words, "--time", "when", target="income")
    rows, when = record["split"]["numbers"], frame["when"]
    assert when[rows["train"]].max() < when[rows["valid"]].min()
    assert when[rows["valid"]].max() < when[rows["test"]].min()


def test_a_column_of_weights_counts_and_is_no_input(here, capsys):
    record, found = fit(here, capsys, adult(), "--weight", "fnlwgt", target="income")
    roles = {column["name"]: column["role"] for column in record["schema"]["columns"]}
    assert roles["fnlwgt"] == "weight" and "fnlwgt" not in glia.load("run/model.glia").feature_names
    test = adult()[record["split"]["numbers"]["test"]]
    right = (test["income"] == found["prediction"]).to_numpy()
    expected = np.average(right, weights=test["fnlwgt"].to_numpy())
    assert record["metrics"]["test"]["accuracy"]["value"] == pytest.approx(expected)
    _, plain = fit(here, capsys, adult(), "--drop", "fnlwgt", target="income")
    assert not plain.equals(found)


def test_roles_and_dropped_columns(here, capsys):
    record, _ = fit(
        here, capsys, adult(), "--role", "education-num=categorical", "--drop", "education", target="income"
    )
    roles = {column["name"]: column["role"] for column in record["schema"]["columns"]}
    assert roles["education-num"] == "categorical" and roles["education"] == "ignored"
    loaded = glia.load("run/model.glia")
    assert "education" not in loaded.feature_names
    adult(20).drop("education", "income").write_csv("new.csv")
    assert run(["predict", "run/model.glia", "new.csv", "--out", "p.csv", "-q"]) == 0
    assert pl.read_csv("p.csv").height == 20
