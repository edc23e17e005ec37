"""Question 31: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest

from glia.lab import q31_regression as q31
from glia.lab.bench import Bench
from glia.lab.made import line, made, rings, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


def classes(rows=600, kinds=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    told = x[:, 0] ** 2 + 0.1 * rng.normal(size=rows)
    return made("classes", x, np.digitize(told, np.linspace(0.3, 1.5, kinds - 1)).astype(float), "multiclass")


@pytest.fixture(scope="module")
def bent():
    return words(q31.CLAIMS, q31.measure(Bench(waves(1000)), SEEDS))


@pytest.fixture
def only_intervals(monkeypatch):
    """Leave out what is not asked for: other outputs and several targets; the bent function is a short line."""
    zeros = np.zeros(len(SEEDS)), np.zeros(len(SEEDS))
    monkeypatch.setattr(q31, "_bounded", lambda *_: dict.fromkeys(("bounded", "bounded fits"), zeros))
    monkeypatch.setattr(q31, "_several", lambda *_: zeros)
    return {"bent": line(60)}


def test_a_network_beats_a_linear_model_on_a_bent_function_alone(bent, only_intervals):
    assert bent["curve"] == bent["beats linear"] == "supported"
    straight = words(q31.CLAIMS, q31.measure(Bench(line(400)), SEEDS, **(only_intervals | {"bent": line(400)})))
    assert straight["curve"] == straight["beats linear"] == "refuted"


def test_a_bounded_output_stays_within_the_range_that_it_was_given(bent):
    assert bent["bounded"] == "supported" and bent["bounded fits"] == "supported"
    wrong = words(q31.CLAIMS, q31.measure(Bench(line(150)), SEEDS, bent=line(60), range_=(-3.0, -1.0)))
    assert wrong["bounded"] == wrong["bounded fits"] == "refuted"


def test_intervals_cover_unless_their_radius_is_wrong(only_intervals):
    """Of 3,000 judged rows a coverage is known to half a percent; half and twice the radius are far off."""
    data = made("plain", *_plain(3000), "regression", shares=(0.1, 0.4))
    found = words(q31.CLAIMS, q31.measure(Bench(data), SEEDS, **only_intervals))
    assert found["intervals cover"] == found["intervals are not wide"] == "supported"
    for factor, verdicts in ((0.5, ("refuted", "supported")), (2.0, ("supported", "refuted"))):
        radius = lambda residuals, coverage, f=factor: f * q31.conformal_radius(residuals, coverage)  # noqa: E731
        wrong = words(q31.CLAIMS, q31.measure(Bench(data), SEEDS, radius=radius, **only_intervals))
        assert (wrong["intervals cover"], wrong["intervals are not wide"]) == verdicts


def _plain(rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 2))
    return x, x[:, 0] + 0.5 * rng.normal(size=rows)


def test_residuals_of_training_rows_are_too_small_where_noise_was_learned_by_heart(only_intervals):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 30))
    by_heart = made("noise", x, x[:, 0] + 2 * rng.normal(size=2000), "regression", shares=(0.08, 0.4))
    assert words(q31.CLAIMS, q31.measure(Bench(by_heart), SEEDS, **only_intervals))["training residuals"] == "supported"
    always = words(q31.CLAIMS, q31.measure(Bench(by_heart), SEEDS, radius=lambda *_: 1e9, **only_intervals))
    assert always["training residuals"] == "refuted"


def test_several_targets_in_one_network_are_worse_where_they_share_nothing():
    found = words(q31.CLAIMS, q31.measure(Bench(line(150)), SEEDS, bent=line(60), related=False))
    assert found["several targets"] == "refuted"


def test_related_targets_share_a_network(bent):
    assert bent["several targets"] != "refuted"


@pytest.mark.parametrize("data", [rings(200), classes(200), line(200, features=1)], ids=["two", "three", "one column"])
def test_every_kind_of_target_can_be_asked(data, only_intervals):
    found = q31.measure(Bench(data), range(2), **only_intervals)
    assert all(np.isfinite(side).all() for pair in found.pairs.values() for side in pair)
