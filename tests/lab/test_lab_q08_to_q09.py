"""Questions 8 and 9 say yes where the loss makes the difference and no where it cannot."""

import numpy as np
import pytest

from glia.core.seeds import numpy_rng
from glia.lab import q08_loss_functions as q08
from glia.lab import q09_kinds_of_losses as q09
from glia.lab.bench import Bench
from glia.lab.made import line, made
from glia.lab.recast import as_classes, as_two_classes, as_values
from glia.lab.verdict import judge, weigh
from glia.objectives.losses import losses

SEEDS = range(5)


def words(claims, found):
    """Return the verdicts that the harness would give on these figures."""
    judged = judge([weigh(claim, *found.pairs[claim.key]) for claim in claims])
    return {claim.key: word for claim, (word, _) in zip(claims, judged, strict=True)}


def lognormal(rows=500):
    x = numpy_rng(0, "inputs").normal(size=(rows, 2))
    return made("skewed", x, np.exp(numpy_rng(1, "values").normal(size=rows)), "regression")


def coin(rows=600, noise=0.2):
    """Two classes of equal size, a fifth of them at random."""
    rng = numpy_rng(3, "coin")
    x = rng.normal(size=(rows, 2))
    label = (x[:, 0] > 0).astype(float)
    return made("coin", x, np.where(rng.uniform(size=rows) < noise, 1 - label, label), "binary")


@pytest.mark.parametrize("name, options, optimum", [
    ("mse", {}, np.mean), ("mae", {}, np.median), ("quantile", {"levels": (0.9,)}, lambda y: np.quantile(y, 0.9)),
    ("msle", {}, lambda y: np.expm1(np.log1p(y).mean())),
])  # fmt: skip
def test_q08_the_best_constant_is_the_one_of_the_textbook(name, options, optimum):
    y = q08.skewed(5, 2001)
    np.testing.assert_allclose(q08.best_constant(losses.get(name)(**options), y), optimum(y), atol=5e-3)


def test_q08_where_the_losses_differ():
    found = words(q08.CLAIMS, q08.measure(Bench(lognormal()), SEEDS))
    assert found == dict.fromkeys(found, "supported")


def test_q08_where_they_do_not():
    """Of values whose mean is their median neither claim about the two can be told."""

    def even(seed):
        half = numpy_rng(seed).normal(size=200)
        return np.concatenate([half, -half])

    x = numpy_rng(0, "inputs").normal(size=(1000, 2))
    same = made("even", x, np.tile([-1.0, 0.0, 0.0, 1.0], 250), "regression")
    found = words(q08.CLAIMS, q08.measure(Bench(same), SEEDS, even))
    assert found["mean"] != "supported" and found["median"] != "supported" and found["yours"] == "refuted"


@pytest.mark.slow  # a second confirmation
def test_q08_networks_of_one_loss_do_not_differ():
    claim = q08.CLAIMS[4]
    assert judge([weigh(claim, *q08.conditional(Bench(line()), SEEDS, ("mse", "mse")))])[0][0] == "refuted"
    assert judge([weigh(claim, *q08.conditional(Bench(line()), SEEDS, ("mse", "mae")))])[0][0] == "refuted"


def test_q09_where_targets_are_wild():
    found = words(q09.CLAIMS, q09.measure(Bench(line(400, 3)), SEEDS))
    assert [found[key] for key in ("absolute error", "Huber", "yours absolute error", "yours Huber")] == [
        "supported"
    ] * 4
    assert found["hinge"] == "supported"


def test_q09_outliers_of_no_size_spoil_nothing():
    found = words(q09.CLAIMS, q09.measure(Bench(coin(200)), SEEDS, size=0.0, plain=line(200)))
    assert [found[key] for key in ("absolute error", "Huber", "yours absolute error", "yours Huber")] == ["refuted"] * 4


def test_q09_labels_at_random_are_not_decided_alike():
    rng = numpy_rng(0, "labels")
    noise = made("noise", rng.normal(size=(600, 8)), rng.integers(0, 2, 600).astype(float), "binary")
    alike = q09.agreement(Bench(noise), range(10))
    assert judge([weigh(q09.CLAIMS[4], alike, np.full(10, 100.0))])[0][0] == "refuted"


def test_recast_targets():
    values, classes = line(200), coin()
    halves = as_classes(values)
    assert halves.task == "binary" and 0.4 < float(halves.train.y.mean()) < 0.6
    assert (halves.test.y == (values.test.y[:, 0] > values.train.y.median()).float()).all()
    assert as_classes(classes) is classes and as_two_classes(classes) is classes
    numbers = as_values(classes)
    common = classes.train.y.mode().values
    assert numbers.train.y.shape == (len(classes.train), 1) and numbers.outputs == 1
    assert ((numbers.test.y[:, 0] > 0) == (classes.test.y == common)).all()
    assert abs(float(numbers.train.y.mean())) < 1e-5
