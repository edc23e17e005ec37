"""Tell handwritten digits apart: from an array, from a folder of files, and from a table with a column of pictures."""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from sklearn.datasets import load_digits

import glia
from glia.explain import grad_cam
from glia.nn import architecture

ROWS = int(os.environ.get("GLIA_EXAMPLE_ROWS", "1797"))
warnings.simplefilter("ignore", UserWarning)

# 1,797 digits of 8 × 8 pixels, 0 to 16; every fourth is kept for the test.
digits = load_digits()
x, y = digits.images[:ROWS], digits.target[:ROWS]
test = np.arange(len(x)) % 4 == 0

# An array (N, height, width) is all that is needed. A shift of a pixel leaves a digit what it is.
model = glia.ImageClassifier(epochs=12).fit(x[~test], y[~test])
print(model.evaluate(x[test], y[test]).summary())
print(f"Chosen: {model.choices_['network']['why']}; {model.choices_['augment']['why']}.")

# What the network consists of, and what a unit of each layer sees of the picture.
drawn = architecture(model.network_, model.layout_.shape)
print(drawn.summary())
for layer in drawn.description.layers:
    if layer.parameters:
        print(f"  {layer.name}: {layer.parameters:,} parameters, sees {layer.receptive_field}")

# Where it looks: the map of the class that it answers, for one digit.
heat = grad_cam(model, x[test][:1], output=int(model.predict(x[test][:1])[0]))
line, column = np.unravel_index(int(heat.values[0, 0].argmax()), (8, 8))
print(f"For the {y[test][0]} it looks most at line {line}, column {column}.")

with tempfile.TemporaryDirectory() as folder:
    # A folder with a sub-folder per class: the names of the sub-folders are the answers.
    for place, (one, digit) in enumerate(zip(x, y, strict=True)):
        into = Path(folder, "test" if test[place] else "train", str(digit))
        into.mkdir(parents=True, exist_ok=True)
        Image.fromarray((one * (255 / 16)).astype(np.uint8)).save(into / f"{place}.png")
    Path(folder, "train", "0", "broken.png").write_bytes(b"")  # is named in a warning and left out
    model = glia.ImageClassifier(epochs=6).fit(Path(folder, "train"))
    right = model.score(Path(folder, "test"))
    print(f"From files: {right:.1%} right; left out: {model.broken_}")

    # Pictures too many for memory are decoded once, to disk, and read from there: the result is the same to the bit.
    streamed = glia.ImageClassifier(epochs=6, preparation=glia.ImagePreparation(keep="disk"))
    same = streamed.fit(Path(folder, "train")).score(Path(folder, "test")) == right
    print(f"From disk, the same: {same}")

    # A table: a path in one column, and what else is known beside it. Here the price of a number is its digit,
    # times the weight, which no picture shows. One branch for pictures, one for columns, joined before the end.
    rows = pl.DataFrame({
        "photo": [f"{'test' if test[i] else 'train'}/{d}/{i}.png" for i, d in enumerate(y)],
        "weight": np.random.default_rng(0).uniform(1, 2, len(y)),
    })  # fmt: skip
    rows = rows.with_columns(price=pl.Series(y) * pl.col("weight"))
    rows.filter(pl.Series(~test)).write_csv(Path(folder, "prices.csv"))
    rows.filter(pl.Series(test)).write_csv(Path(folder, "new.csv"))
    model = glia.fit(Path(folder, "prices.csv"), target="price", epochs=20)
    print(f"Roles: {[(c.name, c.role) for c in model.schema_.columns]}")
    found = model.predict(Path(folder, "new.csv"))
    truth = rows.filter(pl.Series(test))["price"].to_numpy()
    print(
        f"Typical error {np.abs(found - truth).mean():.2f}, of the mean price {np.abs(truth - truth.mean()).mean():.2f}"
    )
