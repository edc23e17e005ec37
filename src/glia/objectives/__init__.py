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
from glia.objectives.class_balanced import ClassBalanced, effective_weights
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
from glia.objectives.coral import coral_distance
from glia.objectives.cost_matrix import cost_threshold, least_cost, mean_cost
from glia.objectives.counted_loss import CountedLoss
from glia.objectives.curves import (
    Confusion,
    CurvePoints,
    confusion,
    precision_recall_points,
    predicted_true_sample,
    roc_points,
)
from glia.objectives.decision_rules import Decision
from glia.objectives.decisions import point_prediction, probabilities
from glia.objectives.evaluation import EvaluationResult
from glia.objectives.expected_cost import ExpectedCost
from glia.objectives.imbalance import ClassFigures, ImbalanceResult, imbalance
from glia.objectives.ldam import LDAM
from glia.objectives.logit_adjusted import LogitAdjusted
from glia.objectives.losses import CustomLoss, Loss, as_loss, default_loss, loss_from_dict, losses
from glia.objectives.metrics import Metric, as_metric, metrics, metrics_for, primary_metric
from glia.objectives.objective import Objective, ResolvedObjective
from glia.objectives.penalties import Penalties, penalised_parameters, prox_l1_
from glia.objectives.prior_shift import estimate_prior, shift_prior
from glia.objectives.regression_losses import MAE, MSE, MSLE, GaussianNLL, Huber, LogCosh, Poisson, Quantile
from glia.objectives.thresholds import ThresholdResult, choose_threshold

__all__ = [
    "BinaryCrossEntropy",
    "ClassBalanced",
    "ClassFigures",
    "Confusion",
    "CountedLoss",
    "CrossEntropy",
    "CurvePoints",
    "CustomLoss",
    "Decision",
    "EvaluationResult",
    "ExpectedCost",
    "Focal",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "ImbalanceResult",
    "KLDivergence",
    "LDAM",
    "LogCosh",
    "LogitAdjusted",
    "Loss",
    "MAE",
    "MSE",
    "MSLE",
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
    "ThresholdResult",
    "as_loss",
    "as_metric",
    "choose_threshold",
    "class_weights",
    "conformal_margin",
    "conformal_normalised",
    "conformal_radius",
    "confusion",
    "coral_distance",
    "cost_threshold",
    "coverage",
    "default_loss",
    "effective_weights",
    "estimate_prior",
    "evaluate",
    "fit_temperature",
    "imbalance",
    "least_cost",
    "loss_from_dict",
    "losses",
    "mean_cost",
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
    "shift_prior",
]
