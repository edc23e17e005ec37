"""What completes a matrix with gaps: one contract, one registry, and the units in which columns can be compared."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.core.registry import Registry

Array = NDArray[np.float64]
State = tuple[dict[str, Any], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Block:
    """The columns of a matrix that one original column was turned into.

    Parameters
    ----------
    start, stop : int
        Its columns are ``start`` to ``stop - 1``; all of them are missing where the original value is.
    kind : {"numeric", "category"}
        ``numeric``: one column of numbers. ``category``: one-hot columns, which a completed row fills with shares that
        sum to 1.
    """

    start: int
    stop: int
    kind: str = "numeric"

    @property
    def where(self) -> slice:
        """Its columns."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class Standard:
    """Units in which columns compare: numbers as z-scores, one-hot columns such that two categories are 1 apart.

    Parameters
    ----------
    center, scale : ndarray of shape (D,)
        Learned from the observed training values; a column without any has the centre 0.
    """

    center: Array
    scale: Array

    @classmethod
    def fit(cls, x: Array, blocks: Sequence[Block]) -> Standard:
        """Learn from a matrix (N, D)."""
        center, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
        for block in blocks:
            if block.kind == "category":
                scale[block.where] = np.sqrt(2.0)
                continue
            known = x[~np.isnan(x[:, block.start]), block.start]
            largest = float(np.abs(known).max(initial=0.0)) or 1.0  # so that squares neither overflow nor vanish
            if len(known):
                center[block.start] = (known / largest).mean() * largest
                spread = (known / largest).std() * largest
                scale[block.start] = spread if spread > 1e-12 * largest else largest
        return cls(center, scale)

    def apply(self, x: Array) -> Array:
        """Return ``x`` (N, D) in these units."""
        return np.asarray((x - self.center) / self.scale)

    def revert(self, z: Array) -> Array:
        """Return ``z`` (N, D) in the matrix's own units."""
        return np.asarray(z * self.scale + self.center)


class MatrixImputer(ABC):
    """Learns from the rows of a matrix (N, D) how to fill in what is missing (NaN) in these and other rows.

    Subclasses learn and complete in standard units (``Standard``). Observed cells are returned as they came, to the
    bit. What a method leaves open (a column without a value in training) becomes the column's centre.

    Attributes
    ----------
    by_row : bool
        Whether the completion of a row depends on that row alone. Where it does not (interpolation), the rows handed in
        together belong together, in their order.
    empty : ndarray of int
        Columns without a value in training.
    """

    name: ClassVar[str] = ""
    by_row: ClassVar[bool] = True
    blocks: tuple[Block, ...]
    standard: Standard
    empty: NDArray[np.int64]

    def fit(self, x: Array, blocks: Sequence[Block] | None = None, position: Array | None = None) -> Self:
        """Learn from training rows.

        Parameters
        ----------
        x : ndarray of shape (N, D)
            Training rows, NaN where missing.
        blocks : sequence of Block, optional
            What the columns are; numbers by default.
        position : ndarray of shape (N,), optional
            Where each row lies on an axis (time, for instance); used by interpolation only.
        """
        x = np.asarray(x, dtype=np.float64)
        self.blocks = plain_blocks(x.shape[1]) if blocks is None else tuple(blocks)
        self.standard = Standard.fit(x, self.blocks)
        self.empty = np.flatnonzero(np.isnan(x).all(axis=0)) if len(x) else np.arange(x.shape[1])
        self._learn(self.standard.apply(x), position)
        return self

    def transform(self, x: Array, position: Array | None = None) -> Array:
        """Return the rows complete, (N, D), as a new array."""
        out = np.array(x, dtype=np.float64)
        missing = np.isnan(out)
        rows = np.flatnonzero(missing.any(axis=1)) if self.by_row else np.arange(len(out))
        if not len(rows) or not missing.any():
            return out
        z = self._complete(self.standard.apply(out[rows]), None if position is None else position[rows])
        return self._put(out, rows, missing, z)

    def fit_transform(self, x: Array, blocks: Sequence[Block] | None = None, position: Array | None = None) -> Array:
        """Learn from training rows and return them complete."""
        return self.fit(x, blocks, position).transform(x, position)

    def _put(self, out: Array, rows: NDArray[np.intp], missing: NDArray[np.bool_], z: Array) -> Array:
        z[np.isnan(z)] = 0.0
        filled = self.standard.revert(z)
        out[rows] = np.where(missing[rows], filled, out[rows])
        return out

    @abstractmethod
    def _learn(self, z: Array, position: Array | None) -> None:
        """Learn from training rows in standard units."""

    @abstractmethod
    def _complete(self, z: Array, position: Array | None) -> Array:
        """Return rows in standard units with their gaps filled; NaN where the method does not know."""

    # --- state -------------------------------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def to_state(self) -> State:
        """Return all that was learned as plain JSON data and named arrays; neither holds code."""
        plain, arrays = self._learned()
        blocks = [[block.start, block.stop, block.kind] for block in self.blocks]
        state = {"name": self.name, "options": self.options(), "blocks": blocks, "learned": plain}
        return state, {
            "center": self.standard.center,
            "scale": self.standard.scale,
            "empty": self.empty,
            **arrays,
        }

    def _learned(self) -> State:
        return {}, {}

    def _restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take back what ``_learned`` gave; raises ``ValueError`` where it contradicts itself."""
        if plain:
            raise ValueError(f"the imputer {self.name!r} has learned nothing of its own")


imputers: Registry[type[MatrixImputer]] = Registry("imputer")


def imputer_from_state(state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> MatrixImputer:
    """Rebuild what ``to_state`` gave: its ``transform`` gives the same bits.

    Raises
    ------
    KeyError, TypeError, ValueError, InputError
        If the state is incomplete or contradicts itself.
    """
    made = imputers.get(str(state["name"]))(**state["options"])
    made.blocks = tuple(Block(int(a), int(b), str(kind)) for a, b, kind in state["blocks"])
    center, scale = (np.array(arrays[name], dtype=np.float64) for name in ("center", "scale"))
    width = check_blocks(made.blocks)
    if center.shape != (width,) or scale.shape != (width,) or not np.isfinite(center).all() or not (scale > 0).all():
        raise ValueError(f"the units of {width} columns do not fit them")
    made.standard = Standard(center, scale)
    made.empty = np.array(arrays["empty"], dtype=np.int64)
    if len(made.empty) and not 0 <= made.empty.min() <= made.empty.max() < width:
        raise ValueError("the empty columns are not among the columns")
    made._restore(state["learned"], arrays)
    return made


def make_imputer(name: str, options: Mapping[str, Any] | None = None) -> MatrixImputer:
    """Return an unfitted imputer by its name.

    Raises
    ------
    InputError
        If the name or an option is unknown, or an option's value is out of range.
    """
    kind = imputers.get(name)
    known = list(inspect.signature(kind).parameters)
    for option in options or {}:
        if option not in known:
            do = near(option, known) if known else "leave the options away"
            raise InputError(f"the options of the imputer {name!r} must be known", f"{option!r}", do)
    return kind(**(options or {}))


def plain_blocks(width: int) -> tuple[Block, ...]:
    """Return one block of numbers per column."""
    return tuple(Block(j, j + 1) for j in range(width))


def check_blocks(blocks: Sequence[Block]) -> int:
    """Return how many columns the blocks cover, which must be gapless from 0.

    Raises
    ------
    ValueError
        If they are not.
    """
    at = 0
    for block in blocks:
        known = block.kind in ("numeric", "category") and (block.kind == "category" or block.stop == block.start + 1)
        if block.start != at or block.stop <= at or not known:
            raise ValueError("the blocks of columns contradict themselves")
        at = block.stop
    return at


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return an option that must be a whole number.

    Raises
    ------
    InputError
        If it is none, or less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be a whole number from {least}", f"{name}={value!r}")
    return int(value)
