"""``glia forecast``: what it writes and refuses, and that the report is one whole page."""

import datetime as dt
import json
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run

FEW = ["--effort", "quick", "--epochs", "2", "--members", "1", "--origins", "1", "--horizon", "6"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng, t = np.random.default_rng(0), np.arange(60)
    day = pl.datetime_range(dt.datetime(2015, 1, 1), dt.datetime(2035, 1, 1), "1mo", eager=True)[:60].cast(pl.Date)
    parts = [
        pl.DataFrame({"shop": [name] * 60, "ds": day, "y": 50 + 9 * np.sin(t / 2) + rng.normal(size=60)})
        for name in ("<b>Ulm</b>", "Jena")
    ]
    path = tmp_path_factory.mktemp("data") / "series.csv"
    pl.concat(parts).write_csv(path)
    return path


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["forecast", str(data), "--time", "ds", "--target", "y", "--id", "shop", "--out", str(out), *FEW]
    assert run([*words, "--quiet"]) == 0
    return out


def test_the_folder_holds_model_forecasts_record_and_report(done, data):
    frame = pl.read_parquet(done / "forecast.parquet")
    assert frame.columns[:3] == ["shop", "ds", "prediction"] and frame.height == 12
    assert frame["ds"].to_list()[:2] == [dt.date(2020, 1, 1), dt.date(2020, 2, 1)]
    model = glia.load(done / "model.glia")
    assert model.predict_frame().equals(frame)
    record = json.loads((done / "run.json").read_text())
    assert record["judged"]["outcome"] in ("better", "worse", "tie") and record["data"]["step"] == "month"
    assert {s["name"] for s in record["judged"]["scores"]} >= {"network", "naive", "seasonal naive"}
    assert record["verdict"] and len(record["source"]["sha256"]) == 64


def test_the_page_is_whole_and_escapes_what_it_shows(done):
    page = (done / "report.html").read_text()

    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.charts, self.urls = [], 0, []

        def handle_starttag(self, tag, attributes):
            found = dict(attributes)
            self.charts += tag == "svg" and "chart" in found.get("class", "")
            self.urls += [v for k, v in attributes if k in ("src", "href") and not v.startswith(("#", "data:"))]

    reader = Reader()
    reader.feed(page)
    assert reader.charts >= 4 and reader.urls == []
    assert "<b>Ulm</b>" not in page and "&lt;b&gt;Ulm" in page
    assert "What is to come?" in page and "seasonal naive" in page and page.rstrip().endswith("</html>")


def test_json_says_all_of_it(data, tmp_path, capsys):
    words = ["forecast", str(data), "--time", "ds", "--target", "y", "--id", "shop", "--out", str(tmp_path / "r"), *FEW]
    assert run([*words, "--json", "--origins", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["judged"] is None and "Nothing was judged" in found["verdict"] and len(found["shown"]) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--target", "z"], "the table must have the column · got 'z'"),
        (["--horizon", "99"], "two values more than the horizon · got 60 values in the longest series"),
        (["--horizon", "0"], "the setting 'horizon' must be valid · got horizon=0"),
        (["--network", "lstmm"], "did you mean 'lstm'?"),
        (["--season", "often"], "got season='often'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(change, words, data, tmp_path, capsys):
    out = tmp_path / "never"
    given = ["forecast", str(data), "--time", "ds", "--target", "y", "--id", "shop", "--out", str(out), *FEW, *change]
    assert run(given) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("glia: error: ") and words in said[0]
    assert not out.exists()


def test_one_series_needs_no_id_and_two_do(data, tmp_path, capsys):
    given = ["forecast", str(data), "--time", "ds", "--target", "y", "--out", str(tmp_path / "r"), *FEW]
    assert run(given) == 2
    assert "name the column that tells series apart with id" in capsys.readouterr().err
