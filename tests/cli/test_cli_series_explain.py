"""Sounds and sequences explained from the command line: a planted burst is found, gates and attention are shown."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.io import wavfile

from glia.cli.main import run
from glia.report.charts.heat_strip import Cell, heat_strip_chart
from glia.report.charts.share_map import share_map

FLAGS = ["--no-baselines", "--bootstrap", "20", "--quiet"]
RATE = 4000


def burst(count, seed=0):
    """Noise of several lengths in three channels; a burst in the second one at steps 20 to 25 is the class."""
    rng, X = np.random.default_rng(seed), np.full((count, 40, 3), np.nan)
    for i in range(count):
        steps = int(rng.integers(32, 41))
        X[i, :steps] = rng.normal(size=(steps, 3))
        X[i, 20:26, 1] += 3.5 * (i % 2)
    return X, np.array(["no", "yes"])[np.arange(count) % 2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("series")
    X, y = burst(120)
    np.savez(place / "s.npz", X=X, y=y)
    rows = [(f"s{i}", t, y[i], *X[i, t]) for i in range(120) for t in range(40) if not np.isnan(X[i, t, 0])]
    frame = pl.DataFrame(rows, schema=["who", "t", "label", "a", "b", "c"], orient="row")
    frame.write_csv(place / "s.csv")
    how = ["--network", "gru", "--epochs", "25", "--batch-size", "16", *FLAGS]
    long = ["--target", "label", "--id", "who", "--time", "t"]
    assert run(["fit", str(place / "s.csv"), *long, *how, "--out", str(place / "gru")]) == 0
    how[1] = "sequence_transformer"
    assert run(["fit", str(place / "s.npz"), *how, "--out", str(place / "attends")]) == 0
    return place


@pytest.mark.parametrize(("model", "data"), [("gru", "s.csv"), ("attends", "s.npz")])
def test_the_burst_is_found_and_the_page_written(place, model, data, tmp_path, capsys):
    words = ["explain", str(place / model), str(place / data), "--rows", "8", "--out", str(tmp_path), "--json"]
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == "occlusion" and told["rows"] == 8 and told["checks"]["deletion gain"] > 0.1
    with_it = [one for one in told["explained"] if one["predicted"].startswith("yes")]
    assert len(with_it) == 4
    channel = "b" if model == "gru" else "x1"
    assert sum(19 <= one["from"] <= one["to"] <= 26 and one["channel"] == channel for one in with_it) >= 3
    assert with_it[0]["name"] == ("s1" if model == "gru" else "number 1")
    values = np.load(tmp_path / "attributions.npy")
    assert values.shape == (8, 40, 3)
    page = (tmp_path / "explain.html").read_text()
    assert page.count('id="strip-') >= 8 and "Inside the network" in page and "out first" in page
    assert ("gate moves most" in page) == (model == "gru") and ("Most comes from step" in page) == (model == "attends")
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_gates_and_attention_are_told(place, tmp_path, capsys):
    words = ["explain", str(place / "gru" / "model.glia"), str(place / "s.csv"), "--method", "gates", "--rows", "4"]
    assert run([*words, "--json", "--out", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["layers"][0]["gates"]) == {"reset", "keep"} and len(told["layers"][0]["gates"]["keep"]) == 40
    assert "Layer 1" in (tmp_path / "explain.html").read_text()
    words = ["explain", str(place / "attends"), str(place / "s.npz"), "--method", "attention", "--rows", "4"]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["share"]) == pytest.approx(1.0) and len(told["share"]) in (39, 40)
    assert run([*words[:1], str(place / "gru"), str(place / "s.csv"), "--method", "attention"]) == 2
    assert "MultiheadAttention" in capsys.readouterr().err


def tones(root, count=40, seed=0):
    """A tone of 500 or of 1500 Hz from 0.2 to 0.3 s, of the same power, in noise."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        name, pitch = (("high", 1500), ("low", 500))[i % 2]
        time = np.arange(int(RATE * 0.5)) / RATE
        sound = 0.05 * rng.normal(size=len(time))
        there = (time >= 0.2) & (time < 0.3)
        sound[there] += 0.5 * np.sin(2 * np.pi * pitch * time[there] + rng.uniform(0, 6))
        (root / name).mkdir(parents=True, exist_ok=True)
        wavfile.write(root / name / f"{i}.wav", RATE, (sound * 20000).astype(np.int16))
    return root


def test_the_moment_of_a_sound_is_found(tmp_path, capsys):
    root = tones(tmp_path / "tones")
    how = ["--network", "tcn", "--epochs", "12", "--batch-size", "8", *FLAGS]
    assert run(["fit", str(root), *how, "--out", str(tmp_path / "run")]) == 0
    out = tmp_path / "out"
    assert run(["explain", str(tmp_path / "run"), str(root), "--rows", "6", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (
        told["noun"] == "sound"
        and [one["name"].split("/")[0] for one in told["explained"]] == ["high"] * 3 + ["low"] * 3
    )
    found = [0.18 <= (one["from"] + one["to"]) / 2 <= 0.32 for one in told["explained"]]
    assert sum(found) >= 5
    page = (out / "explain.html").read_text()
    assert "kHz" in page and "seconds" in page and "wave" in page


def test_refused(place, capsys, tmp_path):
    (tmp_path / "none").mkdir()
    for words, said in (
        (["--method", "ale"], "explained by steps and channels"),
        (["--method", "occlusian"], "did you mean 'occlusion'"),
        (["--column", "a"], "must take --column"),
        (["--method", "occlusion", "--space", "probability"], "occlusion must take --space"),
        (["--method", "gates", "--output", "yes"], "gates must take --output"),
        (["--output", "maybe"], "output must be a position or a name"),
    ):
        assert run(["explain", str(place / "gru"), str(place / "s.csv"), "--rows", "2", *words]) == 2
        err = capsys.readouterr().err
        assert said in err and "Traceback" not in err
    pl.read_csv(place / "s.csv").drop("b").write_csv(tmp_path / "lacking.csv")
    assert run(["explain", str(place / "gru"), str(tmp_path / "lacking.csv")]) == 2
    assert "no 'b'" in capsys.readouterr().err
    assert run(["explain", str(place / "gru"), str(place / "s.csv"), "--rows", "2", "--no-checks"]) == 0
    assert "How far to trust it" not in capsys.readouterr().out


def test_strips_and_maps_are_drawn_to_scale():
    cells = [Cell(0.0, 10.0, 0, 2.0), Cell(10.0, 20.0, 1, -1.0)]
    chart = heat_strip_chart("k", "t", ([0.0, 20.0], [1.0, float("nan")]), cells, ("a", "b"), x_label="step")
    assert 'fill="#E69F00" fill-opacity="1"' in chart.svg and 'fill="#0072B2" fill-opacity="0.5"' in chart.svg
    assert chart.rows[0] == (0.0, 10.0, "a", 2.0)
    with pytest.raises(ValueError, match="at least one cell"):
        heat_strip_chart("k", "t", None, [], ("a",), x_label="step")
    shares = np.full((64, 64), 1 / 64)
    shares[:, 5] += 1.0
    drawn = share_map("k", "t", shares / 2, x_label="x", y_label="y")
    assert len(drawn.rows) == 32 and drawn.rows[2][:2] == (4, 5) and drawn.rows[2][2] == pytest.approx(0.5 + 1 / 64)
