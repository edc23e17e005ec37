"""Recurrent networks: Elman's, gated recurrent units and long short-term memory, in one or both directions."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glia.core.layout import Layout
from glia.nn.sequence_network import SequenceNetwork, SequenceSpec, pooled, reversed_steps

CELLS: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentNetwork(SequenceNetwork):
    """Layers of recurrent cells and a head.

    Parameters
    ----------
    cell : {"rnn", "gru", "lstm"}
        Elman (Cognitive Science 1990), GRU (arXiv 1406.1078), LSTM (Hochreiter and Schmidhuber 1997 with the forget
        gate of Gers and others 2000).
    channels, out_features, steps : int
        C, O and T.
    hidden, layers : int
        Units per direction, and layers.
    bidirectional : bool
        Whether every layer also reads from the last real step to the first.
    dropout : float
        In [0, 1), between layers and before the head.
    pooling, head : str
        See ``SequenceNetwork``. "last" of the backward direction is its state at the first step.
    forget_bias : float
        Bias of an LSTM's forget gate at the start; above 0 it is open, so that gradients pass (Gers and others 2000).

    Notes
    -----
    **Shape**: (B, T, C + 1) → (B, O).

    ``ahead`` and ``back`` hold torch's own cells, one a layer. The backward ones read every sequence from its own end,
    so that neither the values nor the number of padded steps matter.
    """

    def __init__(
        self,
        cell: str,
        channels: int,
        out_features: int,
        steps: int,
        *,
        hidden: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        pooling: str = "last",
        head: str = "sequence",
        forget_bias: float = 1.0,
    ) -> None:
        directions = 2 if bidirectional else 1
        super().__init__(directions * hidden, out_features, steps, pooling, head)
        widths = [channels, *[directions * hidden] * (layers - 1)]
        kind = CELLS[cell]
        self.ahead = nn.ModuleList(kind(width, hidden, batch_first=True) for width in widths)
        self.back = nn.ModuleList(kind(width, hidden, batch_first=True) for width in widths if bidirectional)
        self.dropout = nn.Dropout(dropout) if dropout else None
        if cell == "lstm":
            for module in (*self.ahead, *self.back):
                _open_forget_gate(module, hidden, forget_bias)

    def encode(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map (B, T, C) to the states of the last layer, (B, T, directions · hidden)."""
        for number, ahead in enumerate(self.ahead):
            if number and self.dropout is not None:
                values = self.dropout(values)
            states = [ahead(values)[0]]
            if len(self.back):
                states.append(reversed_steps(self.back[number](reversed_steps(values, mask))[0], mask))
            values = torch.cat(states, -1) if len(states) > 1 else states[0]
        return values if self.dropout is None else self.dropout(values)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return one vector for each sequence: (B, T, W) → (B, W)."""
        if self.pooling == "last" and len(self.back):
            half = states.shape[2] // 2
            return torch.cat([pooled(states[..., :half], mask, "last"), states[:, 0, half:]], -1)
        return super().pool(states, mask)


def _open_forget_gate(lstm: Any, hidden: int, bias: float) -> None:
    """Set the forget gate's bias; torch keeps two, which are added."""
    with torch.no_grad():
        lstm.bias_ih_l0[hidden : 2 * hidden] = 0.0
        lstm.bias_hh_l0[hidden : 2 * hidden] = bias


class _Recurrent(SequenceSpec):
    """Settings that the three families share."""

    cell: ClassVar[str]

    def __init__(
        self,
        hidden: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        pooling: str = "last",
        head: str = "sequence",
    ) -> None:
        self.hidden, self.layers, self.bidirectional = hidden, layers, bidirectional
        self.dropout, self.pooling, self.head = dropout, pooling, head

    def build(self, layout: Layout, out_features: int) -> RecurrentNetwork:
        """Return a freshly initialised network that maps (B, T, C + 1) to (B, out_features).

        Raises
        ------
        InputError
            Naming everything that is wrong with the settings, at once.
        """
        steps, channels = self._shape(layout, out_features, hidden=self.hidden, layers=self.layers)
        return RecurrentNetwork(self.cell, channels, out_features, steps, **self.get_params(deep=False))


class RNN(_Recurrent):
    """Settings of Elman's recurrent network: h = tanh(W x + U h + b).

    Parameters
    ----------
    hidden, layers : int
        Units per direction, and layers.
    bidirectional : bool
        Whether every layer also reads backwards.
    dropout : float
        In [0, 1), between layers and before the head.
    pooling : {"last", "mean", "max"}
        How steps become one vector.
    head : {"sequence", "steps"}
        One answer per sequence or per step.
    """

    family = cell = "rnn"


class GRU(_Recurrent):
    """Settings of a network of gated recurrent units (arXiv 1406.1078); its parameters are those of ``RNN``."""

    family = cell = "gru"


class LSTM(_Recurrent):
    """Settings of a long short-term memory; its parameters are those of ``RNN``, and ``forget_bias``.

    Parameters
    ----------
    forget_bias : float
        Bias of the forget gate at the start: above 0 the gate is open.
    """

    family = cell = "lstm"

    def __init__(
        self,
        hidden: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        pooling: str = "last",
        head: str = "sequence",
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(hidden, layers, bidirectional, dropout, pooling, head)
        self.forget_bias = forget_bias
