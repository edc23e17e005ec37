"""SmoothGrad: the mean gradient around a row, with its standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.seeds import torch_rng
from glia.explain.attribution import AttributionResult
from glia.explain.entry import Entry, Point, opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods
from glia.explain.saliency import check_signs, signed, sizes

Sums = list[list[Tensor]]


@methods.register("smoothgrad")
def smoothgrad(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    noise: float = 0.1,
    samples: int = 32,
    absolute: bool = True,
    background: Any = None,
    random_state: int = 0,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return the mean of the gradients at rows with noise added.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    noise : float
        Standard deviation of the noise, > 0: for tables as a share of each input's standard deviation (in
        ``background``, else in ``X``), for images and the like as a share of the row's range.
    samples : int
        At least 2; the standard error falls with its square root.
    absolute : bool
        The size of the mean gradient, as in ``saliency``; otherwise with its sign.
    background : rows, optional
        Where the inputs' spread is taken from.
    random_state : int
        Of the noise.
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        With ``standard_error``.

    Raises
    ------
    InputError
        If the network cannot be differentiated or a setting is wrong.

    Notes
    -----
    Source: Smilkov, Thorat, Kim, Viégas and Wattenberg, arXiv 1706.03825.
    """
    if not noise > 0 or samples < 2:
        raise InputError("noise must be > 0 and samples at least 2", f"noise={noise!r}, samples={samples!r}")
    found = Parts()
    with opened(predictor, X, output) as entry:
        check_signs(entry, absolute)
        around = entry.subject.x if background is None else predictor.prepare(background)
        widths = _widths(entry.at(around)) if entry.subject.x.ndim == 2 and len(around) > 1 else None
        rng = torch_rng(random_state, "smoothgrad")
        for point in entry.parts_of(max(1, batch_rows // samples)):
            _add(entry, point, widths, (noise, samples, absolute), rng, found, batch_rows)
        settings = {"noise": noise, "samples": samples, "absolute": absolute, "random_state": random_state}
        return finish(entry, "smoothgrad", found, settings)


def _add(
    entry: Entry,
    point: Point,
    widths: list[Tensor] | None,
    how: tuple[float, int, bool],
    rng: Generator,
    found: Parts,
    batch_rows: int,
) -> None:
    noise, samples, absolute = how
    rows = len(point)
    scale = [noise * w for w in (widths if widths is not None else map(_ranges, point.tensors))]
    sums: Sums | None = None
    squares: Sums | None = None
    with torch.no_grad():
        outputs = entry.score(point).double()
    step = max(1, batch_rows // rows)
    for start in range(0, samples, step):
        count = min(step, samples - start)
        many = point.rows(torch.arange(rows, device=point.x.device).repeat(count))
        moved = [_moved(t, s, count, rng) for t, s in zip(many.tensors, scale, strict=True)]
        moved[0] = torch.where(entry.codes, many.x, moved[0])
        _, slopes = entry.slopes(Point(moved[0], tuple(moved[1:])))
        drawn = [[g.double().reshape(count, rows, *g.shape[1:]) for g in parts] for parts in slopes]
        sums = _plus(sums, [[g.sum(0) for g in parts] for parts in drawn])
        squares = _plus(squares, [[g.square().sum(0) for g in parts] for parts in drawn])
    means = [[g / samples for g in parts] for parts in sums or []]
    spread = [
        [(q / samples - m.square()).clamp_min(0.0) / (samples - 1) for q, m in zip(qs, ms, strict=True)]
        for qs, ms in zip(squares or [], means, strict=True)
    ]  # variance of the mean; that of a norm is at most the sum over what is under the root
    found.values.append(sizes(entry, means) if absolute else signed(entry, means))
    found.error.append(np.sqrt(entry.to_columns([entry.features(parts) for parts in spread])))
    found.outputs.append(outputs.cpu().numpy())


def _plus(total: Sums | None, more: Sums) -> Sums:
    if total is None:
        return more
    return [[a + b for a, b in zip(p, q, strict=True)] for p, q in zip(total, more, strict=True)]


def _moved(t: Tensor, scale: Tensor, count: int, rng: Generator) -> Tensor:
    """Add noise to ``count`` copies of rows; ``scale`` is of all rows, (1, …), or of each, (B, 1, …)."""
    if not t.is_floating_point():
        return t
    wide = scale.repeat(count, *[1] * (t.ndim - 1)) if len(scale) > 1 else scale
    return t + _drawn(t, rng) * wide


def _drawn(like: Tensor, rng: Generator) -> Tensor:
    return torch.randn(like.shape, generator=rng, dtype=torch.float32).to(like.device, like.dtype)


def _widths(point: Point) -> list[Tensor]:
    """Return each input's standard deviation over rows, (1, …)."""
    return [deviation(t) if t.is_floating_point() else t[:1] for t in point.tensors]


def deviation(rows: Tensor) -> Tensor:
    """Return the standard deviation of each value over the rows that have it, (1, …); 0 where none has."""
    centred = rows - rows.nanmean(0, keepdim=True)
    return torch.nan_to_num(centred.square().nanmean(0, keepdim=True).sqrt())


def _ranges(t: Tensor) -> Tensor:
    """Return each row's range, (B, 1, …)."""
    flat = t.flatten(1)
    return (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (t.ndim - 1))
