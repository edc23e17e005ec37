"""Skewed, bounded and counted quantities, quantiles that do not cross, and intervals that cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import yeojohnson
from sklearn.preprocessing import PowerTransformer

import glia
from glia.core.errors import InputError
from glia.estimators.target_transforms import TargetTransform, fit_transform
from glia.estimators.targets import ValueTarget
from glia.nn import MLP
from glia.objectives.regression_losses import Quantile

SMALL = {"network": MLP(hidden=(32,)), "epochs": 40, "members": 1, "lr": 5e-3}


def skewed(rows=3000, seed=0, noise=0.8):
    """A log-normal target: mean exp(x + noise²/2), median exp(x)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    return x, np.exp(x[:, 0] + noise * rng.normal(size=rows))


@pytest.mark.parametrize("kind", ["log", "yeo_johnson", "quantile", "logit"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_way_back_undoes_the_way_there(kind, seed):
    y = np.random.default_rng(seed).gamma(2.0, 3.0, (50, 2))
    found = fit_transform(kind, y, (0.0, 200.0))
    np.testing.assert_allclose(
        found.inverse(found.forward(y)), y, rtol=1e-6, atol=0.25 if kind == "logit" else 1e-6
    ) if (kind != "quantile") else np.testing.assert_allclose(
        found.inverse(found.forward(y))[2:-2].mean(), y[2:-2].mean(), rtol=0.05
    )
    again = TargetTransform.from_dict(found.to_dict(), 2)
    np.testing.assert_array_equal(again.forward(y), found.forward(y))
    rising = found.forward(np.sort(y, axis=0))
    assert (np.diff(rising, axis=0) >= -1e-12).all()


def test_yeo_johnson_is_scipys_and_its_power_scikit_learns():
    y = np.random.default_rng(0).gamma(1.0, 3.0, 300) - 1.5
    found = fit_transform("yeo_johnson", y[:, None], None)
    power = PowerTransformer(standardize=False).fit(y[:, None]).lambdas_[0]
    assert 0 < power < 2 and found.figures[0][0] == pytest.approx(power, abs=1e-3)
    np.testing.assert_allclose(found.forward(y[:, None])[:, 0], yeojohnson(y, found.figures[0][0]), rtol=1e-9)


def test_auto_takes_a_power_only_where_targets_are_skewed():
    rng = np.random.default_rng(0)
    assert fit_transform("auto", rng.normal(size=(500, 1)), None) is None
    assert fit_transform("auto", np.exp(2 * rng.normal(size=(500, 1))), None).kind == "yeo_johnson"
    assert fit_transform("auto", np.ones((50, 1)), None) is None


def test_a_mean_learned_on_a_log_scale_is_a_mean_again():
    """Undoing the logarithm alone gives the median, exp(-noise²/2) of the mean: smearing mends it."""
    x, y = skewed()
    model = glia.Regressor(**SMALL, target_transform="log").fit(x, y)
    truth = np.exp(x[:, 0] + 0.32)
    fair = model.predict(x).sum() / truth.sum()
    model.target_.rest = None
    plain = model.predict(x).sum() / truth.sum()
    assert fair == pytest.approx(1.0, abs=0.06) and plain < 0.85


def test_intervals_of_a_skewed_target_cover_and_lean_to_its_tail():
    x, y = skewed()
    model = glia.Regressor(**SMALL, target_transform="yeo_johnson").fit(x, y)
    new, truth = skewed(seed=1)
    low, high = model.predict_interval(new, coverage=0.9)
    assert 0.88 <= ((low <= truth) & (truth <= high)).mean() <= 0.93
    middle = model.predict(new)
    assert np.mean(high - middle) > 1.2 * np.mean(middle - low)
    plain_low, plain_high = glia.Regressor(**SMALL).fit(x, y).predict_interval(new, coverage=0.9)
    assert np.median(high - low) < 0.8 * np.median(plain_high - plain_low)  # one width for all is too wide for most


def test_bounds_hold_for_predictions_and_intervals():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    y = np.clip(0.5 + 0.4 * x[:, 0] + 0.1 * rng.normal(size=1500), 0, 1)
    for kind in ("none", "logit"):
        model = glia.Regressor(**SMALL, target_transform=kind, bounds=(0, 1)).fit(x, y)
        found = [model.predict(3 * x), *model.predict_interval(3 * x)]
        assert all(part.min() >= 0 and part.max() <= 1 for part in found)
    assert glia.Regressor(**SMALL).fit(x, y).predict(3 * x).max() > 1  # the control


def test_counts_have_intervals_that_grow_with_the_mean():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (3000, 2))
    y = rng.poisson(np.exp(1.5 + 1.5 * x[:, 0])).astype(float)
    model = glia.Regressor(**SMALL, objective="poisson", bounds=(0, None)).fit(x[:2000], y[:2000])
    low, high = model.predict_interval(x[2000:], 0.9)
    inside = (low <= y[2000:]) & (y[2000:] <= high)
    many = x[2000:, 0] > 0
    assert 0.87 <= inside.mean() <= 0.95
    assert np.mean((high - low)[many]) > 1.5 * np.mean((high - low)[~many])
    # by a single width the few would be covered too often and the many too seldom
    assert abs(inside[many].mean() - inside[~many].mean()) < 0.08


def test_quantiles_never_cross_and_are_right_as_often_as_they_say():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4000, 1))
    y = x[:, 0] + (0.2 + np.abs(x[:, 0])) * rng.normal(size=4000)
    levels = (0.1, 0.3, 0.5, 0.7, 0.9)
    model = glia.Regressor(**SMALL, objective=Quantile(levels)).fit(x[:3000], y[:3000])
    found = model.predict_quantiles(x[3000:])
    assert found.shape == (1000, 5) and (np.diff(found, axis=1) >= 0).all()
    np.testing.assert_allclose((y[3000:, None] <= found).mean(axis=0), levels, atol=0.05)
    np.testing.assert_array_equal(model.predict(x[3000:]), found[:, 2])
    untrained = glia.Regressor(network=MLP(hidden=(8,)), epochs=1, members=1, objective=Quantile(levels)).fit(
        x[:200], y[:200]
    )
    raw = untrained._outputs(x)
    assert (np.diff(raw, axis=1) < 0).any()  # the control: heads do cross
    assert (np.diff(untrained.predict_quantiles(x), axis=1) >= 0).all()


def test_several_targets_each_have_their_own_scale():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    y = np.stack([np.exp(x[:, 0] + 0.1 * rng.normal(size=1500)), x[:, 1] ** 2], axis=1)
    model = glia.Regressor(**SMALL, target_transform="yeo_johnson").fit(x, y)
    assert model.score(x, y) > 0.9 and model.predict(x).shape == (1500, 2)
    assert [float(figure[2]) > 10 for figure in model.target_.transform.figures] == [True, True]


@pytest.mark.parametrize("kind", ["log", "yeo_johnson", "quantile", "logit"])
def test_a_saved_model_predicts_the_same(kind, tmp_path):
    x, y = skewed(400)
    bounds = (0.0, float(y.max()) + 1) if kind == "logit" else (0, None)
    model = glia.Regressor(**{**SMALL, "epochs": 3}, target_transform=kind, bounds=bounds).fit(x, y)
    glia.save(model, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    np.testing.assert_array_equal(again.predict_interval(x), model.predict_interval(x))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target_transform": "lgo"}, "did you mean 'log'"),
        ({"target_transform": "log"}, "a logarithm needs targets of at least 0"),
        ({"target_transform": "logit"}, "a logit needs both bounds"),
        ({"bounds": (0, 1)}, "targets must lie within their bounds"),
        ({"bounds": (1, 0)}, "bounds must be a pair, the lower first"),
        ({"bounds": 3}, "bounds must be a pair"),
        ({"target_transform": "yeo_johnson", "objective": "poisson"}, "this loss needs the target on its own scale"),
    ],
)
def test_what_does_not_go_together(settings, words):
    x = np.random.default_rng(0).normal(size=(50, 2))
    y = x[:, 0] - 2 if settings.get("objective") != "poisson" else np.arange(50.0)
    with pytest.raises(InputError, match=words):
        glia.Regressor(**SMALL, **settings).fit(x, y)


def test_quantiles_must_have_been_learned():
    x = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(InputError, match="quantiles must have been learned"):
        glia.Regressor(**{**SMALL, "epochs": 1}).fit(x, x[:, 0]).predict_quantiles(x)


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "system", "figures": []},
        {"kind": "logit", "figures": [[1.0, 0.0]]},
        {"kind": "quantile", "figures": [[2.0, 1.0]]},
        {"kind": "yeo_johnson", "figures": [[float("nan"), 0.0, 1.0]]},
        {"kind": "yeo_johnson", "figures": [[1.0, 0.0, 1.0]] * 2},
    ],
)
def test_a_crafted_transform_is_refused(data):
    with pytest.raises(ValueError):
        TargetTransform.from_dict(data, 1)


def test_targets_without_a_transform_are_standardised_as_before():
    y = np.random.default_rng(0).normal(5, 3, 100)
    target = ValueTarget().fit(y)
    np.testing.assert_allclose(target.encode(y)[:, 0], (y - y.mean()) / y.std(), rtol=1e-5)
    np.testing.assert_allclose(target.decode(target.encode(y)), y, rtol=1e-5)
