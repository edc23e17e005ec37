"""Question 10 says yes where a rule is faster and no where it cannot be."""

import numpy as np
import pytest

from glia.core.seeds import numpy_rng
from glia.lab import q10_optimizers as q10
from glia.lab.bench import Bench
from glia.lab.made import line, made
from glia.lab.verdict import judge, weigh

SEEDS = range(5)


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of eleven rules only those that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q10, "_NAMES", {name: q10._NAMES[name] for pair in q10._FASTER for name in pair})
        yield


def words(claims, found):
    """Return the verdicts that the harness would give on these figures."""
    judged = judge([weigh(claim, *found.pairs[claim.key]) for claim in claims])
    return {claim.key: word for claim, (word, _) in zip(claims, judged, strict=True)}


def valley(rows=500, ratio=30.0):
    """A regression whose inputs differ in size: plain gradients crawl along the small ones."""
    rng = numpy_rng(0, "valley")
    x = rng.normal(size=(rows, 6)) * np.geomspace(1.0, 1.0 / ratio, 6)
    return made("valley", x, np.tanh(x * ratio / 3).sum(1) + 0.05 * rng.normal(size=rows), "regression")


def dense(rows=900, features=40):
    """Inputs that are all alike: rates that adapt to each weight have nothing to adapt to."""
    rng = numpy_rng(1, "dense")
    x = rng.normal(size=(rows, features))
    return made("dense", x, (x @ rng.choice([-1.0, 1.0], features) > 0).astype(float), "binary")


def test_q10_where_rates_that_adapt_help():
    found = words(
        q10.CLAIMS,
        q10.measure(Bench(valley()), SEEDS, optimizers=dict.fromkeys(("lion", "muon", "schedule_free"), "adam")),
    )
    assert found["adagrad and sgd"] == "supported"
    assert found["adagrad on rare features"] == "supported"


def test_q10_where_one_rule_stands_for_all_nothing_is_faster():
    """Under every name the same rule at the same rates: no contrast is left."""
    same = q10.measure(Bench(line(120)), SEEDS, optimizers=dict.fromkeys(q10._NAMES, "momentum"), rare=dense(300))
    assert words(q10.CLAIMS, same) == dict.fromkeys(same.pairs, "refuted")
    assert same.suggestion["optimizer"] == "adam"


def test_q10_adaptive_rates_do_not_help_where_all_features_are_alike():
    scores = {rule: q10.best_score(Bench(dense(1200)), SEEDS, rule) for rule in ("sgd", "adagrad", "adam")}
    claims = {claim.key: claim for claim in q10.CLAIMS}
    found = [weigh(claims[f"{rule} on rare features"], scores[rule], scores["sgd"]) for rule in ("adagrad", "adam")]
    assert [word == "supported" for word, _ in judge(found)] == [False, False]
    assert judge(found)[1][0] == "refuted"


def test_q10_rare_features_are_as_rare_as_they_are_said_to_be():
    x = q10.sparse(0, rows=20000).train.x
    np.testing.assert_allclose(x.mean(0).numpy()[[0, -1]], [0.5, 0.01], rtol=0.15)
