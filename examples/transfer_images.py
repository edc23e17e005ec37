"""A network that knows digits: a new question by ten labels a class, then pictures of another camera without labels.

Run it with ``python examples/transfer_images.py``.
"""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import glia
from glia.nn import Backbone, ConvNet

rows = int(os.environ.get("GLIA_EXAMPLE_ROWS", "1797"))
digits = load_digits()
order = np.random.default_rng(0).permutation(min(rows, len(digits.target)))
X, y = digits.images[order].astype(np.float32) / 16, digits.target[order]
known, rest = slice(0, len(X) // 2), slice(len(X) // 2, None)
network = ConvNet((16, 32), head="flatten", hidden=(32,))
expert = glia.ImageClassifier(network, epochs=8, augment="none", random_state=0).fit(X[known], y[known])
print(f"Digits: {expert.score(X[rest], y[rest]):.3f} of pictures it has not seen.")

# A new question: is the digit even? Ten labels each; the others of that half are there to judge by.
even = y[rest] % 2 == 0
few = np.concatenate([np.flatnonzero(even == one)[:10] for one in (False, True)])
judged = np.setdiff1d(np.arange(len(even)), few)
for name, start, epochs in (
    ("from scratch", network, 40),
    ("frozen features", Backbone(expert.network_), 100),
    ("gradual unfreezing", Backbone(expert.network_, tune="gradual"), 40),
    ("low-rank adapters", Backbone(expert.network_, tune="lora", rank=4), 40),
):
    model = glia.ImageClassifier(start, epochs=epochs, augment="none", early_stopping=False, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # so few rows are worth a word
        model.fit(X[rest][few], even[few])
    learned = sum(p.numel() for p in model.network_.parameters() if p.requires_grad)
    print(f"Even, {name}: {model.score(X[rest][judged], even[judged]):.3f} with {learned:,} weights that learn.")

# The file of a network of ours holds its weights; the code is handed in again.
with tempfile.TemporaryDirectory() as folder:
    glia.save(model, Path(folder) / "even.glia")
    again = glia.load(Path(folder) / "even.glia", network=Backbone(expert.network_, tune="lora", rank=4))
print(f"Loaded, it answers the same: {bool((again.predict(X[rest]) == model.predict(X[rest])).all())}.")

# Another camera: paler pictures with noise. Half of them are seen in adapting, none of their labels.
noise = np.random.default_rng(1).normal(0, 0.15, X[rest].shape)
other = (0.25 + 0.45 * X[rest] + noise).clip(0, 1).astype(np.float32)
half = len(other) // 2
result = glia.transfer.adapt(expert, X[known], y[known], other[:half], epochs=12)
before, after = (one.score(other[half:], y[rest][half:]) for one in (expert, result.estimator))
print(f"Other camera: {before:.3f} before, {after:.3f} after adapting without a label.")
print(result)
