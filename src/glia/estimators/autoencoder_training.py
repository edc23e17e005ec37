"""The training of autoencoder imputation; importing this module makes ``impute="autoencoder"`` work."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from glia.core.hardware import threads
from glia.core.seeds import derive, seeded
from glia.data.impute.autoencoder import Autoencoder, Layers
from glia.data.impute.base import Array, Block
from glia.engine.loop import Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule

BATCH, RATE = 128, 2e-3


class Denoiser(nn.Module):
    """Rebuilds rows of which a random part is hidden while it trains.

    Parameters
    ----------
    blocks : sequence of Block
        What is hidden together; D columns.
    hidden : sequence of int
        Widths.
    corruption : float
        Share of the blocks that is hidden.

    Notes
    -----
    **Shape**: (B, 2D), values with 0 where missing and the mask of what is missing, → (B, D).
    """

    def __init__(self, blocks: tuple[Block, ...], hidden: tuple[int, ...], corruption: float) -> None:
        super().__init__()
        self.width, self.count, self.corruption = blocks[-1].stop, len(blocks), corruption
        of = [b for b, block in enumerate(blocks) for _ in range(block.start, block.stop)]
        self.register_buffer("block_of", torch.tensor(of), persistent=False)
        self.block_of: Tensor
        sizes = (2 * self.width, *hidden, self.width)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 2D) to (B, D)."""
        if self.training:
            hide = torch.rand(len(x), self.count, device=x.device) < self.corruption  # (B, blocks)
            kept = (~hide).to(x.dtype).index_select(1, self.block_of)
            known, missing = x[:, : self.width] * kept, 1.0 - (1.0 - x[:, self.width :]) * kept
            x = torch.cat([known, missing], dim=1)
        out: Tensor = self.layers(x)
        return out


def rebuilding_error(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error over the observed cells of each row, (B,).

    Parameters
    ----------
    output : Tensor
        (B, D).
    target : Tensor
        (B, 2D): values with 0 where missing, then 1 where observed.
    """
    width = output.shape[1]
    seen = target[:, width:]
    return ((output - target[:, :width]) ** 2 * seen).sum(dim=1) / seen.sum(dim=1).clamp_min(1.0)


def train_autoencoder(imputer: Autoencoder, z: Array, blocks: tuple[Block, ...]) -> Layers:
    """Train on rows in standard units, NaN where missing; return weights and biases of the layers."""
    missing = np.isnan(z)
    known = np.where(missing, 0.0, z)
    rows = Rows(_tensor(known, missing), _tensor(known, ~missing))
    seed = derive(imputer.seed, "autoencoder imputation")
    with seeded(seed, "initialisation"):
        network = Denoiser(blocks, imputer.hidden, imputer.corruption)
    batch = min(BATCH, len(rows))
    trainer = Trainer(
        network,
        rebuilding_error,
        Optimizer("adamw", weight_decay=1e-4, clip_norm=1.0).make(network, RATE),
        epochs=max(1, math.ceil(imputer.steps / math.ceil(len(rows) / batch))),
        batch_size=batch,
        schedule=as_schedule("cosine"),
        random_state=seed,
    )
    with threads(1):
        trainer.fit(rows)
    if trainer.stop_reason == "interrupted":
        raise KeyboardInterrupt  # half a fit must not pass for a whole one
    layers = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    found = [(_array(layer.weight.T), _array(layer.bias)) for layer in layers]
    empty = missing.all(axis=0)
    weight, bias = found[-1]
    weight[:, empty], bias[empty] = 0.0, 0.0  # nothing was learned of them
    return found


def _tensor(values: Array, flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Tensor:
    return torch.from_numpy(np.concatenate([values, flags], axis=1).astype(np.float32))


def _array(value: Tensor) -> Array:
    return value.detach().cpu().double().numpy().copy()


Autoencoder.train = staticmethod(train_autoencoder)
