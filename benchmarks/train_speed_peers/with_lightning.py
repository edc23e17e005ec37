"""Lightning's Trainer without progress bar, logging and checkpoints."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, TensorDataset

from train_speed_peers.modules import log_probabilities, make_module
from train_speed_peers.workloads import Outcome, Rows, Weights, Workload


class _Learner(lightning.LightningModule):
    """The network with its loss and optimizer."""

    def __init__(self, module: torch.nn.Module, lr: float) -> None:
        super().__init__()
        self.module, self.lr = module, lr

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        x, y = batch
        return F.cross_entropy(self.module(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.module.parameters(), lr=self.lr)


class _Clock(Callback):
    """Notes when each epoch ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_epoch_end(self, *_: Any) -> None:
        self.ends.append(time.perf_counter())


def train(workload: Workload, rows: Rows, weights: Weights, epochs: int, seed: int) -> Outcome:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    torch.manual_seed(seed)
    clock, learner = _Clock(), _Learner(make_module(workload, weights), workload.lr)
    loader = DataLoader(
        TensorDataset(torch.from_numpy(rows.x), torch.from_numpy(rows.y)), batch_size=workload.batch, shuffle=True
    )
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(learner, loader)
    return Outcome(clock.ends, log_probabilities(learner.module, rows.fresh_x))
