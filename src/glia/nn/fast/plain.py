"""When a faster form may stand in: plain float32 tensors on the processor, or such within autocast to bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

_PLAIN = (Tensor, nn.Parameter)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = tuple(f"_global{name}" for name in _HOOKS)


def is_plain(*tensors: object) -> bool:
    """Return whether all are float32 tensors on the processor, outside autocast, ``torch.func`` and tracing."""
    return not torch.is_autocast_enabled("cpu") and _is_simple(tensors, (torch.float32,))


def is_low(*tensors: object) -> bool:
    """Return whether all are float32 or bfloat16 on the processor, within autocast to bfloat16, with nothing else."""
    if not (torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16):
        return False
    return _is_simple(tensors, (torch.float32, torch.bfloat16))


def _is_simple(tensors: tuple[object, ...], types: tuple[torch.dtype, ...]) -> bool:
    if torch._C._are_functorch_transforms_active() or torch._C._get_tracing_state() or torch.compiler.is_compiling():
        return False
    return all(type(t) in _PLAIN and t.dtype in types and t.device.type == "cpu" for t in tensors)  # type: ignore[attr-defined]


def is_hooked(module: nn.Module) -> bool:
    """Return whether a hook sits on the module, on one inside it, or on all modules: then nothing may be left out."""
    if any(getattr(torch_modules, name) for name in _GLOBAL_HOOKS):
        return True
    return any(getattr(part, name) for part in module.modules() for name in _HOOKS)
