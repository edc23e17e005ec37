"""Who earns more than 50,000 dollars a year? A network on the Adult census table, beside the usual classic model.

The columns go in as they are: words, numbers and missing values. Set GLIA_EXAMPLE_ROWS for a smaller share of rows.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OrdinalEncoder

import glia
from glia.data import bundled
from glia.explain.permutation import permutation_importance


def classic_model(train: pl.DataFrame, y: pl.Series, test: pl.DataFrame) -> np.ndarray:
    """Return what gradient-boosted trees think of the test rows: the probability of the second class, (N,)."""
    words = [name for name, dtype in train.schema.items() if dtype == pl.String]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(train[words].fill_null("?"))

    def numbers(frame: pl.DataFrame) -> np.ndarray:
        return np.hstack([codes.transform(frame[words].fill_null("?")), frame.drop(words).to_numpy()])

    trees = HistGradientBoostingClassifier(random_state=0).fit(numbers(train), y.to_list())
    return trees.predict_proba(numbers(test))[:, 1]


def main() -> None:
    # fnlwgt says for how many people a row stands; it is no property of a person.
    people = bundled.load("adult").drop("fnlwgt").sample(fraction=1.0, shuffle=True, seed=0)
    people = people[: int(os.environ.get("GLIA_EXAMPLE_ROWS", people.height))]
    cut = people.height * 4 // 5
    train, test = people[:cut].drop("income"), people[cut:].drop("income")
    y, truth = people["income"][:cut], people["income"][cut:]

    model = glia.Classifier(random_state=0).fit(train, y)
    print(f"{train.height} rows, {model.n_iter_} epochs ({model.stop_reason_}), best epoch {model.best_epoch_}")
    for name, choice in model.choices_.items():
        print(f"  chosen: {name} = {choice['value']} ({choice['why']})")

    print("\nOn rows that the model has not seen:")
    result = model.evaluate(test, truth)
    for name in ("roc_auc", "accuracy", "log_loss"):
        print(f"  {name}: {result.metrics[name]}")
    trees = classic_model(train, y, test)
    print(f"  roc_auc of gradient-boosted trees: {roc_auc_score(truth == '>50K', trees):.4f}")

    rich = list(model.classes_).index(">50K")
    found = permutation_importance(
        lambda rows: model.predict_proba(rows)[:, rich],
        test[:1000],
        (truth[:1000] == ">50K").to_numpy(),
        score=roc_auc_score,
        metric="roc_auc",
        repeats=2,
    )
    print("\nWhat the area under the curve loses when a column is shuffled:")
    for column in found.columns[:5]:
        print(f"  {column.name}: {column.importance:.4f}")

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "income.glia"
        glia.save(model, file)
        same = np.array_equal(glia.load(file).predict_proba(test), model.predict_proba(test))
        print(f"\nSaved and loaded, {file.stat().st_size / 1e6:.2f} MB; the same probabilities to the last bit: {same}")


if __name__ == "__main__":
    main()
