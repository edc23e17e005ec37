"""What a population is: K networks behind one ``forward``, each reachable by its number."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Self

from torch import Tensor, nn
from torch.func import functional_call


class Population(nn.Module):
    """Base of the forms in which K networks are held.

    Attributes
    ----------
    members : int
        K ≥ 1.
    form : str
        How they are computed: "batched", "vmap", "mixed" (stacks of those) or "separate".

    Notes
    -----
    **Shape**: (B, *shape), the same rows for all members, → (K, B, O).

    Member k computes what the k-th plain network would: members share no weight, no statistic and no random number.
    """

    members: int
    form: str

    @property
    def stacks(self) -> tuple[StackedPopulation, ...]:
        """The members that are computed together, in order; none where every one is computed by itself."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (B, *shape) to the outputs of all members, (K, B, O)."""
        raise TypeError(f"{type(self).__name__} does not say how members are computed")

    def answer(self, member: int, x: Tensor) -> Tensor:
        """Map rows (B, *shape) that one member alone is asked about to its outputs in evaluation mode, (B, O)."""
        raise TypeError(f"{type(self).__name__} does not say how a member is computed")

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return one member's parameters and buffers under the plain network's names, as views without gradients."""
        raise TypeError(f"{type(self).__name__} does not say where members are")

    def member_states(self) -> Iterator[dict[str, Tensor]]:
        """Yield ``member_state`` of every member."""
        return (self.member_state(k) for k in range(self.members))


class StackedPopulation(Population):
    """Members whose parameters and buffers lie stacked, (K, *shape of the plain one), in one module.

    Parameters
    ----------
    network : nn.Module
        Its tree of modules and the names in it are the plain network's.
    members : int
        K.
    form : str
        "batched" or "vmap".
    """

    def __init__(self, network: nn.Module, members: int, form: str) -> None:
        super().__init__()
        self.network, self.members, self.form = network, members, form

    @property
    def stacks(self) -> tuple[StackedPopulation, ...]:
        """All members as one stack."""
        return (self,)

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return views on one member's slices."""
        return {name: value[member] for name, value in self.network.state_dict().items()}

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *shape) to (K, B, O)."""
        return self.network(x)  # type: ignore[no-any-return]


class BatchedPopulation(StackedPopulation):
    """Members whose parts have a form of their own for K at once.

    Parameters
    ----------
    network : nn.Module
        From ``glia.nn.population.batched.batched``.
    plain : nn.Module
        One of the K networks, which is copied, by whose code a member answers alone.
    members : int
        K.
    """

    def __init__(self, network: nn.Module, plain: nn.Module, members: int) -> None:
        super().__init__(network, members, "batched")
        self._plain = (copy.deepcopy(plain).eval(),)  # in a tuple: its weights are no part of the population

    def answer(self, member: int, x: Tensor) -> Tensor:
        """Map rows of one member, (B, *shape), to (B, O)."""
        found: Tensor = functional_call(self._plain[0], self.member_state(member), (x,))
        return found

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # What no state holds, such as edges of bins, moves along. Torch's own lacks types.
        self._plain[0]._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
