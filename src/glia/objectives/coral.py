"""Correlation alignment (CORAL): how far apart the second moments of two sets of features are."""

from __future__ import annotations

from torch import Tensor

from glia.core.errors import InputError


def covariance(features: Tensor) -> Tensor:
    """Return the covariance of rows (N, D), (D, D), with N - 1 in the denominator; N ≥ 2."""
    centred = features - features.mean(0)
    return centred.T @ centred / (len(features) - 1)


def coral_distance(source: Tensor, target: Tensor, *, means: bool = False) -> Tensor:
    """Return ‖C_s - C_t‖² / (4 D²), the squared Frobenius distance of covariances, arXiv 1607.01719, eq. 1 to 3.

    Parameters
    ----------
    source, target : Tensor
        Features of rows, (N, D) and (M, D) with N, M ≥ 2; differentiable in both.
    means : bool
        Whether to add ‖m_s - m_t‖² / D, the squared distance of the means, which covariances do not see.

    Returns
    -------
    Tensor
        A scalar ≥ 0; 0 where the moments are equal.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    matrices = source.ndim == target.ndim == 2 and min(len(source), len(target)) >= 2
    if not matrices or source.shape[1] != target.shape[1]:
        got = f"{tuple(source.shape)} and {tuple(target.shape)}"
        raise InputError("CORAL needs two sets of at least two rows with the same features", got)
    width = source.shape[1]
    distance = (covariance(source) - covariance(target)).square().sum() / (4 * width**2)
    if means:
        distance = distance + (source.mean(0) - target.mean(0)).square().sum() / width
    return distance
