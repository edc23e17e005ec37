"""Embeddings inside a network: where rows enter as categories or pieces, what came out, and which column each is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.nn.embeddings import CodeEmbedding, TabularInput
from glia.nn.missing_inputs import MissingInputs

NOBODY = -1
"""Owner of values that come from no column, such as the vector of a token that the network puts before every row."""


@dataclass(frozen=True)
class Tap:
    """One run of an embedding.

    Parameters
    ----------
    owners : Tensor
        Of the shape of the embedding's output without its first axis: the position in a flattened prepared row that
        each value comes from, or ``NOBODY``.
    codes : bool
        Whether it embeds categories, of which only the vectors mean something, rather than numbers.
    """

    owners: Tensor
    codes: bool


class Taps:
    """The embeddings of a network in the order in which they run.

    Parameters
    ----------
    network : nn.Module
        Watched by hooks, and only inside the blocks below.
    run : callable
        (B, *shape) → anything: runs the network.
    like : Tensor of shape (N, *shape)
        Rows; only their shape and kind count.
    numbers : bool
        Whether pieces of numbers (``TabularInput.numeric``) are tapped too.

    Raises
    ------
    InputError
        If it cannot be found out which columns an embedding takes.
    """

    def __init__(self, network: nn.Module, run: Callable[[Tensor], Any], like: Tensor, *, numbers: bool) -> None:
        self._modules = embeddings_of(network, numbers=numbers)
        self.calls: list[Tap | None] = []
        if self._modules:
            self.calls = self._probe(run, like)

    @property
    def taps(self) -> list[Tap]:
        """The runs that depend on the rows."""
        return [call for call in self.calls if call is not None]

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """Yield a list that the outputs of the tapped runs are appended to."""
        found: list[Tensor] = []
        place = iter(self.calls)

        def keep(module: nn.Module, args: Any, output: Tensor) -> None:
            if next(place) is not None:
                found.append(output.detach())

        with self._hooked(keep):
            yield found

    @contextmanager
    def replacing(self, parts: Sequence[Tensor]) -> Iterator[None]:
        """Run a block with these tensors in the place of what the tapped embeddings return."""
        place, given = iter(self.calls), iter(parts)

        def swap(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            return output if next(place) is None else next(given).clone()

        with self._hooked(swap):
            yield

    @contextmanager
    def _hooked(self, hook: Callable[..., Any]) -> Iterator[None]:
        handles = [module.register_forward_hook(hook) for module in self._modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _probe(self, run: Callable[[Tensor], Any], like: Tensor) -> list[Tap | None]:
        """Find the columns of each run: rows whose values are their own positions are sent through the network."""
        width = like[0].numel()
        place = torch.arange(1, width + 1, device=like.device).to(like.dtype).reshape(1, *like.shape[1:])
        seen = [self._inputs(run, place * times) for times in (0, 1, 2)]
        return [self._tap(module, a, b, c, width) for module, a, b, c in zip(self._ran, *seen, strict=True)]

    def _inputs(self, run: Callable[[Tensor], Any], x: Tensor) -> list[Tensor]:
        self._ran: list[nn.Module] = []
        found: list[Tensor] = []

        def before(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            if not args or not isinstance(args[0], Tensor):
                raise InputError("an embedding must take one tensor", type(module).__name__)
            self._ran.append(module)
            found.append(args[0].detach().clone())
            return (torch.zeros_like(args[0]), *args[1:])

        def instead(module: MissingInputs, args: tuple[Any, ...], output: Tensor) -> Tensor:
            self._ran.append(module)
            found.append(args[0].detach().clone())
            return torch.cat([args[0], args[0].index_select(-1, _masked(module))], dim=-1)

        handles = [
            module.register_forward_hook(instead)
            if isinstance(module, MissingInputs)
            else module.register_forward_pre_hook(before)
            for module in self._modules
        ]
        try:
            with torch.no_grad():
                run(x)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def _tap(self, module: nn.Module, zero: Tensor, once: Tensor, twice: Tensor, width: int) -> Tap | None:
        if zero.equal(once):  # such as positions in a sequence
            return None
        if len(zero) != 1:
            raise InputError("the first axis of what an embedding takes must count rows", type(module).__name__)
        where = (once - zero)[0].long()  # 1-based, 0 where the input does not move with the rows
        linear = bool(((twice - zero)[0].long() == 2 * where).all()) and 0 <= int(where.min()) <= int(where.max())
        if not linear or int(where.max()) > width:
            if where.numel() != width:
                raise InputError(
                    "it must be clear which columns an embedding takes",
                    f"{type(module).__name__} takes values computed from several",
                    "hand the columns to it as they are",
                )
            where = torch.arange(1, width + 1, device=where.device).reshape(where.shape)  # e.g. clamped tokens
        return Tap(_owners(module, where - 1), codes=isinstance(module, (CodeEmbedding, nn.Embedding)))


def embeddings_of(network: nn.Module, *, numbers: bool) -> list[nn.Module]:
    """Return the outermost embeddings of categories, inputs that may be missing, and embedded numbers if asked for."""
    inside = {
        id(part) for m in network.modules() if isinstance(m, CodeEmbedding) for part in m.modules() if part is not m
    }
    found: list[nn.Module] = [
        m for m in network.modules() if isinstance(m, (CodeEmbedding, nn.Embedding)) and id(m) not in inside
    ]
    # Whether a number is missing is a comparison: its place is taken by what the comparison gave.
    found += [m for m in network.modules() if isinstance(m, MissingInputs)]
    if numbers:
        found += [m.numeric for m in network.modules() if isinstance(m, TabularInput) and m.numeric is not None]
    return found


def _masked(module: MissingInputs) -> Tensor:
    """Return the columns whose masks are appended."""
    return module.numeric[module.bare]


def _owners(module: nn.Module, where: Tensor) -> Tensor:
    """Return the position that each value of an embedding's output comes from."""
    if isinstance(module, CodeEmbedding):
        return torch.cat([where[i].repeat(module.dims[i]) for i in module.order])
    if isinstance(module, MissingInputs):
        return torch.cat([where, where[_masked(module)]])
    if isinstance(module, nn.Embedding):
        return where.unsqueeze(-1).expand(*where.shape, module.embedding_dim)
    weight = next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), None)
    probe = torch.zeros(len(where), len(where), device=where.device, dtype=None if weight is None else weight.dtype)
    with torch.no_grad():  # a value depends on the number whose NaN turns it into NaN
        touched = module(probe.fill_diagonal_(torch.nan)).isnan()  # (F, out)
    if not bool((touched.sum(0) == 1).all()):
        raise InputError("every value of an embedding must come from one number", type(module).__name__)
    return where[touched.long().argmax(0)]
