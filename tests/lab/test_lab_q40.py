"""Question 40: remedies for a rare class pay where classes overlap, and have nothing to give where they do not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score

from glia.lab import q40_imbalanced_data as q40
from glia.lab.bench import Bench
from glia.lab.made import made
from glia.lab.verdict import judge, weigh


def verdicts(found, *keys):
    claims = [claim for claim in q40.CLAIMS if claim.key in keys]
    words = judge([weigh(claim, *map(np.asarray, found.pairs[claim.key])) for claim in claims])
    return {claim.key: word for claim, (word, _) in zip(claims, words, strict=True)}


def clouds(distance, rows=1600, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    x = rng.normal(size=(rows, 4))
    x += distance / 2 * (y[:, None] - 0.5)  # so far apart in each of four columns: `distance` in all
    x /= distance / 4 + 1
    return made("two clouds", x, y.astype(float), "binary")


REMEDIES = tuple(q40._REMEDIES)


@pytest.fixture(scope="module")
def overlapping():
    return q40.measure(Bench(clouds(2.0, 3000)), range(5))


@pytest.fixture(scope="module")
def apart():
    return q40.measure(Bench(clouds(60.0, 1000)), range(5))


def test_where_classes_overlap_every_remedy_buys_recall_with_precision(overlapping):
    keys = ("accuracy misleads", *REMEDIES, "price")
    assert set(verdicts(overlapping, *keys).values()) == {"supported"}
    recall, precision = (overlapping.sweeps[0].lines[name].mean(axis=0) for name in ("recall", "precision"))
    assert recall[-1] > recall[0] + 20 and not precision[-1] > precision[1]
    assert "5 %" in overlapping.notes[0]


def test_where_classes_are_apart_nothing_is_left_to_raise(apart):
    keys = ("accuracy misleads", *REMEDIES, "price", "ranking")
    assert set(verdicts(apart, *keys).values()) == {"refuted"}
    assert not apart.suggestion


def test_remedies_are_suggested_only_where_the_users_own_classes_are_uneven(overlapping):
    assert not overlapping.suggestion  # they gain there, but its classes were made rare for the question
    even = clouds(2.0, 400)
    y = even.train.y.numpy()
    few = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:10]]
    assert not q40.uneven(even) and q40.uneven(replace(even, train=even.train.take(torch.as_tensor(few))))


def test_a_threshold_is_enough_for_one_bump_and_not_where_it_is_spoilt(overlapping):
    assert verdicts(overlapping, "threshold is enough")["threshold is enough"] == "supported"
    with_, without = overlapping.pairs["threshold is enough"]
    claim = next(claim for claim in q40.CLAIMS if claim.key == "threshold is enough")
    assert judge([weigh(claim, with_ - 40.0, without)])[0][0] == "refuted"


def test_synthetic_rows_help_the_ranking_only_if_they_do(overlapping):
    """A line parts these clouds as well as anything does: made-up rows add nothing. Better scores are found."""
    assert verdicts(overlapping, "ranking")["ranking"] != "supported"
    claim = next(claim for claim in q40.CLAIMS if claim.key == "ranking")
    plain = overlapping.pairs["ranking"][1]
    assert judge([weigh(claim, plain + 5.0 + 0.1 * np.arange(5), plain)])[0][0] == "supported"


def test_figures_are_scikit_learns_at_the_stated_share():
    rng = np.random.default_rng(0)
    truth, found = rng.random(500) < 0.3, rng.random(500) < 0.4
    mass = np.where(truth, 0.05 / truth.mean(), 0.95 / (1 - truth.mean()))
    got = q40.judged(found, truth, 0.05)
    assert got.precision == pytest.approx(100 * precision_score(truth, found, sample_weight=mass))
    assert got.recall == pytest.approx(100 * recall_score(truth, found))
    assert got.balanced == pytest.approx(100 * balanced_accuracy_score(truth, found))
    assert got.accuracy == pytest.approx(100 * np.average(truth == found, weights=mass))
    assert np.isnan(q40.judged(np.zeros(500, bool), truth, 0.05).precision)


def test_the_rarer_class_is_thinned_and_test_rows_stay():
    data = clouds(1.0)
    thin = q40.rare(data, 0)
    assert float(thin.train.y.mean()) == pytest.approx(0.05, abs=0.01)
    assert len(thin.test) == len(data.test)
    assert float(thin.test.y.mean()) <= 0.55


def test_values_and_several_classes_are_recast_and_one_class_gives_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 1))
    values = made("values", x, x[:, 0], "regression")
    found = q40.measure(Bench(values), range(2))
    assert np.isfinite(found.pairs["weights"]).all()
    alone = made("one class", x, np.zeros(300), "binary")
    assert np.isnan(q40.measure(Bench(alone), range(2)).pairs["price"]).all()
