"""The methods as users call them: every result carries the checks that need no second explanation."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.captum import captum as raw_captum
from glia.explain.checks.quick import quick_check
from glia.explain.deeplift import deeplift as raw_deeplift
from glia.explain.grad_cam import grad_cam as raw_grad_cam
from glia.explain.guided_backprop import guided_backprop as raw_guided_backprop
from glia.explain.input_x_gradient import input_x_gradient as raw_input_x_gradient
from glia.explain.integrated_gradients import integrated_gradients as raw_integrated_gradients
from glia.explain.lime import lime as raw_lime
from glia.explain.lime_images import lime_images as raw_lime_images
from glia.explain.lime_table import lime_table as raw_lime_table
from glia.explain.lrp import lrp as raw_lrp
from glia.explain.occlusion import occlusion as raw_occlusion
from glia.explain.saliency import saliency as raw_saliency
from glia.explain.shap import shap as raw_shap
from glia.explain.smoothgrad import smoothgrad as raw_smoothgrad

R = TypeVar("R", bound=AttributionResult)
_ASKED = """    checks : bool
        Whether the result carries deletion, insertion, infidelity and agreement with other methods, measured on its
        first 16 rows (``glia.explain.quick_check``), and says where it should not be relied upon.
"""


def carrying(method: Callable[..., R]) -> Callable[..., R]:
    """Return a method with the option ``checks=True``: its results then carry the checks of ``quick_check``."""

    @functools.wraps(method)
    def told(predictor: Predictor, X: Any, *, checks: bool = True, **options: Any) -> R:
        result = method(predictor, X, **options)
        if not checks or _is_text(X):
            return result
        background = options.get("background")
        known = None if isinstance(background, int) else background
        return quick_check(predictor, X, result, background=known)

    signature = inspect.signature(method)
    own = list(signature.parameters.values())
    at = next((i for i, p in enumerate(own) if p.kind is p.VAR_KEYWORD), len(own))
    own.insert(at, inspect.Parameter("checks", inspect.Parameter.KEYWORD_ONLY, default=True, annotation="bool"))
    told.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    told.__doc__ = (method.__doc__ or "").replace("\n    Returns\n", f"{_ASKED}\n    Returns\n", 1)
    return told


def _is_text(X: Any) -> bool:
    """Whether a text is explained: its words are no inputs of the network, which the checks would move."""
    return isinstance(X, str) or (isinstance(X, (list, tuple)) and len(X) > 0 and isinstance(X[0], str))


captum = carrying(raw_captum)
deeplift = carrying(raw_deeplift)
grad_cam = carrying(raw_grad_cam)
guided_backprop = carrying(raw_guided_backprop)
input_x_gradient = carrying(raw_input_x_gradient)
integrated_gradients = carrying(raw_integrated_gradients)
lime = carrying(raw_lime)
lime_images = carrying(raw_lime_images)
lime_table = carrying(raw_lime_table)
lrp = carrying(raw_lrp)
occlusion = carrying(raw_occlusion)
saliency = carrying(raw_saliency)
shap = carrying(raw_shap)
smoothgrad = carrying(raw_smoothgrad)
