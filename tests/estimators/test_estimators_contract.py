"""scikit-learn's own contract, checked without exceptions."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from glia import Classifier, Perceptron, Regressor


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # in scikit-learn's own data
@parametrize_with_checks([Classifier(epochs=40), Regressor(epochs=40), Perceptron()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
