"""Recurrent layers in small steps: linear, activation, gated sums.

Equations and the order of gates are those of torch's ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from glia.core.errors import InputError

State = tuple[Tensor, ...]
Step = Callable[..., State]


def lstm_step(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor | None, c: Tensor | None) -> State:
    """Return the next (h, cell); x is (B, I), w (4H, I), u (4H, H)."""
    gates = F.linear(x, w, b) + F.linear(state[0], u, c)
    i, f, g, o = gates.chunk(4, -1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def gru_step(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor | None, c: Tensor | None) -> State:
    """Return the next (h,); w is (3H, I), u (3H, H)."""
    (xr, xz, xn), (hr, hz, hn) = F.linear(x, w, b).chunk(3, -1), F.linear(state[0], u, c).chunk(3, -1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    n = torch.tanh(xn + r * hn)
    return ((1 - z) * n + z * state[0],)


def _elman(activation: Callable[[Tensor], Tensor]) -> Step:
    def step(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor | None, c: Tensor | None) -> State:
        return (activation(F.linear(x, w, b) + F.linear(state[0], u, c)),)

    return step


def _layers(step: Step, states: int) -> Callable[..., Any]:
    """Return a function with the arguments of torch's recurrent functions, made of steps."""

    def run(
        input: Tensor,
        start: Any,
        weights: Any,
        has_biases: bool,
        num_layers: int,
        dropout: float,
        training: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Tensor, ...]:
        if not isinstance(has_biases, bool):
            raise InputError("recurrent layers must take padded rows", "a packed sequence", "pad the rows instead")
        hidden = start if isinstance(start, (tuple, list)) else (start,)
        sides, x = 1 + bidirectional, input.transpose(0, 1) if batch_first else input  # (T, B, I)
        per = len(weights) // (num_layers * sides)
        if per not in (2, 4) or per != 2 + 2 * has_biases:
            raise InputError("recurrent layers must have plain states", "a projected LSTM (proj_size)")
        ends: list[State] = []
        for layer in range(num_layers):
            outputs = []
            for side in range(sides):
                number = layer * sides + side
                own = (*weights[number * per : (number + 1) * per], None, None)[:4]
                sequence, state = _over_time(step, x, tuple(s[number] for s in hidden), own, backwards=side == 1)
                outputs.append(sequence)
                ends.append(state)
            x = outputs[0] if sides == 1 else torch.cat(outputs, dim=-1)
        last = tuple(torch.stack([end[i] for end in ends]) for i in range(states))
        return (x.transpose(0, 1) if batch_first else x, *last)

    return run


def _over_time(step: Step, x: Tensor, state: State, own: Any, *, backwards: bool) -> tuple[Tensor, State]:
    outputs: list[Tensor] = []
    inputs = x.unbind(0)
    for one in reversed(inputs) if backwards else inputs:
        state = step(one, state, *own)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs), state


def _cell(step: Step, states: int) -> Callable[..., Any]:
    def run(input: Tensor, start: Any, *own: Any) -> Any:
        state = step(input, start if states == 2 else (start,), *(*own, None, None)[:4])
        return state if states == 2 else state[0]

    return run


RECURRENT: dict[str, Callable[..., Any]] = {
    "lstm": _layers(lstm_step, 2),
    "gru": _layers(gru_step, 1),
    "rnn_tanh": _layers(_elman(torch.tanh), 1),
    "rnn_relu": _layers(_elman(torch.relu), 1),
    "lstm_cell": _cell(lstm_step, 2),
    "gru_cell": _cell(gru_step, 1),
    "rnn_tanh_cell": _cell(_elman(torch.tanh), 1),
    "rnn_relu_cell": _cell(_elman(torch.relu), 1),
}
"""torch's name → the same in small steps."""
