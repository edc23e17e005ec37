"""Outputs of a network for many rows, the same bits in whatever company a row comes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.engine.rows import rows_at_once
from glia.nn.ensemble import MeanNetwork
from glia.nn.table_answers import table_answers

_BATCH, _TABLE_BATCH, _BLOCK = 4096, 2048, 16


def network_outputs(network: nn.Module, x: Tensor) -> NDArray[np.float32]:
    """Return raw outputs in evaluation mode, (N, *shape) → (N, O), N ≥ 1."""
    answer, batch = _answering(network)
    if answer is None:
        return _outputs(network.eval(), x, _BATCH)
    if isinstance(network, MeanNetwork):
        mean = network.mean
        return _outputs(lambda part: mean(answer(part)), x, batch, torch.get_num_threads())
    return _outputs(lambda part: answer(part)[0], x, batch, torch.get_num_threads())


def member_outputs(network: nn.Module, x: Tensor) -> NDArray[np.float32]:
    """Return the raw outputs of every member, (K, N, O); of a network without members its own, (1, N, O)."""
    answer, batch = _answering(network)
    if answer is not None:
        together = _outputs(lambda part: answer(part).transpose(0, 1), x, batch, torch.get_num_threads())
        return np.ascontiguousarray(together.transpose(1, 0, 2))
    networks = network.networks if isinstance(network, MeanNetwork) else [network]
    return np.stack([_outputs(one.eval(), x, _BATCH) for one in networks])


def _answering(network: nn.Module) -> tuple[Callable[[Tensor], Tensor] | None, int]:
    """Return what answers faster than the network itself for all members, (B, D) → (K, B, O), and for how many rows."""
    whole = type(network) is MeanNetwork
    if whole and network._forward_hooks | network._forward_pre_hooks:
        return None, 0
    found = table_answers(list(network.networks) if isinstance(network, MeanNetwork) and whole else [network])
    return found, _TABLE_BATCH


@torch.no_grad()
def _outputs(answer: Callable[[Tensor], Tensor], x: Tensor, batch: int, workers: int = 1) -> NDArray[np.float32]:
    """Answer in batches, by several workers of one thread each where the answer may be asked side by side.

    Products of few rows, and the last few of many, take another path in the processor's library, which rounds
    differently: rows are padded to whole blocks of 16.
    """
    parts = list(torch.split(x, rows_at_once(x.shape[1:], batch)))
    if lacking := -len(x) % _BLOCK:
        parts[-1] = torch.cat([parts[-1], x[:1].expand(lacking, *x.shape[1:])])
    if workers == 1 or len(parts) == 1:
        outputs = [answer(part).float().cpu() for part in parts]
    else:
        outputs = _side_by_side(answer, parts, workers)
    return np.asarray(torch.cat(outputs)[: len(x)].numpy(), dtype=np.float32)


def _side_by_side(answer: Callable[[Tensor], Tensor], parts: list[Tensor], workers: int) -> list[Tensor]:
    """Share batches among threads: the operations of one batch are too small to be shared.

    torch's number of threads belongs to the thread that sets it, but is also what later threads start with.
    """

    @torch.no_grad()  # this, too, belongs to a thread
    def work(part: Tensor) -> Tensor:
        return answer(part).float().cpu()

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(min(workers, len(parts)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, parts))
    finally:
        torch.set_num_threads(before)
