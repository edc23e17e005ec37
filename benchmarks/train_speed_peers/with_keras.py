"""Keras 3 on the backend that ``KERAS_BACKEND`` names; the same network, in Keras' layers and layouts."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
from keras import layers

from train_speed_peers.workloads import Outcome, Rows, Weights, Workload


class _Clock(keras.callbacks.Callback):
    """Notes when each epoch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append(time.perf_counter())


def train(workload: Workload, rows: Rows, weights: Weights, epochs: int, seed: int) -> Outcome:
    keras.utils.set_random_seed(seed)
    model, clock = make_model(workload, weights), _Clock()
    model.compile(
        optimizer=keras.optimizers.Adam(workload.lr, epsilon=1e-8),  # its own default is 1e-7, the others' 1e-8
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x = _layout(workload, rows.x)
    model.fit(x, rows.y, batch_size=workload.batch, epochs=epochs, verbose=0, callbacks=[clock])
    return Outcome(clock.ends, log_probabilities(workload, model, rows.fresh_x))


def log_probabilities(workload: Workload, model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return (N, C)."""
    scores = np.asarray(model.predict(_layout(workload, x), verbose=0), dtype=np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def make_model(workload: Workload, weights: Weights) -> keras.Model:
    """Return the network with its first weights."""
    build = {"dense": _dense, "cnn": _cnn, "lstm": _lstm, "transformer": _transformer}[workload.kind]
    x = keras.Input(_layout(workload, np.empty((1, *workload.shape), np.float32)).shape[1:])
    given: list[tuple[Any, list[np.ndarray]]] = []
    model = keras.Model(x, build(workload, weights, x, given))
    for layer, arrays in given:
        layer.set_weights(arrays)
    return model


def _layout(workload: Workload, x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if workload.kind == "cnn" else x


def _linear(weights: Weights, name: str, x: Any, given: Any, activation: str | None = None) -> Any:
    kernel = weights[f"{name}.weight"].T
    layer = layers.Dense(kernel.shape[1], activation=activation)
    given.append((layer, [kernel, weights[f"{name}.bias"]]))
    return layer(x)


def _dense(workload: Workload, weights: Weights, x: Any, given: Any) -> Any:
    for i in range(len(workload.widths)):
        x = _linear(weights, str(2 * i), x, given, "relu")
    return _linear(weights, str(2 * len(workload.widths)), x, given)


def _cnn(workload: Workload, weights: Weights, x: Any, given: Any) -> Any:
    for name in ("0", "3"):
        kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)  # (out, in, h, w) → (h, w, in, out)
        layer = layers.Conv2D(kernel.shape[-1], 3, activation="relu")
        given.append((layer, [kernel, weights[f"{name}.bias"]]))
        x = layers.MaxPooling2D(2)(layer(x))
    _, high, wide, deep = x.shape
    flat = weights["7.weight"].reshape(-1, deep, high, wide).transpose(0, 2, 3, 1)  # Keras flattens channels last
    moved = {**weights, "7.weight": flat.reshape(len(flat), -1)}
    x = _linear(moved, "7", layers.Flatten()(x), given, "relu")
    return _linear(weights, "9", x, given)


def _lstm(workload: Workload, weights: Weights, x: Any, given: Any) -> Any:
    layer = layers.LSTM(workload.widths[0])
    bias = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]  # both have the gates in the order i, f, g, o
    given.append((layer, [weights["lstm.weight_ih_l0"].T, weights["lstm.weight_hh_l0"].T, bias]))
    return _linear(weights, "head", layer(x), given)


def _transformer(workload: Workload, weights: Weights, x: Any, given: Any) -> Any:
    for i in range(workload.widths[2]):
        part = f"encoder.layers.{i}."
        x = _norm(weights, part + "norm1", layers.Add()([x, _attention(workload, weights, part, x, given)]), given)
        hidden = _linear(weights, part + "linear1", x, given, "relu")
        x = _norm(weights, part + "norm2", layers.Add()([x, _linear(weights, part + "linear2", hidden, given)]), given)
    return _linear(weights, "head", layers.GlobalAveragePooling1D()(x), given)


def _attention(workload: Workload, weights: Weights, part: str, x: Any, given: Any) -> Any:
    width, heads, _ = workload.widths
    layer = layers.MultiHeadAttention(heads, width // heads)
    arrays = []
    kernels = np.split(weights[part + "self_attn.in_proj_weight"], 3)
    biases = np.split(weights[part + "self_attn.in_proj_bias"], 3)
    for kernel, bias in zip(kernels, biases, strict=True):  # query, key, value
        arrays += [kernel.T.reshape(width, heads, -1), bias.reshape(heads, -1)]
    last = weights[part + "self_attn.out_proj.weight"].T.reshape(heads, -1, width)
    given.append((layer, [*arrays, last, weights[part + "self_attn.out_proj.bias"]]))
    return layer(x, x)


def _norm(weights: Weights, name: str, x: Any, given: Any) -> Any:
    layer = layers.LayerNormalization(epsilon=1e-5)  # as in torch
    given.append((layer, [weights[f"{name}.weight"], weights[f"{name}.bias"]]))
    return layer(x)
