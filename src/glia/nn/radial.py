"""Radial basis networks: hidden units answer to how near a row is to their centres, in a metric of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.fast import plain
from glia.nn.spec import Problems, Spec

_FAR = 4.0
"""Standard deviations from the mean beyond which a number counts as no further away."""
_LEAST = 1e-3
"""Shares below this are taken for it before their logarithm."""
_NEAREST = 1e-12  # squared distance in lengths, so that its root has a gradient
_ROWS, _CENTRES = 128, 1024


class RadialNetwork(nn.Module):
    """Units exp(−distance to a centre / length), and a linear output.

    Parameters
    ----------
    plain : sequence of int
        Columns that are taken as numbers, P of them.
    codes : sequence of int
        Columns of category codes.
    cardinalities : sequence of int
        Codes of each of those columns, C in all.
    out_features : int
        O.
    centres : int
        M hidden units.
    width : int
        R dimensions in which distances are taken.
    shares : bool
        Whether the linear outputs are shares of classes, whose log-odds or logarithms are then the outputs.

    Notes
    -----
    **Shape**: (B, *shape) → (B, O).

    A row becomes z = A·u + Σ a_code, where u are its numbers, standardised and held within ±4, and every code has a
    vector; hidden unit m is exp(−‖z − c_m‖ / length), the Laplace kernel in the metric AᵀA. Trained by gradients this
    is the network of Broomhead and Lowe (1988) with a learned metric; ``glia.engine.radial_fit`` finds it in closed
    form.
    """

    def __init__(
        self,
        plain: tuple[int, ...],
        codes: tuple[int, ...],
        cardinalities: tuple[int, ...],
        out_features: int,
        *,
        centres: int,
        width: int,
        shares: bool = False,
    ) -> None:
        super().__init__()
        self.shares, total = shares, sum(cardinalities)
        self.register_buffer("columns", torch.tensor(plain, dtype=torch.long), persistent=False)
        self.register_buffer("code_columns", torch.tensor(codes, dtype=torch.long), persistent=False)
        sizes = torch.tensor(cardinalities, dtype=torch.long)
        self.register_buffer("first", sizes.cumsum(0) - sizes, persistent=False)
        self.register_buffer("last", sizes - 1, persistent=False)
        self.register_buffer("middle", torch.zeros(len(plain)))
        self.register_buffer("unit", torch.ones(len(plain)))
        self.register_buffer("length", torch.tensor(math.sqrt(max(1, width))))
        self.register_buffer("sharpness", torch.tensor(1.0))
        self.columns: Tensor
        self.code_columns: Tensor
        self.first: Tensor
        self.last: Tensor
        self.middle: Tensor
        self.unit: Tensor
        self.length: Tensor
        self.sharpness: Tensor
        start = torch.eye(len(plain), width) if len(plain) <= width else torch.randn(len(plain), width) / width**0.5
        self.metric = nn.Parameter(start)
        self.code_metric = nn.Parameter(torch.randn(total, width) / width**0.5) if codes else None
        self.centres = nn.Parameter(torch.randn(centres, width))
        self.output = nn.Linear(centres, out_features)

    def spread_out(self, x: Tensor) -> Tensor:
        """Return rows as numbers side by side, standardised, and a column of 0 and 1 for each code: (B, P + C)."""
        x = x.flatten(1)
        parts = [self._numbers(x)]
        if self.code_metric is not None:
            places = torch.zeros(len(x), len(self.code_metric), device=x.device, dtype=x.dtype)
            parts.append(places.scatter_(1, self._places(x), 1.0))
        return torch.cat(parts, dim=1)

    def project(self, x: Tensor) -> Tensor:
        """Return where rows lie, (B, *shape) → (B, R): a sum of parts that depend on one column each."""
        x = x.flatten(1)
        z = self._numbers(x) @ self.metric
        if self.code_metric is None:
            return z
        vectors = self.code_metric.index_select(0, self._places(x).reshape(-1))
        return z + vectors.reshape(len(x), -1, vectors.shape[-1]).sum(1)

    def answer(self, z: Tensor) -> Tensor:
        """Return the outputs of rows that lie at z, (B, R) → (B, O).

        Without gradients few rows meet few centres at a time: 128 × 1,024 distances stay in the processor's cache.
        73,000 rows per second of one core for 7,392 centres where all at once 56,000 are answered (AVX-512), and
        memory does not grow with rows times centres.
        """
        rows, centres = _beside(z / self.length), self.turned_centres()
        weights = (self.output.weight, self.output.bias)
        if torch.is_grad_enabled() or not plain.is_plain(z, *weights) or plain.is_hooked(self):
            squares = rows @ centres.t()
            return self.scores(self.output(squares.clamp_min(_NEAREST).sqrt().neg().exp()))
        out = self.output.bias.repeat(len(rows), 1)
        pairs = zip(torch.split(centres, _CENTRES), torch.split(weights[0], _CENTRES, dim=1), strict=True)
        parts = [(near.t().contiguous(), weight.t().contiguous()) for near, weight in pairs]
        for own, into in zip(torch.split(rows, _ROWS), torch.split(out, _ROWS), strict=True):
            for near, weight in parts:
                into.addmm_(torch.mm(own, near).clamp_min_(_NEAREST).sqrt_().neg_().exp_(), weight)
        return self.scores(out)

    def turned_centres(self) -> Tensor:
        """Return what rows beside themselves are multiplied with for squared distances in lengths, (M, R + 2)."""
        c = self.centres / self.length
        return torch.cat([-2.0 * c, c.square().sum(1, keepdim=True), torch.ones_like(c[:, :1])], dim=1)

    def scores(self, out: Tensor) -> Tensor:
        """Return the outputs that linear ones mean, (B, O) → (B, O)."""
        if not self.shares:
            return out
        if out.shape[-1] == 1:
            share = out.clamp(_LEAST, 1.0 - _LEAST)
            return self.sharpness * (share.log() - (1.0 - share).log())
        share = out.clamp(_LEAST, 1.0)
        return self.sharpness * (share / share.sum(-1, keepdim=True)).log()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *shape) to (B, O)."""
        return self.answer(self.project(x))

    def _numbers(self, x: Tensor) -> Tensor:
        return ((x.index_select(1, self.columns) - self.middle) / self.unit).clamp(-_FAR, _FAR)

    def _places(self, x: Tensor) -> Tensor:
        codes = x.index_select(1, self.code_columns).long().clamp_min(0)
        return torch.minimum(codes, self.last) + self.first


def _beside(z: Tensor) -> Tensor:
    """Return rows with a one and their squared length beside them, (B, R) → (B, R + 2)."""
    return torch.cat([z, torch.ones_like(z[:, :1]), z.square().sum(1, keepdim=True)], dim=1)


class Radial(Spec):
    """Settings of a radial basis network.

    Parameters
    ----------
    centres : int
        Hidden units, at least 1.
    width : int or "auto"
        Dimensions in which distances are taken, at least 1; "auto": as many as there are prepared values, at most 64.
    shares : bool
        Whether the linear outputs are shares of classes, as a fit in closed form finds them, and no scores.
    """

    family = "radial"

    def __init__(self, centres: int = 256, width: int | str = "auto", shares: bool = False) -> None:
        self.centres = centres
        self.width = width
        self.shares = shares

    def build(self, layout: Layout, out_features: int) -> RadialNetwork:
        """Return a freshly initialised network that maps (B, *layout.shape) to (B, out_features).

        Raises
        ------
        InputError
            Naming everything that is wrong with the settings, at once.
        """
        problems = Problems("Radial")
        for name, value in (("centres", self.centres), ("width", 1 if self.width == "auto" else self.width)):
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            problems.check(whole, f"{name} must be a whole number of at least 1", f"{value!r}")
        problems.check(isinstance(self.shares, bool), "shares must be true or false", f"{self.shares!r}")
        problems.raise_all()
        plain, codes = layout.indices("numeric", "onehot", "indicator"), layout.indices("code")
        if not layout.features:
            plain = tuple(range(layout.in_features))
        cardinalities = tuple(layout.features[i].cardinality for i in codes)
        width = min(64, len(plain) + sum(cardinalities)) if isinstance(self.width, str) else self.width
        if not plain and not codes:
            raise InputError("a radial network needs columns", "none")
        return RadialNetwork(
            plain, codes, cardinalities, out_features, centres=self.centres, width=width, shares=self.shares
        )
