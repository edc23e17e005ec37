"""The learning-rate range test: one short run over rising rates. Smith, arXiv 1506.01186, section 3.3."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.optional import require
from glia.core.protocols import FloatArray
from glia.core.results import Result, Table
from glia.core.seeds import seeded, torch_rng
from glia.engine.optimizers import default_lr, make_optimizer
from glia.engine.optimizers.rules import Rule

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class RangeTestResult(Result):
    """The loss over rising learning rates, and the rate to start from.

    Parameters
    ----------
    suggestion : float
        A workable learning rate.
    found : bool
        Whether the loss fell clearly; if not, the suggestion is the optimizer's usual rate.
    rates, losses, smoothed : tuple of float
        ``losses[i]`` is the loss right after the step with ``rates[i]``, measured on the next batch; ``smoothed`` is
        the same, averaged over neighbouring rates.
    steepest, minimum : float
        The rates at which the smoothed loss falls fastest and is lowest.
    diverged_at : float or None
        The rate at which the test stopped because the loss ran away; ``None`` if it did not.
    optimizer : str
        What took the steps.
    """

    suggestion: float
    found: bool
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float
    minimum: float
    diverged_at: float | None
    optimizer: str

    def summary(self) -> str:
        """Return the answer in one sentence."""
        if not self.found:
            return (
                f"The loss does not fall clearly at any learning rate; {self.suggestion:.2g}, "
                f"the usual one for {self.optimizer}, is as good as any."
            )
        end = "" if self.diverged_at is None else f", and training diverges at {self.diverged_at:.2g}"
        return (
            f"A learning rate of {self.suggestion:.2g} suits {self.optimizer}: "
            f"the loss falls fastest at {self.steepest:.2g}, is lowest at {self.minimum:.2g}{end}."
        )

    def tables(self) -> list[Table]:
        """Return the rates that matter, and the curve."""
        named = (
            ("suggested", self.suggestion),
            ("fastest fall", self.steepest),
            ("lowest loss", self.minimum),
            ("diverged", "no" if self.diverged_at is None else self.diverged_at),
        )
        curve = tuple(zip(self.rates, self.losses, self.smoothed, strict=True))
        return [
            Table("Learning rates", ("what", "learning rate"), named),
            Table("Loss over learning rates", ("learning rate", "loss", "smoothed loss"), curve),
        ]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the curve's drawing."""
        return {"range_test": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        if ax is None:
            # Drawing is rare and its library slow to load: training does not wait for it.
            ax = require("matplotlib.figure", "plot").Figure(layout="constrained").subplots()
        ax.plot(self.rates, self.losses, ".", color="#56B4E9", label="loss")
        ax.plot(self.rates, self.smoothed, color="#0072B2", label="smoothed loss")
        ax.axvline(self.suggestion, color="#009E73", linestyle="--", label=f"suggested: {self.suggestion:.2g}")
        if self.diverged_at is not None:
            ax.axvline(self.diverged_at, color="#D55E00", linestyle=":", label=f"diverged: {self.diverged_at:.2g}")
        low, high = min(self.smoothed), max(self.losses[0], self.smoothed[0])
        margin = 0.1 * (high - low) or 0.1 * abs(high) or 0.1
        ax.set_ylim(low - margin, high + 5 * margin)
        ax.set_xscale("log")
        ax.set_xlabel("learning rate (logarithmic)")
        ax.set_ylabel("training loss")
        found = f"A learning rate of {self.suggestion:.2g} is workable"
        ax.set_title(found if self.found else "No learning rate makes the loss fall clearly", loc="left")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        return ax


def range_test(
    network: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    optimizer: str | Rule = "adam",
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 256,
    weight_decay: float = 0.0,
    random_state: int = 0,
    **options: Any,
) -> RangeTestResult:
    """Train a copy while the learning rate rises from step to step, and suggest the rate to start from.

    The rates rise geometrically from ``low`` to ``high``; the test ends early when the loss diverges. The suggestion
    is the rate at which the smoothed loss falls fastest, but at most a tenth of the rate at which it is lowest.

    Parameters
    ----------
    network : nn.Module
        Neither it nor its mode nor torch's random state is changed, also on errors: a copy is trained.
    loss_fn : callable
        ``(output, target) → losses`` of any shape, averaged here.
    x, y : Tensor
        Training rows, (N, *shape), and their targets, (N, ...), on the network's device.
    optimizer : str or callable
        As ``make_optimizer`` takes it, together with ``weight_decay`` and ``**options``.
    low, high : float
        First and last rate, ``0 < low < high``.
    steps : int
        Steps over the whole range, ≥ 10.
    batch_size : int
        Rows per step, ≥ 1; fewer where there are fewer.
    random_state : int
        Seeds the order of rows and the network's own randomness.

    Raises
    ------
    InputError
        If there are no rows, the range is empty, or the loss is not finite to begin with.
    """
    _check(x, y, low, high, steps, batch_size)
    trial = copy.deepcopy(network).train()
    rule = make_optimizer(optimizer, trial, low, weight_decay, **options)
    rates = np.geomspace(low, high, steps)
    with seeded(random_state, "range_test"):
        batches = _batches(x, y, batch_size, torch_rng(random_state, "range_test", "order"))
        first, losses, diverged = _sweep(trial, loss_fn, rule, rates, batches)
    name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", "the optimizer")
    return _judge(name, optimizer, rates, np.array([first, *losses]), diverged)


def _check(x: Tensor, y: Tensor, low: float, high: float, steps: int, batch_size: int) -> None:
    if not 0 < low < high < math.inf:
        raise InputError("the range of learning rates must have 0 < low < high", f"low={low!r}, high={high!r}")
    if steps < 10 or batch_size < 1:
        raise InputError(
            "a range test needs at least 10 steps of at least 1 row", f"steps={steps!r}, batch_size={batch_size!r}"
        )
    if len(x) == 0 or len(x) != len(y):
        raise InputError("a range test needs rows, each with its target", f"{len(x)} rows and {len(y)} targets")


def _batches(x: Tensor, y: Tensor, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield full batches for ever, in a new random order after each pass; all rows where they fill no batch."""
    size = min(size, len(x))
    while True:
        order = torch.randperm(len(x), generator=generator).to(x.device)
        for start in range(0, len(x) - size + 1, size):
            index = order[start : start + size]
            yield x[index], y[index]


def _sweep(
    network: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    rates: FloatArray,
    batches: Iterator[tuple[Tensor, Tensor]],
) -> tuple[float, list[float], int | None]:
    """Return the loss before the first step, the finite losses after each, and the index of the step that diverged."""
    losses: list[float] = []
    running = lowest = first = math.nan
    for i in range(len(rates) + 1):
        x, y = next(batches)
        loss = loss_fn(network(x), y).mean()
        value = float(loss.detach())
        if i == 0:
            running = lowest = first = value
            if not math.isfinite(first):
                raise InputError(
                    "the loss must be finite before the first step", f"{first}", "see locate_nonfinite for the cause"
                )
        else:
            running = 0.7 * running + 0.3 * value
            if not math.isfinite(value):
                return first, losses, i - 1
            losses.append(value)
            lowest = min(lowest, running)
            if running > lowest + 3 * max(abs(lowest), first - lowest):
                return first, losses, i - 1
        if i < len(rates):
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            for group in optimizer.param_groups:
                group["lr"] = float(rates[i]) * group.get("lr_scale", 1.0)
            optimizer.step()
    return first, losses, None


def _judge(
    name: str, optimizer: str | Rule, rates: FloatArray, losses: FloatArray, diverged: int | None
) -> RangeTestResult:
    """Find the suggestion; ``losses[0]`` stands before the first step."""
    smooth = _smoothed(losses)
    lowest = int(smooth.argmin())
    slopes = np.diff(smooth)
    steepest = int(slopes[:lowest].argmin()) if lowest else 0
    noise = float(np.median(np.abs(np.diff(losses)))) if len(losses) > 1 else 0.0
    drop = float(smooth[0] - smooth[lowest])
    found = lowest > 0 and drop > max(1.5 * noise, 1e-6 * abs(float(smooth[0])))
    at_lowest = float(rates[max(0, lowest - 1)])
    if found:
        suggestion = min(float(rates[steepest]), at_lowest / 10)
    else:
        suggestion = _usual(optimizer, rates)
        if diverged is not None:
            suggestion = min(suggestion, float(rates[diverged]) / 10)
    return RangeTestResult(
        suggestion=suggestion,
        found=found,
        rates=tuple(rates[: len(losses) - 1].tolist()),
        losses=tuple(losses[1:].tolist()),
        smoothed=tuple(smooth[1:].tolist()),
        steepest=float(rates[steepest]),
        minimum=at_lowest,
        diverged_at=None if diverged is None else float(rates[diverged]),
        optimizer=name,
    )


def _smoothed(values: FloatArray, width: float = 2.0) -> FloatArray:
    """Average over neighbours with Gaussian weights; centred, so that nothing is shifted to later rates."""
    distance = np.arange(len(values))[:, None] - np.arange(len(values))[None, :]
    weights = np.exp(-0.5 * (distance / width) ** 2)
    averaged: FloatArray = (weights @ values) / weights.sum(axis=1)
    return averaged


def _usual(optimizer: str | Rule, rates: FloatArray) -> float:
    try:
        return default_lr(optimizer)
    except InputError:
        return float(np.sqrt(rates[0] * rates[-1]))
