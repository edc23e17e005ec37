"""Where shares are taken: rows as tensors that can be moved and differentiated, and the way back to prepared rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.subject import Floats, Subject, subject
from glia.explain.taps import NOBODY, Taps
from glia.nn.modes import keeping_modes

Around = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Point:
    """Rows at the place where shares are taken.

    Parameters
    ----------
    x : Tensor of shape (B, *shape)
        Prepared rows.
    parts : tuple of Tensor
        (B, …) each: what the tapped embeddings return for them, in the order in which they run.
    """

    x: Tensor
    parts: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """``x`` and the parts."""
        return (self.x, *self.parts)

    def rows(self, which: Tensor | slice) -> Point:
        """Return some of the rows."""
        return Point(self.x[which], tuple(part[which] for part in self.parts))


class Entry:
    """Rows of a predictor, opened for methods that differentiate. Made by ``opened``.

    Numbers are moved and differentiated as they are. A category's code is a name and no quantity: its place is taken by
    its vector, the output of its embedding; with ``numbers`` the same holds for pieces that a network cuts numbers
    into. What is found there is summed back to the column.

    Attributes
    ----------
    subject : Subject
        The rows and the score.
    point : Point
        All rows.
    categories : bool
        Whether some positions hold codes of categories.
    evaluations : int
        Rows that went forward through the network so far.
    """

    def __init__(self, predictor: Predictor, X: Any, output: Any = None, *, numbers: bool = False) -> None:
        self.network: nn.Module = predictor.network_
        found = subject(predictor, X, output=output)
        self.subject: Subject = found
        self.evaluations = 0
        self.taps = Taps(self.network, predictor.forward, found.x, numbers=numbers)
        self._codes = torch.zeros(found.x[0].numel() + 1, dtype=torch.bool, device=found.x.device)
        self._codes[list(found.layout.indices("code"))] = True
        for tap in self.taps.taps:
            if tap.codes:
                self._codes[tap.owners.flatten()] = True
        self._codes = self._codes[:-1]  # the last place is that of NOBODY
        self.categories = bool(self._codes.any())
        if found.owners:
            self._codes |= (
                torch.tensor([owner < 0 for owner in found.owners]).to(found.x.device).repeat(found.x.shape[1])
            )

    @property
    def outputs(self) -> int:
        """How many outputs are explained."""
        return len(self.subject.output_names)

    @property
    def codes(self) -> Tensor:
        """Which positions of a prepared row hold codes, or the mask of a sequence, and are not moved, (*shape,)."""
        return self._codes.reshape(self.subject.x.shape[1:])

    def at(self, x: Tensor) -> Point:
        """Return prepared rows together with what the tapped embeddings make of them."""
        x = x.detach().clone()
        if not self.taps.taps:
            return Point(x)
        with torch.no_grad(), self.taps.recording() as parts:
            self.score_rows(x)
        return Point(x, tuple(parts))

    def score_rows(self, x: Tensor) -> Tensor:
        """Return the explained outputs of prepared rows, (B, O)."""
        self.evaluations += len(x)
        return self.subject.score(x)

    def score(self, point: Point) -> Tensor:
        """Return the explained outputs at a point, (B, O); differentiable."""
        with self.taps.replacing(point.parts):
            return self.score_rows(point.x.clone())  # a network may work in place

    def slopes(self, point: Point, around: Around = nullcontext) -> tuple[Tensor, list[list[Tensor]]]:
        """Return the outputs, (B, O), and for each output the gradients with respect to the point's tensors.

        Parameters
        ----------
        point : Point
            B rows.
        around : callable, optional
            Makes the block that the network runs in, for methods with rules of their own.

        Raises
        ------
        InputError
            If the outputs do not depend on the rows in a way that can be differentiated.
        """
        free = [t.detach().clone().requires_grad_(t.is_floating_point()) for t in point.tensors]
        inputs = [t for t in free if t.requires_grad]
        given = [t.view_as(t) for t in free]  # no leaves: rules take leaves for parameters
        with around():
            scores = self.score(Point(given[0], tuple(given[1:])))
        if not scores.requires_grad:
            raise _closed(self.network)
        found = []
        for o in range(scores.shape[1]):
            last = o + 1 == scores.shape[1]
            grads = torch.autograd.grad(scores[:, o].sum(), inputs, retain_graph=not last, allow_unused=True)
            if all(grad is None for grad in grads):
                raise _closed(self.network)
            own = iter(grads)
            found.append([_filled(next(own) if t.requires_grad else None, t) for t in free])
        return scores.detach().double(), found

    def mixed(self, rows: Point, base: Point, unit_of: Tensor, row: Tensor, keep: Tensor) -> Point:
        """Return rows with only some units kept and the baseline, one row, in the place of the others.

        Parameters
        ----------
        rows, base : Point
        unit_of : Tensor of shape (D + 1,)
            Unit of each position of a flattened prepared row, and of what comes from none; U for what is never out.
        row : Tensor of shape (M,)
            Which of the rows.
        keep : Tensor of bool, shape (M, U)
        """
        keep = torch.cat([keep, torch.ones_like(keep[:, :1])], dim=1)  # the last unit is that of nobody
        kept = keep[:, unit_of].to(rows.x.device)  # (M, D + 1): of every position, and of nobody
        x = rows.x[row]
        mixed = torch.where(kept[:, :-1].reshape(x.shape), x, base.x)
        parts = [torch.where(self.codes, x, mixed) if bool(self.codes.any()) else mixed]
        for tap, part, start in zip(self.taps.taps, rows.parts, base.parts, strict=True):
            owners = tap.owners.flatten() % kept.shape[1]
            parts.append(torch.where(kept[:, owners].reshape(len(row), *part.shape[1:]), part[row], start))
        return Point(parts[0], tuple(parts[1:]))

    def features(self, tensors: list[Tensor]) -> Tensor:
        """Sum values like a point's tensors to values like prepared rows, (B, *shape), float64."""
        x = self.subject.x
        total = tensors[0].double().flatten(1).masked_fill(self._codes, 0.0)  # (B, D)
        total = torch.cat([total, total.new_zeros(len(total), 1)], dim=1)  # and what is nobody's
        for tap, part in zip(self.taps.taps, tensors[1:], strict=True):
            owners = tap.owners.flatten() % total.shape[1]  # NOBODY, -1, is the last
            total.index_add_(1, owners, part.double().flatten(1))
        return total[:, :NOBODY].reshape(len(total), *x.shape[1:])

    def to_columns(self, per_output: list[Tensor]) -> Floats:
        """Fold values like prepared rows, one tensor per output, to (B, C, O) or (B, *shape, O)."""
        return self.subject.fold(np.asarray(torch.stack(per_output, dim=-1).cpu().numpy()))

    def parts_of(self, batch_rows: int) -> Iterator[Point]:
        """Yield all rows as points of at most ``batch_rows`` rows.

        Raises
        ------
        InputError
            If ``batch_rows`` is not at least 1.
        """
        if batch_rows < 1:
            raise InputError("batch_rows must be at least 1", f"batch_rows={batch_rows!r}")
        for part in torch.split(self.subject.x, batch_rows):
            yield self.at(part)


@contextmanager
def opened(predictor: Predictor, X: Any, output: Any = None, *, numbers: bool = False) -> Iterator[Entry]:
    """Open rows of a predictor; its modes, its gradients and whether torch records gradients are as before afterwards.

    Raises
    ------
    InputError
        If rows, outputs or embeddings cannot be used.
    """
    network = predictor.network_
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(keeping_modes(network))
        if any(isinstance(m, nn.RNNBase) for m in network.modules()):
            # cuDNN differentiates recurrent layers in training mode only.
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield Entry(predictor, X, output, numbers=numbers)


def _filled(gradient: Tensor | None, like: Tensor) -> Tensor:
    if gradient is not None:
        return gradient
    return torch.zeros_like(like, dtype=None if like.is_floating_point() else torch.float32)


def _closed(network: nn.Module) -> InputError:
    return InputError(
        "the outputs must depend on the rows in a way that can be differentiated",
        f"{type(network).__name__}, whose outputs do not",
        "use a method that only runs the network forward, such as Shapley values",
    )
