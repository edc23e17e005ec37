"""Your own torch module as the network: a small convolutional one reads handwritten digits of 8 × 8 pixels.

Glia asks a factory for what its parameters are called (here ``num_classes``), checks the output's shape before training
starts, and stores the weights but never the code: at load, the code is handed in again.
Set GLIA_EXAMPLE_ROWS for a smaller share of the rows.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from torch import nn

import glia
from glia.data import bundled


def small_cnn(num_classes: int) -> nn.Module:
    """Return a network that maps (B, 1, 8, 8) to (B, num_classes)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (B, 16, 4, 4)
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),  # (B, 32, 2, 2)
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, num_classes),
    )


def no_last_layer() -> nn.Module:
    """Return a network that someone forgot to finish."""
    return nn.Sequential(nn.Conv2d(1, 16, 3), nn.Flatten())


def main() -> None:
    digits = bundled.load("digits").sample(fraction=1.0, shuffle=True, seed=0)
    digits = digits[: int(os.environ.get("GLIA_EXAMPLE_ROWS", digits.height))]
    # Arrays of more than two dimensions go to the network as they are; 16 is the brightest grey.
    images = digits.drop("digit").to_numpy().reshape(-1, 1, 8, 8).astype(np.float32) / 16
    labels = digits["digit"].to_numpy()
    cut = len(images) * 3 // 4

    model = glia.Classifier(network=small_cnn, lr=0.01, epochs=30, random_state=0).fit(images[:cut], labels[:cut])
    right = model.predict(images[cut:]) == labels[cut:]
    print(
        f"{cut} images to learn from, {model.n_iter_} epochs; of {len(right)} others {right.mean():.1%} are read right"
    )
    print(glia.nn.describe_network(model.network_, (1, 8, 8)))

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "digits.glia"
        glia.save(model, file)
        try:
            glia.load(file)
        except glia.InputError as error:
            print(f"\nWithout the code: {error}")
        again = glia.load(file, network=small_cnn)
        print(f"With the code: the same answers: {np.array_equal(again.predict(images), model.predict(images))}")

    try:
        glia.Classifier(network=no_last_layer).fit(images[:cut], labels[:cut])
    except glia.InputError as error:
        print(f"\nA network that does not fit: {error}")


if __name__ == "__main__":
    main()
