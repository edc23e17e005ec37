"""What an adaptation did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from glia.core.results import Result, Table


@dataclass(frozen=True)
class AdaptationResult(Result):
    """An adapted estimator, and how far apart features of the two domains were before and after.

    Parameters
    ----------
    estimator : estimator
        A copy of what was handed in, with the adapted network.
    method : str
        "coral" or "adversarial".
    weight : float
        Of the adaptation's loss beside the task's.
    distance_before, distance_after : float
        CORAL distance with means between features of source and target rows, in units of the source's deviations.
    separable_before, separable_after : float
        How well a linear model tells the domains apart by the features, as accuracy on rows it has not seen; 0.5 is
        not at all. Where it is high to begin with and stays so, little was aligned.
    history : list of dict
        Losses of every epoch.
    """

    estimator: Any = field(repr=False)
    method: str
    weight: float
    distance_before: float
    distance_after: float
    separable_before: float
    separable_after: float
    history: list[dict[str, Any]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain JSON data, without the estimator."""
        names = ("method", "weight", "distance_before", "distance_after", "separable_before", "separable_after")
        return {**{name: getattr(self, name) for name in names}, "history": self.history}

    def summary(self) -> str:
        """Return what came of it in one sentence."""
        return (
            f"Features of the two domains were {self.distance_before:.3g} apart and are {self.distance_after:.3g} "
            f"({self.method}); a linear model told them apart in {100 * self.separable_before:.0f} % of rows, and does "
            f"in {100 * self.separable_after:.0f} %."
        )

    def tables(self) -> list[Table]:
        """Return the figures before and after."""
        rows = (
            ("CORAL distance", self.distance_before, self.distance_after),
            ("domains told apart", self.separable_before, self.separable_after),
        )
        return [Table("Features of source and target", ("figure", "before", "after"), rows)]
