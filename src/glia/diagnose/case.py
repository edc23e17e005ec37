"""What the doctor looks at: a network, its rows as tensors, its loss, how it was trained, and how to make it anew."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.seeds import seeded, torch_rng
from glia.data.frames import to_frame
from glia.data.schema import INPUT_ROLES
from glia.data.table import Table
from glia.diagnose.layers import RowLoss
from glia.engine.optimizer_settings import Optimizer
from glia.estimators.base import NetworkEstimator
from glia.estimators.choices import Choices, choose
from glia.estimators.training import build_network
from glia.nn import Spec
from glia.nn.ensemble import MeanNetwork
from glia.objectives import Objective, ResolvedObjective

ROWS = 4096
"""Rows that are kept for trainings; more cost time and tell little."""


@dataclass(frozen=True)
class Part:
    """Rows of one part: prepared (N, *shape), targets as losses take them, and the rows as they were handed in."""

    x: Tensor
    y: Tensor
    raw: Any = field(repr=False, default=None)

    @property
    def labels(self) -> NDArray[Any]:
        """Targets as an array."""
        return np.asarray(self.y.detach().cpu().numpy())

    def some(self, count: int, seed: int) -> Part:
        """Return at most ``count`` rows, drawn at random, without the raw ones."""
        if len(self.x) <= count:
            return Part(self.x, self.y)
        index = torch.randperm(len(self.x), generator=torch_rng(seed, "some rows"))[:count].to(self.x.device)
        return Part(self.x[index], self.y[index])


@dataclass(frozen=True)
class Case:
    """A network and everything that is known of it.

    Parameters
    ----------
    network : nn.Module
        Whose layers are looked at; of several members the first.
    members : int
        Networks that answer together.
    model : Any
        The predictor.
    task : Task
    loss : RowLoss
        What it was trained with.
    own_loss : bool
        Whether that is another one than the task's usual loss.
    train : Part
        Rows that it learned from.
    held : Part or None
        Rows that it has not seen.
    frame : polars.DataFrame or None
        The rows of ``train`` as people read them.
    history : tuple of dict
    restored : bool
        Whether the weights are those of the best epoch by validation.
    events : tuple of dict
        What was put right in training.
    optimizer : Optimizer
    lr : float or None
        ``None`` where it is not known.
    batch_size : int
    fresh : callable
        Seed → the network as it is before training.
    known_start : bool
        Whether ``fresh`` is how the network really began, and not torch's usual way to draw weights anew.
    choices : Choices or None
        Settled settings of one of Glia's estimators.
    groups : dict
        Original column → positions in the prepared rows.
    codes : tuple of int
        Positions that hold codes of categories.
    """

    network: nn.Module
    members: int
    model: Any
    task: Task
    loss: RowLoss
    own_loss: bool
    train: Part
    held: Part | None
    frame: pl.DataFrame | None
    history: tuple[dict[str, Any], ...]
    restored: bool
    events: tuple[dict[str, Any], ...]
    optimizer: Optimizer
    lr: float | None
    batch_size: int
    fresh: Callable[[int], nn.Module]
    known_start: bool
    choices: Choices | None
    groups: dict[str, tuple[int, ...]]
    codes: tuple[int, ...]

    @torch.no_grad()
    def outputs(self, x: Tensor) -> Tensor:
        """Return the whole model's raw outputs in evaluation mode, (N, O)."""
        return torch.cat([self.model.forward(part).reshape(len(part), -1) for part in torch.split(x, 4096)]).float()


def make_case(
    model: Any,
    X: Any,
    y: Any,
    *,
    held_out: tuple[Any, Any] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    objective: Any = None,
    optimizer: Any = None,
    lr: float | None = None,
    batch_size: int | None = None,
    build: Callable[[], nn.Module] | None = None,
) -> Case:
    """Gather what is known of a model; ``diagnose`` says what the arguments mean.

    Raises
    ------
    InputError
        If it is no predictor, or rows and targets do not fit it.
    """
    network = getattr(model, "network_", None)
    if not isinstance(network, nn.Module) or not hasattr(model, "task_"):
        what = "a bare module" if isinstance(model, nn.Module) else type(model).__name__
        raise InputError(
            "the doctor needs a fitted estimator or a wrapped module", what, "use glia.wrap(module, task=…)"
        )
    train, held = _part(model, X, y), None if held_out is None else _part(model, *held_out)
    task: Task = model.task_
    resolved = _objective(model, objective, task)
    choices = _choices(model, len(train.x), network)
    rule = choices.optimizer if choices is not None else Optimizer("adam")
    if optimizer is not None:
        rule = optimizer if isinstance(optimizer, Optimizer) else Optimizer(optimizer)
    if lr is None and choices is not None:
        lr = choices.lr if choices.lr is not None else _usual_rate(rule, network)
    given = history if history is not None else getattr(model, "history_", ())
    entries = tuple(dict(entry) for entry in given)
    size = batch_size or (choices.batch_size if choices is not None else min(64, len(train.x)))
    layout = getattr(model, "layout_", None)
    members = list(network.networks) if isinstance(network, MeanNetwork) else [network]
    fresh, known = _fresh(model, members[0], choices, train, build)
    return Case(
        network=members[0], members=len(members), model=model, task=task, loss=resolved.loss,
        own_loss=resolved.loss != Objective().resolve(task).loss, train=train, held=held,
        frame=_frame(model, X, train), history=entries,
        restored=history is None and any("valid/loss" in entry for entry in entries), events=_events(model),
        optimizer=rule, lr=lr, batch_size=int(size), fresh=fresh, known_start=known, choices=choices,
        groups=layout.groups() if layout is not None and layout.features else {},
        codes=layout.indices("code") if layout is not None else (),
    )  # fmt: skip


def _part(model: Any, X: Any, y: Any) -> Part:
    x = model.prepare(X)
    target = torch.from_numpy(np.ascontiguousarray(_encoded(model, np.asarray(y)))).to(x.device)
    if len(target) != len(x):
        raise InputError("there must be a target for every row", f"{len(x)} rows and {len(target)} targets")
    if len(x) < 8:
        raise InputError("the doctor needs at least 8 rows", f"{len(x)}", "hand in more of them")
    return Part(x, target, X)


def _encoded(model: Any, y: NDArray[Any]) -> NDArray[Any]:
    """Return targets as losses take them: float32 0/1, class numbers, labels, or values (N, T)."""
    target = getattr(model, "target_", None)
    if target is not None:
        return np.asarray(target.encode(y))
    if model.task_ == "regression":
        return y.astype(np.float32).reshape(len(y), -1)
    if model.task_ == "multilabel":
        return y.astype(np.float32)
    known = getattr(model, "_classes", None)
    codes = y.reshape(len(y))
    if known is not None:
        names = {label: i for i, label in enumerate(np.asarray(known).tolist())}
        strange = [label for label in np.unique(codes).tolist() if label not in names]
        if strange:
            raise InputError(
                "labels must be among the classes", repr(strange[0]), f"the classes are {list(names)[:20]}"
            )
        codes = np.array([names[label] for label in codes.tolist()])
    return codes.astype(np.float32 if model.task_ == "binary" else np.int64)


def _objective(model: Any, objective: Any, task: Task) -> ResolvedObjective:
    if objective is None:
        kept = getattr(model, "_resolved", None)
        return kept if isinstance(kept, ResolvedObjective) else Objective().resolve(task)
    return (objective if isinstance(objective, Objective) else Objective(objective)).resolve(task)


def _choices(model: Any, rows: int, network: nn.Module) -> Choices | None:
    """Return the settled settings of one of Glia's estimators."""
    if not hasattr(model, "history_") or not hasattr(model, "get_params"):
        return None
    members = len(network.networks) if isinstance(network, MeanNetwork) else 1
    params = model.get_params(deep=False)
    if isinstance(model, NetworkEstimator):  # which knows what its own "auto" means: pictures differ from tables
        return model.choose(params, rows, members)
    return choose(params, rows=rows, task=model.task_, layout=model.layout_, members=members)


def _usual_rate(rule: Optimizer, network: nn.Module) -> float:
    return float(rule.make(copy.deepcopy(network), None).param_groups[0]["lr"])


def _events(model: Any) -> tuple[dict[str, Any], ...]:
    return tuple(dict(event) for event in getattr(model, "events_", None) or ())


def _fresh(
    model: Any, network: nn.Module, choices: Choices | None, train: Part, build: Callable[[], nn.Module] | None
) -> tuple[Callable[[int], nn.Module], bool]:
    """Return how the network is made anew, and whether that is how it really began."""
    device = train.x.device
    if build is not None:

        def made(seed: int) -> nn.Module:
            with seeded(seed, "initialisation"):
                return build().to(device)

        return made, True
    spec = getattr(model, "spec_", None)
    if choices is not None and isinstance(spec, Spec):
        outputs = model._resolved.out_features(model.target_.outputs)
        sample = train.x[:512].detach().cpu().numpy()
        return lambda seed: build_network(spec, model.layout_, outputs, seed, sample).to(device), True
    return lambda seed: drawn_anew(network, seed), False


def drawn_anew(network: nn.Module, seed: int) -> nn.Module:
    """Return a copy whose layers have drawn their weights anew, as torch does; what cannot keeps its weights."""
    copied = copy.deepcopy(network)
    with seeded(seed, "initialisation"):
        for module in copied.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return copied


def _frame(model: Any, X: Any, train: Part) -> pl.DataFrame | None:
    """Return the rows as a frame with the columns that the model reads, where they have columns."""
    if isinstance(X, Table):
        plain = X.schema.names(*INPUT_ROLES)  # paths of pictures and sounds, and sequences, are no columns to look at
        return X.frame.select(plain) if plain else None
    if hasattr(X, "columns"):
        frame = to_frame(X)
        known = [name for name in model.feature_names if name in frame.columns]
        return frame.select(known) if known else frame
    if train.x.ndim != 2:
        return None
    array = X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        return None
    names = [str(name) for name in model.feature_names] if len(model.feature_names) == array.shape[1] else None
    return pl.DataFrame(array, schema=names or [f"x{i}" for i in range(array.shape[1])])
