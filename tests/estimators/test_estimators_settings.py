"""The settings of a fit: defaults, ranges, and what must fit together."""

import tomllib

import pytest

from glia.core.errors import InputError
from glia.core.settings import Settings
from glia.data.schema import ROLES
from glia.estimators.settings import FitSettings


def fit(**changes):
    return FitSettings(**{"data": "people.csv", "target": "income", **changes})


def test_defaults():
    settings = fit()
    assert (settings.out, settings.seed, settings.test_fraction, settings.validation_fraction) == ("run", 0, 0.2, 0.15)
    assert (settings.coverage, settings.bootstrap, settings.baselines, settings.early_stopping) == (
        0.9,
        500,
        True,
        True,
    )
    auto = {name for name, field in FitSettings.model_fields.items() if field.default == "auto"}
    assert {"network", "optimizer", "lr", "batch_size", "epochs", "precision", "device", "task", "loss"} <= auto


def test_every_field_is_explained_and_grouped():
    for name, field in FitSettings.model_fields.items():
        assert field.description, name
        assert field.json_schema_extra["group"], name


def test_the_roles_are_those_of_the_data():
    assert issubclass(FitSettings, Settings)
    for role in ROLES:
        assert fit(roles={"age": role}).roles == {"age": role}
    with pytest.raises(InputError, match=r"roles=\{'age': 'numerc'\}"):
        fit(roles={"zip": "categorical", "age": "numerc"})


def test_a_run_can_be_repeated_from_its_file(tmp_path):
    settings = fit(target=["a", "b"], roles={"zip code": "categorical"}, hidden=[64, 32], lr=0.01, early_stopping=7)
    (tmp_path / "settings.toml").write_text(settings.to_toml(), encoding="utf-8")
    assert FitSettings.from_toml(tmp_path / "settings.toml") == settings
    assert FitSettings.from_toml(tmp_path / "settings.toml", seed=3) == settings.replace(seed=3)


def test_the_template_is_toml_with_the_defaults():
    found = tomllib.loads(FitSettings.template())
    assert fit(**found) == fit()
    assert "data" not in found and "group" not in found


@pytest.mark.parametrize(
    "changes",
    [
        {"test_fraction": 0},
        {"test_fraction": 1},
        {"validation_fraction": -0.1},
        {"coverage": 1.0},
        {"dropout": 1.0},
        {"hidden": [0]},
        {"hidden": "64"},
        {"l1": -1},
        {"lr": 0},
        {"lr": "fast"},
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"epochs": -1},
        {"early_stopping": -1},
        {"seed": -1},
        {"seed": 2**32},
        {"bootstrap": -1},
        {"effort": "huge"},
        {"split": "sorted"},
        {"class_weight": "even"},
        {"task": "classification"},
        {"max_rows": 0},
    ],
)
def test_what_is_out_of_range_is_refused(changes):
    with pytest.raises(InputError) as caught:
        fit(**changes)
    name, value = next(iter(changes.items()))
    assert f"got {name}={value!r} · give " in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"test_fraction": 0.6, "validation_fraction": 0.5},
            "some rows must remain for training · got test_fraction=0.6 and validation_fraction=0.5 · "
            "make them smaller: together below 1",
        ),
        ({"split": "group"}, "a split by group must name its column · got no group · set group to a column"),
        ({"split": "time"}, "a split by time must name its column · got no time · set time to a column"),
        (
            {"target": ["a", "a"]},
            "the targets must be one or more different columns · got target=['a', 'a'] · name each once",
        ),
        ({"target": []}, "the targets must be one or more different columns · got target=[] · name each once"),
        (
            {"members": 4, "workers": 2},
            "several workers train one network · got members=4 and workers=2 · set one of them to 1",
        ),
        (
            {"drop": ["age", "income"]},
            "the target must not be left out · got drop=['income'] · take it off the dropped columns",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(InputError) as caught:
        fit(**changes)
    assert str(caught.value) == message


def test_one_target_or_several():
    assert fit().targets == ["income"]
    assert fit(target=["a", "b"]).targets == ["a", "b"]
