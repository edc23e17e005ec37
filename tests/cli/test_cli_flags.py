"""Flags come from the settings class: each field has one, and what is typed reaches the class as the right type."""

import inspect
import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from glia.cli import fit as fit_verb
from glia.cli.flags import flag_of, from_text
from glia.cli.main import run
from glia.cli.settings import CLASSES
from glia.core.errors import InputError
from glia.estimators.settings import FitSettings


@dataclass
class Run:
    record: dict
    folder: Path
    verdict: str
    files: dict


@pytest.fixture
def seen(monkeypatch):
    calls = []

    def fit_run(settings, *, quiet, command, resume):
        calls.append((settings, quiet, command))
        return Run({"accuracy": 0.9, "bad": float("nan")}, Path("run"), "It wins.", {"model": Path("run/model.glia")})

    module = ModuleType("glia.report.run")
    module.fit_run = fit_run
    monkeypatch.setitem(sys.modules, "glia.report.run", module)
    return calls


def fitted(seen, *words):
    assert run(["fit", *words]) == 0
    return seen[-1][0]


def test_every_setting_has_a_flag_in_the_help(capsys):
    assert run(["fit", "--help"]) == 0
    out = capsys.readouterr().out
    for name, field in FitSettings.model_fields.items():
        assert name == "data" or f"  {flag_of(name, field)}" in out
    assert set(inspect.signature(fit_verb.command).parameters) == {
        *FitSettings.model_fields,
        "config",
        "quiet",
        "json",
        "resume",
    }


def test_flags_reach_the_settings_as_the_right_types(seen):
    settings = fitted(
        seen, "people.csv", "--target", "income", "--out", "r", "--seed", "3", "--lr", "1e-3", "--dropout", "auto",
        "--role", "zip=categorical", "--role", "a=b=numeric", "--drop", "x", "--drop", "y,z", "--hidden", "64, 32",
        "--early-stopping", "7", "--no-baselines", "--batch-size", "128", "--class-weight", "balanced",
    )  # fmt: skip
    assert settings == FitSettings(
        data="people.csv", target="income", out="r", seed=3, lr=0.001, roles={"zip": "categorical", "a=b": "numeric"},
        drop=["x", "y,z"], hidden=[64, 32], early_stopping=7, baselines=False, batch_size=128, class_weight="balanced",
    )  # fmt: skip
    assert type(settings.early_stopping) is int


@pytest.mark.parametrize(("words", "value"), [("true", True), ("false", False), ("1", 1), ("12", 12)])
def test_switches_that_also_take_numbers(seen, words, value):
    found = fitted(seen, "a.csv", "--target", "y", "--early-stopping", words).early_stopping
    assert found == value and type(found) is type(value)


def test_names_that_look_like_numbers_stay_names(seen):
    assert fitted(seen, "1", "--target", "2", "--group", "true", "--drop", "3").model_dump()["target"] == "2"
    assert seen[-1][0].group == "true" and seen[-1][0].drop == ["3"] and seen[-1][0].data == "1"


def test_several_targets(seen):
    assert fitted(seen, "a.csv", "--target", "b", "--target", "c").target == ["b", "c"]


def test_flags_count_before_the_file(seen, tmp_path):
    path = tmp_path / "settings.toml"
    first = FitSettings(data="a.csv", target="y", roles={"b": "text", "c": "id"}, class_weight="balanced", seed=5)
    path.write_text(first.to_toml(), encoding="utf-8")
    assert fitted(seen, "--config", str(path)) == first
    changed = fitted(seen, "--config", str(path), "--seed", "6", "--role", "b=numeric", "--class-weight", "none")
    assert changed == first.replace(seed=6, roles={"b": "numeric", "c": "id"}, class_weight=None)
    assert fitted(seen, "z.csv", "--config", str(path)).data == "z.csv"


def test_the_command_is_handed_on_so_that_it_can_be_pasted(seen):
    fitted(seen, "my data.csv", "--target", "it's")
    assert seen[-1][2] == """glia fit 'my data.csv' --target 'it'"'"'s'"""


def test_all_problems_of_a_command_line_at_once(seen, capsys):
    assert run(["fit", "a.csv", "--lr", "fast", "--seed", "-1", "--test-fraction", "2"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    for part in ("4 problems", "no target", "lr='fast'", "seed=-1", "test_fraction=2 (give a number above 0"):
        assert part in err
    assert seen == []


def test_a_role_without_an_equals_sign(seen, capsys):
    assert run(["fit", "a.csv", "--target", "y", "--role", "age"]) == 2
    assert capsys.readouterr().err == (
        "glia: error: --role must be given as name=value · got 'age' · for instance --role age=numeric\n"
    )


def test_a_broken_settings_file(seen, tmp_path, capsys):
    (tmp_path / "s.toml").write_text("lrr = 1\n")
    assert run(["fit", "a.csv", "--target", "y", "--config", str(tmp_path / "s.toml")]) == 2
    assert capsys.readouterr().err.endswith("got the setting 'lrr' · did you mean 'lr'?\n")
    assert run(["fit", "--config", str(tmp_path / "none.toml")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_the_answer_of_a_fit(seen, capsys):
    assert run(["fit", "a.csv", "--target", "y"]) == 0
    assert capsys.readouterr() == ("It wins.\n\nWritten\n  what   where\n  model  run/model.glia\n", "")
    assert not seen[-1][1]
    assert run(["fit", "a.csv", "--target", "y", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert seen[-1][1]
    assert run(["fit", "a.csv", "--target", "y", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"accuracy": 0.9, "bad": None} and out.count("\n") == 1 and err == ""


@pytest.mark.parametrize("verb", list(CLASSES))
def test_settings_prints_a_file_that_can_be_read_and_a_schema(verb, capsys):
    assert run(["settings", verb]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"# Read by: glia {verb} --config THIS_FILE")
    assert set(tomllib.loads(text)) <= set(CLASSES[verb].model_fields)
    for name in CLASSES[verb].model_fields:
        assert f"\n{name} = " in text or f"\n# {name} = " in text
    assert run(["settings", verb, "--schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)["properties"]) == set(CLASSES[verb].model_fields)


def test_the_default_of_settings_is_fit(capsys):
    assert run(["settings"]) == 0
    assert capsys.readouterr().out.endswith(FitSettings.template())


def test_text_becomes_values_only_where_the_field_admits_them():
    fields = FitSettings.model_fields
    assert from_text("lr", fields["lr"], "auto") == "auto"
    assert from_text("lr", fields["lr"], "1e-3") == 0.001
    assert from_text("network", fields["network"], "12") == "12"
    assert from_text("hidden", fields["hidden"], "none") is None
    assert from_text("hidden", fields["hidden"], "8") == [8]
    assert from_text("hidden", fields["hidden"], "8,x") == [8, "x"]
    with pytest.raises(InputError, match="name=value"):
        from_text("roles", fields["roles"], ["=numeric"])
