"""How relevance passes through the operations of a network."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.explain.lrp_rules.base import Layer, as_rule, ratio
from glia.explain.lrp_rules.composite import Composite
from glia.explain.rewriting import Call, Handler, varies
from glia.explain.rewriting.compound import NORMS
from glia.explain.rewriting.names import ELEMENTWISE, GATES, MAX_POOLS, MOVES, PRODUCTS, WEIGHTED
from glia.explain.rewriting.slope import Ledger, entered, with_slope

ATTENTION = ("constant", "split")
_TINY = 1e-12
_WINNERS = frozenset(["max", "min", "amax", "amin", "maximum", "minimum"]) | MAX_POOLS


class Operations:
    """Handlers for ``rewriting`` that make input × gradient the relevance.

    Parameters
    ----------
    composite : Composite
        Rules of layers with weights.
    attention : {"constant", "split"}
        Attention weights as constants, through which no relevance passes (arXiv 2202.07304), or as half of a product,
        with softmax by its first-order expansion (arXiv 2402.05602).
    share_bias : bool
        Whether biases give their relevance to the inputs.
    ledger : Ledger
        Where it is noted what is not passed on.

    Notes
    -----
    Activations pass relevance on to their input; a maximum to the winner; a sum to its parts in proportion. In a
    product a gate (what comes out of a sigmoid or softmax) is a constant, and the signal takes all (arXiv 1706.07206);
    two signals take half each. Normalisation divides by a constant (arXiv 2202.07304).
    """

    def __init__(self, composite: Composite, attention: str, share_bias: bool, ledger: Ledger) -> None:
        self.composite, self.attention, self.share_bias, self.ledger = composite, attention, share_bias, ledger
        self._plain = as_rule("epsilon")
        self._gates: dict[int, Tensor] = {}  # by identity; kept, so that no other tensor takes the identity over

    def handlers(self) -> dict[str, Handler]:
        """Return plain name → handler."""
        found: dict[str, Handler] = dict.fromkeys(ELEMENTWISE, self.activation)
        found.update(dict.fromkeys(WEIGHTED, self.weighted))
        found.update(dict.fromkeys(PRODUCTS, self.product))
        found.update(dict.fromkeys(MOVES, self.moved))
        found.update(dict.fromkeys(_WINNERS, Call.run))
        found.update(dict.fromkeys(("add", "sub", "rsub"), self.total))
        found.update(dict.fromkeys(("softmax", "log_softmax"), self.softmax))
        found.update({"div": self.quotient, "rdiv": self.reciprocal, "logsumexp": self.logsumexp})
        found.update({name: partial(_held, function) for name, function in NORMS.items()})
        found["batch_norm"] = self.batch_norm
        return found

    def activation(self, call: Call) -> Any:
        """Pass the relevance of f(z) on to z."""
        z = call.args[0]
        if not isinstance(z, Tensor) or varies(*call.args[1:], *call.kwargs.values()):
            raise _unclear(call)
        value = call.function(z.detach().clone(), *call.args[1:], **call.kwargs)
        return self._gate(self._identity(z, value), call.name in GATES)

    def softmax(self, call: Call) -> Tensor:
        """Pass relevance on to the same place, or by torch's gradient; the result is a gate or half of a product."""
        if self.attention == "split" and call.name == "softmax":
            return self._counted(call)
        result = call.run()
        return self._gate(self._identity(call.args[0], result), call.name == "softmax")

    def _counted(self, call: Call) -> Tensor:
        """Return softmax with torch's gradient, whose first-order expansion keeps a part of the relevance."""
        z = call.args[0].view_as(call.args[0])
        result: Tensor = call.function(z, *call.args[1:], **call.kwargs)
        came, went, ledger = result.detach(), z.detach(), self.ledger

        def arrive(grad: Tensor) -> None:
            ledger.softmax += float((grad * came).double().nansum())

        def leave(grad: Tensor) -> None:
            ledger.softmax -= float((grad * went).double().nansum())

        result.register_hook(arrive)  # type: ignore[no-untyped-call]
        z.register_hook(leave)
        return result

    def logsumexp(self, call: Call) -> Tensor:
        """Pass relevance on by the slopes."""
        result: Tensor = call.run()
        x, (dim, keep) = call.args[0], _over(call)
        shares = (x.detach() - (result if keep else result.unsqueeze(dim)).detach()).exp()
        total = (x * shares).sum(dim, keepdim=keep)
        return with_slope(total, result, ratio(result, total, _TINY), self.ledger)

    def weighted(self, call: Call) -> Tensor:
        """Apply the composite's rule to a linear layer or convolution."""
        x, weight, bias, rest, options = _three(call)
        if weight.requires_grad or not x.requires_grad:
            raise _unclear(call)
        dense = call.name == "linear"
        if bias is not None and not dense:
            bias = bias.reshape(-1, *[1] * int(call.name[-2]))
        rule = self.composite.rule("dense" if dense else "convolution", call.module.split(" ")[0])
        return rule(self._layer(x, weight, bias, lambda a, w: call.function(a, w, None, *rest, **options)))

    def product(self, call: Call) -> Tensor:
        """Share a product among what depends on the rows."""
        places = [i for i, a in enumerate(call.args) if isinstance(a, Tensor) and a.requires_grad]
        if call.name == "einsum" and not places:
            return self._einsum(call)
        if len(places) == 1:
            return self._by_constant(call, places[0])
        if len(places) != 2:
            raise _unclear(call)
        gates = [i for i in places if id(call.args[i]) in self._gates]
        if len(gates) == 1:
            held = [a.detach() if i == gates[0] else a for i, a in enumerate(call.args)]
            result: Tensor = call.function(*held, **call.kwargs)
            return self._stable(result)
        return self._gate(self._halves(call.function, call.args, call.kwargs), len(gates) == 2)

    def total(self, call: Call) -> Tensor:
        """Share a sum among its parts in proportion; a constant part keeps its own."""
        tensors = [a for a in call.args[:2] if isinstance(a, Tensor) and a.requires_grad]
        result: Tensor = call.run()
        if len(tensors) == 2:
            return self._stable(result)
        still = [torch.zeros_like(a) if a is tensors[0] else a for a in call.args]
        constant = call.function(*still, **call.kwargs).detach()
        if self.share_bias:
            moving = result - constant
            return with_slope(moving, result, ratio(result, moving, _TINY), self.ledger)
        gate = any(id(a) in self._gates for a in call.args)
        return self._gate(entered(result, constant, self.ledger), gate)

    def quotient(self, call: Call) -> Tensor:
        """Give a quotient's relevance to what is divided."""
        top, below = call.args[0], call.args[1]
        if isinstance(below, Tensor) and below.requires_grad:
            if not (isinstance(top, Tensor) and top.requires_grad):
                return self._identity(below, call.run())
            return self._stable(call.function(top, below.detach(), *call.args[2:], **call.kwargs))
        return self._taken(call.run(), *call.args)

    def reciprocal(self, call: Call) -> Tensor:
        """Pass the relevance of c / z on to z (``z.__rdiv__(c)``)."""
        if isinstance(call.args[1], Tensor) and call.args[1].requires_grad:
            raise _unclear(call)
        return self._identity(call.args[0], call.run())

    def batch_norm(self, call: Call) -> Tensor:
        """Scale by constants; the shift is a bias."""
        named = dict(zip(("input", "mean", "var", "weight", "bias", "training"), call.args, strict=False)) | call.kwargs
        if named.get("training"):
            raise InputError("batch norm must have running statistics", f"none in {call.module}", "use another norm")
        x = named["input"]
        with torch.no_grad():
            shift = call.function(torch.zeros_like(x[:1]), *call.args[1:], **call.kwargs)
            scale = call.function(torch.ones_like(x[:1]), *call.args[1:], **call.kwargs) - shift
        return self._plain(self._layer(x, scale, shift, torch.mul))

    def moved(self, call: Call) -> Any:
        """Leave what only moves values as it is."""
        result = call.run()
        return self._taken(result, *call.args) if isinstance(result, Tensor) else result

    def _by_constant(self, call: Call, place: int) -> Tensor:
        """Share the product with a constant: by the rule of dense layers if that is a matrix of weights."""
        others = [i for i, a in enumerate(call.args) if isinstance(a, Tensor) and i != place]
        if call.name == "mul" or len(others) != 1:
            return self._taken(call.run(), *call.args)

        def apply(a: Tensor, w: Tensor) -> Tensor:
            given = [a if i == place else w if i == others[0] else arg for i, arg in enumerate(call.args)]
            result: Tensor = call.function(*given, **call.kwargs)
            return result

        weight = call.args[others[0]]
        rule = self.composite.rule("dense", call.module.split(" ")[0]) if weight.dim() <= 2 else self._plain
        return rule(self._layer(call.args[place], weight, None, apply))

    def _einsum(self, call: Call) -> Tensor:
        """Share an einsum whose operands come as one list."""
        function, equation, *given = call.function, *call.args
        operands = tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else tuple(given)
        return self.product(Call(call.name, function, (equation, *operands), call.kwargs, call.module, call.again))

    def _halves(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        first, second = (i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad)
        one = function(*(a.detach() if i == first else a for i, a in enumerate(args)), **kwargs)
        two = function(*(a.detach() if i == second else a for i, a in enumerate(args)), **kwargs)
        return self._stable((one + two) * 0.5)

    def _identity(self, z: Tensor, value: Tensor) -> Tensor:
        return with_slope(z, value, ratio(value.detach(), z, _TINY), self.ledger)

    def _stable(self, z: Tensor) -> Tensor:
        return with_slope(z, z, ratio(z.detach(), z, _TINY), self.ledger)

    def _layer(self, x: Tensor, weight: Tensor, bias: Tensor | None, apply: Any) -> Layer:
        return Layer(x, weight, bias, apply, self.ledger, self.share_bias)

    def _gate(self, result: Tensor, is_gate: bool) -> Tensor:
        if is_gate:
            self._gates[id(result)] = result
        return result

    def _taken(self, result: Tensor, *sources: Any) -> Tensor:
        """Mark a result as a gate if it was made of one."""
        return self._gate(result, any(id(source) in self._gates for source in sources))


def _held(function: Any, call: Call) -> Any:
    return call.again(partial(function, hold=True), *call.args, **call.kwargs)


def _three(call: Call) -> tuple[Tensor, Tensor, Tensor | None, tuple[Any, ...], dict[str, Any]]:
    """Return input, weight and bias of a call, and what else it was given."""
    options = dict(call.kwargs)
    given = list(call.args[:3])
    for name in ("input", "weight", "bias")[len(given) :]:
        given.append(options.pop(name, None))
    return given[0], given[1], given[2], call.args[3:], options


def _over(call: Call) -> tuple[int, bool]:
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    keep = call.kwargs.get("keepdim", call.args[2] if len(call.args) > 2 else False)
    if isinstance(dim, (tuple, list)) and len(dim) == 1:
        dim = dim[0]
    if not isinstance(dim, int):
        raise _unclear(call)
    return dim, bool(keep)


def _unclear(call: Call) -> InputError:
    return InputError(
        "LRP must know which operand carries the signal",
        f"{call.name!r} in {call.module or 'the network'}",
        "use integrated_gradients or Shapley values",
    )
