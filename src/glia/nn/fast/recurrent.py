"""``nn.GRU`` and ``nn.RNN`` that train faster on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.fast.dropout import dropout_noise
from glia.nn.fast.elman import elman_layer
from glia.nn.fast.gru import gru_layer
from glia.nn.fast.plain import is_hooked, is_plain

FEWEST = 4
"""Steps of a sequence from which one node for all of them pays."""


class FastGRU(nn.GRU):
    """A ``nn.GRU`` with the same parameters, values and gradients; packed sequences and evaluation go the usual way."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the output and the last states; see torch's own."""
        return _run(self, input, hx) if _suits(self, input, hx, FEWEST) else super().forward(input, hx)


class FastRNN(nn.RNN):
    """A ``nn.RNN`` with the same parameters, values and gradients; packed sequences and evaluation go the usual way."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the output and the last states; see torch's own."""
        return _run(self, input, hx) if _suits(self, input, hx, FEWEST) else super().forward(input, hx)


def _suits(module: nn.RNNBase, x: Any, hx: Any, steps: int) -> bool:
    states = hx if isinstance(hx, tuple) else () if hx is None else (hx,)
    return (
        module.training
        and torch.is_grad_enabled()
        and isinstance(x, Tensor)
        and x.dim() == 3
        and x.numel() > 0
        and x.shape[1 if module.batch_first else 0] >= steps
        and not getattr(module, "proj_size", 0)
        and is_plain(x, *states, *module._flat_weights)
        and not is_hooked(module)
    )


def _run(module: nn.RNNBase, x: Tensor, hx: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return (T, B, directions · H), or batch first as the module has it, and the last states, (layers, B, H)."""
    directions = 2 if module.bidirectional else 1
    batch = x.shape[0 if module.batch_first else 1]
    if hx is None:
        hx = x.new_zeros(module.num_layers * directions, batch, module.hidden_size)
    module.check_forward_args(x, hx, None)
    x = x.transpose(0, 1) if module.batch_first else x
    last = []
    for layer in range(module.num_layers):
        if layer and module.dropout:
            x = x * dropout_noise(x, module.dropout)
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            output = _layer(module, x.flip(0) if direction else x, hx[index], module.all_weights[index])
            last.append(output[-1])
            outputs.append(output.flip(0) if direction else output)
        x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    return (x.transpose(0, 1) if module.batch_first else x), torch.stack(last)


def _layer(module: nn.RNNBase, x: Tensor, h0: Tensor, weights: list[Any]) -> Tensor:
    given = (x, h0, *weights, *(None,) * (4 - len(weights)))
    if isinstance(module, nn.RNN):
        return elman_layer(*given, nonlinearity=module.nonlinearity)
    return gru_layer(*given)
