"""What a gated recurrent unit keeps to itself: its gates and its candidate at every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.nn.recurrent import RecurrentNetwork
from glia.nn.sequence_network import reversed_steps


@dataclass(frozen=True)
class GRUGates:
    """One GRU layer over time; every tensor is (B, T, H).

    Parameters
    ----------
    reset : Tensor
        How much of the old state the candidate sees, 0 to 1.
    keep : Tensor
        How much of the old state stays (torch's z, the update gate), 0 to 1.
    candidate : Tensor
        What would be written, between −1 and 1.
    hidden : Tensor
        State after the step.
    backward : bool
        Whether the layer reads from the end; its steps stand in the order of time all the same.
    """

    reset: Tensor
    keep: Tensor
    candidate: Tensor
    hidden: Tensor
    backward: bool = False


@torch.no_grad()
def gru_gate_activations(network: nn.Module, x: Tensor) -> list[GRUGates]:
    """Return gates and states of every GRU layer by its equations, the first layer first.

    Parameters
    ----------
    network : RecurrentNetwork
        Of GRU cells.
    x : Tensor
        (B, T, C + 1) with the mask last.

    Returns
    -------
    list of GRUGates
        One a layer, and with two directions two. At padded steps all are 0.

    Raises
    ------
    InputError
        If the network has no GRU cells.

    Notes
    -----
    r, z = σ(W x + U h + b), n = tanh(W x + b + r·(U h + c)), h = (1 − z)·n + z·h (Cho and others, arXiv 1406.1078, with
    torch's place of the reset gate). Dropout does not act.
    """
    if not isinstance(network, RecurrentNetwork) or not isinstance(network.ahead[0], nn.GRU):
        raise InputError("these gates can be read from GRU cells", type(network).__name__, 'fit with network="gru"')
    mask = x[..., -1] > 0.5
    values = x[..., :-1].masked_fill(~mask.unsqueeze(-1), 0.0)
    found: list[GRUGates] = []
    for number, ahead in enumerate(network.ahead):
        layers = [_masked(_layer(ahead, values), mask, backward=False)]
        if len(network.back):
            layers.append(_masked(_layer(network.back[number], reversed_steps(values, mask)), mask, backward=True))
        values = torch.cat([layer.hidden for layer in layers], -1)
        found += layers
    return found


def _layer(gru: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Return reset, keep, candidate and state, (B, T, H) each."""
    weights = dict(gru.named_parameters())
    given = x @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
    inner, bias = weights["weight_hh_l0"], weights["bias_hh_l0"]
    hidden = x.new_zeros(len(x), inner.shape[1])
    steps = []
    for now in given.unbind(1):
        (a, b, c), (d, e, f) = now.chunk(3, dim=1), (hidden @ inner.T + bias).chunk(3, dim=1)
        reset, keep = torch.sigmoid(a + d), torch.sigmoid(b + e)
        candidate = torch.tanh(c + reset * f)
        hidden = (1 - keep) * candidate + keep * hidden
        steps.append((reset, keep, candidate, hidden))
    return tuple(torch.stack(part, 1) for part in zip(*steps, strict=True))


def _masked(parts: tuple[Tensor, ...], mask: Tensor, *, backward: bool) -> GRUGates:
    turned = [reversed_steps(part, mask) if backward else part for part in parts]
    reset, keep, candidate, hidden = (part.masked_fill(~mask.unsqueeze(-1), 0.0) for part in turned)
    return GRUGates(reset, keep, candidate, hidden, backward)
