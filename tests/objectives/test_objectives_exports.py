"""The public names are the intended ones, and the registries are what the package shows."""

import glia.objectives as o
from glia.core.registry import Registry


def test_public_names():
    shown = {name for name, value in vars(o).items() if not name.startswith("_") and type(value).__name__ != "module"}
    assert shown == set(o.__all__)
    assert len(o.__all__) == len(set(o.__all__))
    assert isinstance(o.losses, Registry) and isinstance(o.metrics, Registry)


def test_every_loss_and_metric_is_described():
    assert set(o.losses.names()) == {
        "binary_cross_entropy", "class_balanced", "cross_entropy", "expected_cost", "focal", "gaussian_nll", "hinge",
        "huber", "kl_divergence", "ldam", "log_cosh", "logit_adjusted", "mae", "mse", "msle", "multiclass_hinge",
        "poisson", "quantile", "squared_hinge",
    }  # fmt: skip
    for name in o.losses.names():
        assert o.losses.get(name).name == name and o.losses.get(name).tasks
    for name in o.metrics.names():
        metric = o.metrics.get(name)
        assert metric.name == name and metric.unit and metric.description.endswith(".")
