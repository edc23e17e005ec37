"""Questions 13 to 15 say yes where the mechanism acts and no where it cannot."""

import numpy as np
import polars as pl
import pytest
import torch

from glia.core.seeds import numpy_rng
from glia.lab import q13_regularisation as q13
from glia.lab import q14_normalisation as q14
from glia.lab import q15_activations as q15
from glia.lab.bench import Bench
from glia.lab.data import load_data
from glia.lab.made import line, made, rings
from glia.lab.verdict import judge, weigh

SEEDS = range(5)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q14, "_NORMS", ("none",))
        patch.setattr(q15, "_RATES", tuple(q15._RATES[i] for i in (0, 1, -1)))
        patch.setattr(
            q15, "_NAMES", {name: q15._NAMES[name] for name in ("step", "linear", "sigmoid", "relu", "leaky_relu")}
        )
        yield


def words(claims, found):
    """Return the verdicts that the harness would give on these figures."""
    judged = judge([weigh(claim, *found.pairs[claim.key]) for claim in claims])
    return {claim.key: word for claim, (word, _) in zip(claims, judged, strict=True)}


def noisy(rows=600, features=20):
    """Classes of which a third of the rows are wrong: a large network learns them by heart."""
    rng = numpy_rng(0, "noisy")
    x = rng.normal(size=(rows, features))
    label = (x[:, 0] > 0) ^ (rng.uniform(size=rows) < 0.3)
    return made("noisy", x, label.astype(float), "binary")


def test_q13_where_a_network_learns_by_heart():
    found = words(q13.CLAIMS, q13.measure(Bench(noisy()), SEEDS))
    for key in ("l1", "l2", "weight_decay", "early stopping", "l2 pays", "early stopping pays"):
        assert found[key] == "supported", key


def test_q13_where_there_is_no_gap():
    """Many rows of a clean line and a network of four units: training and test loss agree anyway."""
    found = q13.measure(Bench(line(1500, 2, noise=0.05)), SEEDS, rows=900, hidden=(4,))
    gaps = {key: word for key, word in words(q13.CLAIMS, found).items() if not key.endswith("pays")}
    assert gaps == dict.fromkeys(gaps, "refuted")


@pytest.mark.slow  # a second confirmation
def test_q13_regularisation_of_no_strength_does_nothing():
    found = q13.measure(Bench(noisy(300)), SEEDS, strengths=dict.fromkeys(q13.STRENGTHS, 0.0))
    verdicts = words(q13.CLAIMS, found)
    assert {verdicts[key] for key in q13.STRENGTHS} == {"refuted"}


def test_q14_where_units_differ():
    found = words(q14.CLAIMS, q14.measure(Bench(q14.uneven(3)), SEEDS))
    for key in ("made faster", "made larger rate", "zscore faster", "robust faster", "larger rate"):
        assert found[key] == "supported", key


def test_q14_where_they_do_not():
    """Inputs that are scaled already: scaling them again changes next to nothing."""
    even = q14.uneven(3, largest=1.0)
    found = words(q14.CLAIMS, q14.measure(Bench(even), SEEDS, raw=even))
    assert found["made larger rate"] == found["larger rate"] == "refuted"
    assert found["made faster"] != "supported" and found["zscore faster"] != "supported"


def test_q14_scales_the_users_own_columns():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({
        "income": rng.normal(5e4, 1e4, 200), "age": rng.uniform(20, 60, 200), "town": rng.choice(["a", "b"], 200),
        "y": rng.normal(size=200),
    })  # fmt: skip
    data = load_data(frame, "y")
    raw, scaled = (q14.rescaled(data, how) for how in ("none", "zscore"))
    assert float(raw.train.x.max()) > 1e4 and raw.train.x.shape == scaled.train.x.shape == data.train.x.shape
    torch.testing.assert_close(scaled.train.x[:, :2].mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.train.x[:, :2].std(0, correction=0), torch.ones(2), atol=1e-3, rtol=0)
    short = q14.rescaled(data.head(60), "zscore")
    assert len(short.train) == 60 and torch.equal(short.train.y, data.train.y[:60])


def test_q15_where_units_die():
    found = words(q15.CLAIMS, q15.measure(Bench(noisy(400)), SEEDS))
    for key in ("ReLU dies", "leaky", "ReLU and linear", "step"):
        assert found[key] == "supported", key


def test_q15_without_the_difference_nothing_is_found():
    """ReLU in the place of leaky ReLU, sigmoid in that of the step; and a line needs no kinks."""
    found = words(q15.CLAIMS, q15.measure(Bench(line(300, 3, noise=0.0)), SEEDS, leaky="relu", steps="sigmoid"))
    assert found["leaky"] == found["leaky learns"] == found["step"] == "refuted"
    assert found["ReLU and linear"] == "refuted"


@pytest.mark.parametrize("bias, expected", [(-1.0, 100.0), (1.0, 0.0)])
def test_q15_dead_units_are_those_that_no_row_switches_on(bias, expected):
    bench = Bench(rings(100))
    network = bench.network((8, 8))
    with torch.no_grad():
        for block in network.blocks:
            block.linear.weight.zero_()
            block.linear.bias.fill_(bias)
        assert q15.dead_units(bench, [network])[0] == expected
        network.blocks[1].linear.bias[0] = -bias
    assert abs(q15.dead_units(bench, [network])[0] - expected) == 100 / 16
