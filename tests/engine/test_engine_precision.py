"""When bfloat16 is chosen."""

import pytest
import torch
from torch import nn

from glia.engine import precision
from glia.engine.precision import FLOPS_FOR_BFLOAT16, choose_precision

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
