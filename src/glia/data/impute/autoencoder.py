"""Autoencoder imputation: a small network that was trained to rebuild rows from which values had been taken.

Here is what a trained one does. Training needs the engine, which stands above this layer:
``glia.estimators.autoencoder_training`` brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.impute.base import Array, Block, MatrixImputer, State, imputers, whole

Layers = list[tuple[Array, Array]]
"""Weights (in, out) and bias (out,) of each layer; ReLU stands between them."""
Train = Callable[["Autoencoder", Array, tuple[Block, ...]], Layers]


@imputers.register("autoencoder")
class Autoencoder(MatrixImputer):
    """A denoising autoencoder over values and the mask of what is missing.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers, each at least 1.
    corruption : float
        Share of the observed values that is hidden in each training step, in (0, 1).
    steps : int
        Optimizer steps of 128 rows.
    seed : int
        Of weights, order and corruption.

    Notes
    -----
    Vincent et al. (2008), *Extracting and composing robust features with denoising autoencoders*; for gaps Gondara and
    Wang, arXiv 1705.02737. The loss is the squared error over all observed cells in standard units.
    """

    name: ClassVar[str] = "autoencoder"
    train: ClassVar[Train | None] = None
    layers: Layers

    def __init__(
        self, *, hidden: tuple[int, ...] = (128, 128), corruption: float = 0.25, steps: int = 600, seed: int = 0
    ) -> None:
        widths = list(hidden) if isinstance(hidden, (list, tuple)) else [hidden]
        self.hidden = tuple(whole("hidden", width) for width in widths)
        if isinstance(corruption, bool) or not isinstance(corruption, (int, float)) or not 0 < corruption < 1:
            raise InputError("corruption must be a share between 0 and 1", f"corruption={corruption!r}")
        self.corruption, self.steps, self.seed = float(corruption), whole("steps", steps), seed

    def _learn(self, z: Array, position: Array | None) -> None:
        trainer = type(self).train
        if trainer is None:
            raise InputError(
                "autoencoder imputation needs the training loop",
                "only glia.data was imported",
                "import glia.estimators.autoencoder_training first",
            )
        self.layers = trainer(self, z, self.blocks)

    def _complete(self, z: Array, position: Array | None) -> Array:
        missing = np.isnan(z)
        known = np.where(missing, 0.0, z)
        flow = np.concatenate([known, missing.astype(np.float64)], axis=1)
        for number, (weight, bias) in enumerate(self.layers):
            # sums in one order, so that a row's company does not matter
            flow = np.einsum("nd,dh->nh", flow, weight) + bias
            if number < len(self.layers) - 1:
                flow = np.maximum(flow, 0.0)
        return np.where(missing, self._shares(flow), z)

    def _shares(self, flow: Array) -> Array:
        """Return outputs in which the shares of each category are not negative and sum to what one category counts."""
        for block in self.blocks:
            if block.kind == "category":
                part = np.clip(flow[:, block.where], 0.0, None)
                total = part.sum(axis=1, keepdims=True)
                even = np.full_like(part, 1.0 / part.shape[1])
                flow[:, block.where] = np.where(total > 0, part / np.where(total > 0, total, 1.0), even) / np.sqrt(2.0)
        return flow

    def _learned(self) -> State:
        arrays: dict[str, NDArray[Any]] = {}
        for number, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight.{number}": weight, f"bias.{number}": bias}
        return {"layers": len(self.layers)}, arrays

    def _restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.layers, width = [], 2 * len(self.standard.center)
        for number in range(int(plain["layers"])):
            weight = np.array(arrays[f"weight.{number}"], dtype=np.float64)
            bias = np.array(arrays[f"bias.{number}"], dtype=np.float64)
            if weight.ndim != 2 or weight.shape[0] != width or bias.shape != weight.shape[1:]:
                raise ValueError("the layers of the autoencoder do not fit each other")
            self.layers.append((weight, bias))
            width = len(bias)
        if width != len(self.standard.center):
            raise ValueError("the layers of the autoencoder do not fit the columns")
