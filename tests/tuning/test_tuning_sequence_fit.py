"""Settings of pictures and sequences are searched, and looked at by the doctor, by what these estimators choose."""

import numpy as np
import pytest

import glia
from glia.diagnose import diagnose
from glia.diagnose.case import make_case
from glia.tuning.prepared import prepare
from glia.tuning.space import Real, Space


def sequences(count=60):
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    return [
        rng.normal(size=n).cumsum() * 0.1 + np.arange(n) * (0.3 * c - 0.15)
        for n, c in zip(rng.integers(6, 12, count), y, strict=True)
    ], y


def pictures(count=60):
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    X = rng.integers(0, 80, (count, 8, 8))
    X[y == 1, :4] += 120
    return X.astype(np.uint8), y


KINDS = {
    "sequences": (lambda: glia.SequenceClassifier(network="gru", epochs=2), sequences, 3e-3),
    "pictures": (lambda: glia.ImageClassifier(network="lenet", epochs=2), pictures, 1e-2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_auto_means_what_the_estimator_says(kind):
    """Of tables, the rate would be another; so would be the batch."""
    make, rows, rate = KINDS[kind]
    X, y = rows()
    model = make().fit(X, y)
    case = make_case(model, X, y)
    assert case.lr == rate and case.batch_size == int(model.choices_["batch_size"]["value"])
    part = (X, y, None)
    found = prepare(make(), part, part).choices(make())
    assert found.lr == rate and found.batch_size == case.batch_size


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_searched_and_the_doctor_looks(kind, monkeypatch):
    make, rows, _ = KINDS[kind]
    X, y = rows()
    result = glia.tune(make(), X, y, space=Space({"lr": Real(1e-3, 1e-2, log=True)}), trials=2)
    assert len(result.trials) == 2 and all(t.score is not None and np.isfinite(t.score) for t in result.trials)
    monkeypatch.setattr("glia.diagnose.measures.TRIALS", 0.0)  # no trainings at other rates: they take long
    found = diagnose(make().fit(X, y), X, y, prove_remedies=False)
    assert found.summary()
