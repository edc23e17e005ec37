"""Rows in every container give the same ensemble: arrays, pandas, Polars, Arrow, sparse, Glia's Table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from glia import Classifier, Regressor
from glia.data import Table, infer_schema
from glia.ensemble import AdaBoost, Architectural, Bagging, Boosting, Snapshot, Stacking
from glia.ensemble.rows import take_rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
VALUE = X[:, 0] + np.abs(X[:, 1])
TREES = [("tree", DecisionTreeRegressor(max_depth=3)), ("plane", Ridge())]
NAMES = ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "list", "sparse"])
@pytest.mark.parametrize(
    "model",
    [
        Bagging(DecisionTreeRegressor(max_depth=3), 3, sampling="rows"),
        Boosting(DecisionTreeRegressor(max_depth=2), n_estimators=3, subsample=0.7),
        Stacking(TREES, cv=3),
        Architectural(TREES),
    ],
)
def test_containers_of_numbers(model, kind):
    if kind == "arrow":
        pytest.importorskip("pyarrow", reason="Arrow tables come with pyarrow")
    frame = pl.DataFrame(X, schema=NAMES)
    rows = {"pandas": pd.DataFrame(X, columns=NAMES), "polars": frame, "list": X.tolist(),
            "arrow": frame.to_arrow(), "sparse": sparse.coo_array(X)}[kind]  # fmt: skip
    if kind == "arrow":
        model = Bagging(Regressor(epochs=2), 2, population=False)  # scikit-learn's own estimators do not read Arrow
        wanted = Bagging(Regressor(epochs=2), 2, population=False).fit(frame, VALUE).predict(frame)
    else:
        wanted = model.fit(X, VALUE).predict(X)
    y = pd.Series(VALUE) if kind == "pandas" else pl.Series(VALUE) if kind == "polars" else VALUE
    found = model.fit(rows, y).predict(rows)
    np.testing.assert_allclose(found, wanted, atol=1e-3 if kind == "sparse" else 1e-10)
    if kind in ("pandas", "polars"):
        assert model.feature_names_in_.tolist() == NAMES


FRAME = pl.DataFrame({
    "size": [None if i % 17 == 0 else float(i % 40) for i in range(160)],
    "town": ["Ulm", "Bonn", None, "Jena"] * 40,
    "grown": [i % 3 == 0 for i in range(160)],
})  # fmt: skip
LABEL = np.array(["yes" if (i % 40 > 20) != (i % 4 == 0) else "no" for i in range(160)])
NETWORK = Classifier(epochs=4, members=1)


@pytest.mark.parametrize("kind", ["polars", "pandas", "table"])
@pytest.mark.parametrize(
    "model",
    [
        Bagging(NETWORK, 2, population=False),
        AdaBoost(NETWORK, 2),
        Boosting(Regressor(epochs=4, members=1), "log_loss", n_estimators=2),
        Stacking([("one", NETWORK), ("more", Classifier(epochs=8, members=1))], cv=2),
        Architectural([("one", NETWORK), ("more", Classifier(epochs=8, members=1))]),
        Snapshot(NETWORK, n_cycles=2, cycle_epochs=2),
    ],
)
def test_words_gaps_and_networks(model, kind):
    rows = {"polars": FRAME, "pandas": FRAME.to_pandas(), "table": Table(FRAME, infer_schema(FRAME))}[kind]
    model.fit(rows, LABEL)
    proba = model.predict_proba(rows)
    assert proba.shape == (160, 2) and np.allclose(proba.sum(axis=1), 1) and set(model.predict(rows)) <= {"yes", "no"}
    assert model.n_features_in_ == 3 and model.predict_spread(rows).shape == (160, 2)
    part = take_rows(rows, np.array([5, 90]))
    np.testing.assert_allclose(model.predict_proba(part), proba[[5, 90]], atol=1e-6)


def test_rows_of_several_axes():
    images = RNG.normal(size=(60, 1, 4, 4)).astype(np.float32)
    y = (images.mean(axis=(1, 2, 3)) > 0).astype(int)
    from torch import nn

    def network(layout, out_features):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, out_features))

    class Flat:
        def build(self, layout, out_features):
            return network(layout, out_features)

    model = Bagging(Classifier(network=Flat(), epochs=5), 2, population=False).fit(images, y)
    assert model.predict_proba(images).shape == (60, 2)


def test_trees_of_words_are_refused_by_the_tree():
    with pytest.raises(ValueError):
        Bagging(DecisionTreeClassifier(), 2).fit(FRAME, LABEL)
