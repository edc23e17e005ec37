"""What one neuron can learn, and what it cannot: the perceptron's bound on its mistakes, and XOR."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import glia
from glia.nn import Neuron, mistake_bound


def mistakes_and_bound() -> None:
    """Count mistakes on rows that a line separates: at most (R / margin)² can happen (Novikoff 1962)."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (400, 2))
    plane = np.array([2.0, -1.0, 0.3])  # the bias comes last
    score = points @ plane[:2] + plane[2]
    print("Points in the plane, separated by a line with a gap of growing width:")
    for gap in (0.05, 0.2, 0.5):
        kept = np.abs(score) > gap
        x, y = points[kept], np.where(score[kept] > 0, "above", "below")
        model = glia.Perceptron(preparation="none").fit(x, y)
        bound = mistake_bound(x, score[kept] > 0, plane)  # any plane that separates the rows gives a bound
        print(f"  gap {gap}: {model.mistakes_} mistakes in {model.n_iter_} passes, at most {bound:.0f} were possible")


def train_neuron(x: torch.Tensor, y: torch.Tensor, steps: int = 1000) -> Neuron:
    """Return one sigmoid neuron after plain gradient descent."""
    torch.manual_seed(0)
    neuron = Neuron(2, "sigmoid")
    optimizer = torch.optim.SGD(neuron.parameters(), lr=1.0)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy(neuron(x), y).backward()
        optimizer.step()
    return neuron


def main() -> None:
    mistakes_and_bound()
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    x = torch.from_numpy(corners)
    for name, answers in (("AND", [0, 0, 0, 1]), ("XOR", [0, 1, 1, 0])):
        y = np.array(answers)
        neuron = train_neuron(x, torch.tensor(y, dtype=torch.float32)[:, None])
        parts = neuron.parts(x)
        perceptron = glia.Perceptron(preparation="none", epochs=100).fit(corners, y)
        network = glia.Classifier(
            network=glia.nn.MLP(hidden=(8,), activation="tanh"), preparation="none", lr=0.05, epochs=300, random_state=0
        ).fit(corners, y)
        print(f"\n{name}: wanted {answers}")
        print(f"  one neuron: {parts.summary()}")
        said = ", ".join(f"{value:.2f}" for value in parts.output)
        print(f"    says {said}: {int(((parts.output > 0.5) == y).sum())} of 4 right")
        settled = "settled" if perceptron.converged_ else "never settles"
        print(f"  perceptron: {int((perceptron.predict(corners) == y).sum())} of 4 right, {settled}")
        print(f"  8 hidden neurons: {int((network.predict(corners) == y).sum())} of 4 right")
    print(
        "\nNo line puts (0, 1) and (1, 0) on one side and the other two corners on the other; a hidden layer bends it."
    )


if __name__ == "__main__":
    main()
