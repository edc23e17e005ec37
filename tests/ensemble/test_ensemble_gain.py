"""On a real table: what ensembles gain over one network, and that the spread falls as members are added."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from glia import Regressor
from glia.data import bundled
from glia.ensemble import AdaBoost, Bagging, Boosting
from glia.nn import MLP


def parts(seed, name="diabetes"):
    known = bundled.get(name)
    table = bundled.load(name)
    y = table[known.target].to_numpy()
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, random_state=seed)
    X = table.drop(known.target).to_numpy()
    return X[train], y[train], X[test], y[test]


def error(model, seed):
    X, y, new, later = parts(seed)
    return np.sqrt(np.mean((model.fit(X, y).predict(new) - later) ** 2)) / later.std()


@pytest.mark.parametrize(
    ("single", "ensemble"),
    [
        (Regressor(network=MLP(hidden=(64, 64)), epochs=40), lambda one: Bagging(one, 8)),
        (Regressor(network=MLP(hidden=(8,)), epochs=4), lambda one: Boosting(one, n_estimators=20)),
    ],
)
def test_networks_gain(single, ensemble):
    alone = [error(single, seed) for seed in range(3)]
    together = [error(ensemble(single), seed) for seed in range(3)]
    assert np.mean(together) < np.mean(alone) - 0.01


def test_trees_gain():
    trees = DecisionTreeRegressor(random_state=0)
    assert error(Bagging(trees, 20), 0) < 0.85 * error(trees, 0)
    X, y, new, later = parts(0, "digits")
    tree = DecisionTreeClassifier(max_depth=6, random_state=0)
    alone = tree.fit(X, y).score(new, later)
    assert AdaBoost(tree, 12).fit(X, y).score(new, later) > alone + 0.05


def test_the_variance_of_the_mean_falls_with_members():
    """Ensembles of more members differ less from one another, though each member is as good as before."""
    X, y, new, _ = parts(0)
    spread = {
        count: np.mean(np.var([
            Bagging(DecisionTreeRegressor(), count, random_state=seed).fit(X, y).predict(new) for seed in range(8)
        ], axis=0))
        for count in (1, 4, 16)
    }  # fmt: skip
    assert spread[4] == pytest.approx(spread[1] / 4, rel=0.35) and spread[16] == pytest.approx(spread[1] / 16, rel=0.35)
