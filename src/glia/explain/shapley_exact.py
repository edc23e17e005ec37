"""Shapley values by all coalitions."""

from __future__ import annotations

import math

import numpy as np
import torch

from glia.core.errors import InputError
from glia.explain.shapley_game import Floats, Game

MOST_PLAYERS = 16


def shapley_exact(game: Game) -> Floats:
    """Return the Shapley values of every row, (N, P, O), from all 2^P coalitions.

    Raises
    ------
    InputError
        If there are more than 16 players.

    Notes
    -----
    φ_i = Σ_S |S|! (P − |S| − 1)! / P! · (v(S ∪ i) − v(S)) over the coalitions S without i (Shapley 1953).
    """
    players = game.players
    if players > MOST_PLAYERS:
        raise InputError(
            f"all coalitions are enumerated for up to {MOST_PLAYERS} columns",
            f"{players}",
            "use method='permutation', or make groups= of columns that belong together",
        )
    masks = coalitions(players)
    inner = torch.from_numpy(masks[1:-1]).to(game.subject.x.device)
    found = np.empty((len(game.full), players, game.full.shape[1]))
    for rows in game.row_blocks(len(masks) * game.full.shape[1]):
        values = np.empty((len(game.full[rows]), len(masks), game.full.shape[1]))
        values[:, 0], values[:, -1] = game.base, game.full[rows]
        if len(inner):
            values[:, 1:-1] = game.mean_values(inner, rows)
        found[rows] = from_values(values)
    return found


def coalitions(players: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return all coalitions, (2^P, P): player i is in coalition k where bit i of k is set."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


def from_values(values: Floats) -> Floats:
    """Return the Shapley values (N, P, O) of games given by all their values (N, 2^P, O), in ``coalitions``' order."""
    players = values.shape[1].bit_length() - 1
    sizes = coalitions(players).sum(axis=1)
    weight = np.array([1.0 / (players * math.comb(players - 1, size)) for size in range(players)])
    numbers = np.arange(values.shape[1])
    parts = []
    for player in range(players):
        without = numbers[(numbers >> player & 1) == 0]
        gain = values[:, without | 1 << player] - values[:, without]  # (N, 2^(P-1), O)
        parts.append(np.einsum("k,nko->no", weight[sizes[without]], gain))
    return np.stack(parts, axis=1)
