"""What an LSTM keeps to itself: its gates, its candidate and its cell state at every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.nn.recurrent import RecurrentNetwork
from glia.nn.sequence_network import reversed_steps


@dataclass(frozen=True)
class Gates:
    """One LSTM layer over time; every tensor is (B, T, H).

    Parameters
    ----------
    input, forget, output : Tensor
        Gates, between 0 (shut) and 1 (open).
    candidate : Tensor
        What would be written, between −1 and 1.
    cell, hidden : Tensor
        States after the step.
    backward : bool
        Whether the layer reads from the end; its steps stand in the order of time all the same.
    """

    input: Tensor
    forget: Tensor
    output: Tensor
    candidate: Tensor
    cell: Tensor
    hidden: Tensor
    backward: bool = False


@torch.no_grad()
def gate_activations(network: nn.Module, x: Tensor) -> list[Gates]:
    """Return gates and states of every LSTM layer by its equations, the first layer first.

    Parameters
    ----------
    network : RecurrentNetwork or nn.LSTM
        Of LSTM cells. A plain ``nn.LSTM`` must have one direction and ``batch_first``.
    x : Tensor
        (B, T, C + 1) with the mask last for a ``RecurrentNetwork``, (B, T, C) for an ``nn.LSTM``.

    Returns
    -------
    list of Gates
        One a layer, and with two directions two. At padded steps all are 0.

    Raises
    ------
    InputError
        If the network has no LSTM cells.

    Notes
    -----
    i, f, o = σ(W x + U h + b), g = tanh(W x + U h + b), c = f·c + i·g, h = o·tanh(c) (Gers and others, Neural
    Computation 2000). Dropout does not act.
    """
    if isinstance(network, nn.LSTM):
        found = []
        for layer in range(network.num_layers):
            found.append(_layer(network, layer, x))
            x = found[-1].hidden
        return found
    if not isinstance(network, RecurrentNetwork) or not isinstance(network.ahead[0], nn.LSTM):
        got = type(network).__name__
        raise InputError("gates can be read from LSTM cells", got, 'fit with network="lstm"')
    mask = x[..., -1] > 0.5
    values = x[..., :-1].masked_fill(~mask.unsqueeze(-1), 0.0)
    found = []
    for number, ahead in enumerate(network.ahead):
        layers = [_masked(_layer(ahead, 0, values), mask, backward=False)]
        if len(network.back):
            layers.append(_masked(_layer(network.back[number], 0, reversed_steps(values, mask)), mask, backward=True))
        values = torch.cat([layer.hidden for layer in layers], -1)
        found += layers
    return found


def _layer(lstm: nn.Module, layer: int, x: Tensor) -> Gates:
    weights = dict(lstm.named_parameters())
    inner, outer = weights[f"weight_hh_l{layer}"], weights[f"weight_ih_l{layer}"]
    given = x @ outer.T + sum(weights[name] for name in (f"bias_ih_l{layer}", f"bias_hh_l{layer}") if name in weights)
    hidden = cell = x.new_zeros(len(x), inner.shape[1])
    steps = []
    for now in given.unbind(1):
        i, f, g, o = (now + hidden @ inner.T).chunk(4, dim=1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        cell = f * cell + i * g
        hidden = o * torch.tanh(cell)
        steps.append((i, f, o, g, cell, hidden))
    i, f, o, g, c, h = (torch.stack(part, 1) for part in zip(*steps, strict=True))
    return Gates(i, f, o, g, c, h)


def _masked(gates: Gates, mask: Tensor, *, backward: bool) -> Gates:
    parts = [gates.input, gates.forget, gates.output, gates.candidate, gates.cell, gates.hidden]
    if backward:
        parts = [reversed_steps(part, mask) for part in parts]
    i, f, o, g, c, h = (part.masked_fill(~mask.unsqueeze(-1), 0.0) for part in parts)
    return Gates(i, f, o, g, c, h, backward)
