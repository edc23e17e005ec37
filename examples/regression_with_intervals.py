"""The price of a diamond, with intervals of a stated coverage, and a count of how many prices they really held.

Set GLIA_EXAMPLE_ROWS for a smaller share of the rows.
"""

from __future__ import annotations

import os

import numpy as np
import polars as pl

import glia
from glia.data import bundled


def main() -> None:
    diamonds = bundled.load("diamonds").sample(fraction=1.0, shuffle=True, seed=0)
    diamonds = diamonds[: int(os.environ.get("GLIA_EXAMPLE_ROWS", diamonds.height))]
    cut = diamonds.height * 3 // 4
    train, test = diamonds[:cut], diamonds[cut:]
    price = test["price"].to_numpy().astype(float)

    model = glia.Regressor(random_state=0).fit(train.drop("price"), train["price"])
    rows = test.drop("price")
    for name, figure in model.evaluate(rows, price).metrics.items():
        print(f"{name}: {figure}")

    spread = float(np.abs(price - np.median(train["price"])).mean())
    print(f"\nMean absolute error of always saying the median price: {spread:,.0f} dollars")
    print(f"Mean absolute error of the network: {np.abs(price - model.predict(rows)).mean():,.0f} dollars")

    print("\nSplit conformal intervals (arXiv 1604.04173), from the errors on the validation rows:")
    for asked in (0.5, 0.8, 0.9, 0.95):
        low, high = model.predict_interval(rows, coverage=asked)
        held = float(np.mean((low <= price) & (price <= high)))
        print(
            f"  asked for {asked:.0%}: held {held:.1%} of {len(price)} prices, width {np.mean(high - low):,.0f} dollars"
        )

    # The promise is for all rows together, not for each kind of row: the width is one and the same for all of them.
    low, high = model.predict_interval(rows, coverage=0.9)
    shown = test.select("carat", "price").with_columns(held=pl.Series((low <= price) & (price <= high)))
    print("\nThe 90 % interval by weight (one width for all is generous to small stones, and mean to large ones):")
    for first, last in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 6.0)):
        part = shown.filter((pl.col("carat") >= first) & (pl.col("carat") < last))
        if part.height:
            print(f"  {first} to {last} carat: held {part['held'].mean():.1%} of {part.height}")


if __name__ == "__main__":
    main()
