"""Shapley values by a regression over coalitions, drawn in complementary pairs."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.explain.shapley_game import Floats, Game

COALITIONS = 2048
"""Coalitions where no budget is given, besides two for each column."""


def shapley_kernel(game: Game, evaluations: int | None = None, random_state: int = 0) -> tuple[Floats, Floats]:
    """Return Shapley values and their standard errors, (N, P, O) each.

    Parameters
    ----------
    game : Game
        With at least one player.
    evaluations : int, optional
        Rows that may go through the network for each explained row: background rows × coalitions. By default as many as
        2048 + 2 P coalitions need; at least 4 P coalitions are drawn.
    random_state : int
        Seed of the coalitions, which all rows and background rows share.

    Notes
    -----
    Shapley values are the weighted least squares fit of v(S) ≈ v(∅) + Σ_{i∈S} φ_i, with weights
    (P − 1) / (C(P, |S|) |S| (P − |S|)), among those that add up to v(all) − v(∅) (arXiv 1705.07874). Each coalition is
    taken with its complement, which leaves (v(S) − v(Sᶜ)) / 2 ≈ Σ_i ±φ_i / 2 (arXiv 2012.01536). Sizes are strata
    with equal numbers of pairs (arXiv 2410.01917), drawn without replacement; a size that has no more pairs than that
    is enumerated. The standard error is the linearised one of stratified sampling (the residual of each pair times its
    influence), with the factor for finite populations: 0 where every size is enumerated.
    """
    players = game.players
    shape = (len(game.full), players, game.full.shape[1])
    change = game.full - game.base  # (N, O)
    if players == 1:
        return change[:, None, :], np.zeros(shape)
    allowed = COALITIONS + 2 * players if evaluations is None else evaluations // len(game.background)
    strata = draw_pairs(players, max(allowed // 2, 2 * players), numpy_rng(random_state, "shapley kernel"))
    masks = np.concatenate([one for one, _ in strata])
    weight = np.concatenate([np.full(len(one), _weight(players, int(one[0].sum())) / len(one)) for one, _ in strata])
    solve = _Constrained(masks - 0.5, weight)
    both = torch.from_numpy(np.concatenate([masks, ~masks])).to(game.subject.x.device)
    found, error = np.empty(shape), np.empty(shape)
    for rows in game.row_blocks(2 * len(both) * shape[2]):
        values = game.mean_values(both, rows)
        odd = (values[:, : len(masks)] - values[:, len(masks) :]) / 2  # (n, M, O)
        found[rows] = solve(odd, change[rows])
        error[rows] = _errors(solve, strata, odd, found[rows])
    return found, error


def draw_pairs(players: int, pairs: int, rng: np.random.Generator) -> list[tuple[NDArray[np.bool_], int]]:
    """Return for each size 1 … P/2 coalitions (m, P), and how many pairs with their complements there are of the size.

    Of an even number's middle size, each pair counts once.
    """
    sizes = list(range(1, players // 2 + 1))
    there = {s: math.comb(players, s) // (2 if 2 * s == players else 1) for s in sizes}
    wanted, left = dict.fromkeys(sizes, 0), pairs
    for place, s in enumerate(sorted(sizes, key=lambda s: there[s])):
        wanted[s] = min(there[s], max(left // (len(sizes) - place), 2))
        left -= wanted[s]
    return [(_of_size(players, s, wanted[s], there[s], rng), there[s]) for s in sizes]


def _of_size(players: int, size: int, count: int, there: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return ``count`` different coalitions of a size, no two of them complements; all of them where that is all."""
    if count == there:
        chosen = np.array(list(combinations(range(players), size)))[:there]
        masks = np.zeros((there, players), dtype=bool)
        np.put_along_axis(masks, chosen, True, axis=1)
        return masks
    found: dict[bytes, NDArray[np.bool_]] = {}
    while len(found) < count:
        ranks = rng.permuted(np.tile(np.arange(players), (count, 1)), axis=1)
        for mask in ranks < size:
            kept = ~mask if 2 * size == players and not mask[0] else mask
            if len(found) < count:
                found.setdefault(np.packbits(kept).tobytes(), kept)
    return np.stack(list(found.values()))


def _weight(players: int, size: int) -> float:
    """Return the kernel's weight of all pairs of a size together."""
    return (players - 1) / (size * (players - size)) * (1.0 if 2 * size == players else 2.0)


class _Constrained:
    """Weighted least squares y ≈ X φ with Σφ given: equal parts of the sum, and what is left among those that add to 0.

    ``inverse`` is the influence matrix of the second part, (P, P).
    """

    def __init__(self, design: Floats, weight: Floats) -> None:
        self.design, self.weight = design, weight
        self.free = design - design.mean(axis=1, keepdims=True)
        self.inverse = np.linalg.pinv((self.free * weight[:, None]).T @ self.free, rcond=1e-10, hermitian=True)

    def __call__(self, y: Floats, total: Floats) -> Floats:
        """Return φ (n, P, O) for values y (n, M, O) and sums (n, O)."""
        even = self.design.mean(axis=1)[None, :, None] * total[:, None]  # what equal parts give
        moment = np.einsum("mp,nmo->npo", self.free * self.weight[:, None], y - even)
        left = np.einsum("pq,nqo->npo", self.inverse, moment)
        left -= left.mean(axis=1, keepdims=True)  # rounding
        return np.asarray(left + total[:, None] / left.shape[1])

    def leverage(self) -> Floats:
        """Return how far each value draws its own fit to itself, (M,)."""
        return np.asarray(np.einsum("mp,pq,mq->m", self.free, self.inverse, self.free) * self.weight)


def _errors(solve: _Constrained, strata: list[tuple[NDArray[np.bool_], int]], odd: Floats, found: Floats) -> Floats:
    residual = odd - np.einsum("mp,npo->nmo", solve.design, found)
    residual = residual / np.clip(1 - solve.leverage(), 0.05, None)[None, :, None]
    influence = solve.free @ solve.inverse * solve.weight[:, None]  # (M, P)
    variance, start = np.zeros_like(found), 0
    for masks, there in strata:
        part = slice(start, start + len(masks))
        start += len(masks)
        left = 1 - len(masks) / there
        if left > 0:
            one, other = residual[:, part], influence[part]
            squares = np.einsum("nmo,mp->npo", one**2, other**2)
            means = np.einsum("nmo,mp->npo", one, other) ** 2 / len(masks)
            variance += left * np.maximum(squares - means, 0.0) * len(masks) / max(1, len(masks) - 1)
    return np.sqrt(variance)
