"""Question 32: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np
import pytest

from glia.lab import q32_large_data as q32
from glia.lab.bench import Bench
from glia.lab.made import line, made
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
def large():
    return words(q32.CLAIMS, q32.measure(Bench(classes(1500, kinds=5)), SEEDS))


@pytest.fixture
def only_rows(monkeypatch):
    """Leave out memory, folds and faults, which are not asked for."""
    monkeypatch.setattr(q32, "_peak", lambda *_: 1.0)
    monkeypatch.setattr(q32, "_findings", lambda *_: 0.0)
    monkeypatch.setattr(q32, "_fold_errors", lambda _, seeds, folds: np.zeros((len(seeds), 2)))


def test_memory_of_a_stream_stays_flat(large):
    assert large["flat memory"] == large["memory saved"] == "supported"


def test_holding_all_rows_is_found_out():
    found = words(q32.CLAIMS, q32.measure(Bench(line(200)), range(5), streamed=q32.hold, plant=False, shuffled=False))
    assert found["flat memory"] == found["memory saved"] == "refuted"
    assert found["faults"] == "refuted" and found["sorted files"] == "refuted"


def test_the_largest_pool_is_what_the_stream_holds():
    held = q32.stream_through(q32.Generated(10_000, 20, 0), 2000, 0)
    assert 0 < held <= 2 * 2000 * (20 * 4 + 4)
    assert q32._peak(q32.hold, 10_000, 0) == pytest.approx(10_000 * 84 / 2**20, rel=0.1)


def test_order_and_number_of_rows_matter_where_there_is_much_to_learn(large):
    assert large["sorted files"] == large["faults"] == "supported"
    assert large["streamed as good"] != "refuted"


@pytest.mark.usefixtures("only_rows")
def test_more_rows_bring_nothing_where_nothing_is_to_be_learned():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3))
    easy = made("easy", np.sign(x) + 0.01 * x, (x[:, 0] > 0).astype(float), "binary")
    found = words(q32.CLAIMS, q32.measure(Bench(easy), SEEDS))
    assert found["more rows"] == "refuted" and found["streamed as good"] == "supported"


@pytest.mark.usefixtures("only_rows")
def test_a_stream_in_the_order_of_a_sorted_file_is_worse_than_memory(monkeypatch):
    sorted_ = lambda held, pool, shape: q32.InOrder(  # noqa: E731
        held.rows.take(held.rows.y.reshape(len(held.rows), -1)[:, 0].argsort(stable=True))
    )
    monkeypatch.setattr(q32, "StreamSource", sorted_)
    found = words(q32.CLAIMS, q32.measure(Bench(classes(1500, kinds=5)), SEEDS))
    assert found["streamed as good"] == "refuted"


def test_cross_validation_is_more_exact_than_one_fold_but_one_fold_is_as_exact_as_itself():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2400, 5))
    y = (x[:, 0] > 0) ^ (rng.uniform(size=2400) < 0.25)
    noisy = Bench(made("noisy", x, y.astype(float), "binary", shares=(0.1, 0.1)))
    several = q32._fold_errors(noisy, range(24), 5)
    claim = next(claim for claim in q32.CLAIMS if claim.key == "cross-validation")
    assert judge([weigh(claim, *several.T)])[0][0] == "supported"
    one = np.stack([several[:, 1]] * 2)
    assert judge([weigh(claim, *one)])[0][0] == "refuted"


@pytest.mark.usefixtures("only_rows")
def test_later_doublings_bring_less_where_the_first_rows_tell_nearly_all():
    found = words(q32.CLAIMS, q32.measure(Bench(line(2000, features=60, noise=1.0)), SEEDS))
    assert found["diminishing"] == found["more rows"] == "supported"


@pytest.mark.usefixtures("only_rows")
def test_later_doublings_bring_more_where_rows_at_the_end_hold_what_matters():
    """Up to half of the rows a column is 0: only the last doubling brings rows that show what it says."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    x[:450, 0] = 0.0
    data = made("late", x, 3 * x[:, 0] + 0.1 * x[:, 1], "regression")
    assert words(q32.CLAIMS, q32.measure(Bench(data), SEEDS))["diminishing"] == "refuted"
