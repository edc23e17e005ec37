"""Estimators of sequences: they learn, keep, come back to the bit, and padding has no say in anything."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

import glia
from glia import Checkpoints, SequenceClassifier, SequenceLabeler, SequencePreparation, SequenceRegressor
from glia.core.errors import InputError
from glia.engine.checkpointing import Checkpointing
from glia.estimators.step_labels import StepCrossEntropy
from glia.nn import GRU, LSTM, RNN, TCN

QUICK = {"network": GRU(hidden=8), "epochs": 4}


def ragged(count=120, seed=0, channels=2):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(int(n), channels)) for n in rng.integers(3, 12, count)]


X = ragged()
IS_UP = np.array(["up" if x[:, 0].sum() > 0 else "down" for x in X])
SUMS = np.array([x.sum() for x in X])
STEPS = [np.where(np.cumsum(x[:, 0]) > 0, "above", "below") for x in X]


def answers(model, rows):
    found = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    return np.concatenate(found) if isinstance(found, list) else found


CASES = {
    "classes": (SequenceClassifier(**QUICK), IS_UP),
    "several classes": (SequenceClassifier(**QUICK), np.arange(120) % 3),
    "several labels": (SequenceClassifier(**QUICK), np.stack([IS_UP == "up", SUMS > 1], 1).astype(int)),
    "values": (SequenceRegressor(**QUICK), SUMS),
    "two values": (SequenceRegressor(**QUICK), np.stack([SUMS, -SUMS], 1)),
    "members": (SequenceClassifier(**QUICK, members=2, bootstrap=True), IS_UP),
    "steps": (SequenceLabeler(**QUICK), STEPS),
    "steps of three classes": (SequenceLabeler(**QUICK), [np.arange(len(x)) % 3 for x in X]),
    "auto": (SequenceClassifier(epochs=1), IS_UP),
    "own scale": (SequenceRegressor(**QUICK, preparation=SequencePreparation(5, "per_series")), SUMS),
}


@pytest.fixture(scope="module")
def fitted():
    return {name: clone(model).fit(X, y) for name, (model, y) in CASES.items()}


@pytest.mark.parametrize("name", list(CASES))
def test_models_come_back_to_the_bit_and_fits_repeat(name, fitted, tmp_path):
    model, (fresh, y) = fitted[name], CASES[name]
    glia.save(model, tmp_path / "model.glia")
    again = glia.load(tmp_path / "model.glia")
    assert np.array_equal(answers(again, X), answers(model, X))
    assert again.get_params().keys() == model.get_params().keys() and type(again) is type(model)
    assert np.array_equal(answers(clone(fresh).fit(X, y), X), answers(model, X))
    assert again.predict_frame(X[:3]).equals(model.predict_frame(X[:3]))
    assert again.evaluate(X, y, n_boot=20).to_dict() == model.evaluate(X, y, n_boot=20).to_dict()


@pytest.mark.parametrize("name", ["classes", "values", "steps", "auto"])
def test_an_answer_does_not_depend_on_who_comes_along(name, fitted):
    model = fitted[name]
    alone = answers(model, [X[7]])
    np.testing.assert_array_equal(alone, answers(model, [X[7], X[3]])[: len(alone)])
    np.testing.assert_array_equal(alone, answers(model, list(X[7:40]))[: len(alone)])


def test_arrays_and_lists_are_the_same_to_it():
    rng = np.random.default_rng(1)
    cube = rng.normal(size=(60, 7))
    y = cube[:, 2]
    one, other = (SequenceRegressor(**QUICK).fit(form, y) for form in (cube, list(cube)))
    assert np.array_equal(one.predict(cube), other.predict(list(cube[..., None])))
    assert one.n_features_in_ == 1 and one.feature_names == ["x0"]


def test_it_learns_and_says_what_it_chose():
    many, other = ragged(400, 1), ragged(200, 2)
    y, held = (np.array([x[:, 0].sum() > 0 for x in part]) for part in (many, other))
    model = SequenceClassifier(epochs=12, random_state=1).fit(many, y)
    assert model.score(other, held) > 0.85
    assert model.choices_["network"]["value"].startswith("TCN") and model.choices_["members"]["value"] == 1
    assert "GRU" in SequenceClassifier(epochs=1).fit([x[:3] for x in many], y).choices_["network"]["value"]


@pytest.mark.parametrize("cell", [RNN, LSTM])
def test_an_lstm_remembers_over_a_gap_where_elmans_network_forgets(cell):
    rng = np.random.default_rng(0)
    x = 0.3 * rng.normal(size=(700, 60, 1))
    y = rng.integers(0, 2, 700)
    x[:, 0, 0] = 2.0 * y - 1.0
    options = {"forget_bias": 4.0} if cell is LSTM else {}
    model = SequenceClassifier(
        cell(hidden=16, **options), epochs=16, lr=1e-2, batch_size=32, early_stopping=False, validation_fraction=0.0
    )
    accuracy = model.fit(x[:500], y[:500]).score(x[500:], y[500:])
    assert (accuracy > 0.95) == (cell is LSTM)


def test_any_module_of_the_users():
    class Mean(nn.Module):
        def __init__(self, layout, out_features):
            super().__init__()
            self.head = nn.Linear(layout.shape[1] - 1, out_features)

        def forward(self, x):
            mask = x[..., -1:]
            return self.head((x[..., :-1] * mask).sum(1) / mask.sum(1).clamp_min(1))

    model = SequenceClassifier(Mean, epochs=20, lr=0.05).fit(X, IS_UP)
    assert model.score(X, IS_UP) > 0.9
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(1))
    assert SequenceRegressor(network, epochs=2).fit(X, SUMS).predict(X).shape == (120,)


def test_lengths_of_one_and_of_a_hundred_thousand():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=n) for n in (1, 1, 2, 100_000, 3, 50)]
    model = SequenceRegressor(GRU(hidden=2), epochs=1, batch_size=6).fit(parts, np.arange(6.0))
    assert model.layout_.shape == (2048, 2)
    assert np.isfinite(model.predict([parts[3], parts[0]])).all()
    labels = [np.arange(len(p)) % 2 for p in parts]
    model = SequenceLabeler(GRU(hidden=2), epochs=1).fit(parts, labels)
    assert model.layout_.shape == (2041, 2)  # 49 parts of equal length
    assert [len(one) for one in model.predict(parts)] == [len(p) for p in parts]
    short = SequencePreparation(max_length=2048)
    with pytest.raises(InputError, match=r"at most 2048 steps.*unless it is set.* · got 100000 · cut it into parts"):
        SequenceLabeler(GRU(hidden=2), preparation=short, epochs=1).fit(parts, labels)


def test_steps_without_a_label_have_no_gradient_and_no_say():
    output = torch.randn(3, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([[0, 2, 1, -1], [1, -1, -1, -1], [-1, -1, -1, -1]])
    loss = StepCrossEntropy(3)
    rows = loss(output, target)
    expected = torch.nn.functional.cross_entropy(output[0, :9].view(3, 3), target[0, :3])
    torch.testing.assert_close(rows[0], expected)
    assert float(rows[2].detach()) == 0
    rows.sum().backward()
    gone = output.grad.view(3, 4, 3)[target == -1]
    assert float(gone.abs().max()) == 0 and float(output.grad[0, :9].abs().min()) > 0
    binary = StepCrossEntropy(1)(torch.tensor([[2.0, -9.0]]), torch.tensor([[1, -1]]))
    assert float(binary) == pytest.approx(np.log1p(np.exp(-2.0)))


def test_missing_labels_count_nowhere():
    known = [own.astype(object) for own in STEPS]
    for own in known[::3]:
        own[1:] = None
    model = SequenceLabeler(**QUICK).fit(X, known)
    assert model.classes_.tolist() == ["above", "below"]
    assert model.evaluate(X, known, n_boot=10).n_rows == sum(sum(v is not None for v in own) for own in known)
    wrong = [own.copy() for own in known]
    truth = model.predict(X)
    for own, right in zip(wrong, truth, strict=True):
        there = np.array([v is not None for v in own])
        own[there] = right[there]
    assert model.evaluate(X, wrong, n_boot=10)["accuracy"].value == 1.0


def test_labels_learn_and_come_as_long_as_the_sequences(fitted):
    model = SequenceLabeler(epochs=10).fit(X, STEPS)
    assert model.evaluate(X, STEPS, n_boot=50)["accuracy"].value > 0.85
    assert [len(p) for p in model.predict(X)] == [len(x) for x in X]
    assert model.predict_frame(X[:2]).columns == [
        "sequence", "step", "prediction", "probability_above", "probability_below",
    ]  # fmt: skip
    assert "steps of 120 sequences, drawn whole" in model.evaluate(X, STEPS, n_boot=10).caution


def test_a_killed_fit_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    model = SequenceClassifier(LSTM(hidden=6, dropout=0.2, layers=2), epochs=6)
    whole = clone(model).fit(X, IS_UP)
    kept = clone(model).set_params(checkpoint=Checkpoints(tmp_path, every="1 epochs"))
    write = Checkpointing.on_epoch_end

    def die(self, trainer, entry):
        write(self, trainer, entry)
        if trainer.epoch == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpointing, "on_epoch_end", die)
        with pytest.raises(Killed):
            clone(kept).fit(X, IS_UP)
    resumed = clone(kept).fit(X, IS_UP)
    assert resumed.events_
    assert np.array_equal(resumed.predict_proba(X), whole.predict_proba(X))


@pytest.mark.parametrize(
    ("model", "rows", "y", "words"),
    [
        (SequenceClassifier(), X, IS_UP[:5], "one target per row"),
        (SequenceClassifier(preparation="none"), X, IS_UP, "'auto' or SequencePreparation"),
        (SequenceClassifier(preparation=glia.Preparation()), X, IS_UP, "need a SequencePreparation"),
        (SequenceClassifier(network="lstmm"), X, IS_UP, "did you mean 'lstm'"),
        (SequenceClassifier(effort="huge"), X, IS_UP, "effort must be"),
        (SequenceClassifier(), [[1.0], []], [0, 1], "sequence 1 of length 0"),
        (SequenceClassifier(), X, ["same"] * 120, "at least two classes"),
        (SequenceLabeler(), X, STEPS[:4], "120 sequences and 4 of labels"),
        (SequenceLabeler(), X, [np.zeros(2)] * 120, "every step must have a label"),
        (SequenceLabeler(), X, [np.zeros(len(x)) for x in X], "at least two classes"),
    ],
)
def test_what_cannot_be_fitted_is_told(model, rows, y, words):
    with pytest.raises(InputError, match=words):
        clone(model).fit(rows, y)


def test_what_cannot_be_predicted_is_told(fitted):
    with pytest.raises(InputError, match="3 channels instead of 2"):
        fitted["classes"].predict([np.ones((4, 3))])
    assert [len(one) for one in fitted["steps"].predict([np.ones((30, 2)), np.ones((3, 2))])] == [30, 3]
    with pytest.raises(InputError, match=r"one of the classes.* · got 'beside'"):
        fitted["steps"].evaluate(X, [np.full(len(x), "beside") for x in X])


def test_validation_of_ones_own_may_be_longer_and_shorter():
    held = ragged(30, 5)
    longer = [np.concatenate([x, x, x]) for x in held]
    model = SequenceRegressor(TCN(channels=8), epochs=3).fit(X, SUMS, validation=(longer, [x.sum() for x in held]))
    assert "valid/loss" in model.history_[0] and model.layout_.shape == (11, 3)
    labels = SequenceLabeler(**QUICK).fit(X, STEPS, validation=(X[:20], STEPS[:20]))
    assert labels.temperature_ > 0
