"""When a faster form may stand in: plain float32 tensors on the processor, nothing else looking on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

_PLAIN = (Tensor, nn.Parameter)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = tuple(f"_global{name}" for name in _HOOKS)


def is_plain(*tensors: object) -> bool:
    """Return whether all are float32 tensors on the processor, outside autocast, ``torch.func`` and tracing."""
    if torch.is_autocast_enabled("cpu") or torch._C._are_functorch_transforms_active() or torch._C._get_tracing_state():
        return False
    if torch.compiler.is_compiling():
        return False
    return all(type(t) in _PLAIN and t.dtype is torch.float32 and t.device.type == "cpu" for t in tensors)  # type: ignore[attr-defined]


def is_hooked(module: nn.Module) -> bool:
    """Return whether a hook sits on the module, on one inside it, or on all modules: then nothing may be left out."""
    if any(getattr(torch_modules, name) for name in _GLOBAL_HOOKS):
        return True
    return any(getattr(part, name) for part in module.modules() for name in _HOOKS)
