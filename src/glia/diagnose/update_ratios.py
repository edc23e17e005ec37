"""How far a step moves the weights: the ratio of update to weight, layer by layer. About 1e-3 is usual."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from glia.core.seeds import seeded, torch_rng
from glia.diagnose.layers import RowLoss, outputs_of, weight_of
from glia.engine.optimizer_settings import Optimizer
from glia.nn.hooks import layers_of

STEPS, SKIPPED = 10, 5
"""Steps that are taken, and how many of them are passed over: rules with moments begin with steps of another size."""


def update_ratios(
    network: nn.Module,
    loss: RowLoss,
    x: Tensor,
    y: Tensor,
    *,
    optimizer: Optimizer,
    lr: float | None,
    batch_size: int,
    steps: int = STEPS,
    skipped: int = SKIPPED,
    random_state: int = 0,
) -> dict[str, float]:
    """Return ‖Δw‖ / ‖w‖ of every layer with a weight matrix, the mean over a few steps of a copy.

    Parameters
    ----------
    network : nn.Module
        A copy takes the steps, in training mode.
    loss, x, y
        As ``run_layers`` takes them.
    optimizer : Optimizer
        Rule, weight decay and clipping.
    lr : float or None
        Learning rate; ``None`` is the rule's usual one.
    batch_size : int
        Rows per step; they are drawn anew for each.
    steps, skipped : int
        Steps in all, and at their beginning those that do not count.
    """
    trial = copy.deepcopy(network).train()
    rule, clip = optimizer.make(trial, lr), optimizer.clip()
    trained = [p for p in trial.parameters() if p.requires_grad]
    weights = weights_of(trial)
    totals = dict.fromkeys(weights, 0.0)
    generator = torch_rng(random_state, "update ratios", "rows")
    with seeded(random_state, "update ratios"), torch.enable_grad():
        for step in range(steps):
            index = torch.randperm(len(x), generator=generator)[:batch_size].to(x.device)
            trial.zero_grad(set_to_none=True)
            loss(outputs_of(trial, x[index]), y[index]).mean().backward()  # type: ignore[no-untyped-call]
            if clip is not None:
                clip(trained)
            before = {name: weight.detach().clone() for name, weight in weights.items()}
            rule.step()
            if step >= skipped:
                for name, ratio in moved(before, weights).items():
                    totals[name] += ratio / (steps - skipped)
    return totals


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return layer → weight matrix, of all that have one."""
    found = {name: weight_of(module) for name, module in layers_of(network)}
    return {name: weight for name, weight in found.items() if weight is not None}


@torch.no_grad()
def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, float]:
    """Return ‖after − before‖ / ‖before‖ of every weight; infinite where a weight of zeros moved."""
    found = {}
    for name, old in before.items():
        gap, size = float((after[name].detach() - old).norm()), float(old.norm())
        found[name] = gap / size if size > 0 else (float("inf") if gap > 0 else 0.0)
    return found
