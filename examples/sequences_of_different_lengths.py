"""Sequences of different lengths: which kind they are, how fast, and what every step is; then the gates of an LSTM."""

from __future__ import annotations

import numpy as np

import glia
from glia.nn import LSTM, gate_activations


def main() -> None:
    rng = np.random.default_rng(0)
    waves, kinds, speeds, above = [], [], [], []
    for number in range(240):
        t = np.arange(int(rng.integers(12, 40)))
        kind = ("slow", "fast")[number % 2]
        speed = rng.uniform(0.7, 1.1) if kind == "fast" else rng.uniform(0.2, 0.6)
        wave = np.sin(t * speed + rng.uniform(0, 6))
        waves.append(wave + 0.3 * rng.normal(size=len(t)))
        kinds.append(kind)
        speeds.append(speed)
        above.append(np.where(wave > 0, "above", "below"))

    classifier = glia.SequenceClassifier(epochs=6).fit(waves[:180], kinds[:180])
    print(f"accuracy on sequences of {min(map(len, waves))} to {max(map(len, waves))} steps: "
          f"{classifier.score(waves[180:], kinds[180:]):.2f}")  # fmt: skip

    regressor = glia.SequenceRegressor(epochs=10).fit(waves[:180], speeds[:180])
    print(f"share of the speeds' variance that is explained: {regressor.score(waves[180:], speeds[180:]):.2f}")

    labeler = glia.SequenceLabeler(epochs=6).fit(waves[:180], above[:180])
    print(f"accuracy of the steps: {labeler.evaluate(waves[180:], above[180:])['accuracy']}")

    reader = glia.SequenceClassifier(LSTM(hidden=8), epochs=6).fit(waves[:180], kinds[:180])
    gates = gate_activations(reader.network_, reader.prepare(waves[:1]))[0]
    shown = ", ".join(f"{value:.2f}" for value in gates.forget[0, : len(waves[0])].mean(dim=1)[:8])
    print(f"the forget gate of an LSTM, mean over its units, at the first steps: {shown}")


if __name__ == "__main__":
    main()
