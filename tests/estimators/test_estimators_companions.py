"""For classes a third of the networks takes one value of each number: trained with the others, kept in files, asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits

import glia
from glia.core.errors import ModelFileError
from glia.core.modelfile import read_archive, write_archive
from glia.estimators import population_fit
from glia.estimators.inference import network_outputs
from glia.nn.numeric_embeddings import PiecewiseLinear


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"a": rng.normal(size=900), "b": rng.normal(size=900), "c": rng.choice(list("xyzuvwstq"), 900)})
    y = (X["a"] * X["b"] > 0).to_numpy() ^ (X["c"] == "x").to_numpy()
    return X, y.astype(int)


@pytest.fixture(scope="module")
def fitted(rows):
    return glia.Classifier(epochs=3, random_state=0, radial=False).fit(*rows)


def cut(network) -> bool:
    return network.input is not None and isinstance(network.input.numeric, PiecewiseLinear)


def test_a_third_takes_the_place_of_a_number_among_its_bins(fitted):
    assert [cut(network) for network in fitted.network_.networks] == [True] * 4 + [False] * 2
    assert [spec.numeric_embedding for spec in fitted.specs_] == ["piecewise_linear"] * 4 + ["bin_place"] * 2
    assert fitted.choices_["companions"]["value"] == 2 and fitted.choices_["members"]["value"] == 6
    assert "mixing" in fitted.choices_


def test_not_where_the_network_is_said_or_quantities_are_predicted(rows):
    X, y = rows
    said = {"network": {"numeric_embedding": "piecewise_linear"}}
    assert all(cut(network) for network in glia.Classifier(**said, epochs=1, radial=False).fit(X, y).network_.networks)
    assert all(
        cut(network) for network in glia.Regressor(epochs=1, radial=False).fit(X, X["a"].to_numpy()).network_.networks
    )
    few = glia.Classifier(epochs=1, random_state=0, radial=False).fit(X[:300], y[:300])  # too few rows for bins
    assert not any(map(cut, few.network_.networks)) and "companions" not in few.choices_


def test_mixing_is_said_only_of_members_that_are_computed_together(rows):
    model = glia.Classifier(optimizer="muon", epochs=1, random_state=0, radial=False).fit(
        *rows
    )  # a rule that needs whole matrices
    assert [cut(network) for network in model.network_.networks] == [True] * 4 + [False] * 2
    assert "companions" in model.choices_ and "mixing" not in model.choices_


def test_files_hold_every_networks_settings(fitted, rows, tmp_path: Path):
    X, _ = rows
    glia.save(fitted, tmp_path / "m.glia")
    back = glia.load(tmp_path / "m.glia")
    assert np.array_equal(back.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(back.predict_members(X), fitted.predict_members(X))
    glia.save(back, tmp_path / "again.glia")
    assert (tmp_path / "again.glia").read_bytes() == (tmp_path / "m.glia").read_bytes()


def test_looked_up_and_plain_members_answer_as_their_networks(fitted, rows):
    X, _ = rows
    x = torch.from_numpy(fitted._transform(X))
    with torch.no_grad():
        expected = fitted.network_.eval()(x).numpy()
    np.testing.assert_allclose(network_outputs(fitted.network_, x), expected, atol=1e-5)


def test_rows_without_categories_too():
    X, y = load_digits(return_X_y=True)
    model = glia.Classifier(epochs=4, random_state=0, radial=False).fit(X[:700], y[:700])
    assert [cut(network) for network in model.network_.networks] == [True] * 4 + [False] * 2
    whole = model.predict_proba(X)
    for size in (1, 15, 16, 100):  # in whatever company
        assert np.array_equal(model.predict_proba(X[:size]), whole[:size])
    assert model.score(X[700:], y[700:]) > 0.8


def test_members_that_fail_take_their_settings_along(rows, monkeypatch):
    real = population_fit.build_members

    def spoilt(*args, **options):
        made = real(*args, **options)
        for k in (1, 5):
            next(made.networks[k].parameters()).data.fill_(torch.inf)
        return made

    monkeypatch.setattr("glia.estimators.base.build_members", spoilt)
    with pytest.warns(UserWarning, match="2 of 6 members failed"):
        model = glia.Classifier(epochs=2, random_state=0).fit(*rows)
    assert [cut(network) for network in model.network_.networks] == [True] * 3 + [False]
    assert [spec.numeric_embedding for spec in model.specs_] == ["piecewise_linear"] * 3 + ["bin_place"]


def test_a_file_whose_list_of_networks_is_altered_is_refused(fitted, tmp_path: Path):
    glia.save(fitted, tmp_path / "m.glia")
    archive = read_archive(tmp_path / "m.glia")
    archive.parts["fitted.json"]["networks"].pop()
    write_archive(tmp_path / "bad.glia", archive.manifest, archive.tensors, parts=archive.parts)
    with pytest.raises(ModelFileError, match="parts of a model file must fit together"):
        glia.load(tmp_path / "bad.glia")
