"""Questions 1 and 2 say yes where the claim holds and no where it does not."""

from dataclasses import replace

import numpy as np
import pytest

from glia.core.seeds import numpy_rng
from glia.lab import q01_neuron_and_network as q01
from glia.lab import q02_parts_of_a_neuron as q02
from glia.lab.bench import Bench
from glia.lab.made import made, rings
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q01, "_UNITS", (0, 16))
        patch.setattr(q02, "_SHIFTS", (q02._SHIFTS[0], q02._SHIFTS[-1]))
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


def test_q01_where_a_network_is_needed():
    found = q01.measure(Bench(rings(300)), SEEDS)
    assert words(q01.CLAIMS, found) == dict.fromkeys(found.pairs, "supported")


def test_q01_where_one_neuron_does():
    """A line parts these classes: one neuron gets them right, so nothing is left for a network to add."""
    found = words(q01.CLAIMS, q01.measure(Bench(sides()), SEEDS, corners=sides()))
    assert found == {
        "one neuron": "refuted", "network": "supported", "network and neuron": "refuted", "yours": "refuted"
    }  # fmt: skip


def test_q01_takes_several_classes_and_one_column():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 1))
    found = q01.measure(Bench(made("thirds", x, np.digitize(x[:, 0], [-0.3, 0.3]).astype(float), "multiclass")), [0, 1])
    assert np.isfinite(np.array(list(found.pairs.values()))).all()


def test_q02_the_bias_is_needed_off_centre_and_not_on_it():
    away = words(q02.CLAIMS, q02.measure(Bench(sides(shift=3.0)), SEEDS))
    assert away == dict.fromkeys(away, "supported")
    assert words(q02.CLAIMS, q02.measure(Bench(sides()), SEEDS))["yours"] == "refuted"


def test_q02_a_pass_that_forgets_the_bias_is_found_out():
    pairs = np.array([q02.inside(seed, lambda parts: q02.by_hand(replace(parts, bias=0.0))) for seed in SEEDS])
    claim = q02.CLAIMS[0]
    assert judge([weigh(claim, pairs[:, 0], np.full(len(SEEDS), -5.0))])[0][0] == "refuted"


def test_q02_even_clouds_do_not_need_the_bias_and_uneven_ones_do():
    claim = q02.CLAIMS[3]
    for shift, expected in ((0.0, "supported"), (2.0, "refuted")):
        both = q02.contrast(Bench(q02.clouds(shift, 0)), SEEDS, lr=0.05)
        assert judge([weigh(claim, *both)])[0][0] == expected
