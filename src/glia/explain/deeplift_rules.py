"""DeepLIFT's multipliers for the operations of a network, made so that shares add up through each of them.

The network runs once on the baseline, where the values at every operation that is not linear are noted, and once on the
rows, where these operations get the gradient that carries differences exactly: multiplier = difference out / in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.explain.rewriting import Call, Handler, rewriting, varies
from glia.explain.rewriting.names import ELEMENTWISE, MAX_POOLS, PRODUCTS, WEIGHTED
from glia.explain.rewriting.slope import with_slope, with_value

_NEAR = 1e-5
"""Differences below this share of the values are rounding: the gradient takes the multiplier's place."""


class Multipliers:
    """Handlers for ``rewriting``: first ``noting()`` on the baseline, then ``using()`` on the rows.

    Notes
    -----
    - A function of one value: Δf / Δz, the rescale rule (arXiv 1704.02685, section 3.5.1).
    - A product: Δ(ab) = ā·Δb + b̄·Δa with the means ā, b̄ of both runs. Norms, gates and attention are sums, products and
      functions of one value, so that shares add up through them too.
    - A maximum: the difference of the maxima, to the winner of the run with the larger maximum.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._notes: list[tuple[str, tuple[Tensor, ...]]] = []
        self._place: int | None = None

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note the values of the baseline's run."""
        self._notes, self._place = [], None
        with rewriting(self.network, self._handlers(), "DeepLIFT"):
            yield

    @contextmanager
    def using(self) -> Iterator[None]:
        """Give the rows' run its multipliers."""
        self._place = 0
        with rewriting(self.network, self._handlers(), "DeepLIFT"):
            yield

    def _handlers(self) -> dict[str, Handler]:
        found: dict[str, Handler] = dict.fromkeys(ELEMENTWISE, self.elementwise)
        found.update(dict.fromkeys(PRODUCTS, self.product))
        found.update(dict.fromkeys(WEIGHTED, self.product))
        found.update(dict.fromkeys(("add", "sub", "rsub"), Call.run))
        found.update(dict.fromkeys(MAX_POOLS, self.max_pool))
        found.update(dict.fromkeys(("max", "amax"), self.maximum_over))
        found.update(dict.fromkeys(("softmax", "log_softmax", "logsumexp"), self.softmax))
        found.update({"div": self.quotient, "rdiv": self.reversed_quotient, "batch_norm": self.batch_norm})
        found.update({"maximum": self.larger, "minimum": self.larger})
        return found

    def _noted(self, call: Call, *values: Tensor) -> tuple[Tensor, ...] | None:
        """Note values in the first run; in the second return those that the first noted at this place."""
        kept = tuple(value.detach().clone() for value in values)
        if self._place is None:
            self._notes.append((call.name, kept))
            return None
        if self._place >= len(self._notes):
            raise _other_way(call)
        name, found = self._notes[self._place]
        self._place += 1
        if name != call.name or [f.shape for f in found] != [k.shape for k in kept]:
            raise _other_way(call)
        return found

    def elementwise(self, call: Call) -> Tensor:
        """Rescale: Δf / Δz."""
        z = call.args[0]
        if not isinstance(z, Tensor) or varies(*call.args[1:], *call.kwargs.values()):
            raise InputError("DeepLIFT must have a rule for every operation", f"{call.name!r} of two values that vary")
        value = call.function(z.detach().clone(), *call.args[1:], **call.kwargs)
        noted = self._noted(call, z, value)
        if noted is None:
            return with_value(z, value)
        before, start = noted
        now = z.detach()
        change, small = now - before, _NEAR * torch.maximum(now.abs(), before.abs()) + 1e-12
        same = ~(change.abs() > small)  # also where both are infinite
        slope = (value - start) / torch.where(same, 1.0, change)
        if bool(same.any()):
            with torch.enable_grad():
                point = now.clone().requires_grad_()
                curve = call.function(point.clone(), *call.args[1:], **call.kwargs)
                flat = torch.zeros_like(now)
                grad = torch.autograd.grad(curve.sum(), point)[0] if curve.requires_grad else flat
            slope = torch.where(same, torch.nan_to_num(grad, 0.0, 0.0, 0.0), slope)
        return with_slope(z, value, slope)

    def product(self, call: Call) -> Any:
        """Give each operand the other's mean over both runs."""
        args = call.args
        if call.name == "einsum" and isinstance(args[1], (tuple, list)):
            args = (args[0], *args[1])
        places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        if len(places) <= 1 and not varies(*call.kwargs.values()):
            return call.run()
        if len(places) != 2 or call.name in {*WEIGHTED, "bilinear"}:
            raise InputError("DeepLIFT must have a rule for every operation", f"{call.name!r} of {len(places)} values")
        value = call.function(*args, **call.kwargs)
        first, second = places
        noted = self._noted(call, args[first], args[second])
        if noted is None:
            return value
        one, two = (args[first].detach() + noted[0]) / 2, (args[second].detach() + noted[1]) / 2
        with_two = call.function(*(two if i == second else a for i, a in enumerate(args)), **call.kwargs)
        with_one = call.function(*(one if i == first else a for i, a in enumerate(args)), **call.kwargs)
        return with_value(with_one + with_two, value)

    def quotient(self, call: Call) -> Any:
        """Take a / b as a · (1 / b), where b varies."""
        top, below = call.args[0], call.args[1]
        if not (isinstance(below, Tensor) and below.requires_grad):
            return call.run()
        if call.kwargs.get("rounding_mode"):
            raise InputError("DeepLIFT must have a rule for every operation", "a rounded division")
        return call.again(_divided, top, below)

    def reversed_quotient(self, call: Call) -> Any:
        """C / z as c · (1 / z) (``z.__rdiv__(c)``)."""
        return call.again(_divided, call.args[1], call.args[0])

    def batch_norm(self, call: Call) -> Any:
        """Leave a norm with running statistics, which is linear."""
        named = dict(zip(("input", "mean", "var", "weight", "bias", "training"), call.args, strict=False)) | call.kwargs
        if named.get("training"):
            raise InputError("batch norm must have running statistics", f"none in {call.module}", "use another norm")
        return call.run()

    def larger(self, call: Call) -> Any:
        """max(a, b) = (a + b + |a − b|) / 2, and min with a minus."""
        return call.again(_larger if call.name == "maximum" else _smaller, *call.args[:2])

    def max_pool(self, call: Call) -> Any:
        """Give the difference of maxima to the winner of the run with the larger one."""
        options = {**call.kwargs, "return_indices": True}
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        given = ("output_size",) if call.name.startswith("adaptive") else names
        options |= dict(zip(given, call.args[1:], strict=False))
        x = call.args[0]
        value, where = getattr(F, call.name)(x, **options)
        axes = int(call.name[-2])
        picked = _picked(x, where, axes)
        noted = self._noted(call, x, value, where)
        if noted is None:
            return value
        before, start, place = noted
        return self._won(picked, _picked(x, place, axes), _picked(before, where, axes), value, start)

    def maximum_over(self, call: Call) -> Any:
        """Do the same for a maximum over one axis."""
        if len(call.args) > 1 and isinstance(call.args[1], Tensor):
            return call.again(_larger, *call.args[:2])
        dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
        keep = bool(call.kwargs.get("keepdim", call.args[2] if len(call.args) > 2 else False))
        if isinstance(dim, (tuple, list)) and call.name == "amax":
            x, dims = call.args[0], sorted(d % call.args[0].dim() for d in dim)
            for d in reversed(dims):
                x = call.again(torch.amax, x, d, keep)
            return x
        if not isinstance(dim, int):
            raise InputError("a maximum must be over a named axis", "one over rows too", "name the axis: dim=")
        x = call.args[0]
        value, where = torch.max(x, dim, True)
        noted = self._noted(call, x, value, where)
        out = value
        if noted is not None:
            before, start, place = noted
            here, there = x.gather(dim, where), x.gather(dim, place)
            out = self._won(here, there, before.gather(dim, where), value, start)
        out, where = (out, where) if keep else (out.squeeze(dim), where.squeeze(dim))
        return out if call.name == "amax" else torch.return_types.max((out, where))

    def _won(self, here: Tensor, there: Tensor, here_before: Tensor, value: Tensor, start: Tensor) -> Tensor:
        """Return the maximum; its change goes to the rows' winner where it grew, else to the baseline's.

        ``here`` and ``there`` are the rows' values at the winners of the rows and of the baseline, ``here_before`` the
        baseline's value at the rows' winner; the baseline's at its own is ``start``.
        """
        now, change = value.detach(), value.detach() - start
        grew = change > 0
        own = torch.where(grew, change / (now - here_before).clamp_min(1e-30), 0.0)
        fell = (change < 0) & (there.detach() != start)
        other = torch.where(fell, change / torch.where(fell, there.detach() - start, 1.0), 0.0)
        own = torch.where(change == 0, 1.0, own).clamp(max=1.0)
        still = (change == 0) & (now != here_before)  # as large as before, at another place
        return with_value(here * torch.where(still, 0.0, own) + there * other.clamp(max=1.0), value)

    def softmax(self, call: Call) -> Any:
        """Softmax as exponentials over their sum, from one shift for both runs."""
        x, value = call.args[0], call.run()
        noted = self._noted(call, x)
        if noted is None:
            return value
        dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
        keep = bool(call.kwargs.get("keepdim", call.args[2] if len(call.args) > 2 else False))
        dim = dim[0] if isinstance(dim, (tuple, list)) and len(dim) == 1 else dim
        if not isinstance(dim, int):
            raise InputError(f"{call.name} must be over one named axis", f"dim={dim!r}")
        now, before = x.detach().double(), noted[0].double()
        shift = torch.maximum(now.amax(dim, keepdim=True), before.amax(dim, keepdim=True))
        new, old = (now - shift).exp(), (before - shift).exp()
        change = now - before
        same = ~(change.abs() > 1e-9)
        slope = torch.where(same, new, (new - old) / torch.where(same, 1.0, change))  # Δe / Δx
        grown = x.double() * slope  # (…): carries Δe
        total, total_old = new.sum(dim, keepdim=True), old.sum(dim, keepdim=True)
        if call.name == "softmax":
            out = grown * (1 / total + 1 / total_old) / 2
            out = out - (new + old) / 2 * grown.nansum(dim, keepdim=True) / (total * total_old)
            return with_value(torch.nan_to_num(out, 0.0, 0.0, 0.0).to(x.dtype), value)
        moved = total - total_old
        flat = ~(moved.abs() > 1e-9 * total)
        rate = torch.where(flat, 1 / total, (total / total_old).log() / torch.where(flat, 1.0, moved))  # Δlog S / ΔS
        log = grown.nansum(dim, keepdim=True) * rate
        if call.name == "log_softmax":
            return with_value((x.double() - log).to(x.dtype), value)
        return with_value((log if keep else log.squeeze(dim)).to(x.dtype), value)


def _divided(top: Any, below: Tensor) -> Any:
    return top * torch.reciprocal(below)


def _larger(a: Any, b: Any) -> Any:
    return (a + b + torch.abs(a - b)) / 2


def _smaller(a: Any, b: Any) -> Any:
    return (a + b - torch.abs(a - b)) / 2


def _picked(x: Tensor, where: Tensor, axes: int) -> Tensor:
    """Return the values at the winners of a pooling, whose indices count over its last ``axes`` axes."""
    return x.flatten(-axes).gather(-1, where.flatten(-axes)).reshape(where.shape)


def _other_way(call: Call) -> InputError:
    return InputError(
        "a network must take the same way for rows and baseline",
        f"another operation at {call.name!r} in {call.module or 'the network'}",
        "use integrated_gradients",
    )
