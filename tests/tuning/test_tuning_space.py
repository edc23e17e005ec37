"""Spaces: what users write, what Optuna sees, what goes into a file."""

import numpy as np
import pytest
from torch import nn

from glia import Classifier
from glia.core.errors import InputError
from glia.estimators.settings import FitSettings
from glia.tuning.default_space import default_space, first_choice
from glia.tuning.settings import descriptions, searchable
from glia.tuning.space import Choice, Real, Whole, read_space

optuna = pytest.importorskip("optuna", reason="tuning needs the extra glia-nn[tune]")

WRITTEN = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "dropout": {"low": 0.0, "high": 0.5},
    "batch_size": {"low": 32, "high": 256, "step": 32},
    "hidden": [[64], [128, 128]],
    "activation": {"choices": ["relu", "silu"]},
    "epochs": 20,
}


def test_what_users_write_becomes_dimensions():
    space = read_space(WRITTEN)
    assert space.dimensions == {
        "lr": Real(1e-4, 1e-1, log=True), "dropout": Real(0.0, 0.5), "batch_size": Whole(32, 256, step=32),
        "hidden": Choice(((64,), (128, 128))), "activation": Choice(("relu", "silu")), "epochs": Choice((20,)),
    }  # fmt: skip


def test_a_file_says_the_same(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text(read_space(WRITTEN).to_toml({"lr": "learning rate"}, "Heading."))
    assert read_space(file) == read_space(WRITTEN)
    assert file.read_text().startswith("# Heading.\n\n# Learning rate.\nlr = { low = 0.0001")


@pytest.mark.parametrize("seed", range(3))
def test_what_optuna_draws_is_decoded_and_encoded_again(seed):
    space = read_space(WRITTEN)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(20):
        raw = study.ask(space.distributions(optuna)).params
        found = space.decode(raw)
        assert space.encode(found) == raw
        assert 1e-4 <= found["lr"] <= 1e-1 and found["batch_size"] % 32 == 0 and found["hidden"] in ((64,), (128, 128))
    assert space.encode({**found, "lr": 1.0}) is None and space.encode({"lr": 0.01}) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lr": {"low": 1, "high": 0.1}}, "'lr': a range must go from a lower to a higher number"),
        ({"lr": {"low": 0.0, "high": 0.1, "log": True}}, "above 0 with log"),
        ({"lr": {"low": 0.1}}, "must have a low and a high end"),
        ({"lr": {"lo": 0.1, "high": 1}}, "did you mean 'low'"),
        ({"lr": {"low": 0.1, "high": 1.0, "step": 2}}, "a step is for whole numbers"),
        ({"a": []}, "something to choose from"),
        ({"a": [1, "1"]}, "choices must differ"),
        ({"a": {"choices": "relu"}}, "choices must be a list"),
        (7, "must map settings to ranges or choices"),
        ("missing.toml", "must be readable TOML"),
    ],
)
def test_mistakes_are_named(given, said):
    with pytest.raises(InputError) as error:
        read_space(given)
    assert said in str(error.value)


def test_every_end_and_choice_is_tried_before_the_search():
    def use(settings):
        FitSettings(data="d", target="y", **settings)

    default_space().check(searchable(), use)
    with pytest.raises(InputError, match="did you mean 'dropout'"):
        read_space({"dropuot": [0.1]}).check(searchable(), use)
    with pytest.raises(InputError, match="lr"):
        read_space({"lr": [0.1, -1]}).check(searchable(), use)
    with pytest.raises(InputError, match="something to search"):
        read_space({}).check(searchable(), use)


@pytest.mark.parametrize("rows", [100, 100_000])
def test_the_default_space_holds_the_first_trial_and_is_explained(rows):
    space = default_space(rows)
    assert space.encode(first_choice(rows)) is not None and set(space.names) <= set(descriptions())
    assert space.without(["lr"]).names == tuple(name for name in space.names if name != "lr")


@pytest.mark.parametrize("rows", [150, 700, 2500])
def test_the_first_trial_is_what_a_fit_of_one_network_chooses(rows):
    X = np.random.default_rng(0).normal(size=(rows, 3))
    model = Classifier(members=1, epochs=1, validation_fraction=0.1).fit(X, X[:, 0] + X[:, 1] ** 2 > 1)
    first = first_choice(int(rows * 0.9))
    assert first["lr"] == model.choices_["lr"]["value"]
    made = model.network_
    widths = tuple(layer.out_features for layer in made.modules() if isinstance(layer, nn.Linear))[:-1]
    assert first["hidden"] == widths
    assert first["dropout"] == max((layer.p for layer in made.modules() if isinstance(layer, nn.Dropout)), default=0.0)
    assert (first["numeric_embedding"] == "none") == (made.input is None)
