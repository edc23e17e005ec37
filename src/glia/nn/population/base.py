"""What a population is: K networks of one architecture behind one ``forward``, each reachable by its number."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.func import functional_call


class Population(nn.Module):
    """Base of the forms in which K networks of one architecture are held.

    Attributes
    ----------
    members : int
        K ≥ 1.
    form : str
        How they are computed: "batched", "vmap" or "separate".

    Notes
    -----
    **Shape**: (B, *shape), the same rows for all members, → (K, B, O).

    Member k computes what the k-th plain network would: members share no weight, no statistic and no random number.
    """

    members: int
    form: str

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
    plain : nn.Module
        One network of that architecture; its weights do not matter.
    """

    def __init__(self, network: nn.Module, members: int, form: str, plain: nn.Module) -> None:
        super().__init__()
        self.network, self.members, self.form = network, members, form
        self._plain = (plain.eval(),)  # in a tuple: its weights are no part of the population

    def answer(self, member: int, x: Tensor) -> Tensor:
        """Map rows of one member, (B, *shape), to (B, O)."""
        return functional_call(self._plain[0], self.member_state(member), (x,))  # type: ignore[no-any-return]

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return views on one member's slices."""
        return {name: value[member] for name, value in self.network.state_dict().items()}

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *shape) to (K, B, O)."""
        return self.network(x)  # type: ignore[no-any-return]
