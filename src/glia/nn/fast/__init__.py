"""Faster forms of torch's own layers for training on a CPU: same parameters, same results in float32.

``accelerated`` of ``glia.engine.accelerate`` puts them in place for the time of a training; they can be used alone too.
"""

from glia.nn.fast.convolution import convolve
from glia.nn.fast.dropout import FastDropout, dropout_noise
from glia.nn.fast.encoder import FastEncoderLayer
from glia.nn.fast.functions import FastFunctions
from glia.nn.fast.lstm import FastLSTM
from glia.nn.fast.recurrent import FastGRU, FastRNN
from glia.nn.fast.sequential import FastSequential

__all__ = [
    "FastDropout",
    "FastEncoderLayer",
    "FastFunctions",
    "FastGRU",
    "FastLSTM",
    "FastRNN",
    "FastSequential",
    "convolve",
    "dropout_noise",
]
