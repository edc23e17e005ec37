"""The checks tell good explanations from bad ones, by known results and planted ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import agreement, check, integrated_gradients, removal, saliency
from glia.explain.checks.case import Case
from glia.explain.checks.infidelity import infidelity
from glia.explain.checks.ranks import rank_correlation
from glia.explain.entry import opened


@pytest.fixture(scope="module")
def images():
    """Images with one of three patches planted, and a network trained to tell which."""
    torch.manual_seed(0)
    y = torch.arange(150) % 3
    X = torch.randn(150, 1, 12, 12) * 0.3
    patches = [torch.ones(4, 4), torch.eye(4) * 2, torch.tensor([[1.0, -1.0] * 2] * 4)]
    places = np.random.default_rng(0).integers(0, 8, (150, 2))
    for i, (r, c) in enumerate(places):
        X[i, 0, r : r + 4, c : c + 4] += patches[y[i]] * 1.5
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(288, 32), nn.ReLU(), nn.Linear(32, 3),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 4e-3)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(X), y).backward()
        optimizer.step()
    optimizer.zero_grad()
    assert (net(X).argmax(1) == y).float().mean() > 0.97
    return glia.wrap(net, task="multiclass"), X, places


def test_randomisation_flags_guided_backprop_and_passes_gradients(images):
    """The known result of arXiv 1810.03292, and of arXiv 1912.09818 for z⁺."""
    net, X, _ = images
    few = X[:8]
    name = "similarity after randomisation"
    guided, plain = check(net, few, "guided_backprop", against=()), check(net, few, "saliency", against=())
    assert guided.checks[name] > 0.6 and any("randomised" in text for text in guided.warnings)
    assert plain.checks[name] < 0.5 and not any("randomised" in text for text in plain.warnings)
    positive = check(net, few, "lrp", rule="z_plus", against=())
    assert positive.checks[name] > 0.9 and "Do not rely on it" in positive.summary()


def test_shares_point_to_the_planted_patch(images):
    net, X, places = images
    few = X[:12]
    values = glia.explain.deeplift(net, few).values
    which = glia.explain.deeplift(net, few).outputs.argmax(1)
    for i, (r, c) in enumerate(places[:12]):
        heat = np.abs(values[i, 0, :, :, which[i]])
        assert heat[max(0, r - 1) : r + 5, max(0, c - 1) : c + 5].sum() > 0.4 * heat.sum() > 0  # a sixth of the places
    result = check(net, few, "deeplift", against=("input_x_gradient",))
    assert result.checks["deletion gain"] > 0.2 and result.checks["insertion gain"] > 0.2
    assert result.checks["infidelity"] < 0.3 and result.checks["agreement"] > 0.5 and result.warnings == ()


def linear(weights=(4.0, 2.0, 1.0, 0.0, -1.0, -3.0)):
    net = nn.Linear(6, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([weights]))
        net.bias.fill_(0.5)
    return glia.wrap(net)


def test_curves_of_a_linear_network():
    """One row of ones: the output falls by the largest weights first, from 3.5 over −0.5, … to 0.5."""
    X = np.ones((1, 6), dtype=np.float32)
    good = integrated_gradients(linear(), X)
    curves = removal(linear(), X, good)
    down = (np.array([3.5, -0.5, -2.5, -3.5, -3.5, -2.5, 0.5]) - 0.5) / 3
    np.testing.assert_allclose(curves.deletion, down, atol=1e-5)
    np.testing.assert_allclose(curves.insertion, (np.array([0.5, 4.5, 6.5, 7.5, 7.5, 6.5, 3.5]) - 0.5) / 3, atol=1e-5)
    np.testing.assert_allclose(curves.share, np.arange(7) / 6)
    many = removal(linear(), X, good, repeats=60)  # in random order the way is straight on average
    np.testing.assert_allclose(many.random_deletion, 1 - np.arange(7) / 6, atol=0.3)
    wrong = removal(linear(), X, replace(good, values=-good.values))
    assert curves.deletion_gain > 0.2 and curves.insertion_gain > 0.2
    assert wrong.deletion_gain < -0.15 and wrong.insertion_gain < -0.15
    unsigned = removal(linear(), X, saliency(linear(), X))
    assert unsigned.deletion_gain > 0.05 and "of its range" in unsigned.summary()
    assert unsigned.tables()[0].rows and unsigned.plot().get_title(loc="left")


def test_infidelity_is_0_for_exact_shares_and_1_for_reversed_ones():
    X = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)
    result = integrated_gradients(linear(), X)
    shuffled = result.values[:, [3, 0, 4, 1, 5, 2]]
    found = {}
    with opened(linear(), X) as entry:
        for name, values in {"exact": result.values, "scaled": 9 * result.values, "reversed": -result.values,
                             "shuffled": shuffled}.items():  # fmt: skip
            found[name] = infidelity(Case(entry, linear(), replace(result, values=values), "zeros", None))
    assert found["exact"] < 1e-9 and found["scaled"] < 1e-9 and found["reversed"] > 0.999
    assert 0.3 < found["shuffled"] < 1


def test_sensitivity_tells_smooth_from_shattered():
    class Shattered(nn.Module):
        def forward(self, x):
            return torch.sin(300 * x).sum(1, keepdim=True)

    X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    rough = check(glia.wrap(Shattered()), X, "saliency", against=())
    smooth = check(linear(), np.c_[X, X[:, :2]], "saliency", against=())
    assert rough.checks["sensitivity"] > 0.5 and any("hardly changes" in text for text in rough.warnings)
    assert smooth.checks["sensitivity"] == 0


def test_a_made_up_explanation_is_not_believed():
    def made_up(predictor, X, *, output=None):
        result = integrated_gradients(predictor, X, output=output, tolerance=1e-3)
        rng = np.random.default_rng(5)
        return replace(result, method="made up", values=rng.permuted(result.values, axis=1) - 0.5)

    torch.manual_seed(0)
    net = glia.wrap(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)))
    X = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    good = check(net, X, rows=40)
    bad = check(net, X, made_up, rows=40)
    assert good.warnings == () and len(good.values) == 60
    assert {"deletion gain", "insertion gain", "infidelity", "sensitivity", "agreement"} <= set(good.checks)
    assert len(bad.warnings) >= 2 and bad.checks["agreement"] < 0.2 < good.checks["agreement"]
    assert bad.checks["infidelity"] > 2 * good.checks["infidelity"]
    assert good.tables()[-1].title == "How far to trust it"


def test_checks_see_original_columns_and_populations():
    import polars as pl

    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"n": rng.normal(size=400), "c": rng.choice([f"k{i}" for i in range(12)], 400),
                         "m": rng.normal(size=400)})  # fmt: skip
    y = (rows["n"].to_numpy() + (rows["c"].str.slice(1).cast(int).to_numpy() % 2) * 2 > 1).astype(int)
    model = glia.Classifier(random_state=0, epochs=15, members=2).fit(rows, y)
    result = check(model, rows[:20], "deeplift", background=rows[:50])
    assert result.checks["deletion gain"] > 0 and result.checks["infidelity"] < 0.3
    assert len(result.checks) == 5 and "similarity after randomisation" not in result.checks  # three columns only


def test_agreement_of_methods():
    X = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    one = integrated_gradients(linear(), X)
    two, three = glia.explain.deeplift(linear(), X), replace(one, values=-one.values)
    found = agreement({"ig": one, "deeplift": two, "reversed": three, "size": saliency(linear(), X)})
    np.testing.assert_allclose(found.correlation[:3, :3], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-9)
    assert found.top[0, 1] == found.top[0, 2] == 1 and "reversed" in found.summary()
    assert len(found.tables()) == 2 and found.plot() is not None
    with pytest.raises(InputError, match="two or more"):
        agreement({"ig": one})


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, (5, 12)).astype(float), rng.normal(size=(5, 12))
    expected = [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected)
    assert rank_correlation(np.ones((1, 4)), b[:1, :4]) == 0
    a, b = rng.normal(size=(2, 1, 4000))
    common = rng.normal(size=(1, 4000))  # two that share only what is given are alike, but not given it
    assert (
        rank_correlation(a + common, b + common) > 0.4 and abs(rank_correlation(a + common, b + common, common)) < 0.06
    )


def test_wrong_calls():
    X = np.ones((3, 6), dtype=np.float32)
    for message, call in {
        "did you mean 'saliency'": lambda: check(linear(), X, "salency"),
        "rows must be at least 1": lambda: check(linear(), X, rows=0),
        "of these rows": lambda: removal(linear(), X, integrated_gradients(linear(), X[:2])),
        "replaced by one value": lambda: removal(linear(), X, saliency(linear(), X), baseline="rows", background=X),
    }.items():
        with pytest.raises(InputError, match=message):
            call()
