"""One peer on one set of pictures, in a process of its own: prints seconds of training and test accuracy by epoch.

    python benchmarks/images_worker.py PEER mnist|fashion FOLDER SEED [SECONDS]

All peers train the network that Glia chooses, with the same batches. "torch" and "keras" take its epochs, optimizer and
one-cycle schedule too, so that they differ in nothing but speed; "plain torch" and "plain keras" do as tutorials do,
Adam at its usual rate, until the accuracy is reached or SECONDS have passed. Seconds are those of training and of the
look at the test rows after each epoch; what compiles on the first step is part of it, as it is for whoever waits.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from images_data import TARGETS, Digits, load

Epochs = list[dict[str, float]]
BATCH, RATE, DECAY, DROPOUT = 128, 1e-2, 0.02, 0.1
WIDTHS = {"mnist": (16, 32, 64), "fashion": (24, 48, 96)}
EPOCHS = {"mnist": 2, "fashion": 10}
FLIP = {"mnist": False, "fashion": True}
PLAIN = "plain "
"""Begins the names of peers that train as tutorials do, for up to three times Glia's epochs."""


@dataclass(frozen=True)
class Recipe:
    """How a peer trains: Glia's way, or the usual one, which ends where ``enough`` or ``seconds`` are reached."""

    rate: float
    decay: float
    epochs: int
    cycle: bool
    enough: float = 1.0
    seconds: float = math.inf

    def ended(self, found: Epochs) -> bool:
        """Whether no further epoch is needed, or allowed."""
        return found[-1]["accuracy"] >= self.enough or found[-1]["seconds"] > self.seconds


def recipe_of(peer: str, name: str, seconds: float = math.inf) -> Recipe:
    """Return how a peer trains on a set."""
    if peer.startswith(PLAIN):
        return Recipe(1e-3, 0.0, 3 * EPOCHS[name], cycle=False, enough=TARGETS[name], seconds=seconds)
    return Recipe(RATE, DECAY, EPOCHS[name], cycle=True)


def rate_at(step: int, steps: int) -> float:
    """Return the learning rate of a step: the same cycle for all."""
    from glia.engine.schedules import as_schedule

    return RATE * as_schedule("one_cycle")(step, steps, steps)


def standardised(data: Digits) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = float(data.x.mean()), float(data.x.std())
    return tuple(((part - mean) / deviation).astype(np.float32)[:, None] for part in (data.x, data.test_x))


def glia_peer(name: str, data: Digits, seed: int, recipe: Recipe) -> Epochs:
    import glia

    model = glia.ImageClassifier(
        glia.nn.ConvNet(WIDTHS[name], head="flatten", dropout=DROPOUT),
        augment=glia.Augment(flip="horizontal") if FLIP[name] else "none",
        epochs=recipe.epochs, batch_size=BATCH, lr=recipe.rate, schedule="one_cycle", early_stopping=False,
        random_state=seed,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(data.x, data.y, validation=(data.test_x, data.test_y))
    rest = time.perf_counter() - start - sum(entry["seconds"] for entry in model.history_.to_list())
    found, spent = [], rest  # preparation and calibration count, and so does measuring after each epoch
    for entry in model.history_.to_list():
        spent += entry["seconds"]
        found.append({"seconds": spent, "accuracy": entry["valid/accuracy"]})
    return found


def torch_peer(name: str, data: Digits, seed: int, recipe: Recipe) -> Epochs:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in zip((1, *WIDTHS[name]), WIDTHS[name], strict=False):
        conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers += [conv, nn.MaxPool2d(2), nn.BatchNorm2d(after), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(9 * WIDTHS[name][-1], 10))
    x, test = (torch.from_numpy(part) for part in standardised(data))
    y, truth = torch.from_numpy(data.y), torch.from_numpy(data.test_y)
    loader = DataLoader(TensorDataset(x, y), BATCH, shuffle=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps, step, found, spent = len(loader) * recipe.epochs, 0, [], 0.0
    for _ in range(recipe.epochs):
        start = time.perf_counter()
        net.train()
        for rows, classes in loader:
            if FLIP[name]:
                mirrored = torch.rand(len(rows)) < 0.5
                rows = torch.where(mirrored.view(-1, 1, 1, 1), rows.flip(-1), rows)
            if recipe.cycle:
                for group in optimizer.param_groups:
                    group["lr"] = rate_at(step, steps)
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(rows), classes).backward()
            optimizer.step()
            step += 1
        net.eval()
        with torch.no_grad():
            right = torch.cat([net(part).argmax(1) for part in test.split(500)]) == truth
        spent += time.perf_counter() - start
        found.append({"seconds": spent, "accuracy": float(right.float().mean())})
        if recipe.ended(found):
            break
    return found


def keras_peer(name: str, data: Digits, seed: int, recipe: Recipe) -> Epochs:
    import keras

    keras.utils.set_random_seed(seed)
    x, test = (part.transpose(0, 2, 3, 1).copy() for part in standardised(data))
    layers = [keras.layers.Input((28, 28, 1))]
    if FLIP[name]:
        layers.append(keras.layers.RandomFlip("horizontal"))
    for width in WIDTHS[name]:
        layers += [
            keras.layers.Conv2D(width, 3, padding="same", use_bias=False), keras.layers.MaxPooling2D(),
            keras.layers.BatchNormalization(), keras.layers.ReLU(),
        ]  # fmt: skip
    net = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dropout(DROPOUT), keras.layers.Dense(10)])
    steps = -(-len(x) // BATCH) * recipe.epochs
    callbacks = [Cycle(keras, steps).callback] if recipe.cycle else []
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.AdamW(recipe.rate, weight_decay=recipe.decay), loss)
    found, spent = [], 0.0
    for _ in range(recipe.epochs):
        start = time.perf_counter()
        net.fit(x, data.y, batch_size=BATCH, epochs=1, verbose=0, callbacks=callbacks)
        right = net.predict(test, batch_size=500, verbose=0).argmax(1) == data.test_y
        spent += time.perf_counter() - start
        found.append({"seconds": spent, "accuracy": float(right.mean())})
        if recipe.ended(found):
            break
    return found


class Cycle:
    """The one-cycle schedule as a callback, since Keras' own schedules are symbolic."""

    def __init__(self, keras: object, steps: int) -> None:
        place = {"step": 0}

        class Rates(keras.callbacks.Callback):  # type: ignore[name-defined,misc]  # keras is imported late
            def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
                self.model.optimizer.learning_rate = rate_at(place["step"], steps)
                place["step"] += 1

        self.callback = Rates()


PEERS: dict[str, Callable[[str, Digits, int, Recipe], Epochs]] = {
    "glia": glia_peer,
    "torch": torch_peer,
    "keras-jax": keras_peer,
    "keras-torch": keras_peer,
    "plain torch": torch_peer,
    "plain keras-jax": keras_peer,
    "plain keras-torch": keras_peer,
}

if __name__ == "__main__":
    peer, which, folder, seed, *limit = sys.argv[1:]
    recipe = recipe_of(peer, which, *map(float, limit))
    print(json.dumps(PEERS[peer](which, load(folder), int(seed), recipe)))
