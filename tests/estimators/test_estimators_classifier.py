"""Classification: what may be handed in, what depends on seeds, and whether probabilities are honest."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from glia import Classifier, Objective, Preparation
from glia.core.errors import InputError
from glia.data import read
from glia.estimators.holdout import hold_out
from glia.nn import MLP
from glia.objectives import reliability

SMALL = {"network": MLP(hidden=(16,)), "epochs": 5, "random_state": 0}


def people(count=240, seed=0):
    """Rows of every kind, with holes; the class depends on all of them."""
    rng = np.random.default_rng(seed)
    age, town = rng.normal(40, 10, count), rng.choice(["Ulm", "Bonn", "Jena"], count)
    days = rng.integers(0, 2000, count)
    score = (age - 40) / 10 + 2.0 * (town == "Ulm") - 1.0 * (days > 1000)
    y = np.where(score + rng.normal(0, 0.5, count) > 0.3, "yes", "no")
    dates = [datetime.date(2015, 1, 1) + datetime.timedelta(days=int(d)) for d in days]
    frame = pl.DataFrame({"age": age, "town": town, "joined": dates, "vip": rng.random(count) > 0.5})
    holes = rng.random((count, 2)) < 0.1
    return frame.with_columns(
        pl.when(~pl.Series(holes[:, 0])).then(pl.col("age")).alias("age"),
        pl.when(~pl.Series(holes[:, 1])).then(pl.col("town")).alias("town"),
    ), y


def blobs(count=300, features=4, classes=2, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, count)
    centres = 2.0 * rng.normal(size=(classes, features))
    return centres[y] + noise * rng.normal(size=(count, features)), y


def test_rows_come_as_they_are():
    frame, y = people()
    model = Classifier(random_state=0, epochs=30).fit(frame[:180], y[:180])
    assert model.score(frame[180:], y[180:]) > 0.8 > np.mean(y == "yes") + 0.1
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.predict_proba(frame[:5].with_columns(town=pl.lit("never seen"))).sum(1) == pytest.approx(1)


def test_containers_of_words_and_dates_do_not_matter():
    frame, y = people()
    expected = Classifier(**SMALL).fit(frame, y).predict_proba(frame)
    pandas, arrow = frame.to_pandas(), frame.to_arrow()
    assert isinstance(pandas, pd.DataFrame) and isinstance(arrow, pa.Table)
    for X, target in ((pandas, pd.Series(y)), (arrow, pa.chunked_array([y])), (frame, pl.Series(y)), (frame, list(y))):
        np.testing.assert_array_equal(Classifier(**SMALL).fit(X, target).predict_proba(X), expected)


def test_containers_of_numbers_do_not_matter():
    X, y = blobs()
    expected = Classifier(**SMALL).fit(X, y).predict_proba(X)
    for given in (X.tolist(), np.asfortranarray(X), sparse.csr_matrix(X), sparse.coo_array(X)):
        np.testing.assert_array_equal(Classifier(**SMALL).fit(given, y).predict_proba(given), expected)
    frames = [pd.DataFrame(X, columns=list("abcd")), pl.DataFrame(X, schema=list("abcd"))]
    one, other = (Classifier(**SMALL).fit(frame, y).predict_proba(frame) for frame in frames)
    np.testing.assert_array_equal(one, other)


def test_tables_are_read(tmp_path):
    frame, y = people()
    frame.with_columns(answer=pl.Series(y)).write_parquet(tmp_path / "people.parquet")
    table = read(tmp_path / "people.parquet", target="answer")
    model = Classifier(**SMALL).fit(table, y)
    np.testing.assert_array_equal(model.predict_proba(table), model.predict_proba(table.frame))
    np.testing.assert_array_equal(model.predict_proba(table), model.predict_proba(table.frame.drop("answer")))


def test_in_pipelines_and_searches():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), Classifier(network=MLP(hidden=(16,)), epochs=40, lr=0.02))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.9
    grid = {"network__dropout": [0.0, 0.1], "epochs": np.array([5, 10])}
    search = GridSearchCV(Classifier(network=MLP(hidden=(8,))), grid, cv=2).fit(X, y)
    assert search.best_estimator_.network_.blocks and search.best_params_["network__dropout"] in (0.0, 0.1)
    assert len(search.best_estimator_.history_) == search.best_params_["epochs"]


def test_the_seed_fixes_all_bits():
    frame, y = people()
    torch.manual_seed(5)
    one = Classifier(**SMALL).fit(frame, y).predict_proba(frame)
    torch.manual_seed(6)
    np.testing.assert_array_equal(one, Classifier(**SMALL).fit(frame, y).predict_proba(frame))
    assert (one != Classifier(**{**SMALL, "random_state": 1}).fit(frame, y).predict_proba(frame)).any()
    drawn = [Classifier(**{**SMALL, "random_state": np.random.RandomState(4)}).fit(frame, y) for _ in range(2)]
    np.testing.assert_array_equal(*(model.predict_proba(frame) for model in drawn))


def test_a_row_is_predicted_alike_in_whatever_company():
    frame, y = people()
    model = Classifier(epochs=3).fit(frame, y)
    many = pl.concat([frame] * 18)  # beyond one batch of prediction
    whole = model.predict_proba(many)
    for size in (1, 2, 7, 15, 16, 17, 100, len(frame)):
        np.testing.assert_array_equal(model.predict_proba(frame[:size]), whole[:size])
        np.testing.assert_array_equal(model.predict_proba(many[4090 : 4090 + size]), whole[4090 : 4090 + size])


def test_a_weight_of_zero_is_absence():
    X, y = blobs()
    weight = np.ones(len(X))
    weight[::3] = 0
    spoilt = np.where(weight[:, None] > 0, X, 1e6)
    one = Classifier(**SMALL).fit(spoilt, y, sample_weight=weight)
    other = Classifier(**SMALL).fit(X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    part = Classifier(**SMALL).partial_fit(spoilt, y, sample_weight=weight)
    np.testing.assert_array_equal(
        part.predict_proba(X),
        Classifier(**SMALL)
        .partial_fit(X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
        .predict_proba(X),
    )


def test_balanced_weights_raise_the_recall_of_the_few():
    rng = np.random.default_rng(0)
    y = (rng.random(600) < 0.08).astype(int)
    X = rng.normal(size=(600, 3)) + 1.0 * y[:, None]
    plain, balanced, mapped = (
        Classifier(epochs=15, class_weight=w).fit(X, y) for w in (None, "balanced", {0: 1.0, 1: 11.5})
    )
    recall = [recall_score(y, model.predict(X)) for model in (plain, balanced, mapped)]
    assert recall[1] > recall[0] + 0.2 and recall[2] > recall[0] + 0.2


def test_partial_fit_goes_on():
    X, y = blobs(400, classes=3, noise=0.7)
    order = np.argsort(y, kind="stable")  # the first call sees one class only
    model = Classifier(network=MLP(hidden=(16,)), lr=0.01, batch_size=32)
    with pytest.raises(InputError, match="at least two classes"):
        Classifier().partial_fit(X[order[:50]], y[order[:50]])
    model.partial_fit(X[order[:50]], y[order[:50]], classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]
    for _ in range(15):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.n_iter_ == 16 and model.history_["epoch"] == list(range(1, 17))
    with pytest.raises(InputError, match="labels must be among the classes"):
        model.partial_fit(X, np.where(y == 2, 9, y))


def test_partial_fit_keeps_the_moments_of_the_optimizer_and_draws_anew():
    X, y = blobs(64)
    settings = {"network": MLP(hidden=(8,)), "optimizer": "adam", "lr": 0.01, "batch_size": 64, "schedule": "constant"}
    model = Classifier(**settings)
    for _ in range(3):
        model.partial_fit(X, y)
    # One batch per pass: three calls are three epochs of one fit, up to the order of summation.
    other = Classifier(**settings, epochs=3, validation_fraction=0).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=1e-4)
    # Several batches: each call takes the rows in another order.
    orders = []
    for _ in range(2):
        seen = []
        model.set_params(
            batch_size=16, objective=lambda o, t, seen=seen: (seen.append(o.detach()), (o[:, 0] - t) ** 2)[1]
        )
        model._resolve()
        model.set_params(lr=1e-12)
        model.partial_fit(X, y)
        orders.append(torch.cat(seen))
    assert (orders[0] - orders[1]).abs().max() > 0.01
    torch.testing.assert_close(orders[0].sort(0)[0], orders[1].sort(0)[0])


def test_warm_start_goes_on():
    X, y = blobs(noise=2.0)
    settings = {"network": MLP(hidden=(16,)), "epochs": 3, "schedule": "constant", "lr": 1e-3}
    cold, warm = Classifier(**settings).fit(X, y), Classifier(**settings, warm_start=True).fit(X, y)
    first = warm.history_["train/loss"]
    network = warm.network_
    np.testing.assert_array_equal(cold.predict_proba(X), warm.predict_proba(X))
    np.testing.assert_array_equal(cold.fit(X, y).predict_proba(X), warm.predict_proba(X))
    warm.fit(X, y)
    assert warm.network_ is network and warm.history_["train/loss"][0] < first[-1]


def test_several_labels_at_once():
    X, _ = blobs(400)
    Y = np.stack([X[:, 0] > 0, X[:, 1] + X[:, 2] > 0, X[:, 3] > 1], axis=1).astype(int)
    model = Classifier(epochs=25).fit(X, Y)
    assert model.task_ == "multilabel" and model.predict_proba(X).shape == (400, 3)
    assert (model.predict(X) == Y).mean(axis=0).min() > 0.93
    assert model.predict_frame(X[:3]).columns[:3] == ["prediction_0", "prediction_1", "prediction_2"]
    # Labels are independent of each other: they need not sum to 1.
    assert np.abs(model.predict_proba(X).sum(axis=1) - 1).max() > 0.5


def test_temperature_makes_an_overfitted_network_honest():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(1600, 10))
    y = (X[:, 0] + 1.5 * rng.normal(size=1600) > 0).astype(int)
    model = Classifier(network=MLP(hidden=(128, 128)), epochs=25, early_stopping=200, lr=5e-3, optimizer="adam")
    # Early stopping would hide the overfit: the network is judged as it stands after a last pass without validation.
    model.set_params(validation_fraction=0).fit(X[:400], y[:400])
    held = model._outputs(X[400:800]), y[400:800].astype(np.float32)
    test, truth = X[800:], y[800:]
    assert model.temperature_ == 1.0
    before = reliability(truth, model.predict_proba(test))
    accuracy = model.score(test, truth)
    model._calibrate(held)
    after = reliability(truth, model.predict_proba(test))
    assert model.temperature_ > 1.5
    assert before.ece > 0.15 and after.ece < 0.5 * before.ece
    assert model.score(test, truth) == accuracy


def test_the_temperature_comes_from_validation_rows():
    X, y = blobs(600, noise=3.0)
    assert Classifier(**SMALL).fit(X, y).temperature_ != 1.0
    assert Classifier(**SMALL, validation_fraction=0).fit(X, y).temperature_ == 1.0
    assert Classifier(**SMALL).fit(X[:300], y[:300], validation=(X[300:], y[300:])).temperature_ != 1.0


def test_logistic_regression_is_scikit_learns():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:, :8]
    l2 = 0.02
    model = Classifier(
        network="linear", preparation="none", optimizer="nesterov", lr=0.3, schedule="cosine", epochs=400,
        batch_size=len(X), validation_fraction=0, objective=Objective(l2=l2),
    ).fit(X, y)  # fmt: skip
    # scikit-learn's C·Σ loss + |w|²/2 is N·C times the mean loss + |w|²/(2·N·C).
    reference = LogisticRegression(C=1 / (l2 * len(X)), tol=1e-8, max_iter=2000).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X), atol=2e-3)


class Net(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, 16), nn.ReLU(), nn.Linear(16, out_features))

    def forward(self, x):
        return self.layers(x)


def test_networks_of_ones_own():
    X, y = load_iris(return_X_y=True)
    made = Net(4, 3)
    start = [p.clone() for p in made.parameters()]
    for network in (Net, lambda in_features, out_features: Net(in_features, out_features), made):
        model = Classifier(network=network, epochs=60, lr=0.05).fit(X, y)
        assert isinstance(model.network_, Net) and model.score(X, y) > 0.9
    assert all(torch.equal(a, b) for a, b in zip(start, made.parameters(), strict=True))  # trained was a copy
    with pytest.raises(InputError, match=r"must map \(B, 4\) to \(B, 3\) · got an output of shape \(2, 5\)"):
        Classifier(network=Net(4, 5)).fit(X, y)


def test_words_reach_networks_of_ones_own_as_numbers():
    frame, y = people()
    model = Classifier(network=Net, epochs=20, lr=0.01).fit(frame, y)
    assert all(feature.kind != "code" for feature in model.layout_.features)
    assert model.score(frame, y) > 0.8


def test_images_through_a_convolution():
    images, y = load_digits(return_X_y=True)
    X = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)

    def convolution(in_channels, out_features):
        return nn.Sequential(
            nn.Conv2d(in_channels, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(128, out_features),
        )

    model = Classifier(network=convolution, epochs=8, batch_size=64, lr=0.01).fit(X[:1200], y[:1200])
    assert model.layout_.shape == (1, 8, 8) and model.score(X[1200:], y[1200:]) > 0.85
    np.testing.assert_array_equal(model.predict_proba(X[:1])[0], model.predict_proba(X[:100])[0])
    with pytest.raises(InputError, match=r"the shape that was fitted · got \(1, 8, 7\)"):
        model.predict(X[..., :7])
    with pytest.raises(InputError, match="must be finite"):
        model.predict(np.full_like(X[:2], np.nan))


@pytest.mark.parametrize("sizes", [(100, 1), (99, 2), (60, 30, 10, 2, 1), (2,) * 60, (1,) * 120, (3,) * 40])
@pytest.mark.parametrize("share", [0.01, 0.15, 0.9])
def test_small_classes_keep_a_row_in_training(sizes, share):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    train, held = hold_out(len(y), y, share, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(len(y)))
    assert set(y[train]) == set(y)
    if min(sizes) > 1:
        assert len(held)


def test_one_of_a_kind_can_be_learned():
    X, y = blobs(150, classes=3)
    y[7] = 3
    model = Classifier(**SMALL).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2, 3] and "valid/loss" in model.history_[0]


@pytest.mark.parametrize(
    "labels",
    [
        np.array([True, False]),
        np.array([3, 200], dtype=np.uint8),
        np.array([-1.5, 2.5]),
        np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"),
        np.array(["a", "b"], dtype=object),
    ],
)
def test_labels_come_back_as_they_were(labels):
    X, codes = blobs(120)
    if labels.dtype.kind in "Mf":  # scikit-learn takes fractions for quantities
        with pytest.raises((InputError, ValueError), match="Unknown label type"):
            Classifier(**SMALL).fit(X, np.linspace(0, 1, 120))
    if labels.dtype.kind == "f":
        labels = np.array([-1.0, 2.0])
    model = Classifier(**SMALL, lr=0.1).fit(X, labels[codes])
    found = model.predict(X)
    assert found.dtype == labels.dtype and (found == labels[codes]).mean() > 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be 'auto' or a whole number"),
        ({"epochs": float("inf")}, "epochs must be"),
        ({"batch_size": 2.5}, "batch_size must be"),
        ({"lr": -1.0}, "lr must be a finite number above 0"),
        ({"lr": True}, "lr must be"),
        ({"early_stopping": "later"}, "early_stopping must be"),
        ({"early_stopping": -2}, "early_stopping must be"),
        ({"effort": "heroic"}, "effort must be quick, default or best"),
        ({"precision": "float8"}, "precision must be"),
        ({"validation_fraction": 1.5}, r"validation_fraction must be in \[0, 1\)"),
        ({"network": "mpl"}, "did you mean 'mlp'"),
        ({"preparation": "raw"}, "preparation must be"),
        ({"optimizer": "adamm"}, "did you mean 'adam"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"objective": "mse"}, "mse"),
    ],
)
def test_wrong_settings_are_refused(change, message):
    X, y = blobs(120)
    with pytest.raises(InputError, match=message):
        Classifier(**{**SMALL, **change}).fit(X, y)


def test_wrong_targets_are_refused():
    X, y = blobs(120)
    words = np.array(["no", "yes"])[y]
    cases = [
        (np.where(np.arange(120) == 4, None, words.astype(object)), "a value in every row · got 1 missing"),
        (pd.Series(words, dtype="string").mask(np.arange(120) == 4), "a value in every row · got 1 missing"),
        (pd.Series(y, dtype="Int64").mask(np.arange(120) == 4), "a value in every row"),
        (np.zeros(120), "at least two classes · got one class"),
        (y[:-1], "one target per row"),
    ]
    for target, message in cases:
        with pytest.raises(InputError, match=message):
            Classifier(**SMALL).fit(X, target)
    with pytest.raises(InputError, match="labels must be among the classes"):
        Classifier(**SMALL).fit(X, y, validation=(X, words))
    with pytest.raises(InputError, match="labels must be among the classes"):
        Classifier(**SMALL).fit(X, words, validation=(X, y))
    with pytest.raises(NotFittedError):
        Classifier().predict(X)


def test_evaluate_and_predict_frame():
    X, y = blobs(300)
    words = np.array(["no", "yes"])[y]
    model = Classifier(**SMALL).fit(X, words)
    frame = model.predict_frame(X)
    assert frame.columns == ["prediction", "probability_no", "probability_yes"]
    np.testing.assert_array_equal(frame["prediction"].to_numpy(), model.predict(X))
    np.testing.assert_array_equal(frame["probability_yes"].to_numpy(), model.predict_proba(X)[:, 1])
    found = model.evaluate(X, words, n_boot=20)["accuracy"]
    assert found.value == pytest.approx(model.score(X, words))


def test_training_can_be_interrupted():
    X, y = blobs(300)

    def impatient(step, total, per_epoch):
        if step == 20:
            raise KeyboardInterrupt
        return 1.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Classifier(network=MLP(hidden=(8,)), epochs=50, schedule=impatient, batch_size=32).fit(X, y)
    assert model.interrupted_ and model.n_iter_ == 2 and model.predict(X).shape == (300,)


def test_deletion_learns_from_complete_rows_only():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = (X[:, 0] > 0).astype(int)
    gaps = X.copy()
    gaps[::3, 1] = np.nan
    settings = {"preparation": Preparation(impute="delete", indicator="never"), "epochs": 3}
    given = Classifier(**settings, early_stopping=False).fit(gaps, y)
    whole = np.isfinite(gaps).all(axis=1)
    alone = Classifier(**settings, early_stopping=False).fit(gaps[whole], y[whole])
    np.testing.assert_array_equal(given.predict_proba(X), alone.predict_proba(X))
    kept = Classifier(preparation=Preparation(indicator="never"), epochs=3, early_stopping=False).fit(gaps, y)
    assert not np.array_equal(kept.predict_proba(X), alone.predict_proba(X))
