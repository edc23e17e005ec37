"""What the columns of a prepared tensor mean: the contract between preparation, networks and explanations.

A prepared table is one float32 tensor of shape (N, D). Categories that a network embeds travel in the same tensor as
whole numbers ("code" features; float32 holds them exactly up to 2**24), so that one tensor reaches every network,
attack and explanation, and the layout says which column is what.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

FeatureKind = Literal["numeric", "onehot", "code", "indicator"]
_MOST = 1 << 24  # equal features that a file may ask for


@dataclass(frozen=True)
class Feature:
    """One column of a prepared tensor.

    Parameters
    ----------
    name : str
        What a person reads: ``"age"``, ``"workclass=Private"``, ``"age is missing"``, ``"sold (month, sine)"``.
    source : str
        The original column that it was made from.
    kind : {"numeric", "onehot", "code", "indicator"}
        ``code``: a whole number in ``[0, cardinality)``; ``onehot`` and ``indicator``: 0 or 1.
    cardinality : int
        Number of codes of a ``code`` feature, else 0.
    bins : tuple of float
        Increasing edges for a piecewise-linear embedding of a ``numeric`` feature, in prepared units; may be empty.
    """

    name: str
    source: str
    kind: FeatureKind = "numeric"
    cardinality: int = 0
    bins: tuple[float, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The features of a prepared row.

    Parameters
    ----------
    shape : tuple of int
        Shape of one prepared row: ``(D,)`` for tables, ``(C, H, W)`` for images, and so on.
    features : tuple of Feature
        D features for tables; empty where columns have no names of their own.
    """

    shape: tuple[int, ...]
    features: tuple[Feature, ...] = ()

    @property
    def in_features(self) -> int:
        """Number of values in a row."""
        total = 1
        for size in self.shape:
            total *= size
        return total

    def indices(self, *kinds: FeatureKind) -> tuple[int, ...]:
        """Return the positions of the features of the given kinds."""
        return tuple(i for i, feature in enumerate(self.features) if feature.kind in kinds)

    def groups(self) -> dict[str, tuple[int, ...]]:
        """Return original column → positions of the features made from it, in order of first appearance."""
        grouped: dict[str, list[int]] = {}
        for i, feature in enumerate(self.features):
            grouped.setdefault(feature.source, []).append(i)
        return {source: tuple(where) for source, where in grouped.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; of equal features in a row, such as the pixels of a picture, one and their number."""
        listed: list[dict[str, Any]] = []
        for feature, same in groupby(self.features):
            count = sum(1 for _ in same)
            listed.append(asdict(feature) | ({"times": count} if count > 1 else {}))
        return {"shape": self.shape, "features": tuple(listed)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Layout:
        """Rebuild what ``to_dict`` gave."""
        shape, features = tuple(data["shape"]), []
        for stored in data["features"]:
            plain = {name: value for name, value in stored.items() if name != "times"}
            count = int(stored.get("times", 1))
            if not 1 <= count <= min(cls(shape).in_features, _MOST):
                raise ValueError(f"{count} equal features in rows of shape {shape}")
            features += [Feature(**{**plain, "bins": tuple(plain.get("bins", ()))})] * count
        return cls(shape, tuple(features))
