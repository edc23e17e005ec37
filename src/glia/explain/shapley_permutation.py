"""Shapley values by random orders of the columns, each with its reverse."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.explain.shapley_game import Floats, Game

PAIRS = 200
"""Orders with their reverse, over all background rows, where no budget is given."""


def shapley_permutation(game: Game, evaluations: int | None = None, random_state: int = 0) -> tuple[Floats, Floats]:
    """Return Shapley values and their standard errors, (N, P, O) each.

    Parameters
    ----------
    game : Game
        With at least one player.
    evaluations : int, optional
        Rows that may go through the network for each explained row; at least two orders with their reverses are walked
        from every background row. By default 200 orders with their reverses in all.
    random_state : int
        Seed of the orders, which all rows share: a row's values do not depend on the rows beside it.

    Notes
    -----
    In a random order the columns take the row's values one after the other; the mean change when column i does is φ_i
    (Castro, Gómez and Tejada 2009), and the reverse order cancels what pairs of columns do together (arXiv 2104.12199).
    Every walk begins at one background row and ends at the row, and every background row has the same number of walks;
    hence the values add up exactly, and orders are drawn anew for each background row, which at equal cost leaves less
    chance than the same orders for all. Within a round the orders are rotations of one another, so that each column
    stands in each place about equally often. The standard error is that of the walks from equal background rows:
    against these background rows it is chance alone, since none is left out.
    """
    players, backs = game.players, len(game.background)
    per_round = backs * 2 * max(1, players - 1)
    wanted = PAIRS / backs if evaluations is None else evaluations / per_round
    rounds = max(2, math.ceil(wanted) if evaluations is None else int(wanted))
    found = np.empty((len(game.full), players, game.full.shape[1]))
    error = np.empty_like(found)
    orders = _orders(rounds, backs, players, random_state)  # (R, B, P)
    masks = [torch.from_numpy(_prefixes(one)).to(game.subject.x.device) for one in orders]
    for rows in game.row_blocks(backs * 2 * players * game.full.shape[1] * 2):
        total = np.zeros((len(game.full[rows]), backs, players, game.full.shape[1]))
        squares = np.zeros_like(total)
        for order, mask in zip(orders, masks, strict=True):
            one = _walk(game, order, mask, rows)  # (n, B, P, O)
            total += one
            squares += one**2
        mean = total / rounds
        spread = np.maximum(squares / rounds - mean**2, 0.0) * rounds / (rounds - 1)
        found[rows] = mean.mean(axis=1)
        error[rows] = np.sqrt(spread.sum(axis=1) / rounds) / backs
    return found, error


def _orders(rounds: int, backs: int, players: int, random_state: int) -> NDArray[np.int64]:
    """Return orders (R, B, P): in each round, one random order for every P background rows, rotated from row to row."""
    rng = numpy_rng(random_state, "shapley permutation")
    blocks = math.ceil(backs / players)
    drawn = rng.permuted(np.tile(np.arange(players), (rounds, blocks, 1)), axis=2)  # (R, blocks, P)
    turn = (np.arange(players)[:, None] + np.arange(players)) % players  # (rotation, place)
    return np.asarray(drawn[:, :, turn].reshape(rounds, blocks * players, players)[:, :backs])


def _prefixes(order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the coalitions of the walks along orders (B, P) and along their reverses, (B, 2 (P - 1), P).

    Coalitions of the reverse are the complements, taken in such an order that both walks read from empty to full.
    """
    rank = np.argsort(order, axis=1)  # place of each player
    ahead = rank[:, None, :] < np.arange(1, order.shape[1])[None, :, None]  # (B, P - 1, P)
    return np.concatenate([ahead, ~ahead[:, ::-1]], axis=1)


def _walk(game: Game, order: NDArray[np.int64], masks: torch.Tensor, rows: slice) -> Floats:
    """Return each player's mean change over an order and its reverse, (n, B, P, O)."""
    backs, players = order.shape
    full, empty = game.full[rows], game.empty
    inner = game.pair_values(masks, rows) if players > 1 else np.empty((len(full), backs, 0, full.shape[1]))
    shape = (len(full), backs, 1, full.shape[1])
    start, end = np.broadcast_to(empty[None, :, None], shape), np.broadcast_to(full[:, None, None], shape)
    there = np.diff(np.concatenate([start, inner[:, :, : players - 1], end], axis=2), axis=2)  # by place
    back = np.diff(np.concatenate([start, inner[:, :, players - 1 :], end], axis=2), axis=2)
    gains = (there + back[:, :, ::-1]) / 2
    rank = np.argsort(order, axis=1)
    return np.asarray(np.take_along_axis(gains, rank[None, :, :, None], axis=2))
