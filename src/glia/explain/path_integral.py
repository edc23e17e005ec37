"""The integral of a gradient along straight paths, halved where it is not exact yet.

A path's pieces each carry their own residual: the change of the outputs over the piece, less what the quadrature finds.
Pieces whose residual is too large are cut in two. A network of linear pieces has kinks: from the slopes at both ends of
a piece follows where its kink would be if it had one. There it is cut; and where the residual is small, the kink is put
there: the shares are moved between those of both ends until they add up, which for one kink is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glia.core.errors import InputError, near
from glia.explain.baselines import known
from glia.explain.entry import Entry, Point

QUADRATURES = ("gauss_legendre", "trapezoid")
_START = 4
"""Pieces at the start."""
_ROUGH = 100.0
"""How much larger a residual may be before kinks are put where they make shares add up."""
_LEAST = 2.0**-30
"""Width of a piece that is not cut further."""


@dataclass(frozen=True)
class Quadrature:
    """Nodes in [0, 1] and their weights, which sum to 1."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]


def quadrature(name: str, points: int = 4) -> Quadrature:
    """Return a rule with so many nodes per piece.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    if name == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(points)
        return Quadrature(tuple((nodes + 1) / 2), tuple(weights / 2))
    if name == "trapezoid":
        inner = [1.0 / (points - 1)] * (points - 2)
        return Quadrature(tuple(np.linspace(0, 1, points)), (0.5 / (points - 1), *inner, 0.5 / (points - 1)))
    raise InputError(f"quadrature must be one of {', '.join(QUADRATURES)}", repr(name), near(str(name), QUADRATURES))


@dataclass
class Pieces:
    """Parts of paths: of which path, from where to where in [0, 1], and the outputs at both ends, (M, O)."""

    path: Tensor
    start: Tensor
    end: Tensor
    first: Tensor
    last: Tensor

    def some(self, which: Tensor | slice) -> Pieces:
        """Return some of them."""
        return Pieces(*(getattr(self, name)[which] for name in ("path", "start", "end", "first", "last")))


class PathIntegral:
    """Integrals along the paths from baselines to rows.

    Parameters
    ----------
    entry : Entry
        The opened predictor.
    rows, bases : Point
        B rows each: path p leads from bases[p] to rows[p].
    rule : Quadrature
        For every piece.
    tolerance : float
        Of a path's residual, as a share of the difference of its outputs or of 1, whichever is larger.
    max_steps : int
        Most gradients per path.
    batch_rows : int
        Rows in memory at a time.
    """

    def __init__(
        self,
        entry: Entry,
        rows: Point,
        bases: Point,
        rule: Quadrature,
        tolerance: float,
        max_steps: int,
        batch_rows: int,
    ) -> None:
        self.entry, self.rows, self.rule = entry, rows, rule
        self.bases = Point(known(bases.x, rows.x), bases.parts)
        self.tolerance, self.max_steps, self.batch_rows = tolerance, max_steps, batch_rows
        self.steps = torch.zeros(len(rows), dtype=torch.long)
        self.error = torch.zeros(len(rows), dtype=torch.float64)  # Σ |residual| of pieces, before kinks were placed
        self.shares: list[Tensor] = []

    def run(self) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return shares like prepared rows, one (B, *shape) per output, and the outputs at both ends, (B, O) each."""
        count = len(self.rows)
        edges = torch.linspace(0, 1, _START + 1, dtype=torch.float64)
        path = torch.arange(count).repeat_interleave(_START + 1)
        ends = self._outputs(path, edges.repeat(count)).reshape(count, _START + 1, -1)  # (B, 5, O)
        shape = self.entry.subject.x.shape[1:]
        self.shares = [
            torch.zeros(count, *shape, dtype=torch.float64, device=ends.device) for _ in range(ends.shape[2])
        ]
        first, last = ends[:, 0], ends[:, -1]
        # A double-precision network leaves no noise to speak of; a single-precision one would be cut for ever.
        noise = (1e-13 if self.rows.x.dtype == torch.float64 else 1e-6) * ends.abs().amax((1, 2))
        allowed = self.tolerance * (last - first).abs().amax(1).clamp_min(1.0)
        self._limit = torch.maximum(allowed / 32, noise).cpu()
        pieces = Pieces(
            torch.arange(count).repeat_interleave(_START),
            edges[:-1].repeat(count),
            edges[1:].repeat(count),
            ends[:, :-1].flatten(0, 1),
            ends[:, 1:].flatten(0, 1),
        )
        while len(pieces.path):
            pieces = self._round(pieces)
        return self.shares, last, first

    def _round(self, pieces: Pieces) -> Pieces:
        """Integrate pieces, keep what is exact enough and return the halves of the others."""
        step = max(1, self.batch_rows // len(self.rule.nodes))
        again: list[Pieces] = []
        for start in range(0, len(pieces.path), step):
            some = pieces.some(slice(start, start + step))
            cut = self._integrate(some)
            left = some.some(~cut.isnan())
            if len(left.path):
                again.append(self._halves(left, cut[~cut.isnan()]))
        if not again:
            return pieces.some(slice(0, 0))
        names = ("path", "start", "end", "first", "last")
        return Pieces(*(torch.cat([getattr(piece, name) for piece in again]) for name in names))

    def _integrate(self, pieces: Pieces) -> Tensor:
        """Add the shares of pieces that are exact enough; return where to cut the others, (M,), NaN for none."""
        count, nodes = len(pieces.path), len(self.rule.nodes)
        width = pieces.end - pieces.start
        where = pieces.start[:, None] + width[:, None] * torch.tensor(self.rule.nodes, dtype=torch.float64)  # (M, n)
        which = pieces.path.repeat_interleave(nodes)
        point = self._between(which, where.flatten())
        _, slopes = self.entry.slopes(point)
        change = [r[which] - b[which] for r, b in zip(self.rows.tensors, self.bases.tensors, strict=True)]
        weight = torch.tensor(self.rule.weights, dtype=torch.float64)
        scale = (width[:, None] * weight).to(point.x.device)  # (M, n)
        rise, sums, kinked = pieces.last - pieces.first, [], []
        steep = []
        for o, parts in enumerate(slopes):
            products = [g.double() * torch.nan_to_num(c.double()) for g, c in zip(parts, change, strict=True)]
            slope = torch.stack([p.flatten(1).sum(1) for p in products]).sum(0).reshape(count, nodes)  # (M, n)
            whole = self.entry.features(products).reshape(count, nodes, -1)  # (M, n, D)
            found = torch.einsum("mn,mnd->md", scale, whole)
            error = rise[:, o] - (slope * scale).sum(1)
            bend = slope[:, 0] - slope[:, -1]
            shift = torch.where(bend.abs() > 1e-12, error / torch.where(bend.abs() > 1e-12, bend, 1.0), 0.0)
            shift = torch.where(shift.abs() <= scale.sum(1), shift, 0.0)  # of the kink, by at most the piece's width
            found += shift[:, None] * (whole[:, 0] - whole[:, -1])
            sums.append(found)
            kinked.append(torch.stack([error, error - shift * bend]))
            steep.append(slope)
        self.steps.index_add_(0, pieces.path, torch.full((count,), nodes))
        raw, left = torch.stack(kinked, dim=-1).abs().cpu()  # (M, O) each
        limit = self._limit[pieces.path, None]
        done = ((raw <= _ROUGH * limit) & (left <= limit)).all(1) | (width <= _LEAST)
        done |= self.steps[pieces.path] >= self.max_steps
        self.error.index_add_(0, pieces.path[done], raw[done].amax(1))
        for total, part in zip(self.shares, sums, strict=True):
            flat = total.reshape(len(total), -1)
            flat.index_add_(0, pieces.path[done].to(total.device), part[done.to(part.device)])
        return torch.where(done, torch.nan, self._cut(pieces, torch.stack(steep, dim=-1), raw))

    def _cut(self, pieces: Pieces, slope: Tensor, error: Tensor) -> Tensor:
        """Return where to cut: at the kink that a piece would have if it had one, else in the middle."""
        worst = error.argmax(1, keepdim=True).to(slope.device)  # (M, 1)
        rise = (pieces.last - pieces.first).gather(1, worst)[:, 0]
        before, after = slope[:, 0].gather(1, worst)[:, 0], slope[:, -1].gather(1, worst)[:, 0]
        width = (pieces.end - pieces.start).to(slope.device)
        part = (rise - after * width) / ((before - after) * width)
        odd = torch.arange(len(part), device=part.device) % 8 == 7  # some in the middle, should the guess mislead
        part = torch.where((part > 1e-7) & (part < 1 - 1e-7) & ~odd, part, 0.5).cpu()
        return pieces.start + part * (pieces.end - pieces.start)

    def _halves(self, pieces: Pieces, cut: Tensor) -> Pieces:
        middle = self._outputs(pieces.path, cut)
        return Pieces(
            torch.cat([pieces.path, pieces.path]),
            torch.cat([pieces.start, cut]),
            torch.cat([cut, pieces.end]),
            torch.cat([pieces.first, middle]),
            torch.cat([middle, pieces.last]),
        )

    def _outputs(self, path: Tensor, where: Tensor) -> Tensor:
        """Return the outputs at places of paths, (M, O)."""
        found = []
        with torch.no_grad():
            for start in range(0, len(path), self.batch_rows):
                part = slice(start, start + self.batch_rows)
                found.append(self.entry.score(self._between(path[part], where[part])).double())
        return torch.cat(found)

    def _between(self, path: Tensor, where: Tensor) -> Point:
        """Return points of paths: bases + where · (rows − bases); codes stay as in the rows."""
        moved = []
        for row, base in zip(self.rows.tensors, self.bases.tensors, strict=True):
            one = row[path]
            if one.is_floating_point():
                share = where.to(one.device, one.dtype).reshape(-1, *[1] * (one.dim() - 1))
                one = base[path] + share * (one - base[path])
            moved.append(one)
        codes = self.entry.codes
        if bool(codes.any()):
            moved[0] = torch.where(codes, self.rows.x[path], moved[0])
        return Point(moved[0], tuple(moved[1:]))
