"""Adam, AdamW and SGD as torch has them, without the Python around the fused kernel, which costs a small step most.

State, settings and formulas are torch's own; only the way to the kernel is shorter: the lists of tensors are kept
between steps, and the counters of all parameters, which are views of one tensor, move by one addition.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim import optimizer as common

Update: TypeAlias = Callable[[list[Tensor]], object]
"""One group's step, from the gradients of those of its parameters that move."""


_add_param_group: Any = inspect.unwrap(Optimizer.add_param_group)


class _Lean(Optimizer):
    """What the lean optimizers share: torch's own step, and a short way for all steps that are like the one before."""

    # Per group: parameters that had a gradient, those that had none, and how the former are updated.
    _plans: list[tuple[list[Tensor], list[Tensor], Update]] | None = None
    _known = 0
    # Torch wraps these for torch.compile, whose import takes half as long as torch's own; nothing is compiled here.
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)

    def step(self, closure: Any = None) -> Any:
        """Update all parameters that have a gradient; with a closure, return its loss."""
        plans, ready = self._plans, []
        if plans is None or closure is not None or len(self.state) != self._known or self._is_watched():
            return self._whole_step(closure)
        for moving, idle, update in plans:
            gradients: list[Any] = [p.grad for p in moving]
            for gradient in gradients:
                if gradient is None:
                    return self._whole_step(None)
            for p in idle:
                if p.grad is not None:
                    return self._whole_step(None)
            if gradients:
                ready.append((update, gradients))
        with torch._C._InferenceMode(True):
            for update, gradients in ready:
                update(gradients)
        return None

    step.hooked = True  # type: ignore[attr-defined]  # else torch wraps it for its profiler, which costs 10 µs

    def _whole_step(self, closure: Any) -> Any:
        """Take torch's own step, which makes the state and calls hooks, and look how the next ones can be short."""
        result = self._first_step()(self, closure)
        self._plans, self._known = None, len(self.state)
        if all(self._is_plain(group) for group in self.param_groups):
            self._plans = [self._plan(group) for group in self.param_groups]
        return result

    def _first_step(self) -> Any:
        own = self._torch_step()
        if not any(group.get("differentiable") for group in self.param_groups):
            own = torch.no_grad()(inspect.unwrap(own))  # as torch's wrapper does, which imports torch.compile for it
        return own if getattr(own, "hooked", False) else Optimizer.profile_hook_step(own)

    def _is_watched(self) -> bool:
        own = self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks
        return bool(own or common._global_optimizer_pre_hooks or common._global_optimizer_post_hooks)

    def _is_plain(self, group: dict[str, Any]) -> bool:
        gradients = [p.grad for p in group["params"] if p.grad is not None]
        alike = len({(g.device, g.dtype, g.layout) for g in gradients}) <= 1
        scaled = getattr(self, "grad_scale", None) is not None or getattr(self, "found_inf", None) is not None
        unusual = any(group.get(name) for name in ("amsgrad", "capturable", "differentiable"))
        dense = all(g.layout == torch.strided for g in gradients)
        return bool(group["fused"]) and alike and dense and not scaled and not unusual

    def _plan(self, group: dict[str, Any]) -> tuple[list[Tensor], list[Tensor], Update]:
        moving = [p for p in group["params"] if p.grad is not None]
        return moving, [p for p in group["params"] if p.grad is None], self._updater(group, moving)

    def _torch_step(self) -> Any:
        raise TypeError(f"{type(self).__name__} does not say which step of torch it shortens")

    def _updater(self, group: dict[str, Any], moving: list[Tensor]) -> Update:
        raise TypeError(f"{type(self).__name__} does not say how it updates")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._plans = None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group."""
        _add_param_group(self, param_group)
        self._plans = None


class LeanAdam(_Lean, Adam):
    """``torch.optim.Adam``: same settings, same state, same numbers; the short way is taken with ``fused=True``."""

    def _torch_step(self) -> Any:
        return Adam.step

    def _updater(self, group: dict[str, Any], moving: list[Tensor]) -> Update:
        states = [self.state[p] for p in moving]
        first, second = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        counts = _counters(states)
        steps, one = [s["step"] for s in states], torch.ones_like(counts)
        kernel: Any = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_

        def update(gradients: list[Tensor]) -> None:
            counts.add_(one)
            beta1, beta2 = group["betas"]
            kernel(
                moving, gradients, first, second, [], steps,
                lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"], eps=group["eps"],
                amsgrad=False, maximize=group["maximize"],
            )  # fmt: skip

        return update


def _counters(states: list[dict[str, Tensor]]) -> Tensor:
    """Make the counters of steps views of one tensor, (n,), and return it."""
    counts = torch.stack([state["step"] for state in states]) if states else torch.empty(0)
    for state, count in zip(states, counts.unbind(), strict=True):
        state["step"] = count
    return counts


class LeanAdamW(LeanAdam, AdamW):
    """``torch.optim.AdamW``: same settings, same state, same numbers; the short way is taken with ``fused=True``."""


class LeanSGD(_Lean, SGD):
    """``torch.optim.SGD``: same settings, same state, same numbers; the short way is taken with ``fused=True``."""

    def _torch_step(self) -> Any:
        return SGD.step

    def _updater(self, group: dict[str, Any], moving: list[Tensor]) -> Update:
        buffers = [self.state[p]["momentum_buffer"] for p in moving] if group["momentum"] else []

        def update(gradients: list[Tensor]) -> None:
            torch._fused_sgd_(
                moving, gradients, buffers,
                lr=group["lr"], momentum=group["momentum"], dampening=group["dampening"],
                weight_decay=group["weight_decay"], nesterov=group["nesterov"], maximize=group["maximize"],
                is_first_step=False,
            )  # fmt: skip

        return update
