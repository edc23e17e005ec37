"""Passengers of an airline for the coming year, with quantiles, and how good such forecasts were before.

Set GLIA_EXAMPLE_ROWS for a shorter past.
"""

from __future__ import annotations

import os

import polars as pl

import glia
from glia.data import bundled
from glia.estimators.classic_forecasts import naive, seasonal_naive


def main() -> None:
    passengers = bundled.load("air_passengers")
    passengers = passengers.tail(int(os.environ.get("GLIA_EXAMPLE_ROWS", passengers.height)))
    time, target = passengers.columns[0], passengers.columns[-1]

    model = glia.Forecaster(horizon=12, time=time, target=target, effort="quick")
    result = glia.rolling_origin(
        model, passengers, origins=2, methods={"naive": naive, "seasonal naive": seasonal_naive}
    )
    print(result)
    for method, mase, smape, covered in result.tables()[0].rows:
        inside = "" if covered is None else f", {covered:.0%} of the values within the 90 % interval"
        print(f"  {method}: MASE {mase:.2f}, sMAPE {smape:.1f}{inside}")

    print("\nThe coming year:")
    with pl.Config(tbl_rows=12):
        print(model.fit(passengers).predict_frame().select(time, "quantile_0.05", "prediction", "quantile_0.95"))


if __name__ == "__main__":
    main()
