"""LIME against linear models that it must recover, and its reports of fit and stability against what they claim."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain.lime import lime
from glia.explain.lime_model import Plan, rank_agreement
from glia.explain.lime_text import without
from glia.explain.local_fit import local_fit, select
from glia.explain.superpixels import superpixels


def rows(count, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


def test_the_local_fit_is_scikit_learns_weighted_ridge():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(80, 5)), rng.normal(size=(80, 2)), rng.random(80)
    fit = local_fit(x, y, w, ridge=0.0)
    plain = Ridge(alpha=1e-10).fit(x, y, sample_weight=w)
    np.testing.assert_allclose(fit.slopes, plain.coef_.T, atol=1e-7)
    np.testing.assert_allclose(fit.at_zero, plain.intercept_, atol=1e-7)
    for output in range(2):
        score = Ridge(alpha=1e-10).fit(x, y[:, output], sample_weight=w).score(x, y[:, output], sample_weight=w)
        assert fit.r_squared[output] == pytest.approx(score, abs=1e-8)


@pytest.mark.parametrize("how", ["largest", "lasso"])
def test_selection_finds_the_planted_inputs(how):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(300, 12)), rng.random(300)
    y = 3 * x[:, 4] - 2 * x[:, 9] + 0.5 * x[:, 1] + rng.normal(size=300) * 0.1
    np.testing.assert_array_equal(select(x, y, w, 2, how), [4, 9])
    np.testing.assert_array_equal(select(x, y, w, 3, how), [1, 4, 9])
    assert len(select(x, y, w, 20, how)) == 12


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_linear_model_is_recovered(outputs):
    torch.manual_seed(0)
    module, X, B = nn.Linear(6, outputs), rows(4, 6), rows(60, 6, 1) * [1, 2, 3, 1, 1, 0.1]
    B = B.astype(np.float32)
    result = lime(glia.wrap(module), X, background=B, samples=200)
    weight = module.weight.detach().double().numpy()
    want = (X - B.mean(0))[:, :, None] * weight.T
    slopes = B.std(0)[None, :, None] * np.broadcast_to(weight.T, (4, 6, outputs))
    if outputs == 1:
        want, slopes = want[..., 0], slopes[..., 0]
    np.testing.assert_allclose(result.values, want, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(result.slopes, slopes, rtol=2e-3, atol=1e-4)
    assert result.r_squared.min() > 0.9999 and result.agreement.min() > 0.99
    assert np.abs(result.residual).max() < 1e-4
    gap = result.outputs - result.base - result.values.sum(axis=1) - result.residual
    assert np.abs(gap).max() < 1e-9
    assert not result.warnings


def test_curvature_does_not_disturb_slopes_and_shows_in_the_fit():
    class Bowl(nn.Module):
        def forward(self, x):
            return (x[:, 0] * 2 + (x**2).sum(1)).unsqueeze(1)

    X = np.zeros((1, 3), dtype="f")
    B = rows(400, 3, 1)
    result = lime(glia.wrap(Bowl()), X, background=B, samples=4000, max_background=400)
    # At the bottom of the bowl the slopes are those of the linear part, in standard deviations.
    np.testing.assert_allclose(result.slopes[0], [2 * B[:, 0].std(), 0, 0], atol=0.1)
    assert result.r_squared[0] < 0.8
    near = lime(glia.wrap(Bowl()), X, background=B, samples=4000, max_background=400, spread=0.1)
    assert near.r_squared[0] > 0.98


class Rough(nn.Module):
    def forward(self, x):
        return (torch.sin(40 * x).prod(1) + 0.02 * x[:, 0]).unsqueeze(1)


def test_a_network_without_a_local_line_is_not_to_be_relied_upon():
    result = lime(glia.wrap(Rough()), rows(3, 4), background=rows(50, 4, 1), samples=100)
    assert result.r_squared.max() < 0.5
    assert any("local models explain" in why for why in result.warnings) and "Do not rely on it" in result.summary()
    assert any("repeats rank" in why for why in result.warnings)


def test_standard_errors_are_those_of_repeats():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))
    predictor, X, B = glia.wrap(module), rows(1, 5), rows(40, 5, 1)
    options = {"background": B, "samples": 100, "spread": 2.0}
    many = [lime(predictor, X, **options, repeats=10, random_state=seed) for seed in range(30)]
    spread = np.std([one.values for one in many], axis=0, ddof=1)
    stated = np.sqrt(np.mean([one.standard_error**2 for one in many], axis=0))
    np.testing.assert_allclose(stated, spread, rtol=0.4)
    np.testing.assert_array_equal(many[0].values, lime(predictor, X, **options, repeats=10).values)


def test_until_stable_draws_until_repeats_agree():
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    predictor, X, B = glia.wrap(module), rows(2, 8) * 2, rows(40, 8, 1) * 2
    first = lime(predictor, X, background=B, samples=12)
    stable = lime(predictor, X, background=B, samples=12, until_stable=True)
    assert first.agreement.min() < 0.95
    assert stable.evaluations > first.evaluations
    small = stable.standard_error.max(axis=1) / np.abs(stable.slopes).max(axis=1)
    assert ((stable.agreement >= 0.95) | (small < 0.1)).all() and not stable.warnings
    hopeless = lime(glia.wrap(Rough()), rows(1, 4), background=rows(30, 4, 1), samples=10, until_stable=True)
    assert any("not stable after 6 doublings" in why for why in hopeless.warnings)
    assert hopeless.evaluations <= 10 * 2**7 * 5 + 1


def test_rank_agreement():
    same = np.tile([5.0, 3.0, 1.0, 0.5], (4, 1))
    assert rank_agreement(same) == pytest.approx(1.0)
    assert rank_agreement(np.stack([same[0], same[0][::-1]])) == pytest.approx(-1.0)
    # ρ = 1 - 6 Σd² / (n (n² - 1)) = 1 - 6·2 / 60
    assert rank_agreement(np.array([[5.0, 3.0, 1.0, 0.5], [5.0, 3.0, 0.6, 0.7]])) == pytest.approx(0.8)
    assert rank_agreement(np.array([[1.0, 0.0], [2.0, 0.0]])) == 1.0


def test_features_limits_the_shares():
    torch.manual_seed(0)
    module = nn.Linear(9, 2)
    for selection in ("largest", "lasso"):
        result = lime(glia.wrap(module), rows(2, 9), background=rows(40, 9, 1), features=3, selection=selection)
        assert ((np.abs(result.values) > 0).sum(axis=1) <= 3).all()
        weight = np.abs(module.weight.detach().numpy())
        for output in range(2):
            kept = set(np.flatnonzero(result.values[0, :, output]))
            assert np.argmax(weight[output]) in kept


VOCABULARY = {"dull": -2.0, "good": 1.5, "very": 0.2, "not": -1.0}


def words(texts):
    """Count the words of the vocabulary, (N, 4)."""
    return np.array([[text.lower().split().count(word) for word in VOCABULARY] for text in texts], dtype=np.float32)


def test_a_text_gets_the_weights_of_its_words():
    module = nn.Linear(4, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([list(VOCABULARY.values())]))
        module.bias.fill_(0.1)
    predictor = glia.wrap(module, task="binary", prepare=words)
    for text in ("A good, very good film", ["not dull"]):
        result = lime(predictor, text)
        want = [VOCABULARY.get(name.split(" (")[0].lower(), 0.0) for name in result.feature_names]
        if "," in str(text):
            want[1] = 0.0  # "good," with its comma is not in the vocabulary
        np.testing.assert_allclose(result.values[0], want, atol=0.01)
    assert lime(predictor, "good good").feature_names == ("good", "good (2)")
    assert result.base[0] == pytest.approx(0.1, abs=0.02)
    with pytest.raises(InputError, match="must have words"):
        lime(predictor, "…")
    with pytest.raises(InputError, match="one at a time"):
        lime(predictor, ["one", "two"])


def test_words_are_left_out_or_masked():
    text, spans = "A good, old film", [(0, 1), (2, 6), (8, 11), (12, 16)]
    assert without(text, spans, np.array([True, False, True, True]), None) == "A , old film"
    assert without(text, spans, np.array([True, True, False, True]), None) == "A good, film"
    assert without(text, spans, np.array([False, True, True, False]), "[MASK]") == "[MASK] good, old [MASK]"
    assert without(text, spans, np.ones(4, dtype=bool), None) == text


def test_superpixels_follow_colours():
    image = np.zeros((3, 24, 32))
    image[:, 4:14, 6:20] = [[[1.0]], [[0.2]], [[0.1]]]
    parts = superpixels(image, 12, compactness=0.1)
    inside = np.zeros((24, 32), dtype=bool)
    inside[4:14, 6:20] = True
    shared = [part for part in np.unique(parts) if 0.02 < inside[parts == part].mean() < 0.98]
    assert not shared and 3 <= parts.max() + 1 <= 12
    assert parts.shape == (24, 32) and set(np.unique(parts)) == set(range(parts.max() + 1))
    grid = superpixels(np.zeros((1, 8, 8)), 4)
    assert len(np.unique(grid)) == 4 and len(np.unique(grid[:4, :4])) == 1


def test_an_image_gets_the_effects_of_its_parts():
    class Corner(nn.Module):
        """Mean brightness of the upper left quarter, minus half of that of the lower right one."""

        def forward(self, x):
            return (x[:, :, :4, :4].mean((1, 2, 3)) - 0.5 * x[:, :, 4:, 4:].mean((1, 2, 3))).unsqueeze(1)

    X = np.random.default_rng(0).random((2, 3, 8, 8)).astype("f") + 1
    squares = np.kron(np.arange(4).reshape(2, 2), np.ones((4, 4), dtype=int))
    result = lime(glia.wrap(Corner()), X, segments=squares, fill=0.0, samples=400)
    assert result.values.shape == (2, 3, 8, 8) and result.feature_names == ()
    parts = np.stack([result.values[:, :, squares == part].sum((1, 2)) for part in range(4)], axis=1)
    want = np.stack([X[:, :, :4, :4].mean((1, 2, 3)), 0 * X[:, 0, 0, 0], 0 * X[:, 0, 0, 0],
                     -0.5 * X[:, :, 4:, 4:].mean((1, 2, 3))], axis=1)  # fmt: skip
    np.testing.assert_allclose(parts, want, atol=0.01)
    np.testing.assert_allclose(result.slopes[0, 0, 0, 0], want[0, 0], atol=0.01)
    found = lime(glia.wrap(Corner()), X, segments=9, samples=100)
    assert found.settings["segments"][0] <= 9 and found.values.shape == X.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 3}, "samples must be at least 10"),
        ({"repeats": 1}, "repeats must be at least 2"),
        ({"spread": 0.0}, "must be above 0"),
        ({"features": 0}, "features must be at least 1"),
        ({"features": 2, "selection": "best"}, "selection must be"),
        ({"space": "probability"}, "need classes"),
    ],
)
def test_what_cannot_be_used_is_said(options, message):
    with pytest.raises(InputError, match=message):
        lime(glia.wrap(nn.Linear(4, 1)), rows(3, 4), **options)
    with pytest.raises(InputError, match="segments must be"):
        lime(glia.wrap(nn.Flatten()), np.zeros((1, 1, 4, 4), dtype="f"), segments=np.zeros((3, 3), dtype=int))
    with pytest.raises(InputError, match="lime_images"):
        lime(glia.wrap(nn.Flatten()), np.zeros((2, 4, 4), dtype="f"))
    assert Plan().words()["samples"] == 1000
