"""Explanations with error bars, on any network: ``glia.explain.<method>(predictor, X, …) → AttributionResult``.

Methods are registered by name in ``glia.explain.methods``, where the command line finds them.
"""

from glia.explain.attribution import AttributionResult
from glia.explain.checks import AgreementResult, RemovalResult, agreement, check, removal
from glia.explain.deeplift import deeplift
from glia.explain.grad_cam import grad_cam
from glia.explain.guided_backprop import guided_backprop
from glia.explain.input_x_gradient import input_x_gradient
from glia.explain.integrated_gradients import integrated_gradients
from glia.explain.lime import lime
from glia.explain.lime_images import lime_images
from glia.explain.lime_model import LimeResult
from glia.explain.lime_table import lime_table
from glia.explain.lime_text import lime_text
from glia.explain.lrp import lrp
from glia.explain.lrp_rules import Composite
from glia.explain.methods import methods
from glia.explain.permutation import ColumnImportance, ImportanceResult, permutation_importance
from glia.explain.saliency import saliency
from glia.explain.shap import shap
from glia.explain.smoothgrad import smoothgrad
from glia.explain.superpixels import superpixels

__all__ = [
    "AgreementResult",
    "AttributionResult",
    "ColumnImportance",
    "Composite",
    "ImportanceResult",
    "LimeResult",
    "RemovalResult",
    "agreement",
    "check",
    "deeplift",
    "grad_cam",
    "guided_backprop",
    "input_x_gradient",
    "integrated_gradients",
    "lime",
    "lime_images",
    "lime_table",
    "lime_text",
    "lrp",
    "methods",
    "permutation_importance",
    "removal",
    "saliency",
    "shap",
    "smoothgrad",
    "superpixels",
]
