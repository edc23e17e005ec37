"""Prototypes, criticisms and nearest rows: planted clusters, brute force, and neighbours found by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
import torch
from explain_functions import assert_untouched, untouched
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import nearest_rows, prototypes
from glia.explain.layers import last_hidden, layer_outputs
from glia.explain.medoids import medoids
from glia.explain.mmd import criticisms, mmd_prototypes, rbf
from glia.explain.prototypes import discrepancy
from glia.nn.ensemble import MeanNetwork


def small(seed=0, inputs=2, outputs=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, outputs))


def clusters(seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[0, 0], [10, 0], [0, 10]])
    return (centres[np.repeat([0, 1, 2], 40)] + 0.3 * rng.normal(size=(120, 2))).astype(np.float32)


class Direct(nn.Module):
    """Its hidden layer is the row, its scores are nearness to three corners."""

    def __init__(self):
        super().__init__()
        self.same, self.out = nn.Linear(2, 2, bias=False), nn.Linear(2, 3)
        with torch.no_grad():
            self.same.weight.copy_(torch.eye(2))
            self.out.weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]]))
            self.out.bias.copy_(torch.tensor([5.0, 0.0, 0.0]))

    def forward(self, x):
        return self.out(self.same(x))


@pytest.mark.parametrize("method", ["mmd", "medoids"])
def test_every_cluster_gets_one_prototype(method):
    X = clusters()
    model = glia.wrap(Direct(), "multiclass")
    before = untouched(model.network_)
    found = prototypes(model, X, number=3, critics=0, method=method)
    assert_untouched(model.network_, before)
    assert sorted(found.prototypes // 40) == [0, 1, 2] and found.fidelity == 1
    np.testing.assert_allclose(found.shares, 1 / 3)
    assert found.gap < 0.3 * found.by_chance and not found.warnings


def test_the_planted_stranger_is_criticised():
    X = np.concatenate([clusters(), np.full((6, 2), 10.0, dtype=np.float32)])
    found = prototypes(glia.wrap(Direct(), "multiclass"), X, number=3, critics=1)
    assert found.criticisms[0] >= 120 and "do not speak for rows like 12" in found.summary()
    assert len(found.tables()) == 2 and found.plot().get_title("left") == "3 rows stand for 126"


def test_medoids_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    best = 0
    for _ in range(10):
        places = rng.normal(size=(12, 2))
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)
        cost = {pair: apart[:, pair].min(axis=1).sum() for pair in combinations(range(12), 3)}
        got = tuple(sorted(medoids(apart, 3).tolist()))
        assert cost[got] <= 1.05 * min(cost.values())
        best += cost[got] <= min(cost.values()) + 1e-12
    assert best >= 8  # swaps find the best nearly always


def test_prototypes_are_like_all_rows_and_criticisms_keep_apart():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(80, 2))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    kernel = rbf(apart)
    chosen = mmd_prototypes(kernel, 2)
    # greedy by hand: the first alone is the best single row, the second the best to go with it
    single = [discrepancy(kernel, np.array([i])) for i in range(80)]
    assert chosen[0] == int(np.argmin(single))
    pairs = {i: discrepancy(kernel, np.array([chosen[0], i])) for i in range(80) if i != chosen[0]}
    assert chosen[1] == min(pairs, key=pairs.get)
    odd = criticisms(kernel, chosen, 3)
    assert len(set(odd.tolist()) | set(chosen.tolist())) == 5
    assert min(apart[i, j] for i, j in combinations(odd, 2)) > np.median(apart) * 0.5


def test_nearest_rows_are_those_of_the_layer():
    rng = np.random.default_rng(0)
    B, X = rng.normal(size=(60, 2)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)
    network = small()
    model = glia.wrap(network, "multiclass")
    before = untouched(network)
    found = nearest_rows(model, X, B, number=3)
    assert_untouched(network, before)
    with torch.no_grad():
        own, known = (network[:4](torch.from_numpy(a)).numpy() for a in (X, B))
    apart = np.linalg.norm(own[:, None].astype(float) - known[None], axis=2)
    assert found.positions.tolist() == np.argsort(apart, axis=1)[:, :3].tolist()
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :3], rtol=1e-5)
    assert (found.neighbours == model.predict(B)[found.positions]).all() and not found.truth
    itself = nearest_rows(model, B[7:8], B, number=1, y=np.arange(60))
    assert itself.positions[0, 0] == 7 and itself.neighbours[0, 0] == 7 and itself.distances[0, 0] < 1e-6
    first = nearest_rows(model, X, B, number=1, layer="1").positions[:, 0]
    with torch.no_grad():
        own, known = (network[:2](torch.from_numpy(a)) for a in (X, B))
    assert first.tolist() == torch.cdist(own, known).argmin(1).tolist()
    far = nearest_rows(glia.wrap(Direct(), "multiclass"), np.float32([[90, 90]]), B)
    assert far.strangeness[0] == 1 and "further from all known rows" in far.summary()
    assert far.plot().get_ylabel() and far.tables()[0].rows


def test_layers_of_members_and_of_estimators():
    x = torch.randn(6, 2)
    members = MeanNetwork([small(0), small(1)], "multiclass")
    hidden = last_hidden(glia.wrap(members, "multiclass"), x)
    with torch.no_grad():
        want = torch.cat([m[:4](x) for m in members.networks], dim=1)
    torch.testing.assert_close(hidden, want)
    found = layer_outputs(glia.wrap(small(), "multiclass"), x, ["0", "2"], batch_rows=4)
    torch.testing.assert_close(found["0"], small()[0](x).detach())
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=120), "b": ["u", "v"] * 60})
    model = glia.Regressor(network=glia.nn.MLP((8, 4)), members=2, epochs=2, random_state=0).fit(frame, frame["a"])
    assert last_hidden(model, model.prepare(frame)).shape == (120, 8)
    near = nearest_rows(model, frame[:2], frame, y=frame["a"])
    assert near.distances[:, 0].max() < 1e-6 and "differ from the prediction" in near.summary()
    assert near.known.shape == (2, 5, 2)


def test_mistakes_are_named():
    model, X = glia.wrap(small(), "multiclass"), clusters()
    with pytest.raises(InputError, match="layer must be one"):
        prototypes(model, X, layer="9")
    with pytest.raises(InputError, match="did you mean 'medoids'"):
        prototypes(model, X, method="medoid")
    with pytest.raises(InputError, match="more rows than are chosen"):
        prototypes(model, X[:5])
    with pytest.raises(InputError, match="number must be"):
        nearest_rows(model, X, X[:2])
    with pytest.raises(InputError, match="as many targets"):
        nearest_rows(model, X, X, y=[1, 2])
