"""What is given of a network changes Glia's own choice of it, and leaves the rest of that choice."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

import glia
from glia.cli.main import run
from glia.core.errors import InputError


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"c{i}": rng.normal(size=600) for i in range(3)})
    return frame, np.where(frame["c0"].to_numpy() * frame["c1"].to_numpy() > 0, "yes", "no")


def test_the_rest_is_glias_choice(rows):
    X, y = rows
    own = glia.Classifier(epochs=1, random_state=0).fit(X, y)
    part = glia.Classifier(network={"hidden": (16, 8)}, epochs=1, random_state=0).fit(X, y)
    assert part.spec_.get_params() == {**own.spec_.get_params(), "hidden": (16, 8)}
    assert own.spec_.numeric_embedding == part.spec_.numeric_embedding == "piecewise_linear"
    assert len(part.network_.networks) == len(own.network_.networks) == 7
    assert part.choices_["network"]["why"].endswith("but with the hidden that was given")
    assert clone(part).get_params()["network"] == {"hidden": (16, 8)}


def test_another_embedding_of_numbers_takes_no_bins(rows):
    X, y = rows
    part = glia.Classifier(network={"numeric_embedding": "none"}, members=1, epochs=1, random_state=0).fit(X, y)
    assert part.spec_.numeric_embedding == "none" and not any(f.bins for f in part.layout_.features)


def test_model_files_keep_it(rows, tmp_path):
    X, y = rows
    model = glia.Classifier(network={"hidden": (8,), "dropout": 0.2}, epochs=1, random_state=0).fit(X, y)
    glia.save(model, tmp_path / "m.glia")
    back = glia.load(tmp_path / "m.glia")
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    assert back.network == {"hidden": (8,), "dropout": 0.2}


def test_a_flag_changes_one_thing(rows, tmp_path):
    X, y = rows
    X.with_columns(y=pl.Series(y)).write_csv(tmp_path / "t.csv")
    words = ["fit", str(tmp_path / "t.csv"), "--target", "y", "--hidden", "12", "--epochs", "1", "--no-baselines"]
    assert run([*words, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    choices = json.loads((tmp_path / "run/run.json").read_text())["choices"]
    assert choices["members"]["value"] == 6
    assert "silu" in choices["network"]["value"] and "hidden=(12,)" in choices["network"]["value"]


def test_a_name_that_is_no_setting_is_refused(rows):
    with pytest.raises(InputError, match="did you mean 'hidden'"):
        glia.Classifier(network={"hiden": (8,)}, epochs=1).fit(*rows)
