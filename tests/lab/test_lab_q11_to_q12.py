"""Questions 11 and 12 say yes where gradients explode or vanish and no where they do not."""

import numpy as np
import pytest
import torch

from glia.lab import q11_exploding_gradients as q11
from glia.lab import q12_vanishing_gradients as q12
from glia.lab.bench import Bench
from glia.lab.guessing import guessing_loss
from glia.lab.made import line, rings
from glia.lab.q04_perceptron_and_mlp import many_rings
from glia.lab.verdict import judge, weigh

SEEDS = range(5)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q11, "_SCALES", (1.0, q11._LARGE))
        yield


def words(claims, found):
    """Return the verdicts that the harness would give on these figures."""
    judged = judge([weigh(claim, *found.pairs[claim.key]) for claim in claims])
    return {claim.key: word for claim, (word, _) in zip(claims, judged, strict=True)}


def test_q11_where_first_weights_are_too_large():
    found = words(q11.CLAIMS, q11.measure(Bench(q11.wide(7, 400)), SEEDS))
    for key in ("explodes", "fails", "made he", "made batch norm", "yours he", "yours batch norm"):
        assert found[key] == "supported", key


def test_q11_where_they_are_not_there_is_nothing_to_remedy():
    data = q11.wide(7, 150)
    found = words(q11.CLAIMS, q11.measure(Bench(data), SEEDS, large=1.0, rows=data))
    assert "supported" not in found.values()
    assert found["explodes"] == found["fails"] == found["yours he"] == "refuted"


def test_q11_gradient_norms_are_those_of_one_backward_pass():
    bench = Bench(line(200))
    found = q11.gradient_norms(bench, [3, 4], 1.0)
    large = q11.gradient_norms(bench, [3, 4], 2.0)
    assert (large - found > 9 * np.log10(2)).all()  # of ten layers each gradient passes nine at least


def test_q12_in_a_deep_network():
    found = words(q12.CLAIMS, q12.measure(Bench(many_rings(0, rows=500)), SEEDS))
    flat = {key: word for key, word in found.items() if not key.endswith("learns")}
    assert flat == dict.fromkeys(flat, "supported")
    assert found["relu learns"] == found["skip learns"] == "supported"


def test_q12_where_nothing_vanishes_nothing_is_to_be_remedied():
    """ReLU in the place of sigmoid: gradients do not fall, and no remedy adds anything."""
    same = {name: {"activation": "relu"} for name in q12.NETWORKS}
    found = words(q12.CLAIMS, q12.measure(Bench(rings(300)), SEEDS, networks=same))
    assert found["falls"] == "refuted"
    assert {word for key, word in found.items() if key.endswith(("flattens", "learns"))} == {"refuted"}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_guessing_is_the_best_constant(task):
    data = {"binary": rings, "multiclass": many_rings, "regression": line}[task](seed=1)
    if task == "regression":
        expected = float(data.train.y.var(correction=0))
    else:
        share = torch.unique(data.train.y, return_counts=True)[1].double() / len(data.train)
        expected = float(-(share * share.log()).sum())
    assert guessing_loss(data.train, task) == pytest.approx(expected, rel=1e-5)
