"""From a name to an optimizer, and the points at which a network is judged."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer

from glia.core.errors import InputError, near
from glia.engine.optimizers.groups import Parameters, parameter_groups
from glia.engine.optimizers.muon import muon
from glia.engine.optimizers.rules import Rule, optimizers
from glia.engine.optimizers.schedule_free import ScheduleFree


def default_lr(name: str | Callable[..., Any]) -> float:
    """Return the learning rate that an optimizer starts from when none is given.

    Raises
    ------
    InputError
        If the name is unknown, or a callable names no number for its parameter ``lr``.
    """
    rule = optimizers.get(name) if isinstance(name, str) else name
    parameter = inspect.signature(rule).parameters.get("lr")
    if parameter is None or not isinstance(parameter.default, (int, float)):
        raise InputError("a learning rate must be given or known", f"an optimizer without one: {rule!r}", "give lr")
    return float(parameter.default)


def make_optimizer(
    rule: str | Rule,
    target: Parameters,
    lr: float | None = None,
    weight_decay: float = 0.0,
    *,
    lr_scales: Mapping[str, float] | None = None,
    **options: Any,
) -> Optimizer:
    """Return an optimizer by name, or made by a class or function of the user's.

    Parameters
    ----------
    rule : str or callable
        A name of ``optimizers``, or ``rule(groups, lr=..., **options)`` such as a class of ``torch.optim``.
    target : nn.Module or iterable
        What is optimised; of a module, biases, normalising layers and embeddings are spared the weight decay.
    lr : float, optional
        Learning rate > 0; ``default_lr(rule)`` where it is not given.
    weight_decay : float
        At least 0; decoupled for adamw, lion, muon and schedule_free, an L2 penalty for the others.
    lr_scales : mapping of str to float, optional
        Start of a parameter's name → factor of its rate (discriminative rates).
    **options
        The rule's own, e.g. ``betas=(0.9, 0.95)``.

    Returns
    -------
    torch.optim.Optimizer
        Each of its groups holds ``lr_scale``; a schedule multiplies the rate that a group starts with.

    Raises
    ------
    InputError
        If a name, an option or a number cannot be used.
    """
    if isinstance(rule, Optimizer) or not (isinstance(rule, str) or callable(rule)):
        raise InputError(
            "an optimizer must be a name, a class or a function", f"optimizer={rule!r}", 'for example "adam"'
        )
    build = optimizers.get(rule) if isinstance(rule, str) else rule
    rate = default_lr(build) if lr is None else lr
    _check_number("lr", rate, positive=True)
    _check_number("weight_decay", weight_decay, positive=False)
    _check_options(build, options, rule if isinstance(rule, str) else getattr(rule, "__name__", repr(rule)))
    groups = parameter_groups(target, rate, weight_decay, lr_scales=lr_scales, matrices=build is muon)
    return build(groups, lr=rate, **options)


def _check_number(name: str, value: Any, *, positive: bool) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (positive and value == 0):
        bound = "above 0" if positive else "at least 0"
        raise InputError(f"{name} must be a finite number {bound}", f"{name}={value!r}")


def _check_options(build: Rule, options: dict[str, Any], name: str) -> None:
    parameters = inspect.signature(build).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [key for key in parameters if key not in ("self", "groups", "params", "lr", "weight_decay")]
    for key in options:
        if key not in known:
            advice = near(key, known) if known else f"{name} has no options"
            raise InputError(f"an option of {name} must be one that it has", f"{key}={options[key]!r}", advice)


@contextmanager
def evaluation_point(optimizer: Optimizer) -> Iterator[None]:
    """Hold the weights that the optimizer would answer with, and bring the training weights back, also on errors.

    Only schedule-free training keeps two points; for all others nothing happens.
    """
    if not isinstance(optimizer, ScheduleFree) or optimizer.averaged:
        yield
        return
    optimizer.eval()
    try:
        yield
    finally:
        optimizer.train()
