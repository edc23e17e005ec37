"""The networks that are trained, their rows, first weights and cost, in NumPy alone: the same for every peer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]
"""First weights by the names of the torch module's ``state_dict``, in its shapes."""
EVALUATED = 1024
"""Fresh rows on which the loss after training is taken."""
LABEL_NOISE = 0.1
PROTOTYPES = 2


@dataclass(frozen=True)
class Workload:
    """A network, a batch and how much to train.

    Attributes
    ----------
    kind : {"dense", "cnn", "lstm", "transformer"}
    shape : tuple of int
        Of one row.
    widths : tuple of int
        Hidden widths of a dense stack; channels; the state of an LSTM; width, heads and layers of a transformer.
    classes, batch : int
    steps_per_epoch, epochs : int
        Measured epochs, after one that warms up.
    lr : float
    signal : float
        Distance of a class from the others, in standard deviations of the noise per value.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    widths: tuple[int, ...]
    classes: int
    batch: int
    steps_per_epoch: int
    epochs: int
    lr: float
    signal: float

    @property
    def rows(self) -> int:
        return self.batch * self.steps_per_epoch


WORKLOADS = {
    w.name: w
    for w in (
        Workload("tiny", "dense", (20,), (64, 64), 2, 64, 300, 6, 1e-3, 0.8),
        Workload("mlp", "dense", (784,), (256, 256), 10, 128, 100, 4, 3e-4, 0.14),
        Workload("wide", "dense", (1024,), (1024, 1024), 10, 256, 24, 4, 1e-4, 0.14),
        Workload("cnn", "cnn", (1, 28, 28), (32, 64, 128), 10, 64, 50, 3, 1e-3, 0.2),
        Workload("lstm", "lstm", (64, 32), (128,), 10, 64, 50, 3, 1e-3, 0.25),
        Workload("transformer", "transformer", (128, 128), (128, 4, 4), 10, 16, 20, 2, 3e-4, 0.15),
    )
}


@dataclass(frozen=True)
class Rows:
    """Rows to train on (N, *shape) float32 with labels (N,) int64, and fresh ones to take the loss on."""

    x: np.ndarray
    y: np.ndarray
    fresh_x: np.ndarray
    fresh_y: np.ndarray

    def loss(self, log_probabilities: np.ndarray) -> float:
        """Return the mean cross-entropy (nats) on the fresh rows."""
        return float(-log_probabilities[np.arange(len(self.fresh_y)), self.fresh_y].mean())


@dataclass(frozen=True)
class Outcome:
    """When each epoch ended, in seconds of one clock; log-probabilities of the fresh rows (M, C); a remark.

    Time is counted from end to end, so that whatever a peer does between two epochs is in it.
    """

    ends: list[float]
    log_probabilities: np.ndarray
    remark: str = ""


Train = Callable[[Workload, Rows, Weights, int, int], Outcome]
"""(workload, rows, first weights, epochs with the one that warms up, seed of the order) → outcome."""


def make_rows(workload: Workload, seed: int = 0) -> Rows:
    """Return rows of a mixture: every class has two prototypes under unit noise, and one label in ten is random."""
    rng = np.random.default_rng(seed)
    prototypes = workload.signal * _patterns(workload, rng).astype(np.float32)
    n = workload.rows + EVALUATED
    y = rng.integers(workload.classes, size=n)
    x = rng.standard_normal((n, *workload.shape), dtype=np.float32)
    x += prototypes[y * PROTOTYPES + rng.integers(PROTOTYPES, size=n)]
    y = np.where(rng.random(n) < LABEL_NOISE, rng.integers(workload.classes, size=n), y)
    k = workload.rows
    return Rows(x[:k], y[:k], x[k:], y[k:])


def _patterns(workload: Workload, rng: np.random.Generator) -> np.ndarray:
    count = workload.classes * PROTOTYPES
    if workload.kind == "cnn":  # patches of 4 × 4 equal pixels
        coarse = rng.standard_normal((count, 1, workload.shape[1] // 4, workload.shape[2] // 4))
        return np.kron(coarse, np.ones((1, 1, 4, 4)))
    return rng.standard_normal((count, *(1,) * (len(workload.shape) - 1), workload.shape[-1]))


def first_weights(workload: Workload, seed: int) -> Weights:
    """Return weights uniform in ±1/√fan_in, as torch draws them; biases 0; scales of norms 1."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes(workload).items():
        if len(shape) > 1:
            bound = 1 / math.sqrt(math.prod(shape[1:]))
            weights[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
        else:
            is_scale = ".norm" in name and name.endswith("weight")
            weights[name] = np.full(shape, float(is_scale), dtype=np.float32)
    return weights


def shapes(workload: Workload) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight, in the order of the torch module."""
    found: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = shape, shape[:1]

    if workload.kind == "dense":
        sizes = (*workload.shape, *workload.widths, workload.classes)
        for i, (before, after) in enumerate(itertools.pairwise(sizes)):
            layer(str(2 * i), after, before)
    elif workload.kind == "cnn":
        first, second, hidden = workload.widths
        side = ((workload.shape[1] - 2) // 2 - 2) // 2
        layer("0", first, workload.shape[0], 3, 3)
        layer("3", second, first, 3, 3)
        layer("7", hidden, second * side * side)
        layer("9", workload.classes, hidden)
    elif workload.kind == "lstm":
        (state,) = workload.widths
        found |= {"lstm.weight_ih_l0": (4 * state, workload.shape[1]), "lstm.weight_hh_l0": (4 * state, state)}
        found |= {"lstm.bias_ih_l0": (4 * state,), "lstm.bias_hh_l0": (4 * state,)}
        layer("head", workload.classes, state)
    else:
        width, _, layers = workload.widths
        for i in range(layers):
            part = f"encoder.layers.{i}."
            found[part + "self_attn.in_proj_weight"] = (3 * width, width)
            found[part + "self_attn.in_proj_bias"] = (3 * width,)
            layer(part + "self_attn.out_proj", width, width)
            layer(part + "linear1", 4 * width, width)
            layer(part + "linear2", width, 4 * width)
            layer(part + "norm1", width)
            layer(part + "norm2", width)
        layer("head", workload.classes, width)
    return found


def flops_per_step(workload: Workload) -> int:
    """Return the operations of a training step's matrix products.

    Backward costs twice forward, less the gradient of the network's input, which nobody asks for. Additions count as
    multiplications do; activations, norms and the update are left out, as is usual.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes(workload).items() if len(shape) > 1}
    if workload.kind == "dense":
        products, first = sum(sizes.values()), sizes["0.weight"]
    elif workload.kind == "cnn":
        one, two = ((workload.shape[1] - 2) ** 2, ((workload.shape[1] - 2) // 2 - 2) ** 2)
        first = one * sizes["0.weight"]
        products = first + two * sizes["3.weight"] + sizes["7.weight"] + sizes["9.weight"]
    elif workload.kind == "lstm":
        steps = workload.shape[0]
        first = steps * sizes["lstm.weight_ih_l0"] + sizes["lstm.weight_hh_l0"]  # nor is that of the first state
        products = steps * sizes["lstm.weight_ih_l0"] + steps * sizes["lstm.weight_hh_l0"] + sizes["head.weight"]
    else:
        tokens, (width, _, layers) = workload.shape[0], workload.widths
        attention = 2 * tokens * width  # scores and mixing, per token
        products = tokens * (sum(sizes.values()) - sizes["head.weight"] + layers * attention) + sizes["head.weight"]
        first = tokens * sizes["encoder.layers.0.self_attn.in_proj_weight"]
    return 2 * workload.batch * (3 * products - first)


def smaller(workload: Workload, steps: int) -> Workload:
    """Return the workload with about ``steps`` measured steps."""
    fields: dict[str, Any] = {**workload.__dict__}
    fields["steps_per_epoch"] = min(workload.steps_per_epoch, steps)
    fields["epochs"] = max(1, round(steps / fields["steps_per_epoch"]))
    return Workload(**fields)
