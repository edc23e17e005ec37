"""A label for every step from the command line: fit, report, predict, evaluate, doctor, explain; tables and arrays."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, log_loss

from glia.cli.main import run

FLAGS = ["--bootstrap", "20", "--network", "gru", "--batch-size", "16", "--quiet"]
LONG = ["--id", "who", "--time", "t", "--target", "state"]
LAG = 2


def planted(count=160, seed=0):
    """Two channels of noise; the label of a step is the sign of the first one two steps before, "low" before that."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(int(n), 2)) for n in rng.integers(8, 15, count)]
    y = [np.where(np.concatenate([-np.ones(LAG), x[:-LAG, 0]]) > 0, "high", "low") for x in X]
    return X, y


def write(path, X, y, seed=1):
    """Steps in a random order; every seventh label is missing."""
    rows = [
        (f"s{i}", f"2024-03-{t + 1:02d}", None if (i + t) % 7 == 0 else one[t], *values)
        for i, (x, one) in enumerate(zip(X, y, strict=True))
        for t, values in enumerate(x.tolist())
    ]
    frame = pl.DataFrame(rows, schema=["who", "t", "state", "a", "b"], orient="row", infer_schema_length=None)
    frame.sample(fraction=1.0, shuffle=True, seed=seed).write_csv(path)
    return frame


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("labels")
    write(place / "s.csv", *planted())
    write(place / "new.csv", *planted(30, seed=9), seed=2)
    words = ["fit", str(place / "s.csv"), *LONG, "--epochs", "45", *FLAGS, "--out", str(place / "run")]
    assert run(words) == 0
    return place


@pytest.fixture(scope="module")
def record(place):
    return json.loads((place / "run" / "run.json").read_text())


def test_the_network_finds_what_a_step_alone_does_not_show(record):
    by_name = {one["name"]: one["metrics"]["accuracy"]["value"] for one in record["baselines"]}
    assert {"constant", "logistic, step alone", "gradient boosting, step alone", "logistic, ±3 steps"} <= set(by_name)
    share = max(one["steps"] for one in record["steps"]["classes"]) / record["steps"]["labelled"]["test"]
    assert by_name["constant"] == pytest.approx(share)
    alone = [value for name, value in by_name.items() if name.endswith("step alone")]
    assert max(alone) < share + 0.1  # chance: the most frequent label is what can be known
    assert by_name["gradient boosting, ±3 steps"] > 0.95
    assert record["metrics"]["test"]["accuracy"]["value"] > 0.95
    assert record["comparison"]["metric"] == record["primary"] and record["noun"] == "sequences"


def test_the_record_is_of_sequences_and_their_steps(record, place):
    assert record["source"]["rows"] == 160 and sum(record["split"]["rows"].values()) == 160
    frame = pl.read_csv(place / "s.csv")
    assert sum(record["steps"]["labelled"].values()) == frame["state"].count()
    assert np.sum(record["curves"]["confusion"]["counts"]) == record["steps"]["labelled"]["test"]
    told = {one["code"] for one in record["schema"]["warnings"]}
    assert told == {"steps-without-label", "labels-of-steps"}
    losses = [one["loss"] for one in record["hardest"]]
    assert losses == sorted(losses, reverse=True) and len(record["steps"]["strips"]) == 6
    assert "s.csv" in record["source"]["name"] and record["verdict"]


def test_the_figures_are_those_of_the_predictions(record, place):
    said = pl.read_parquet(place / "run" / "predictions.parquet")
    assert said.columns == ["who", "t", "prediction", "probability_high", "probability_low"]
    known = pl.read_csv(place / "s.csv", try_parse_dates=True).drop_nulls("state")
    said = said.with_columns(pl.col("t").cast(known["t"].dtype))
    both = said.join(known, on=["who", "t"], how="inner")
    assert (
        both.height == record["steps"]["labelled"]["test"] and both["who"].n_unique() == record["split"]["rows"]["test"]
    )
    found = record["metrics"]["test"]
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(both["state"], both["prediction"]))
    right = confusion_matrix(both["state"], both["prediction"], labels=["high", "low"])
    assert record["curves"]["confusion"]["counts"] == right.tolist()
    recalls = [one["recall"]["value"] for one in record["steps"]["classes"]]
    assert recalls == pytest.approx((right.diagonal() / right.sum(1)).tolist())
    worst = record["hardest"][0]["values"]
    own = both.filter(pl.col("who") == worst["who"])
    assert (own.height, (own["state"] != own["prediction"]).sum()) == (worst["labelled steps"], worst["wrong"])


def test_the_page_shows_labels_over_time(place):
    page = (place / "run" / "report.html").read_text()
    for words in ("labels-over-time", "is the hardest", "is found least", "test sequences", "Confusion matrix",
                  "gradient boosting, step alone", "resample whole sequences"):  # fmt: skip
        assert words in page, words
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_predictions_have_a_row_a_step_and_evaluation_is_theirs(place, tmp_path, capsys):
    model, new, out = place / "run" / "model.glia", place / "new.csv", tmp_path / "p.csv"
    assert run(["predict", str(model), str(new), "--out", str(out)]) == 0
    assert "predictions in" in capsys.readouterr().out
    said, known = pl.read_csv(out), pl.read_csv(new)
    assert said.columns == ["who", "t", "prediction", "probability_high", "probability_low"]
    assert (
        said.height == known.height
        and said["who"].unique(maintain_order=True).to_list() == known["who"].unique(maintain_order=True).to_list()
    )
    assert all(part["t"].is_sorted() for part in said.partition_by("who"))
    both = said.join(known.drop_nulls("state"), on=["who", "t"])
    assert run(["evaluate", str(model), str(new), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    figures = {name: one["value"] for name, one in found["metrics"].items()}
    assert found["n_rows"] == both.height
    assert figures["accuracy"] == pytest.approx(accuracy_score(both["state"], both["prediction"]))
    assert figures["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(both["state"], both["prediction"]))
    assert figures["log_loss"] == pytest.approx(
        log_loss(both["state"], both.select("probability_high", "probability_low").to_numpy()), abs=1e-6
    )
    known.drop("state").write_csv(tmp_path / "unlabelled.csv")
    assert run(["predict", str(model), str(tmp_path / "unlabelled.csv"), "--out", str(tmp_path / "q.csv")]) == 0
    assert (tmp_path / "q.csv").read_text() == out.read_text()


def test_steps_of_long_sequences_are_predicted_too(place, tmp_path):
    X, y = planted(4, seed=3)
    long = [np.concatenate([x] * 4) for x in X]
    write(tmp_path / "long.csv", [one[:28] for one in long], [np.resize(one, 28) for one in y])
    assert run(["predict", str(place / "run" / "model.glia"), str(tmp_path / "long.csv"), "--out",
                str(tmp_path / "p.csv")]) == 0  # fmt: skip
    assert pl.read_csv(tmp_path / "p.csv").height == 4 * 28


def test_the_planted_step_is_found(place, tmp_path, capsys):
    words = ["explain", str(place / "run"), str(place / "new.csv"), "--rows", "8", "--step", "6", "--json"]
    assert run([*words, "--out", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == "occlusion" and told["checks"]["deletion gain"] > 0.1 and not told["warnings"]
    first = pl.read_csv(place / "new.csv")["who"].unique(maintain_order=True)[0]
    assert told["explained"][0]["name"] == f"{first}, step 6"
    assert sum((one["from"], one["channel"]) == (6 - LAG, "a") for one in told["explained"]) >= 6
    page = (tmp_path / "explain.html").read_text()
    assert page.count('id="strip-') >= 8 and "step 6" in page
    assert np.load(tmp_path / "attributions.npy").shape == (8, 14, 2)
    words[4] = "3"
    assert run([*words[:5], "--method", "integrated_gradients", "--no-checks"]) == 0
    assert "hardest to get right" in capsys.readouterr().out
    pl.read_csv(place / "new.csv").drop("state").write_csv(tmp_path / "u.csv")
    assert run(["explain", str(place / "run"), str(tmp_path / "u.csv"), "--rows", "2", "--no-checks", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "least certain" in told["remark"]
    assert run(["explain", str(place / "run"), str(place / "new.csv"), "--rows", "3", "--method", "gates"]) == 0
    assert "reset" in capsys.readouterr().out


def test_the_doctor_finds_a_rate_that_is_too_high(tmp_path, monkeypatch):
    monkeypatch.setattr("glia.diagnose.measures.STEPS", 60)  # of short trainings: enough for labels this easy
    X = np.random.default_rng(0).normal(size=(60, 3, 1))
    np.savez(tmp_path / "a.npz", X=X, y=(X[..., 0] > 0).astype(int))
    words = ["fit", str(tmp_path / "a.npz"), "--network", "rnn", "--epochs", "8", "--no-baselines", "--quiet"]
    assert run([*words, "--lr", "5", "--bootstrap", "10", "--out", str(tmp_path / "run")]) == 0
    assert run(["doctor", str(tmp_path / "run"), "--max-rows", "50", "--quiet"]) == 0
    assert "rate too high" in (tmp_path / "run" / "doctor.json").read_text()
    assert "The learning rate is too high" in (tmp_path / "run" / "doctor.html").read_text()


def test_the_model_and_the_table_are_described(place, capsys):
    assert run(["describe", str(place / "run" / "model.glia")]) == 0
    assert "SequenceLabeler" in capsys.readouterr().out
    assert run(["describe", str(place / "s.csv"), *LONG, "--json"]) == 0
    found = {one["code"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert found["target-varies"]["severity"] == "info" and "label for every step" in found["target-varies"]["message"]


def test_arrays_go_the_same_way(tmp_path, capsys):
    X, y = planted(60, seed=4)
    cube, labels = np.full((60, 14, 2), np.nan), np.full((60, 14), np.nan)
    for i, (x, one) in enumerate(zip(X, y, strict=True)):
        cube[i, : len(x)], labels[i, : len(x)] = x, one == "high"
    np.savez(tmp_path / "a.npz", X=cube, y=labels)
    words = ["fit", str(tmp_path / "a.npz"), "--epochs", "3", "--no-baselines", *FLAGS, "--out", str(tmp_path / "run")]
    assert run(words) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["classes"] == ["0", "1"] and sum(record["steps"]["labelled"].values()) == sum(map(len, X))
    model = str(tmp_path / "run" / "model.glia")
    assert run(["predict", model, str(tmp_path / "a.npz"), "--out", str(tmp_path / "p.csv")]) == 0
    said = pl.read_csv(tmp_path / "p.csv")
    assert said.columns[:3] == ["sequence", "step", "prediction"] and said.height == sum(map(len, X))
    capsys.readouterr()
    assert run(["evaluate", model, str(tmp_path / "a.npz"), "--json"]) == 0
    right = np.concatenate([one == "high" for one in y])
    accuracy = json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"]
    assert accuracy == pytest.approx(accuracy_score(right, said["prediction"].to_numpy()))
    assert run(["explain", model, str(tmp_path / "a.npz"), "--rows", "2", "--no-checks"]) == 0
    assert "number 0, step" in capsys.readouterr().out
    assert run(["describe", str(tmp_path / "a.npz"), "--json"]) == 0
    assert "labels-of-steps" in capsys.readouterr().out


def test_a_run_goes_on_to_the_same_model(place, tmp_path):
    words = ["fit", str(place / "s.csv"), *LONG, "--epochs", "3", "--no-baselines", "--importance-repeats", "0", *FLAGS]
    for name in ("one", "two"):
        assert run([*words, "--out", str(tmp_path / name)]) == 0
    said = [pl.read_parquet(tmp_path / name / "predictions.parquet") for name in ("one", "two")]
    assert said[0].equals(said[1])
