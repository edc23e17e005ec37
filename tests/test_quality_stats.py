"""The sums of the quality benchmark against worked examples of the literature and by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
INF = np.inf


@pytest.fixture
def sums(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import quality_stats

    yield quality_stats
    sys.modules.pop("quality_stats", None)


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ([0.10, 0.11, 0.12], [0.20, 0.21, 0.22], "win"),
        ([0.20, 0.21, 0.22], [0.10, 0.11, 0.12], "loss"),
        ([0.1000, 0.1000], [0.1005, 0.1005], "tie"),  # half a per cent
        ([0.10, 0.30], [0.20, 0.29], "tie"),  # the splits disagree
        ([0.5], [INF], "win"),
        ([INF], [0.5], "loss"),
        ([INF], [INF], "tie"),
    ],
)
def test_wins_ties_and_losses(sums, ours, theirs, outcome):
    assert sums.compare(ours, theirs) == outcome


def test_ranks_share_equal_places(sums):
    grouped = {"t": {"a": [1.0], "b": [2.0], "c": [2.0]}, "u": {"a": [3.0], "b": [1.0], "c": [INF]}}
    assert sums.ranks(grouped, ["a", "b", "c"]) == {"a": 1.5, "b": 1.75, "c": 2.75}


def test_normalised_error_by_hand(sums):
    errors = {"t": {"a": [0.1, 0.3], "b": [0.3, 0.3], "c": [0.9]}, "u": {"a": [0.5], "b": [0.4], "c": [INF]}}
    # t: best 0.2, constant 0.6; u: best 0.4, constant 0.8; beyond the constant answer counts as 1.
    expected = {"a": (0 + 0.25) / 2, "b": (0.25 + 0) / 2, "c": 1.0}
    assert sums.normalised(errors, {"t": 0.6, "u": 0.8}, ["a", "b", "c"]) == pytest.approx(expected)


def test_critical_difference_of_the_literature(sums):
    # Demšar (JMLR 7, 2006), section 3.2.2: 14 tables, 4 classifiers, q = 2.569, and the critical difference is 1.25.
    assert sums.critical_difference(14, 4) == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    assert sums.critical_difference(14, 4) == pytest.approx(1.25, abs=0.01)


def test_friedman_against_scipy(sums):
    random = np.random.default_rng(0)
    scores = random.normal(size=(12, 4)) + np.array([0, 0, 0.5, 1.0])
    chi, _ = stats.friedmanchisquare(*scores.T)
    f = 11 * chi / (12 * 3 - chi)
    p = sums.friedman(stats.rankdata(scores, axis=1))
    assert p == pytest.approx(stats.f.sf(f, 3, 33))
    # The control: every model has every place equally often.
    assert sums.friedman(np.array([np.roll([1.0, 2, 3, 4], i) for i in range(4)])) == pytest.approx(1)
    assert sums.friedman(np.tile([1.0, 2.0, 3.0], (5, 1))) == 0


def test_wilcoxon_is_corrected_after_holm(sums):
    errors = {f"t{i}": {"us": [0.1], "a": [0.2 + i / 100], "b": [0.1 + (i + 1) * (-1) ** i / 100], "us too": [0.1]}
              for i in range(6)}  # fmt: skip
    p = sums.wilcoxon_holm(errors, "us", ["a", "b", "us too"])
    assert p["a"] == pytest.approx(3 * 2 / 2**6)  # six gains of one sign: two of the 64 patterns, times three
    raw = stats.wilcoxon([(i + 1) * (-1) ** i for i in range(6)]).pvalue
    assert p["b"] == pytest.approx(min(1, 2 * raw)) and p["us too"] == 1
    failed = {name: of | {"a": [INF]} for name, of in errors.items()}
    assert sums.wilcoxon_holm(failed, "us", ["a"])["a"] == pytest.approx(2 / 2**6)


def test_cliques_are_the_longest_runs(sums):
    assert sums.cliques([1.0, 1.5, 2.4, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert sums.cliques([1.0, 1.5, 2.0, 4.0], 1.0) == [(0, 2)]
    assert sums.cliques([1.0, 3.0], 1.0) == []


def test_geometric_mean(sums):
    assert sums.geometric_mean([0.5, 2.0, 8.0]) == pytest.approx(2.0)
    assert np.isnan(sums.geometric_mean([]))
