"""Multiple imputation around estimators: the contract, pooled predictions, tables of mixed types."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

import glia
from glia.core.errors import InputError
from glia.repair import MultipleImputation


@parametrize_with_checks([MultipleImputation(Ridge(), m=2, rounds=1), MultipleImputation(LogisticRegression(), m=2)])
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def rows(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 3))
    y = x.sum(axis=1) + 0.1 * rng.normal(size=n)
    return np.where(rng.random(x.shape) < 0.2, np.nan, x), y


def test_predictions_and_spread_are_pooled_by_rubins_rules():
    x, y = rows()
    model = MultipleImputation(BayesianRidge(), m=4).fit(x, y)
    means, errors = zip(
        *(e.predict(r, return_std=True) for e, r in zip(model.estimators_, model.completed_sets(x), strict=True)),
        strict=True,
    )
    expected = np.mean(np.square(errors), axis=0) + 1.25 * np.var(means, axis=0, ddof=1)
    np.testing.assert_allclose(model.predict(x), np.mean(means, axis=0))
    np.testing.assert_allclose(model.predict_spread(x), np.sqrt(expected))


def test_rows_with_gaps_are_less_certain():
    x, y = rows()
    model = MultipleImputation(LinearRegression(), m=8).fit(x, y)
    gaps = np.isnan(x).any(axis=1)
    spread = model.predict_spread(x)
    assert spread[gaps].mean() > 5 * spread[~gaps].mean()


def test_company_and_test_rows_do_not_matter():
    x, y = rows()
    model = MultipleImputation(LinearRegression(), m=3).fit(x[:150], y[:150])
    alone = np.concatenate([model.predict(row[None]) for row in x[150:]])
    model.predict(1e6 * x)
    np.testing.assert_allclose(model.predict(x[150:]), alone, rtol=1e-12)


def test_coefficients_pool_to_what_complete_data_give():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 2)) @ [[1.0, 0.6], [0.0, 0.8]]
    y = x @ [1.0, 2.0] + 0.3 * rng.normal(size=2000)
    hidden = x.copy()
    hidden[rng.random(2000) < 0.1, 0] = np.nan
    model = MultipleImputation(LinearRegression(), m=3).fit(np.column_stack([hidden, y]), x[:, 1])
    mean = np.mean([e.coef_ for e in model.estimators_], axis=0)
    np.testing.assert_allclose(mean, LinearRegression().fit(np.column_stack([x, y]), x[:, 1]).coef_, atol=0.05)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    z = rng.normal(size=300)
    frame = pl.DataFrame({"a": z + 0.3 * rng.normal(size=300), "word": np.where(z > 0, "up", "down"), "b": z})
    gaps = rng.random((300, 2)) < 0.15
    frame = frame.with_columns(
        pl.when(~pl.Series(gaps[:, 0])).then("a").alias("a"), pl.when(~pl.Series(gaps[:, 1])).then("word").alias("word")
    )
    return frame.drop("b"), (z > 0.2).astype(int)


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_tables_are_completed_in_their_own_form(table, kind):
    frame, y = table
    given = frame if kind == "polars" else frame.to_pandas()
    encode = make_column_transformer((OneHotEncoder(), ["word"]), remainder="passthrough")
    model = MultipleImputation(make_pipeline(encode, RandomForestClassifier(20, random_state=0)), m=2).fit(given, y)
    assert is_classifier(model) and not is_regressor(model)
    (first, _), probability = model.completed_sets(given), model.predict_proba(given)
    assert isinstance(first, pl.DataFrame if kind == "polars" else pd.DataFrame)
    assert set(first["word"]) == {"up", "down"}
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    assert model.score(given, y) > 0.9


def test_it_wraps_a_network(table):
    frame, y = table
    network = glia.Classifier(network=glia.nn.MLP(hidden=(8,)), epochs=20, lr=0.01)
    model = MultipleImputation(network, m=2).fit(frame, y)
    assert model.score(frame, y) > 0.75
    assert (model.predict_spread(frame) >= 0).all()


def test_one_set_is_not_multiple():
    with pytest.raises(InputError, match="at least two"):
        MultipleImputation(Ridge(), m=1).fit(*rows())
