"""Snapshots: the estimator's cycles against the training loop with its own schedule and callback."""

import numpy as np
import pytest
import torch
from torch import nn

from glia import Classifier, Regressor
from glia.core.errors import InputError
from glia.engine.loop import Trainer
from glia.engine.rows import Rows
from glia.ensemble import CycleSnapshots, Snapshot
from glia.objectives import losses

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 3)).astype(np.float32)
VALUE = (np.sin(2 * X[:, 0]) + X[:, 1]).astype(np.float32)


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def test_the_cycles_are_one_training_with_warm_restarts():
    """Plain gradient descent on all rows at once has neither memory nor order: two ways, the same weights."""
    settings = {
        "preparation": "none",
        "batch_size": 128,
        "lr": 0.2,
        "optimizer": "sgd",
    }
    model = Snapshot(Regressor(network=network(), **settings), n_cycles=3, cycle_epochs=7).fit(X, VALUE)
    module, snapshots = network(), CycleSnapshots(7)
    y = torch.from_numpy((VALUE - VALUE.mean()) / VALUE.std())[:, None]
    rule = torch.optim.SGD(module.parameters(), lr=0.2)
    rows = Rows(torch.from_numpy(X), y)
    loss = losses.get("mse")()
    options = {"schedule": snapshots.schedule, "callbacks": [snapshots]}
    history = Trainer(module, loss, rule, epochs=21, batch_size=128, **options).fit(rows)
    assert len(snapshots.weights) == len(model.members_) == 3
    for member, weights in zip(model.members_, snapshots.weights, strict=True):
        for name, value in member.network_.state_dict().items():
            torch.testing.assert_close(value, weights[name], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(model.cycle_loss_, [history[i]["train/loss"] for i in (6, 13, 20)], rtol=1e-4)
    mean = snapshots.ensemble(module, "regression")
    with torch.no_grad():
        joint = mean(torch.from_numpy(X))[:, 0].numpy() * VALUE.std() + VALUE.mean()
    np.testing.assert_allclose(model.predict(X), joint, atol=1e-4)


def test_the_rate_falls_in_each_cycle_and_jumps_back():
    snapshots, rates = CycleSnapshots(5), []
    module = network()

    class Watch(CycleSnapshots):
        def on_epoch_end(self, trainer, entry):
            rates.append(entry["lr"])

    rows = Rows(torch.from_numpy(X), torch.from_numpy(VALUE)[:, None])
    options = {"schedule": snapshots.schedule, "callbacks": [snapshots, Watch(5)]}
    rule = torch.optim.SGD(module.parameters(), lr=0.1)
    trainer = Trainer(module, losses.get("mse")(), rule, epochs=12, batch_size=16, **options)
    trainer.fit(rows)
    assert (np.diff(rates[:5]) < 0).all() and rates[5] > 10 * rates[4] and rates[4] < 1e-3
    assert len(snapshots.weights) == 2  # the third cycle has not ended
    other = CycleSnapshots(5)
    other.restore(snapshots.state())
    assert len(other.ensemble(module, "regression", keep=1).networks) == 1
    with pytest.raises(InputError, match="there must be snapshots"):
        CycleSnapshots(5).ensemble(module, "regression")


def test_members_are_the_later_cycles_and_differ():
    y = np.array(["b", "a", "c"])[np.digitize(VALUE, [-0.7, 0.7])]
    model = Snapshot(Classifier(), n_cycles=4, cycle_epochs=3, keep=3).fit(X, y)
    members = model.predict_members(X)
    assert members.shape == (3, 128, 3) and len(model.cycle_loss_) == 4
    assert all((members[k] != members[k + 1]).any() for k in range(2))
    np.testing.assert_allclose(model.predict_proba(X), members.mean(axis=0))
    assert model.score(X, y) > 0.7 and model.diversity(X, y).members[0].name == "cycle 2"
    again = Snapshot(Classifier(), n_cycles=4, cycle_epochs=3, keep=3).fit(X, y)
    np.testing.assert_array_equal(members, again.predict_members(X))


def test_the_estimator_handed_in_is_left_alone():
    given = Regressor(epochs=50)
    Snapshot(given, n_cycles=2, cycle_epochs=2).fit(X, VALUE)
    assert given.epochs == 50 and not given.warm_start and not hasattr(given, "network_")
