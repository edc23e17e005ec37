"""scikit-learn's own contract, checked without exceptions."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from glia import Classifier, Perceptron, Regressor


@parametrize_with_checks([Classifier(epochs=25), Regressor(epochs=25), Perceptron(epochs=100)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
