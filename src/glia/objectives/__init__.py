"""What is minimised and what is measured: losses, penalties, metrics with intervals, calibration. Knows only core."""

from glia.objectives.bootstrap import evaluate, paired_difference
from glia.objectives.calibration import (
    ReliabilityBin,
    ReliabilityResult,
    conformal_margin,
    conformal_normalised,
    conformal_radius,
    coverage,
    fit_temperature,
    reliability,
)
from glia.objectives.class_weights import class_weights
from glia.objectives.classification_losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Hinge,
    KLDivergence,
    MulticlassHinge,
    SquaredHinge,
)
from glia.objectives.curves import (
    Confusion,
    CurvePoints,
    confusion,
    precision_recall_points,
    predicted_true_sample,
    roc_points,
)
from glia.objectives.decisions import point_prediction, probabilities
from glia.objectives.evaluation import EvaluationResult
from glia.objectives.losses import CustomLoss, Loss, as_loss, default_loss, loss_from_dict, losses
from glia.objectives.metrics import Metric, as_metric, metrics, metrics_for, primary_metric
from glia.objectives.objective import Objective, ResolvedObjective
from glia.objectives.penalties import Penalties, penalised_parameters, prox_l1_
from glia.objectives.regression_losses import MAE, MSE, MSLE, GaussianNLL, Huber, LogCosh, Poisson, Quantile

__all__ = [
    "MAE",
    "MSE",
    "MSLE",
    "BinaryCrossEntropy",
    "Confusion",
    "CrossEntropy",
    "CurvePoints",
    "CustomLoss",
    "EvaluationResult",
    "Focal",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "Metric",
    "MulticlassHinge",
    "Objective",
    "Penalties",
    "Poisson",
    "Quantile",
    "ReliabilityBin",
    "ReliabilityResult",
    "ResolvedObjective",
    "SquaredHinge",
    "as_loss",
    "as_metric",
    "class_weights",
    "conformal_margin",
    "conformal_normalised",
    "conformal_radius",
    "confusion",
    "coverage",
    "default_loss",
    "evaluate",
    "fit_temperature",
    "loss_from_dict",
    "losses",
    "metrics",
    "metrics_for",
    "paired_difference",
    "penalised_parameters",
    "point_prediction",
    "precision_recall_points",
    "predicted_true_sample",
    "primary_metric",
    "probabilities",
    "prox_l1_",
    "reliability",
    "roc_points",
]
