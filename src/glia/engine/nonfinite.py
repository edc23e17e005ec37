"""Where a value stopped being finite: the layer in which the first NaN or infinity appears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from glia.core.errors import TrainingError
from glia.core.results import Result

Stage = Literal["input", "target", "parameter", "buffer", "output", "loss", "gradient", "none"]

_ADVICE: dict[Stage, str] = {
    "input": "impute or drop the rows that hold it",
    "target": "drop the rows whose target it is",
    "parameter": "lower the learning rate (lr) or clip gradients (clip_norm), and start again from finite weights",
    "buffer": "check the inputs of that layer and start again from finite statistics",
    "output": "lower the learning rate (lr) or clip gradients (clip_norm), or guard that layer against log(0) and x/0",
    "loss": "check that the loss is defined for these outputs and targets",
    "gradient": "clip gradients (clip_norm), or keep that layer away from points of infinite slope such as sqrt(0)",
    "none": "lower the learning rate (lr) or clip gradients (clip_norm)",
}


@dataclass(frozen=True)
class NonFinite(Result):
    """Where the first value that is not finite was seen.

    Parameters
    ----------
    stage : str
        "input", "target", "parameter", "buffer", "output" of a layer, "loss" or "gradient"; "none" if all is finite.
    layer : str
        Dotted name of the layer, or of the parameter or buffer; empty where the whole network is meant.
    kind : str
        "nan", "inf", "-inf", or empty.
    layer_type : str
        Class of the layer.
    count, size : int
        How many of how many values of that tensor are not finite.
    """

    stage: Stage
    layer: str = ""
    kind: str = ""
    layer_type: str = ""
    count: int = 0
    size: int = 0

    @property
    def found(self) -> bool:
        """Whether there is anything that is not finite."""
        return self.stage != "none"

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE[self.stage]

    def summary(self) -> str:
        """Return the place in words, e.g. ``first in layer 'blocks.1.linear' (output inf)``."""
        if not self.found:
            return "but every value is finite when the step is repeated"
        much = f"{self.kind} in {self.count} of {self.size} values"
        if self.stage in ("input", "target", "loss"):
            return f"first in the {self.stage} ({much})"
        if self.stage in ("parameter", "buffer"):
            return f"first in the {self.stage} {self.layer!r} ({much})"
        if self.layer == "loss":
            return f"first in the loss's own gradient ({much})"
        where = f"layer {self.layer!r}" if self.layer else "the network's own forward"
        return f"first in {where} ({self.layer_type}, {self.stage} {much})"

    def message(self, epoch: int | None = None, value: float | str = "") -> str:
        """Return the whole error message; ``value`` is the loss that was seen."""
        got = str(value) if str(value) else (self.kind or "a non-finite loss")
        when = "" if epoch is None else f" at epoch {epoch}"
        return f"the loss must stay finite · got {got}{when}, {self.summary()} · {self.advice}"

    def error(self, epoch: int | None = None, value: float | str = "") -> TrainingError:
        """Return the error to raise."""
        return TrainingError(self.message(epoch, value))


def locate_nonfinite(
    network: nn.Module,
    x: Any,
    loss_fn: Callable[[Any, Any], Tensor] | None = None,
    y: Any = None,
) -> NonFinite:
    """Run one step's forward and backward pass and name the place where the first NaN or infinity appears.

    Looked at in this order: inputs, targets, parameters, buffers; every layer's output in order of execution (an inner
    layer before the one that holds it); the loss; and, backwards, the layer that receives a finite gradient but passes
    on one that is not. The network is run in the mode that it is in; its mode, hooks, buffers and gradients and torch's
    random state are afterwards what they were, also when the pass fails.

    Parameters
    ----------
    network : nn.Module
        Any network.
    x : Tensor, or tuple, list or dict of tensors
        Its input; a tuple or list is given as positional arguments, a dict as named ones.
    loss_fn : callable, optional
        ``(output, y) → losses`` of any shape, averaged here. Without it only the forward pass is looked at.
    y : optional
        Target, handed to ``loss_fn``.

    Returns
    -------
    NonFinite
        With the stage "none" where everything is finite.
    """
    given: list[tuple[Stage, str, Any]] = [("input", "", x), ("target", "", y)]
    given += [("parameter", name, p) for name, p in network.named_parameters()]
    given += [("buffer", name, b) for name, b in network.named_buffers()]
    for stage, name, value in given:
        fault = _fault(stage, value, name)
        if fault is not None:
            return fault
    watch = _Watch(loss_fn is not None, dict(network.named_modules()))
    devices = sorted({p.device.index or 0 for p in network.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), _restored(network), watch.attached(network), torch.enable_grad():
        output = _call(network, x)
        if watch.first_output is not None:
            return watch.first_output
        if loss_fn is None:
            return NonFinite("none")
        return _backward(network, watch, loss_fn, output, y)


def _backward(
    network: nn.Module, watch: _Watch, loss_fn: Callable[[Any, Any], Tensor], output: Any, y: Any
) -> NonFinite:
    loss = loss_fn(output, y)
    fault = _fault("loss", loss)
    if fault is not None:
        return fault
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    if not named or not loss.requires_grad:
        return NonFinite("none")
    gradients = torch.autograd.grad(loss.mean(), [p for _, p in named], allow_unused=True)
    for (name, _), gradient in zip(named, gradients, strict=True):
        owner = name.rpartition(".")[0]
        fault = None if gradient is None else _fault("gradient", gradient, owner)
        if fault is not None:
            watch.received.setdefault(owner, fault)
    return watch.first_gradient()


def _call(network: nn.Module, x: Any) -> Any:
    if isinstance(x, dict):
        return network(**x)
    return network(*x) if isinstance(x, (tuple, list)) else network(x)


@dataclass
class _Watch:
    """Hooks that note, per layer, whether its output, the gradient it gets and the gradient it passes on are finite."""

    backward: bool
    modules: dict[str, nn.Module]
    first_output: NonFinite | None = None
    order: list[str] = field(default_factory=list)
    got: dict[str, NonFinite] = field(default_factory=dict)
    received: dict[str, NonFinite] = field(default_factory=dict)

    @contextmanager
    def attached(self, network: nn.Module) -> Iterator[None]:
        handles: list[RemovableHandle] = []
        try:
            for name, module in self.modules.items():
                if not isinstance(module, torch.jit.ScriptModule):
                    handles.append(module.register_forward_pre_hook(self._before(name)))
                    handles.append(module.register_forward_hook(self._after(name)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _before(self, name: str) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
        parent = name.rpartition(".")[0]

        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            if self.first_output is None:
                # What comes in is spoilt, yet no layer put it out: it was made in the forward that calls this layer.
                self.first_output = _fault("output", inputs, parent, self._kind(parent))
            # A view of its own shows what this layer alone sends back where several layers share an input.
            return tuple(self._watched(value, name, self.received) for value in inputs)

        return hook

    def _after(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self.order.append(name)
            if self.first_output is None:
                self.first_output = _fault("output", output, name, type(module).__name__)
            for tensor in _tensors(output):
                if self.backward and tensor.requires_grad:
                    tensor.register_hook(self._note(name, self.got))  # type: ignore[no-untyped-call]

        return hook

    def _watched(self, value: Any, name: str, into: dict[str, NonFinite]) -> Any:
        if not (self.backward and isinstance(value, Tensor) and value.requires_grad and value.is_floating_point()):
            return value
        view = value.view_as(value)
        view.register_hook(self._note(name, into))  # type: ignore[no-untyped-call]
        return view

    def _kind(self, name: str) -> str:
        return type(self.modules[name]).__name__

    @staticmethod
    def _note(name: str, into: dict[str, NonFinite]) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            fault = _fault("gradient", gradient, name)
            if fault is not None:
                into.setdefault(name, fault)

        return hook

    def first_gradient(self) -> NonFinite:
        """Return the innermost layer, last in the forward pass, that got a finite gradient and spoilt it."""
        if "" in self.got:  # the loss's gradient with respect to the network's output
            fault = self.got[""]
            return NonFinite("gradient", "loss", fault.kind, "", fault.count, fault.size)
        spoilt = [name for name in self.order if name in self.received and name not in self.got]
        innermost = [n for n in spoilt if not any(o != n and (not n or o.startswith(f"{n}.")) for o in spoilt)]
        if innermost:
            name = innermost[-1]
            fault = self.received[name]
        else:
            # No layer spoilt it, yet one got it spoilt: it was made in the forward that calls that layer.
            victims = [name for name in self.order if name in self.got]
            if not victims:
                return NonFinite("none")
            name, fault = victims[-1].rpartition(".")[0], self.got[victims[-1]]
        return NonFinite("gradient", name, fault.kind, self._kind(name), fault.count, fault.size)


@contextmanager
def _restored(network: nn.Module) -> Iterator[None]:
    """Put back buffers (running statistics) and the mode of every layer."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for module, training in modes:
            module.training = training


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _fault(stage: Stage, value: Any, layer: str = "", layer_type: str = "") -> NonFinite | None:
    for tensor in _tensors(value):
        values = tensor.detach()
        finite = torch.isfinite(values)
        if not finite.all():
            kinds = {"nan": values.isnan(), "inf": values == float("inf"), "-inf": values == -float("inf")}
            kind = next(name for name, mask in kinds.items() if mask.any())
            return NonFinite(stage, layer, kind, layer_type, int((~finite).sum()), values.numel())
    return None
