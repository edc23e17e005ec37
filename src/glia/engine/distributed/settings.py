"""How workers share the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from glia.core.errors import InputError, near

COMPRESSIONS = ("none", "bfloat16", "powersgd")
MESSAGES = ("auto", "one", "overlapped", "weights")


@dataclass(frozen=True)
class Distribution:
    """Settings of data-parallel training; the defaults take the very steps of one process.

    Parameters
    ----------
    compression : {"none", "bfloat16", "powersgd"}
        Of the gradients on their way; all but "none" change the result a little.
    rank : int
        Of PowerSGD's products, at least 1; more is more exact and more bytes.
    local_steps : int
        Steps that a worker takes by itself before the workers' weights are averaged; 1 exchanges gradients at every
        step.
    shard_parameters : bool
        Every worker holds only its part of weights, gradients and optimizer (FSDP2): for networks that do not fit.
    messages : {"auto", "one", "overlapped", "weights"}
        Gradients in one message after the backward pass, or in several during it, or no gradients but the weights after
        the step, as ``local_steps`` > 1 does; auto goes by the network's size.

    Raises
    ------
    InputError
        If a value is unknown, or two of them do not go together.
    """

    compression: str = "none"
    rank: int = 2
    local_steps: int = 1
    shard_parameters: bool = False
    messages: str = "auto"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("compression", self.compression, COMPRESSIONS),
            ("messages", self.messages, MESSAGES),
        ):
            if value not in known:
                raise InputError(f"{name} must be a known name", f"{name}={value!r}", near(str(value), known))
        for name, number in (("rank", self.rank), ("local_steps", self.local_steps)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise InputError(f"{name} must be a whole number of at least 1", f"{name}={number!r}")
        wanted = {
            f"compression={self.compression}": self.compression != "none",
            f"local_steps={self.local_steps}": self.local_steps > 1,
            "shard_parameters": self.shard_parameters,
        }
        given = [name for name, is_wanted in wanted.items() if is_wanted]
        if len(given) > 1:
            raise InputError(
                "compression, local steps and sharded parameters exclude each other", " and ".join(given), "choose one"
            )
        if self.compression != "none" and self.messages == "one":
            raise InputError("compression works on overlapped messages", "messages='one'", "leave messages at auto")


chosen: ContextVar[Distribution] = ContextVar("chosen", default=Distribution())  # noqa: B039  # it is frozen
"""How workers share the work where a fit is not told by its caller."""


@contextmanager
def sharing(how: Distribution) -> Iterator[None]:
    """Let fits in a block share their work so, where several workers run them."""
    token = chosen.set(how)
    try:
        yield
    finally:
        chosen.reset(token)
