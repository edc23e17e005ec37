"""Members of one estimator: seeds of their own, bootstrap, their mean, members that fail."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.seeds import derive
from glia.engine.rows import Rows
from glia.estimators.choices import Choices, choose
from glia.estimators.inference import member_outputs, network_outputs
from glia.estimators.population_fit import build_members, check_members, train_members
from glia.estimators.training import build_network, train_network
from glia.nn import MLP, Linear
from glia.nn.ensemble import MeanNetwork
from glia.objectives import Objective

LAYOUT = Layout((4,))


def settled(**params: object) -> Choices:
    given = {"network": MLP((12,), "silu"), "epochs": 6, "batch_size": 25, **params}
    return choose(given, rows=200, task="binary", layout=LAYOUT)


def rows(seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, 4, generator=generator)
    return Rows(x, (x[:, 0] * x[:, 1] > 0).float())


def built(choices: Choices, *, members: int = 4, bootstrap: bool = False) -> MeanNetwork:
    x = rows().x.numpy()
    return build_members(choices, LAYOUT, 1, 5, x, task="binary", members=members, bootstrap=bootstrap)


OBJECTIVE = Objective().resolve("binary")


def test_members_equal_estimators_with_the_members_seeds() -> None:
    choices = settled()
    network = built(choices)
    _, trainer, best = train_members(
        network, OBJECTIVE, choices, rows(), rows(1), seed=9, precision="auto", bootstrap=False, callbacks=[]
    )
    assert trainer.population.form == "batched"
    assert 1 <= best <= 6
    x = rows(2).x
    for k, own in enumerate(member_outputs(network, x)):
        single = build_network(choices.network, LAYOUT, 1, derive(5, "member", k), rows().x.numpy())
        train_network(single, OBJECTIVE, choices, rows(), rows(1), seed=9, precision="auto", verbose=0)
        np.testing.assert_allclose(own, network_outputs(single, x), atol=2e-5)
    probabilities = 1 / (1 + np.exp(-member_outputs(network, x).astype(float)))
    np.testing.assert_allclose(1 / (1 + np.exp(-network_outputs(network, x))), probabilities.mean(0), atol=1e-6)
    assert probabilities.std(0).max() > 1e-3


def test_bootstrap_makes_members_of_one_start_differ() -> None:
    choices = settled(network=Linear())
    with pytest.raises(InputError, match="bootstrap=True"):
        built(choices)
    network = built(choices, bootstrap=True)
    train_members(network, OBJECTIVE, choices, rows(), None, seed=9, precision="auto", bootstrap=True, callbacks=[])
    outputs = member_outputs(network, rows(2).x)
    assert all(np.abs(outputs[0] - other).max() > 1e-3 for other in outputs[1:])


def test_failed_members_are_left_out_of_the_mean() -> None:
    choices = settled()
    network = built(choices)
    with torch.no_grad():
        next(network.networks[1].parameters()).fill_(float("nan"))
    options = {"seed": 9, "precision": "auto", "bootstrap": False, "callbacks": []}
    with pytest.warns(UserWarning, match="1 of 4 members failed"):
        train_members(network, OBJECTIVE, choices, rows(), None, **options)  # type: ignore[arg-type]
    assert len(network.networks) == 3
    assert np.isfinite(network_outputs(network, rows(2).x)).all()


def test_averaging_lowers_the_loss() -> None:
    """By Jensen's inequality the mean's log loss is at most the mean of the members' own, on any rows."""
    choices = settled()
    network = built(choices, bootstrap=True)
    train_members(network, OBJECTIVE, choices, rows(), None, seed=9, precision="auto", bootstrap=True, callbacks=[])
    test = rows(3)
    own = [float(OBJECTIVE.loss(torch.from_numpy(o), test.y).mean()) for o in member_outputs(network, test.x)]
    mean = float(OBJECTIVE.loss(torch.from_numpy(network_outputs(network, test.x)), test.y).mean())
    assert mean < np.mean(own) - 1e-4


def test_number_of_members() -> None:
    assert check_members(np.int64(3)) == 3
    for wrong in (0, 2.0, True, "four"):
        with pytest.raises(InputError, match="whole number of at least 1"):
            check_members(wrong)
    network = build_network(settled().network, LAYOUT, 1, 5, rows().x.numpy())
    assert member_outputs(network, rows().x).shape == (1, 200, 1)
    assert copy.deepcopy(MeanNetwork([network], "binary")).task == "binary"
