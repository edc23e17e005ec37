"""Any module as a predictor."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.subject import subject

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def line(*weights):
    layer = nn.Linear(len(weights), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(0.5)
    return layer


def test_a_regression_gives_the_modules_own_values():
    model = glia.wrap(line(1.0, -2.0, 0.0))
    assert isinstance(model, Predictor)
    np.testing.assert_allclose(model.predict(X), X @ [1, -2, 0] + 0.5, rtol=1e-5)
    assert model.feature_names == ["x0", "x1", "x2"]


def test_labels_and_probabilities_of_two_classes():
    model = glia.wrap(line(1.0, -2.0, 0.0), task="binary", classes=["no", "yes"])
    score = X @ [1, -2, 0] + 0.5
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-score)), rtol=1e-5)
    assert model.predict(X).tolist() == np.where(score > 0, "yes", "no").tolist()


def test_many_classes_are_numbered_where_they_have_no_names():
    torch.manual_seed(0)
    layer = nn.Linear(3, 4)
    model = glia.wrap(layer, task="multiclass")
    scores = layer(torch.from_numpy(X)).detach().numpy()
    assert model.predict(X).tolist() == scores.argmax(1).tolist()
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)


def test_the_module_keeps_its_modes_and_predicts_without_dropout():
    network = nn.Sequential(nn.Dropout(0.5), line(1.0, 1.0, 1.0)).train()
    network[1].eval()
    model = glia.wrap(network)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert network.training and network[0].training and not network[1].training


def test_names_of_a_frame_and_rows_of_other_shapes():
    model = glia.wrap(line(1.0, 2.0, 3.0))
    model.predict(pl.DataFrame(X, schema=["a", "b", "c"]))
    assert model.feature_names == ["a", "b", "c"] and model.layout_.groups() == {"a": (0,), "b": (1,), "c": (2,)}
    images = glia.wrap(nn.Sequential(nn.Flatten(), line(*[1.0] * 8)))
    assert images.predict(np.ones((2, 2, 2, 2))).tolist() == [8.5, 8.5] and images.layout_.shape == (2, 2, 2)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: glia.wrap(3), "wrap takes an nn.Module · got int"),
        (lambda: glia.wrap(line(1.0), task="binar"), "did you mean 'binary'"),
        (lambda: glia.wrap(line(1.0)).predict([["a"]]), "rows of a bare module must be numbers"),
        (lambda: glia.wrap(line(1.0)).predict([[np.nan]]), "rows must be finite numbers"),
        (lambda: glia.wrap(nn.Linear(1, 2), task="binary").predict([[1.0]]), "a binary network gives one score"),
        (lambda: glia.wrap(line(1.0, 1.0), feature_names=["a"]).predict([[1.0, 2.0]]), "a name for every column"),
    ],
)
def test_what_cannot_be_wrapped(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_the_score_of_an_estimator_is_in_the_targets_units_and_folds_back_to_columns():
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"n": rng.normal(size=200), "c": rng.choice(["a", "b", "c"], 200)})
    y = 100 + 5 * frame["n"].to_numpy()
    model = glia.Regressor(epochs=5, preparation=glia.Preparation(encode="onehot")).fit(frame, y)
    seen = subject(model, frame)
    assert seen.feature_names == ("n", "c") and seen.unit == "target" and seen.output_names == ("output",)
    with torch.no_grad():
        np.testing.assert_allclose(seen.score(seen.x)[:, 0].numpy(), model.predict(frame), rtol=1e-4)
    prepared = rng.normal(size=(4, seen.x.shape[1]))
    np.testing.assert_allclose(seen.fold(prepared).sum(1), prepared.sum(1))
    assert seen.fold(prepared).shape == (4, 2) and seen.data[0].tolist() == list(frame.row(0))


def test_outputs_are_chosen_by_name_or_position():
    model = glia.wrap(nn.Linear(3, 3), task="multiclass", classes=["a", "b", "c"])
    assert subject(model, X, output="b").output_names == ("b",)
    assert subject(model, X, output=[0, -1]).output_names == ("a", "c")
    with pytest.raises(InputError, match="choose from a, b, c"):
        subject(model, X, output="d")
