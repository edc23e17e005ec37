"""LIME for images: which parts of it an output hangs on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.lime_model import Draw, LimeResult, LocalModel, Plan, local_model, trust
from glia.explain.lime_table import scorer
from glia.explain.lime_text import draw_kept
from glia.explain.subject import Subject, subject
from glia.explain.superpixels import superpixels
from glia.nn.modes import evaluating

Floats = NDArray[np.float64]


def lime_images(
    predictor: Predictor,
    X: Any,
    *,
    segments: int | NDArray[np.integer[Any]] = 40,
    fill: str | float = "mean",
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    plan: Plan | None = None,
) -> LimeResult:
    """Explain images by the effect of parts of them.

    Parameters
    ----------
    predictor : Predictor
    X : images
        Prepared to (N, C, H, W).
    segments : int or ndarray of shape (H, W) or (N, H, W)
        About how many parts are looked for by colour and place, or the parts themselves as whole numbers.
    fill : "mean" or float
        What a part is replaced by: its mean colour, or a value.
    output, space
        As in ``glia.explain.shap``.
    plan : Plan, optional
        How many neighbours, and how they are fitted.

    Returns
    -------
    LimeResult
        ``values`` (N, C, H, W[, O]): the effect of a part, divided equally among its values, so that sums over places
        are effects of parts. ``slopes`` is of the same shape and holds the whole effect at every place.

    Raises
    ------
    InputError
        If rows are not images, or segments do not fit them.
    """
    begun = time.perf_counter()
    plan = plan or Plan()
    plan.check()
    if isinstance(fill, str) and fill != "mean":
        raise InputError("fill must be 'mean' or a number", f"fill={fill!r}")
    with evaluating(predictor.network_):
        seen = subject(predictor, X, output=output, space=space)
        if seen.x.ndim != 4:
            raise InputError("images must be (N, channels, lines, columns)", f"{tuple(seen.x.shape)}", "see prepare=")
        parts = _parts(seen.x, segments)
        score = scorer(seen)
        full = score(seen.x)
        models = [
            local_model(_draw(image, part, fill, score), plan, "image")
            for image, part in zip(seen.x, parts, strict=True)
        ]
    words = plan.words() | {"segments": [int(part.max()) + 1 for part in parts], "fill": fill, "space": seen.unit}
    return _result(seen, models, parts, full, plan, words, time.perf_counter() - begun)


def _parts(x: Tensor, segments: int | NDArray[np.integer[Any]]) -> list[NDArray[np.int64]]:
    if isinstance(segments, (int, np.integer)):
        return [superpixels(image, int(segments)) for image in x.detach().cpu().numpy()]
    given = np.asarray(segments)
    given = np.broadcast_to(given, (len(x), *given.shape)) if given.ndim == 2 else given
    if given.shape != (len(x), *x.shape[2:]):
        raise InputError("segments must be a number for every place", f"shape {given.shape} for {tuple(x.shape)}")
    return [np.unique(one, return_inverse=True)[1].reshape(one.shape) for one in given]


def _draw(image: Tensor, part: NDArray[np.int64], fill: str | float, score: Callable[[Tensor], Floats]) -> Draw:
    places = torch.from_numpy(part).to(image.device)
    count = int(part.max()) + 1
    if fill == "mean":
        sums = torch.zeros(len(image), count, dtype=image.dtype, device=image.device)
        sums.index_add_(1, places.flatten(), image.flatten(1))
        means = sums / torch.bincount(places.flatten(), minlength=count)
        other = means[:, places]
    else:
        other = torch.full_like(image, float(fill))

    def draw(samples: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        kept, weight = draw_kept(samples, count, rng)
        outputs = []
        for some in np.array_split(kept, max(1, len(kept) * image.numel() >> 22)):
            mask = torch.from_numpy(some).to(image.device)[:, places].unsqueeze(1)  # (S, 1, H, W)
            outputs.append(score(torch.where(mask, image, other)))
        return (~kept).astype(np.float64), weight, np.concatenate(outputs)

    return draw


def _result(
    seen: Subject,
    models: list[LocalModel],
    parts: list[NDArray[np.int64]],
    full: Floats,
    plan: Plan,
    words: dict[str, Any],
    seconds: float,
) -> LimeResult:
    channels = seen.x.shape[1]

    def laid(figures: Floats, part: NDArray[np.int64], shared: bool) -> Floats:
        """Lay the figures of parts (K, O) out over the image, (C, H, W, O)."""
        size = np.bincount(part.ravel())[:, None] * channels if shared else 1
        return np.broadcast_to((figures / size)[part], (channels, *part.shape, figures.shape[1]))

    effects = np.stack([laid(-one.slopes, part, False) for one, part in zip(models, parts, strict=True)])
    values = np.stack([laid(-one.slopes, part, True) for one, part in zip(models, parts, strict=True)])
    error = np.stack([laid(one.error, part, True) for one, part in zip(models, parts, strict=True)])
    at_row = np.stack([one.at_zero for one in models])
    base = at_row + np.stack([one.slopes.sum(axis=0) for one in models])
    checks, warnings = trust(models, plan)
    return LimeResult(
        method="lime",
        values=seen.shaped(values),
        outputs=seen.shaped(full),
        base=seen.shaped(base),
        output_names=seen.output_names,
        unit=seen.unit,
        standard_error=seen.shaped(error),
        residual=seen.shaped(full - at_row),
        checks=checks,
        warnings=warnings,
        settings=words,
        evaluations=sum(one.samples for one in models) + len(full),
        seconds=seconds,
        slopes=seen.shaped(effects),
        r_squared=seen.shaped(np.stack([one.r_squared for one in models])),
        agreement=seen.shaped(np.stack([one.agreement for one in models])),
    )
