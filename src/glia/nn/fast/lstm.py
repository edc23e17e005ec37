"""``nn.LSTM`` in bfloat16: by a kernel of our own where it suits, else by oneDNN's layer without what autocast adds."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.fast.dropout import dropout_noise
from glia.nn.fast.lstm_bfloat16 import run_layer, suits_kernel
from glia.nn.fast.plain import is_hooked, is_low

_LSTM_MODE = 2
_LOW = torch.bfloat16
_aten = torch.ops.aten


class FastLSTM(nn.LSTM):
    """A ``nn.LSTM`` that trains faster in bfloat16: same parameters, the values and gradients of autocast.

    In float32 torch's own kernel is as fast as anything that was tried; packed sequences, projections and evaluation go
    the usual way too.
    """

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the output and the last states; see torch's own."""
        return _run(self, input) if hx is None and _suits(self, input) else super().forward(input, hx)


@cache
def layer_runs_in_bfloat16() -> bool:
    """Return whether oneDNN has the layer in bfloat16 for this processor; torch's own way asks the same first."""
    return bool(torch._C._has_mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _suits(module: nn.LSTM, x: Any) -> bool:
    return (
        module.training
        and torch.is_grad_enabled()
        and isinstance(x, Tensor)
        and x.dim() == 3
        and x.numel() > 0
        and not module.proj_size
        and module.bias
        and layer_runs_in_bfloat16()
        and is_low(x, *module._flat_weights)
        and not is_hooked(module)
    )


def _run(module: nn.LSTM, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    module.check_input(x, None)
    x = (x.transpose(0, 1) if module.batch_first else x).to(_LOW)
    hidden, cells = [], []
    for layer in range(module.num_layers):
        if layer and module.dropout:
            x = x * dropout_noise(x, module.dropout)
        outputs = []
        for direction in range(2 if module.bidirectional else 1):
            weights = module.all_weights[layer * (2 if module.bidirectional else 1) + direction]
            if suits_kernel(module.hidden_size):
                output, h, c = run_layer(x, *weights, reverse=bool(direction))
            else:
                output, h, c = _Layer.apply(x, *weights, bool(direction))  # type: ignore[no-untyped-call]  # torch's own
            outputs.append(output)
            hidden.append(h)
            cells.append(c)
        x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    return (x.transpose(0, 1) if module.batch_first else x), (torch.cat(hidden), torch.cat(cells))


class _Layer(torch.autograd.Function):
    """One layer in one direction: (T, B, I) → (T, B, H) and the last states, (1, B, H) each."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor, reverse: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = x.contiguous()
        weights = [each.to(_LOW) for each in (w_in, w_state, b_in, b_state)]
        size = w_state.shape[1]
        start = x.new_zeros(1, x.shape[1], size)
        settings: tuple[Any, ...] = (reverse, [], _LSTM_MODE, size, 1, True, False, False, True)
        with torch.enable_grad():  # else it keeps nothing for the way back
            output, h, c, work = _aten.mkldnn_rnn_layer(x.detach(), *weights, start, start, *settings)
        ctx.save_for_backward(x, *weights, start, output, h, c, work)
        ctx.reverse, ctx.types = reverse, [each.dtype for each in (w_in, w_state, b_in, b_state)]
        return output, h, c

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_output: Tensor, d_h: Tensor, d_c: Tensor) -> Any:
        x, w_in, w_state, b_in, b_state, start, output, h, c, work = ctx.saved_tensors
        given = [each.to(_LOW).contiguous() for each in (d_output, d_h, d_c)]
        settings: tuple[Any, ...] = (ctx.reverse, _LSTM_MODE, start.shape[2], 1, True, True, False, [], False)
        found = _aten.mkldnn_rnn_layer_backward(
            x, w_in, w_state, b_in, b_state, start, start, output, h, c, *given, *settings, work
        )
        dx, *weights = found[:5]
        return (
            dx.to(_LOW) if ctx.needs_input_grad[0] else None,
            *(each.to(kind) for each, kind in zip(weights, ctx.types, strict=True)),
            None,
        )
