"""When bfloat16 is chosen."""

import copy

import pytest
import torch
from torch import nn

import glia
from glia.engine import precision
from glia.engine.callbacks import Callback
from glia.engine.fused import fused_gradient
from glia.engine.loop import Trainer
from glia.engine.precision import FLOPS_FOR_BFLOAT16, choose_precision
from glia.engine.rows import Rows
from glia.objectives import CrossEntropy

CPU = torch.device("cpu")


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.body, self.head = kind(3, 4), nn.Linear(4, 2)


def dense(activation):
    return nn.Sequential(nn.Linear(3, 4), activation(), nn.Linear(4, 2))


CASES = {
    "dense": (dense(nn.ReLU), "bfloat16"),
    "dense with another activation": (dense(nn.SiLU), "float32"),
    "one layer": (nn.Sequential(nn.Linear(3, 2)), "float32"),
    "convolutional": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)), "bfloat16"),
    "lstm": (Recurrent(nn.LSTM), "bfloat16"),
    "gru": (Recurrent(nn.GRU), "float32"),  # not compared
    "attention": (nn.TransformerEncoderLayer(8, 2), "float32"),
}


@pytest.fixture
def able(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("case", list(CASES))
def test_layers_that_were_compared(case):
    network, right = CASES[case]
    assert choose_precision(network, CPU, FLOPS_FOR_BFLOAT16, classifies=True) == right


@pytest.mark.usefixtures("able")
def test_small_steps_quantities_and_other_devices_stay_in_float32():
    network = dense(nn.ReLU)
    assert choose_precision(network, CPU, 0.99 * FLOPS_FOR_BFLOAT16, classifies=True) == "float32"
    assert choose_precision(network, CPU, FLOPS_FOR_BFLOAT16, classifies=False) == "float32"
    assert choose_precision(network, torch.device("cuda"), FLOPS_FOR_BFLOAT16, classifies=True) == "float32"


def test_processors_without_the_instructions_stay_in_float32(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    assert choose_precision(dense(nn.ReLU), CPU, 1e12, classifies=True) == "float32"


def chain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 32), nn.ReLU(), nn.Linear(32, 3)
    )


def images():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(300, 1, 12, 12, generator=generator), torch.randint(0, 3, (300,), generator=generator)
    x[:, 0, 0] += y[:, None] - 1.0
    return Rows(x, y)


def trained(network, form, callbacks=()):
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    options = {"epochs": 4, "batch_size": 32, "precision": form, "callbacks": list(callbacks)}
    return Trainer(network, CrossEntropy(), optimizer, **options).fit(images())


class Keep(Callback):
    def on_epoch_end(self, trainer, entry):
        if trainer.epoch == 2:
            self.kept, trainer.stop_reason = trainer.state(), "enough"


class Load(Callback):
    def __init__(self, state):
        self.kept = state

    def on_fit_start(self, trainer):
        trainer.restore(self.kept)


def test_a_fit_in_bfloat16_learns_as_in_float32_and_goes_on_to_the_same_bits():
    networks = {"float32": chain(), "bfloat16": chain()}
    losses = {form: trained(network, form)[-1]["train/loss"] for form, network in networks.items()}
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05) and losses["bfloat16"] < 1.0
    assert all(p.dtype is torch.float32 for p in networks["bfloat16"].parameters())
    keep, resumed = Keep(), chain()
    trained(chain(), "bfloat16", [keep])
    trained(resumed, "bfloat16", [Load(keep.kept)])
    assert all(map(torch.equal, resumed.parameters(), networks["bfloat16"].parameters()))


def test_dense_layers_behind_a_flattening_take_the_fused_way_to_the_same_gradients():
    network, rows = chain(), images()
    plain = copy.deepcopy(network)
    fused = fused_gradient(network, CrossEntropy())
    assert fused is not None and len(fused.stack.layers) == 2
    loss = fused(rows.x, rows.y)
    right = CrossEntropy()(plain(rows.x), rows.y).mean()
    right.backward()
    assert torch.allclose(loss, right.detach(), rtol=1e-5)
    for found, truth in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(found.grad, truth.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("able")
def test_a_classifier_says_what_it_chose(monkeypatch):
    monkeypatch.setattr(precision, "FLOPS_FOR_BFLOAT16", 0.0)
    rows = images()
    options = {"preparation": "none", "epochs": 2, "random_state": 0, "verbose": 0}
    chosen = glia.Classifier(chain(), **options).fit(rows.x.numpy(), rows.y.numpy())
    assert chosen.choices_["precision"]["value"] == "bfloat16"
    given = glia.Classifier(chain(), precision="float32", **options).fit(rows.x.numpy(), rows.y.numpy())
    assert "precision" not in given.choices_
    p, q = (model.predict_proba(rows.x.numpy()) for model in (chosen, given))
    assert 0 < abs(p - q).max() < 0.05
