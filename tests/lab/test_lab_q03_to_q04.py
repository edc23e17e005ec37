"""Questions 3 and 4 say yes where the claim holds and no where it does not."""

import numpy as np
import pytest

from glia.core.seeds import numpy_rng
from glia.lab import q03_perceptron as q03
from glia.lab import q04_perceptron_and_mlp as q04
from glia.lab.bench import Bench
from glia.lab.made import line, made, rings
from glia.lab.verdict import judge, weigh
from glia.nn.perceptron_rule import mistake_bound, perceptron_rule

SEEDS = range(6)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q04, "_WIDTHS", (2, 4, 64))
        yield


def words(claims, found):
    """Return the verdicts that the harness would give on these figures."""
    judged = judge([weigh(claim, *found.pairs[claim.key]) for claim in claims])
    return {claim.key: word for claim, (word, _) in zip(claims, judged, strict=True)}


def sides(rows=300, seed=0, shift=0.0, gap=2.0):
    """Two classes that the first input parts."""
    rng = numpy_rng(seed, "sides")
    label = np.arange(rows) % 2
    x = rng.normal(size=(rows, 2)) * 0.3
    x[:, 0] += gap * (2 * label - 1) + shift
    return made("two sides", x, label.astype(float), "binary")


def test_q03_on_classes_that_no_plane_parts():
    rng = np.random.default_rng(1)
    noisy = made("noise", rng.normal(size=(400, 3)), rng.integers(0, 2, 400).astype(float), "binary")
    found = words(q03.CLAIMS, q03.measure(Bench(noisy), SEEDS))
    assert [found[key] for key in ("bound", "settles", "exclusive or", "yours not parted")] == ["supported"] * 4


@pytest.fixture
def own_rows(monkeypatch):
    """Leave out the made rows, of which nothing is asked."""
    nothing = lambda _, seeds: (np.ones((len(seeds), len(q03._MARGINS))),) * 2  # noqa: E731
    monkeypatch.setattr(q03, "parted_figures", nothing)
    monkeypatch.setattr(q03, "last_mistakes", lambda *_: 0.0)


@pytest.mark.usefixtures("own_rows")
def test_q03_on_classes_that_a_plane_parts():
    found = words(q03.CLAIMS, q03.measure(Bench(sides()), SEEDS))
    assert found["yours not parted"] == found["yours best kept"] == "refuted"


def test_q03_a_rule_that_starts_far_off_breaks_the_bound_and_is_refuted():
    """Novikoff's bound counts from weights of 0; from far off on the wrong side it takes more mistakes."""

    def astray(x, y, **options):
        return perceptron_rule(x, y, initial=-1e4 * np.ones(x.shape[1] + 1), **{**options, "max_epochs": 20})

    shares, passes = q03.parted_figures(Bench(sides()), SEEDS, astray)
    found = [
        weigh(q03.CLAIMS[0], shares.max(1), np.full(len(SEEDS), 100.0)),
        weigh(q03.CLAIMS[1], passes.max(1), passes.max(1)),
    ]
    assert [word for word, _ in judge(found)] == ["refuted", "refuted"]


@pytest.mark.usefixtures("own_rows")
def test_q03_keeping_the_best_helps_where_the_last_pass_is_bad():
    """Two overlapping clouds and a few far rows with the wrong class, each of which throws the plane about."""
    rng = np.random.default_rng(0)
    label = np.arange(200) % 2
    x = rng.normal(size=(200, 2)) + 1.5 * (2 * label - 1)[:, None]
    x[::25] *= -36.0
    found = words(q03.CLAIMS, q03.measure(Bench(made("thrown", x, label.astype(float), "binary")), range(10)))
    assert found["yours best kept"] == "supported"


def test_q03_made_rows_have_the_margin_that_is_asked_for():
    x, y, plane = q03.parted(300, 0.2, seed=4)
    distance = (2 * y - 1) * (x @ plane[:-1] + plane[-1])
    assert distance.min() >= 0.2
    radius = np.sqrt((x**2).sum(1).max() + 1)
    np.testing.assert_allclose(mistake_bound(x, y, plane), (radius / distance.min()) ** 2)


def test_q04_where_hidden_layers_are_needed():
    found = words(q04.CLAIMS, q04.measure(Bench(rings(300)), SEEDS))
    assert found == dict.fromkeys(found, "supported")


def test_q04_where_they_are_not():
    """Lines part these classes, one target is a line and one noise: hidden layers and width add nothing."""
    seed = np.random.default_rng(2)
    x = seed.normal(size=(600, 2))
    three = made("three strips", x, np.digitize(x[:, 0], [-2.9, 2.9]).astype(float), "multiclass")
    plain = made("noise", np.zeros((600, 1)), seed.normal(size=600), "regression")
    tasks = q04.Tasks(sides(), three, line(600, 2, noise=0.0), plain)
    found = words(q04.CLAIMS, q04.measure(Bench(sides()), SEEDS, tasks))
    assert found == dict.fromkeys(found, "refuted")


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_q04_the_perceptron_of_the_contrast_is_the_rule(task):
    data = sides() if task == "binary" else q04.many_rings(0)
    scores = q04.perceptron(Bench(data), [0, 1])
    assert (scores > 99).all() if task == "binary" else (scores < 60).all()
