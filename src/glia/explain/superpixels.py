"""Parts of an image that belong together: k-means on colour and place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError

ROUNDS = 10


def superpixels(image: NDArray[np.floating], count: int = 40, compactness: float = 1.0) -> NDArray[np.int64]:
    """Return the number of the part, 0 … K − 1, that each place of an image belongs to, (H, W).

    Parameters
    ----------
    image : ndarray of shape (C, H, W)
        In any units: channels are brought to a common spread.
    count : int
        About how many parts, at least 2; K may be smaller, where parts end up empty.
    compactness : float
        How much place counts against colour; large values give squares.

    Raises
    ------
    InputError
        If it is no image, or the count is below 2.

    Notes
    -----
    The idea of SLIC (Achanta et al. 2012): centres start on a grid, distance is that of colours plus, scaled by the
    grid's step, that of places. All centres compete for all places, which is simpler and fast enough for small counts.
    Deterministic.
    """
    if image.ndim != 3:
        raise InputError("an image must have channels, lines and columns", f"shape {image.shape}")
    if count < 2:
        raise InputError("there must be at least 2 segments", f"segments={count}", "40 are usual")
    channels, height, width = image.shape
    step = max(1.0, float(np.sqrt(height * width / count)))
    lines, columns = max(1, round(height / step)), max(1, round(width / step))
    colour = image.reshape(channels, -1).T.astype(np.float64)
    spread = float(np.sqrt(((colour - colour.mean(axis=0)) ** 2).sum(axis=1).mean())) or 1.0
    y, x = np.mgrid[:height, :width]
    place = np.stack([y.ravel(), x.ravel()], axis=1) * (compactness / step)
    points = np.hstack([colour / spread, place])  # (H·W, C + 2)
    owner = (y * lines // height * columns + x * columns // width).ravel()
    for _ in range(ROUNDS):
        names, owner = np.unique(owner, return_inverse=True)
        sums = np.zeros((len(names), points.shape[1]))
        np.add.at(sums, owner, points)
        centres = sums / np.bincount(owner)[:, None]
        nearest = np.argmin((centres**2).sum(axis=1) - 2 * points @ centres.T, axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
    return np.asarray(np.unique(owner, return_inverse=True)[1].reshape(height, width))
