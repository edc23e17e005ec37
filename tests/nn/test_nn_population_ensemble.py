"""The mean of networks, against probabilities averaged in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.nn.ensemble import MeanNetwork, mean_output


def test_scores_are_those_of_averaged_probabilities() -> None:
    outputs = torch.randn(5, 20, 3, generator=torch.Generator().manual_seed(0)) * 4
    wanted = torch.softmax(outputs.double(), -1).mean(0)
    torch.testing.assert_close(torch.softmax(mean_output(outputs, "multiclass"), -1), wanted.float())
    for task in ("binary", "multilabel"):
        wanted = torch.sigmoid(outputs.double()).mean(0)
        torch.testing.assert_close(torch.sigmoid(mean_output(outputs, task)), wanted.float())  # type: ignore[arg-type]
    torch.testing.assert_close(mean_output(outputs, "regression"), outputs.mean(0))


def test_scores_far_out_stay_exact() -> None:
    """Averaged probabilities of 1 - 1e-44 have no float32, their scores do."""
    outputs = torch.tensor([[[100.0]], [[102.0]]])
    wanted = -torch.logsumexp(torch.tensor([-100.0, -102.0], dtype=torch.float64), 0) + torch.log(torch.tensor(2.0))
    assert float(mean_output(outputs, "binary")) == pytest.approx(float(wanted), rel=1e-6)
    assert float(mean_output(-outputs, "binary")) == pytest.approx(-float(wanted), rel=1e-6)


def test_one_network_keeps_its_scores_and_gradients_pass() -> None:
    torch.manual_seed(0)
    network, x = nn.Linear(4, 1), torch.randn(6, 4, requires_grad=True)
    mean = MeanNetwork([network], "binary")
    torch.testing.assert_close(mean(x), network(x))
    assert mean.member_outputs(x).shape == (1, 6, 1)
    two = MeanNetwork([nn.Linear(4, 3), nn.Linear(4, 3)], "multiclass").double()
    assert torch.autograd.gradcheck(two, (x.detach().double().requires_grad_(),))
    with pytest.raises(InputError, match="none"):
        MeanNetwork([], "binary")
    with pytest.raises(InputError, match="ranking"):
        MeanNetwork([network], "ranking")  # type: ignore[arg-type]
