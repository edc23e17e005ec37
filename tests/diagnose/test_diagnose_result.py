"""``glia.diagnose`` on estimators and bare modules: what it returns, refuses, and leaves as it was."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from diagnose_planted import BROKEN, relu_net, rings, trained
from torch import nn

import glia
import glia.diagnose  # the part, which is called as a function below
from glia.core.errors import InputError
from glia.core.toml import value_text
from glia.diagnose.case import make_case
from glia.diagnose.remedies import remedy_for
from glia.diagnose.rules import FOLLOWS, RULES
from glia.diagnose.verdict import TITLES, Remedy, Sign
from glia.estimators.settings import FitSettings


@pytest.fixture(scope="module")
def ill():
    patient = BROKEN["dead units"]()
    return patient, patient.diagnose()


def test_a_diagnosis_tells_tabulates_draws_and_is_plain_data(ill):
    _, result = ill
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["first"] == "dead units" and data["summary"] == result.summary()
    assert data["verdicts"][0]["flags"] == "--activation leaky_relu"
    titles = [table.title for table in result.tables()]
    assert titles[:2] == ["Findings", "Signs"] and "Layers with weights" in titles
    for name in ("layers", "activations", "landscape", "rates"):
        assert result.plot(name).get_title(loc="left")
    assert "<table>" in result._repr_html_()


def test_the_module_is_left_as_it_was_and_a_second_look_is_the_same(ill):
    patient, first = ill
    network = patient.model.network_
    network[0].train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    modes, drawn = [m.training for m in network.modules()], torch.get_rng_state()
    second = patient.diagnose()
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert [m.training for m in network.modules()] == modes and torch.equal(torch.get_rng_state(), drawn)
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())
    one, other = first.to_dict(), second.to_dict()
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_an_estimator_brings_its_own_rate_history_and_columns():
    x, y = rings(400, 3)
    frame = pd.DataFrame(x, columns=list("abcde"))
    frame["c"] = y + 0.01 * frame["c"]
    words = np.array(["in", "out"])[y]
    model = glia.Classifier(network=glia.nn.MLP(hidden=(16,)), epochs=15, lr=0.005, random_state=0).fit(
        frame[:300], words[:300]
    )
    result = glia.diagnose(model, frame[:300], words[:300], held_out=(frame[300:], words[300:]))
    assert result.first == "data leak" and "'c'" in result.summary()
    assert result.verdicts[0].remedy.settings == {"drop": ["c"]}
    assert result.measures.trial.lr == pytest.approx(0.005) and result.measures.curve.epochs == model.n_iter_
    assert result.network == "MLPNetwork" and result.held_rows == 100


def test_several_members_answer_together_and_the_first_one_is_opened():
    x, y = rings(300, 3)
    network = glia.nn.MLP(hidden=(16,))
    model = glia.Classifier(network=network, members=2, epochs=5, random_state=0).fit(x, y)
    result = glia.diagnose(model, x, y)
    assert result.members == 2 and len(result.measures.gradients) == 2
    assert any("none were handed in" in one for one in result.measures.left_out)


def test_a_quantity_is_diagnosed_too():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    model = glia.Regressor(network=glia.nn.MLP(hidden=(16,)), epochs=30, random_state=0).fit(x, 1e4 * x[:, 0] + 5e5)
    result = glia.diagnose(model, x, 1e4 * x[:, 0] + 5e5)
    assert result.measures.train.relative < 0.1 and result.measures.calibration is None
    assert result.first == "data leak"  # it is: one column gives the target away


def test_without_a_rate_nothing_is_said_of_rates():
    x, y = rings(200, 3)
    result = glia.diagnose(glia.wrap(relu_net()(), task="binary"), x, y)
    assert result.measures.trial is None and result.measures.updates is None
    assert any("learning rate: it is not known" in one for one in result.measures.left_out)
    assert result.first == "underfitting"  # it was never trained


def test_weights_that_are_not_finite_are_named():
    x, y = rings(200, 3)
    network = relu_net()()
    with torch.no_grad():
        network[0].weight[0, 0] = torch.nan
    result = glia.diagnose(glia.wrap(network, task="binary"), x, y, held_out=(x, y), lr=0.003)
    assert result.first == "exploding gradients" and "no longer finite" in result.summary()
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, y: glia.diagnose(nn.Linear(5, 1), x, y), "use glia.wrap"),
        (lambda x, y: glia.diagnose(glia.wrap(nn.Linear(5, 1), "binary"), x[:5], y[:5]), "at least 8 rows"),
        (lambda x, y: glia.diagnose(glia.wrap(nn.Linear(5, 1), "binary"), x, y[:9]), "a target for every row"),
        (
            lambda x, y: glia.diagnose(glia.wrap(nn.Linear(5, 1), "binary", classes=["a", "b"]), x, y),
            "among the classes",
        ),
        (lambda x, y: BROKEN["dead units"]().diagnose(prove_remedies=True, seeds=2), "at least 3 seeds"),
    ],
)
def test_what_cannot_be_used_is_refused(call, said):
    x, y = rings(60)
    with pytest.raises(InputError, match=said):
        call(x, y)


def test_labels_of_a_wrapped_module_may_be_words():
    x, y = rings(60)
    model = glia.wrap(nn.Linear(5, 1), "binary", classes=["in", "out"])
    case = make_case(model, x, np.array(["in", "out"])[y])
    assert np.array_equal(case.train.labels, y.astype(np.float32))


def test_rules_stand_in_the_order_of_causes_and_effects_come_later(ill):
    kinds = list(TITLES)
    assert len(RULES) == len(kinds)
    for kind, causes in FOLLOWS.items():
        assert all(kinds.index(cause) < kinds.index(kind) for cause in causes), kind


def test_every_remedy_is_made_of_settings_and_code_that_exist(ill):
    patient, result = ill
    case = make_case(patient.model, *patient.train, **patient.extra)
    for kind in TITLES:
        remedy = remedy_for(kind, case, result.measures)
        FitSettings(data="t.csv", target="y", **{k: v for k, v in remedy.settings.items() if k != "drop"})
        assert set(remedy.settings) <= set(FitSettings.model_fields)
        for value in remedy.settings.values():
            assert value_text(value)
        for name, code in remedy.parameters.items():
            if name not in ("X", "sample_weight"):
                assert name in glia.Classifier().get_params(deep=False)
                eval(code, {"glia": glia})


def test_flags_are_written_as_a_shell_reads_them():
    remedy = Remedy("", {"drop": ["a b", "c"], "hidden": [64, 32], "lr": 0.00123456, "early_stopping": True})
    assert remedy.flags() == "--drop 'a b' --drop c --hidden 64,32 --lr 0.00123 --early-stopping"


def test_a_sign_is_met_from_its_threshold_on_and_never_by_what_is_no_number():
    assert Sign("", 1.0, 1.0).met and not Sign("", 0.99, 1.0).met
    assert Sign("", 1.0, 1.0, above=False).met and not Sign("", 1.01, 1.0, above=False).met
    assert not Sign("", float("nan"), 1.0).met and "threshold 1" in str(Sign("loss", 2.0, 1.0))


def test_a_network_that_began_otherwise_is_made_anew_by_build():
    train, held = rings(300, 1), rings(200, 2)
    built = []

    def build():
        built.append(relu_net(8, 1)())
        return built[-1]

    patient = trained(build, train, held, epochs=2)
    count = len(built)
    patient.diagnose(build=build)
    assert len(built) > count + 10
