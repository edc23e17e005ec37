"""What a run leaves behind where it is stopped late or cannot be written."""

from functools import partial

import numpy as np
import polars as pl
import pytest

import glia
from glia.core.errors import InputError
from glia.data.stream import Parts
from glia.estimators import stream_table
from glia.estimators.settings import FitSettings
from glia.report import run as module


def table(rows: int = 200) -> pl.DataFrame:
    x = np.random.default_rng(0).normal(size=(rows, 3))
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.where(x[:, 0] > 0, "yes", "no")})


def settings(out) -> FitSettings:
    return FitSettings(data="rows in memory", target="y", out=str(out), epochs=2, bootstrap=50, baselines=False)


def test_a_stop_after_training_keeps_the_model(tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "build_record", stop)
    said = r"training was done: the model is in .*model\.glia; there is no report; glia fit --resume .*run goes on"
    with pytest.raises(KeyboardInterrupt, match=said):
        module.fit_run(settings(tmp_path / "run"), quiet=True, source=table())
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoints", "model.glia", "settings.toml"]
    alone = glia.fit(table(), "y", epochs=2)
    rows = table().drop("y")
    np.testing.assert_array_equal(glia.load(tmp_path / "run/model.glia").predict_proba(rows), alone.predict_proba(rows))


def test_an_output_that_cannot_be_written_is_refused_before_the_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fit_table", lambda *args, **kwargs: pytest.fail("the fit was begun"))
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path / "file", tmp_path / "file/run"):
        with pytest.raises(InputError, match="folder"):
            module.fit_run(settings(out), quiet=True, source=table())
    assert (tmp_path / "file").read_text() == "kept" and len(list(tmp_path.iterdir())) == 1


def test_the_area_of_the_importance_is_the_usual_one():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth, score = rng.integers(0, 2, 500), rng.integers(0, 20, 500) / 20
    assert module._area(truth, score) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)


def test_a_streamed_run_counts_the_rows_on_disk_not_its_sample(tmp_path, monkeypatch):
    rows = 1_200
    numbers = np.arange(rows)
    pl.DataFrame({"a": numbers % 7, "b": np.sin(numbers), "y": np.where(numbers % 3 > 0, "n", "p")}).write_parquet(
        tmp_path / "t.parquet"
    )
    monkeypatch.setattr(stream_table, "Parts", partial(Parts, sample=200))
    settings = FitSettings(
        data=str(tmp_path / "t.parquet"), target="y", out=str(tmp_path / "run"), stream=True, epochs=1, hidden=[4],
        baselines=True, bootstrap=2, importance_repeats=0,
    )  # fmt: skip
    record = module.fit_run(settings, quiet=True).record
    sample = record["split"]["sample"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"a sample of {sample} rows of the stream" in page and "on the same training rows" not in page
    counts = record["split"]["rows"]
    assert record["source"]["rows"] == rows == sum(counts.values())
    assert len(record["split"]["numbers"]["train"]) == 200 < counts["train"]
