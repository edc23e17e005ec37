"""Gradients in bfloat16 on their way, on any device."""

# No `from __future__ import annotations` here: torch compares a hook's annotations with the types themselves.
import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook


def bfloat16(
    group: dist.ProcessGroup,
    bucket: dist.GradBucket,  # type: ignore[name-defined]  # known at run time alone
) -> torch.futures.Future[torch.Tensor]:
    """Average a bucket of gradients in bfloat16 by torch's own hook.

    Under its own name that hook is refused without CUDA, though gloo sums bfloat16 as well.
    """
    return bf16_compress_hook(group, bucket)
