"""Effort best within a time budget: what is searched is fitted, a search that is done is not done again."""

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run
from glia.core.errors import InputError
from glia.estimators.settings import FitSettings
from glia.report import best_effort
from glia.report.best_effort import best_within

pytest.importorskip("optuna", reason="searching needs the extra glia-nn[tune]")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    path = tmp_path_factory.mktemp("best") / "rows.csv"
    y = np.where(x[:, 0] * x[:, 1] > 0, "yes", "no")
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}).write_csv(path)
    return path


@pytest.fixture(autouse=True)
def few_trials(monkeypatch):
    monkeypatch.setattr(best_effort, "_TRIALS", 3)  # they end the search, not the time: tests must not hang on it


def test_a_run_trains_what_its_search_found(table, tmp_path):
    out = tmp_path / "run"
    words = ["fit", str(table), "--target", "y", "--effort", "best", "--time-budget", "60s", "--epochs", "3"]
    assert run([*words, "--out", str(out), "--bootstrap", "50", "--no-baselines", "--quiet"]) == 0
    record = json.loads((out / "run.json").read_text())
    found = record["search"]
    assert found["trials"] >= 1 and found["validation"] == "30 validation rows"
    assert record["choices"]["settings"]["why"].startswith(f"the best of {found['trials']} trials")
    model = glia.load(out / "model.glia")
    assert list(model.spec_.hidden) == list(found["settings"]["hidden"])
    assert not (out / "checkpoints").exists()
    assert FitSettings.from_toml(out / "settings.toml").time_budget == "60s"
    assert "the best of" in (out / "report.html").read_text()


def test_a_search_that_is_done_is_not_done_again(table, tmp_path, monkeypatch):
    settings = FitSettings(data=str(table), target="y", effort="best", time_budget="60s", epochs=2)
    first, record = best_within(settings, tmp_path)
    monkeypatch.setattr(best_effort, "search", lambda *args, **options: pytest.fail("searched again"))
    again, same = best_within(settings, tmp_path)
    assert again == first and same == record
    with pytest.raises(pytest.fail.Exception, match="searched again"):
        best_within(settings.replace(lr=0.01), tmp_path)  # other settings are another search
    assert list(first.hidden) == record["settings"]["hidden"] and first.members == "auto"


def test_as_many_networks_as_there_is_time_for():
    trials = (SimpleNamespace(state="complete", seconds=2.0), SimpleNamespace(state="pruned", seconds=9.0))
    result = SimpleNamespace(best=0, trials=trials)
    settings = FitSettings(data="t.csv", target="y", effort="best")
    found = [best_effort._members(settings, result, left, 5000) for left in (1.0, 7.0, 20.0, 30.0)]
    assert found == [1, 3, 8, "auto"]  # the time of nine networks, and of what joins them
    assert best_effort._members(settings, result, 1e3, 60_000) == 8  # of which "auto" would train one
    assert best_effort._members(settings.replace(network="linear"), result, 1e3, 5000) == 8
    assert best_effort._members(settings.replace(members=3), result, 1e3, 5000) == 3


def test_what_is_given_is_not_searched(table, tmp_path):
    settings = FitSettings(
        data=str(table), target="y", effort="best", time_budget="60s", epochs=2, lr=0.0123, members=2
    )
    found, record = best_within(settings, tmp_path)
    assert "lr" not in record["settings"] and found.lr == 0.0123 and found.members == 2


def test_without_a_budget_nothing_is_searched(table, tmp_path):
    settings = FitSettings(data=str(table), target="y", effort="best")
    assert best_within(settings, tmp_path) == (settings, None)


def test_budgets_that_make_no_sense_are_refused(table, tmp_path):
    with pytest.raises(InputError, match=r"a time budget is for effort best .* add --effort best"):
        best_within(FitSettings(data=str(table), target="y", time_budget="60s"), tmp_path)
    with pytest.raises(InputError, match="an interval must be a number"):
        best_within(FitSettings(data=str(table), target="y", effort="best", time_budget="soon"), tmp_path)
    with pytest.raises(InputError, match=r"glia\.fit fits once"):
        glia.fit(table, "y", effort="best", time_budget="60s")
