"""Adaptation: it helps where a shift was planted, does no harm where there is none, and leaves what it is given."""

import numpy as np
import pytest
import torch

import glia
from glia.core.errors import InputError
from glia.engine.rows import Rows
from glia.nn import MLP, Backbone
from glia.transfer import adapt
from glia.transfer.pairs import DomainRows

SHIFT = np.array([1.5, 1.5, 2.0, 2.0, 0, 0, 0, 0])


def rows(n, chance, shift):
    y = chance.integers(0, 2, n)
    x = chance.normal(size=(n, 8)) + shift * SHIFT
    x[:, 0] += 2.0 * (2 * y - 1)
    x[:, 1] += 1.0 * (2 * y - 1)
    return x, y


def case(seed, shift):
    chance = np.random.default_rng(seed)
    source, target, judged = rows(200, chance, 0), rows(200, chance, shift), rows(1000, chance, shift)
    model = glia.Classifier(MLP(hidden=(32, 32), dropout=0.0), epochs=20, members=1, random_state=seed).fit(*source)
    return model, source, target[0], judged


@pytest.fixture(scope="module")
def cases():
    return {shift: [case(seed, shift) for seed in range(3)] for shift in (0.0, 1.0)}


@pytest.mark.parametrize("method", ["coral", "adversarial"])
def test_it_helps_where_a_shift_was_planted(cases, method):
    gains = []
    for model, source, target, judged in cases[1.0]:
        found = adapt(model, *source, target, method, epochs=20)
        gains.append(found.estimator.score(*judged) - model.score(*judged))
        assert found.separable_before > 0.8
    assert min(gains) > 0 and np.mean(gains) > 0.02, gains


@pytest.mark.parametrize("method", ["coral", "adversarial"])
def test_it_does_no_harm_where_domains_are_the_same(cases, method):
    for model, source, target, judged in cases[0.0][:2]:
        found = adapt(model, *source, target, method, epochs=20)
        assert found.estimator.score(*judged) > model.score(*judged) - 0.02


def test_coral_brings_features_together(cases):
    model, source, target, _ = cases[1.0][0]
    found = adapt(model, *source, target, epochs=20)
    assert found.distance_after < 0.5 * found.distance_before
    assert "apart" in found.summary() and found.tables()[0].rows[0][1] == found.distance_before
    assert found.to_dict()["method"] == "coral"


def test_what_is_handed_in_stays_and_the_same_seed_gives_the_same_bits(cases, tmp_path):
    model, source, target, judged = cases[1.0][1]
    before = {name: value.clone() for name, value in model.network_.state_dict().items()}
    one, two = (adapt(model, *source, target, "adversarial", epochs=2, random_state=3) for _ in range(2))
    assert all(torch.equal(value, before[name]) for name, value in model.network_.state_dict().items())
    assert np.array_equal(one.estimator.predict_proba(judged[0]), two.estimator.predict_proba(judged[0]))
    assert list(one.estimator.network_.state_dict()) == list(before)  # nothing of the adversary is left
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in one.estimator.network_.modules())
    glia.save(one.estimator, tmp_path / "m.glia")
    loaded = glia.load(tmp_path / "m.glia")
    assert np.array_equal(loaded.predict(judged[0]), one.estimator.predict(judged[0]))


def test_quantities_and_estimators_that_are_not_fitted():
    chance = np.random.default_rng(0)
    x, target = chance.normal(size=(80, 4)), chance.normal(size=(50, 4)) + 0.3
    model = glia.Regressor(MLP(hidden=(16,)), epochs=5, members=1, random_state=0)
    found = adapt(model, x, x.sum(1), target, epochs=3)
    assert not hasattr(model, "network_")
    assert found.estimator.predict(target).shape == (50,)
    assert len(found.history) == 3


def test_pairs_are_drawn_evenly_and_again_the_same():
    source = Rows(torch.arange(10.0)[:, None], torch.arange(10))
    pairs = DomainRows(source, torch.arange(100.0, 104.0)[:, None])
    seen = list(pairs.epoch(4, 0, 0))
    assert [len(x) for x, _, _ in seen] == [8, 8, 4]
    drawn = torch.cat([x[flags] for x, (_, flags), _ in seen]).flatten()
    counts = torch.unique(drawn, return_counts=True)[1]
    assert len(counts) == 4 and counts.max() - counts.min() <= 1
    for x, (labels, flags), _ in seen:
        assert torch.equal(x[~flags].flatten().long(), labels[~flags])
    later = list(pairs.epoch(4, 0, 0, skip=1))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(later, seen[1:], strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "corral"}, "did you mean 'coral'"),
        ({"weight": 0}, "weight=0"),
        ({"lr": 0}, "lr=0"),
        ({"batch_size": 1}, "batch_size=1"),
    ],
)
def test_wrong_settings_are_named(cases, options, message):
    model, source, target, _ = cases[0.0][0]
    with pytest.raises(InputError, match=message):
        adapt(model, *source, target, **options)


def test_networks_without_features_to_align_are_refused(cases):
    model, (x, y), target, _ = cases[0.0][0]
    several = glia.Classifier(members=2, epochs=1, network=MLP(hidden=(8,)))
    with pytest.raises(InputError, match="members=1"):
        adapt(several, x, y, target)
    frozen = glia.Classifier(Backbone(model.network_), preparation="none", epochs=1).fit(
        np.zeros((20, model.layout_.shape[0]), dtype=np.float32), np.arange(20) % 2
    )
    with pytest.raises(InputError, match="frozen before its head"):
        adapt(frozen, np.zeros((20, model.layout_.shape[0])), np.arange(20) % 2, np.zeros((9, model.layout_.shape[0])))
    with pytest.raises(InputError, match="two rows of each"):
        adapt(model, x, y, target[:1])
