"""The one door to captum: its methods on any predictor, with Glia's columns, residuals and checks.

Glia has its own gradients, DeepLIFT, LRP, Shapley values and LIME, because captum's miss layers, add up wrongly or are
slow. What captum does well by itself is taken from it: occlusion and ablation, sampled Shapley values, GradientShap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glia.core.errors import InputError, near
from glia.core.optional import require
from glia.core.protocols import Predictor
from glia.core.seeds import torch_rng
from glia.explain.attribution import AttributionResult
from glia.explain.baselines import baselines
from glia.explain.entry import Entry, Point, opened
from glia.explain.finish import Parts, finish

BY_GRADIENT = ("GradientShap", "InputXGradient", "IntegratedGradients", "Saliency")
BY_PERTURBATION = ("FeatureAblation", "KernelShap", "Occlusion", "ShapleyValueSampling", "ShapleyValues")
_ADD_UP = ("GradientShap", "IntegratedGradients", "KernelShap", "ShapleyValueSampling", "ShapleyValues")
_ONE_ROW = ("KernelShap",)  # its fit is one per row, and it says so by a warning for more
_WITHOUT_BASELINE = ("InputXGradient", "Saliency")


def captum(
    predictor: Predictor,
    X: Any,
    *,
    method: str = "FeatureAblation",
    output: int | str | Sequence[int | str] | None = None,
    baseline: Any = "zeros",
    background: Any = None,
    batch_rows: int = 256,
    random_state: int = 0,
    **options: Any,
) -> AttributionResult:
    """Run one of captum's methods.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    method : str
        By gradient: "GradientShap", "InputXGradient", "IntegratedGradients", "Saliency" (with ``abs=False``, which a
        sum over parts needs). By perturbation: "FeatureAblation", "KernelShap", "Occlusion" (images and sequences; give
        ``sliding_window_shapes``), "ShapleyValueSampling", "ShapleyValues". In tables an original column is perturbed
        as a whole.
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    baseline : {"zeros", "mean", "rows"} or rows
        As in ``integrated_gradients``; "rows" for GradientShap only.
    background : rows, optional
        For the baselines "mean" and "rows".
    batch_rows : int
        Rows in memory at a time.
    random_state : int
        Of the methods that draw.
    options : dict
        For captum's ``attribute``: ``n_samples``, ``n_steps``, ``strides`` and the like.

    Returns
    -------
    AttributionResult
        Of methods that add up, with the residual.

    Raises
    ------
    MissingExtraError
        If captum is not installed (extra ``explain``).
    InputError
        If the method is unknown, or does not fit the rows.
    """
    attr = require("captum.attr", "explain")
    known = (*BY_GRADIENT, *BY_PERTURBATION)
    if method not in known:
        raise InputError(f"method must be one of {', '.join(known)}", repr(method), near(method, known))
    perturbs = method in BY_PERTURBATION
    found = Parts()
    with opened(predictor, X, output) as entry, torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=torch_rng(random_state, "captum"))))
        base = baselines(entry, predictor, baseline, background)
        if len(base) > 1 and method != "GradientShap":
            raise InputError(f"{method} is measured from one row", f"{len(base)} rows", 'choose baseline="mean"')
        if method == "Saliency":
            options = {"abs": False, **options}
        if method == "Occlusion" and entry.subject.x.ndim == 2:
            raise InputError("Occlusion slides over images and sequences", "rows of a table", "use FeatureAblation")
        for point in entry.parts_of(1 if method in _ONE_ROW else batch_rows):
            work = _Work(entry, point, base, perturbs)
            given: dict[str, Any] = {} if method in _WITHOUT_BASELINE else {"baselines": work.baselines()}
            if work.mask is not None and method != "Occlusion":
                given["feature_mask"] = work.mask
            shares = [
                work.read(getattr(attr, method)(work.score).attribute(work.tensors, target=o, **given, **options))
                for o in range(entry.outputs)
            ]
            found.values.append(entry.to_columns(shares))
            with torch.no_grad():
                found.outputs.append(entry.score(point).double().cpu().numpy())
                if method in _ADD_UP:
                    start = entry.score(base).double().mean(0, keepdim=True)
                    found.base.append(start.expand(len(point), -1).cpu().numpy())
        settings = {"method": method, "baseline": baseline if isinstance(baseline, str) else "row", **options}
        return finish(entry, f"captum {method}", found, settings, adds_up=method in _ADD_UP)


class _Work:
    """Some rows in the form that captum takes, and the way back.

    By gradient, a category's place is taken by its vector, as everywhere in Glia. By perturbation, prepared rows are
    moved themselves, all positions of an original column together.
    """

    def __init__(self, entry: Entry, point: Point, base: Point, perturbs: bool) -> None:
        self.entry, self.point, self.base, self.perturbs = entry, point, base, perturbs
        floats = [t.is_floating_point() for t in point.tensors]
        if not all(floats):
            raise InputError("captum moves floating-point rows", "rows of whole numbers", "use glia.explain.shap")
        self.tensors = (point.x,) if perturbs else point.tensors
        self.mask: Tensor | None = None
        self.shared: Tensor | None = None
        if perturbs and entry.subject.groups:
            owner = torch.zeros(point.x.shape[1], dtype=torch.long, device=point.x.device)
            for column, where in enumerate(entry.subject.groups):
                owner[list(where)] = column
            self.mask = owner[None]
            self.shared = torch.bincount(owner)[owner].double()  # captum gives a group's share to each of its positions

    def baselines(self) -> tuple[Tensor, ...]:
        """Return what rows are measured from."""
        return (self.base.x,) if self.perturbs else self.base.tensors

    def score(self, *tensors: Tensor) -> Tensor:
        """Return the outputs, (B, O)."""
        if self.perturbs:
            return self.entry.score_rows(tensors[0].clone())
        return self.entry.score(Point(tensors[0], tuple(tensors[1:])))

    def read(self, values: tuple[Tensor, ...]) -> Tensor:
        """Return captum's values as values of prepared rows, (B, *shape)."""
        detached = [value.detach() for value in values]
        if not self.perturbs:
            return self.entry.features(detached)
        only = detached[0].double()
        return only if self.shared is None else only / self.shared
