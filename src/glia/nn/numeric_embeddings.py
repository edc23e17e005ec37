"""Embeddings of numeric features: each number becomes several, so that a network bends more easily.

Source: Gorishniy, Rubachev and Babenko, arXiv 2203.05556.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Feature
from glia.core.registry import Registry

numeric_embeddings: Registry[Callable[..., nn.Module]] = Registry("numeric embedding")
BY_BINS = ("piecewise_linear", "ple", "bin_place")
"""Names of those that need the bins of a layout."""


@numeric_embeddings.register("none")
def none(features: Sequence[Feature]) -> nn.Module:
    """Numbers as they are."""
    return nn.Identity()


class PiecewiseLinear(nn.Module):
    """One value per bin: 0 below the bin, 1 above it, linear inside; the outermost bins go on linearly.

    Parameters
    ----------
    bins : sequence of sequence of float
        Increasing edges b₀ < … < b_T of each of F features; with fewer than two the number passes as it is.

    Notes
    -----
    **Shape**: (B, F) → (B, ΣT).

    For feature value x, value t is (x - b_{t-1}) / (b_t - b_{t-1}), held within [0, 1], where the first value has no
    lower limit and the last no upper one (arXiv 2203.05556, equation 1).

    Raises
    ------
    InputError
        If edges do not increase.
    """

    def __init__(self, bins: Sequence[Sequence[float]]) -> None:
        super().__init__()
        edges = [tuple(float(b) for b in e) if len(e) >= 2 else (0.0, 1.0) for e in bins]
        for number, e in enumerate(edges):
            if not all(math.isfinite(b) for b in e) or any(a >= b for a, b in pairwise(e)):
                raise InputError("the bins of a feature must be finite and increase", f"feature {number}: {e[:8]}")
        widest = max((len(e) - 1 for e in edges), default=0)
        self.out_features = sum(len(e) - 1 for e in edges)
        scale, shift = torch.zeros(len(edges), widest), torch.zeros(len(edges), widest)
        low, high = torch.zeros(len(edges), widest), torch.ones(len(edges), widest)
        keep: list[int] = []
        for f, e in enumerate(edges):
            left, right = torch.tensor(e[:-1], dtype=torch.float64), torch.tensor(e[1:], dtype=torch.float64)
            count = len(left)
            scale[f, :count] = (1.0 / (right - left)).float()
            shift[f, :count] = (-left / (right - left)).float()
            low[f, 0], high[f, count - 1] = -torch.inf, torch.inf
            keep.extend(range(f * widest, f * widest + count))
        # All of these follow from the layout, so that a model file need not hold them.
        for name, value in (("scale", scale), ("shift", shift), ("low", low), ("high", high)):
            self.register_buffer(name, value, persistent=False)
        padded = len(keep) < len(edges) * widest
        self.register_buffer("keep", torch.tensor(keep) if padded else None, persistent=False)
        self.scale: Tensor
        self.shift: Tensor
        self.low: Tensor
        self.high: Tensor
        self.keep: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, F) to (B, ΣT)."""
        values = self.by_feature(x).flatten(-2)  # (B, F·T)
        return values if self.keep is None else values.index_select(-1, self.keep)

    def by_feature(self, x: Tensor) -> Tensor:
        """Map (B, F) to (B, F, T), with 0 for bins that a feature does not have."""
        return torch.clamp(x.unsqueeze(-1) * self.scale + self.shift, self.low, self.high)


class BinPlace(nn.Module):
    """Each number's place among the bins of its feature: bins below it, and its share of its own.

    A bent line that rises by as much in every bin: where bins are narrow, since the target changes fast or numbers are
    many, small differences count more, and heavy tails count less. With bins that hold equally many numbers it is
    their rank.

    Parameters
    ----------
    bins : sequence of sequence of float
        As for ``PiecewiseLinear``, whose values are added up; with fewer than two edges the number passes as it is.

    Notes
    -----
    **Shape**: (B, F) → (B, F).

    With T bins, √12·(Σ_t value_t / T − ½): numbers spread evenly over the bins have mean 0 and variance 1.
    """

    def __init__(self, bins: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.cut = PiecewiseLinear(bins)
        self.out_features = len(bins)
        has = torch.tensor([len(edges) >= 2 for edges in bins])
        counts = (self.cut.scale != 0).sum(dim=1)
        self.register_buffer("step", torch.where(has, math.sqrt(12.0) / counts, 1.0), persistent=False)
        self.register_buffer("start", torch.where(has, -math.sqrt(3.0), 0.0), persistent=False)
        self.step: Tensor
        self.start: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, F) to (B, F)."""
        return self.start + self.cut.by_feature(x).sum(-1) * self.step

    def over_bins(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights of ``cut``'s values, (…, ΣT), and an offset, (…), that do what ``weight`` does, (…, F)."""
        counts = (self.cut.scale != 0).sum(dim=1)
        return (weight * self.step).repeat_interleave(counts, dim=-1), weight @ self.start


class Periodic(nn.Module):
    """ReLU(linear([sin 2πcx, cos 2πcx])) with learned frequencies c, for each feature by itself ("PLR").

    Parameters
    ----------
    count : int
        F features.
    frequencies : int
        k ≥ 1 frequencies per feature.
    sigma : float
        Standard deviation of the frequencies at the start, > 0; larger bends faster.
    dim : int
        Values per feature, ≥ 1.

    Notes
    -----
    **Shape**: (B, F) → (B, F·dim).

    Source: arXiv 2203.05556, section 3.3.
    """

    def __init__(self, count: int, *, frequencies: int = 16, sigma: float = 0.1, dim: int = 8) -> None:
        super().__init__()
        if count < 1 or frequencies < 1 or dim < 1 or not sigma > 0:
            raise InputError(
                "a periodic embedding must have features, frequencies ≥ 1, dim ≥ 1 and sigma > 0",
                f"features={count!r}, frequencies={frequencies!r}, dim={dim!r}, sigma={sigma!r}",
            )
        self.out_features = count * dim
        self.frequencies = nn.Parameter(torch.empty(count, frequencies).normal_(0.0, sigma))
        bound = 1.0 / math.sqrt(2 * frequencies)
        self.weight = nn.Parameter(torch.empty(count, 2 * frequencies, dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, F) to (B, F·dim)."""
        angle = 2.0 * math.pi * self.frequencies * x.unsqueeze(-1)  # (B, F, k)
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1)  # (B, F, 2k)
        return torch.relu(torch.einsum("...fk,fkd->...fd", waves, self.weight) + self.bias).flatten(-2)


@numeric_embeddings.register("piecewise_linear", "ple")
def piecewise_linear(features: Sequence[Feature]) -> nn.Module:
    """One value per bin of the feature, linear inside the bin (arXiv 2203.05556, section 3.2)."""
    return PiecewiseLinear([feature.bins for feature in features])


@numeric_embeddings.register("bin_place")
def bin_place(features: Sequence[Feature]) -> nn.Module:
    """One value, the number's place among the bins of its feature."""
    return BinPlace([feature.bins for feature in features])


@numeric_embeddings.register("periodic", "plr")
def periodic(features: Sequence[Feature], *, frequencies: int = 16, sigma: float = 0.1, dim: int = 8) -> nn.Module:
    """Sines and cosines of learned frequencies, then linear and ReLU (arXiv 2203.05556, section 3.3)."""
    return Periodic(len(features), frequencies=frequencies, sigma=sigma, dim=dim)
