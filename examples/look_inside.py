"""Look inside a trained network: its layers, what flows through them, and the chain rule at work."""

from __future__ import annotations

import os

import numpy as np

import glia
from glia.core.results import Table
from glia.data import bundled
from glia.nn import chain_rule, describe_network, trace


def show(table: Table) -> None:
    """Print a small table."""
    cells = [[f"{value:.3g}" if isinstance(value, float) else str(value) for value in row] for row in table.rows]
    rows = [list(table.columns), *cells]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
    print(f"\n{table.title}")
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    flowers = bundled.load("iris").sample(fraction=1.0, shuffle=True, seed=0)
    flowers = flowers[: int(os.environ.get("GLIA_EXAMPLE_ROWS", flowers.height))]
    model = glia.Classifier(network=glia.nn.MLP(hidden=(6, 4), activation="tanh"), epochs=100, random_state=0)
    model.fit(flowers.drop("species"), flowers["species"])
    rows = flowers.drop("species")[:8]
    network, x = model.network_, model.prepare(rows).double()

    described = describe_network(network, model.layout_.shape)
    print(described.summary())
    show(described.tables()[0])

    network.double()  # the chain rule is compared to rounding: better with 16 digits than with 7
    seen = trace(network, x)
    print(f"\n{seen.summary()}")
    show(seen.tables()[0])
    first = seen["blocks.0.activation"]
    error = np.abs(1 - np.tanh(first.pre_activation) ** 2 - first.derivative).max()
    print(f"\nThe slope of tanh is 1 - tanh². Largest difference from it: {error:.1g}")

    found = chain_rule(network, x)
    print(f"\n{found.summary()}")
    show(found.tables()[0])
    step = 1e-6
    moved = x.clone()
    moved[:, 0] += step
    slope = (network(moved) - network(x)).detach().numpy() / step
    error = float(np.abs(slope - found.product[:, :, 0]).max())
    print(f"\nMoving the first input a little says the same: largest difference {error:.1g}")


if __name__ == "__main__":
    main()
