"""Row weights by which members of a population see different rows: bootstrap samples and folds."""

from __future__ import annotations

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.seeds import torch_rng


def bootstrap_weights(rows: int, members: int, seed: int, weight: Tensor | None = None) -> Tensor:
    """Return how often each row is in each member's bootstrap sample, scaled to mean 1 by column, (N, K).

    Parameters
    ----------
    rows, members : int
        N and K, at least 1.
    seed : int
        Member k's column depends on it and on k alone.
    weight : Tensor, optional
        The rows' own weights, (N,), which multiply.

    Notes
    -----
    Poisson numbers of mean 1, to which the multinomial counts of drawing N rows with replacement converge (Oza and
    Russell 2001, "Online bagging and boosting"): a row is left out with probability 1/e.
    """
    columns = []
    for k in range(members):
        count = torch.poisson(torch.ones(rows), generator=torch_rng(seed, "bootstrap", k))
        column = count if weight is None else count * weight.cpu()
        # Of very few rows a sample can be empty: it then is all of them.
        columns.append(column if float(column.sum()) > 0 else torch.ones(rows) if weight is None else weight.cpu())
    return _mean_one(torch.stack(columns, dim=1))


def fold_weights(fold: Tensor, folds: int, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return weights of training and of held-out rows for cross-validation in one fit, (N, K) each.

    Parameters
    ----------
    fold : Tensor
        The fold of each row, 0 to K - 1, (N,).
    folds : int
        K; member k is trained without the rows of fold k, and judged by them.
    weight : Tensor, optional
        The rows' own weights, (N,), which multiply.

    Notes
    -----
    Rows of weight 0 add nothing to a loss or a gradient, but they still pass the network: with batch normalisation,
    held-out inputs (never their targets) would enter the statistics.

    Raises
    ------
    InputError
        If a fold has no rows, or a row no fold.
    """
    counts = torch.bincount(fold, minlength=folds)
    if len(counts) != folds or int(counts.min()) == 0:
        raise InputError(f"every one of the folds 0 to {folds - 1} must have rows", f"{counts.tolist()} rows")
    held = (fold.unsqueeze(1) == torch.arange(folds, device=fold.device)).float()
    own = torch.ones_like(held) if weight is None else weight.unsqueeze(1).expand_as(held)
    return _mean_one((1.0 - held) * own), _mean_one(held * own)


def own_rows(weight: Tensor | None) -> list[Tensor] | None:
    """Return the numbers of the rows that count for each member, where most rows do not; else ``None``.

    Parameters
    ----------
    weight : Tensor, optional
        (N, K), at least 0.
    """
    if weight is None or weight.shape[1] == 1:
        return None
    counts = weight != 0
    few = int(counts.sum()) <= counts.numel() // 2 and bool(counts.any(dim=0).all())
    return [column.nonzero().squeeze(1) for column in counts.unbind(1)] if few else None


def _mean_one(columns: Tensor) -> Tensor:
    return columns / columns.mean(0, keepdim=True)
