"""Question 20: claims are supported where the mechanism acts, and refuted where it does not."""

import numpy as np

from glia.lab import q20_early_stopping as q20
from glia.lab.bench import Bench
from glia.lab.made import made, waves
from glia.lab.verdict import judge, weigh

SEEDS = range(6)


def words(claims, found):
    return {claim.key: judge([weigh(claim, *found.pairs[claim.key])])[0][0] for claim in claims}


def by_heart(rows, columns=15, wrong=0.2, shares=(0.6, 0.2)):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    return made("noise", x, ((x[:, 0] > 0) ^ (rng.uniform(size=rows) < wrong)).astype(float), "binary", shares=shares)


def test_early_stopping_where_noise_is_learned_by_heart():
    verdicts = words(q20.CLAIMS, q20.measure(Bench(by_heart(700)), SEEDS, lr=3e-3, folds=2))
    assert {key for key, verdict in verdicts.items() if verdict == "supported"} >= {
        "near the optimum", "lower test loss", "noise", "best weights", "saves",
    }  # fmt: skip


def test_early_stopping_where_a_network_is_still_learning():
    """Nothing is learned by heart from a smooth function; stopping at the first bad epoch comes much too early."""
    clean = waves(900, noise=0.0)
    verdicts = words(q20.CLAIMS, q20.measure(Bench(clean), SEEDS, lr=1e-2, patience=1, noisy=clean, folds=2))
    assert {key for key, verdict in verdicts.items() if verdict == "refuted"} >= {
        "near the optimum", "no worse", "lower test loss", "noise",
    }  # fmt: skip
    calm = words(q20.CLAIMS, q20.measure(Bench(clean), SEEDS, lr=1e-4, folds=2))
    assert calm["saves"] == calm["best weights"] == "refuted"  # the last epoch is always the best one so far


def test_epochs_at_which_training_stops():
    valid = np.array([[5, 4, 3, 4, 4, 4, 2], [5, 4, 3, 2, 1, 0.5, 0.2], [1, 2, 3, 4, 5, 6, 7]])
    assert q20.stopping_epochs(valid, 3).tolist() == [6, 7, 4]
    assert q20.stopping_epochs(valid, 0).tolist() == [7, 7, 7]


def test_the_engine_stops_where_the_curves_say():
    """Best weights come from the engine, epochs from the curves: losses of the two must agree."""
    bench = Bench(by_heart(500))
    found = q20._both(bench, SEEDS, 3, 1e-2)
    assert (found["epochs"] < 30).all()
    at = [np.argmin(curve[: int(e)]) for curve, e in zip(found["valid curve"], found["epochs"], strict=True)]
    np.testing.assert_allclose(found["test stopped"], found["test curve"][np.arange(6), at], rtol=1e-4)
