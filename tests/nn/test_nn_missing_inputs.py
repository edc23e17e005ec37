"""Missing values as a network takes them: worked example, gradient, and what a filled-in mean cannot learn."""

import json

import numpy as np
import pytest
import torch

import glia
from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.nn import MLP
from glia.nn.missing_inputs import AsTheyAre, MissingInputs
from glia.nn.networks import spec_from_dict

LAYOUT = Layout(
    (4,),
    (Feature("a", "a"), Feature("b", "b"), Feature("a is missing", "a", "indicator"), Feature("c=x", "c", "onehot")),
)
NAN = float("nan")


def test_by_hand():
    stage = MissingInputs(LAYOUT)
    with torch.no_grad():
        stage.value.copy_(torch.tensor([7.0, 9.0]))
    rows = torch.tensor([[1.0, 2.0, 0.0, 1.0], [0.0, NAN, 1.0, 0.0], [NAN, 3.0, 0.0, NAN]])
    found = stage(rows)
    assert found[:2].tolist() == [[1, 2, 0, 1, 0], [7, 9, 1, 0, 1]]
    assert found[2, :3].tolist() == [7, 3, 0]  # a missing number counts also where no indicator says so
    assert [feature.name for feature in stage.layout.features][-1] == "b is missing"
    assert stage.out_features == stage.layout.in_features == 5


def test_gradients_are_those_of_finite_differences_and_never_nan():
    stage = MissingInputs(LAYOUT).double()
    weight = torch.arange(1.0, 6.0, dtype=torch.float64)
    rows = torch.tensor([[1.0, NAN, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0], [0.0, NAN, 1.0, 0.0]], dtype=torch.float64)
    rows.requires_grad_(True)

    def loss(x):
        return (torch.tanh(stage(x)) * weight).sum()

    loss(rows).backward()
    assert torch.isfinite(rows.grad).all() and rows.grad[0, 1] == 0 and rows.grad[1, 0] == 0
    for i in range(2):
        shifted = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                stage.value[i] += step
                shifted.append(loss(rows).item())
                stage.value[i] -= step
        assert stage.value.grad[i].item() == pytest.approx((shifted[0] - shifted[1]) / 2e-6, rel=1e-6)
    assert stage.value.grad.abs().min() > 0
    full = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    full.data[:, 2:] = 0.0
    assert torch.autograd.gradcheck(stage, (full,))


def test_settings_survive_json_and_the_stage_is_part_of_the_dense_stack():
    spec = AsTheyAre(MLP(hidden=(8,)))
    again = spec_from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again.network.hidden == (8,)
    network = again.build(LAYOUT, 2)
    rows = torch.tensor([[1.0, NAN, 0.0, 1.0]])
    assert torch.isfinite(network(rows)).all()
    assert network.dense_stack().input is network.input
    with pytest.raises(InputError, match="with features"):
        MissingInputs(Layout((3,)))


def rows_where_gaps_tell(rows=600):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    y = rng.integers(0, 2, rows)
    x[(y == 1) & (rng.random(rows) < 0.8), 0] = np.nan
    return x, y


def test_a_classifier_learns_from_gaps_and_is_saved(tmp_path):
    x, y = rows_where_gaps_tell()
    network = AsTheyAre(MLP(hidden=(16,)))
    preparation = glia.Preparation(impute="native")
    model = glia.Classifier(network=network, preparation=preparation, epochs=15, lr=0.01).fit(x[:400], y[:400])
    assert model.score(x[400:], y[400:]) > 0.85
    assert abs(model.network_.input.value).max() > 0
    glia.save(model, tmp_path / "m.glia")
    np.testing.assert_array_equal(glia.load(tmp_path / "m.glia").predict_proba(x[400:]), model.predict_proba(x[400:]))


@pytest.mark.parametrize("impute", ["knn", {"name": "iterative", "rounds": 3}, {"name": "stochastic", "seed": 4}])
def test_estimators_keep_their_imputers_in_model_files(tmp_path, impute):
    x, y = rows_where_gaps_tell(200)
    model = glia.Classifier(preparation=glia.Preparation(impute=impute), epochs=2).fit(x, y)
    glia.save(model, tmp_path / "m.glia")
    np.testing.assert_array_equal(glia.load(tmp_path / "m.glia").predict_proba(x), model.predict_proba(x))
