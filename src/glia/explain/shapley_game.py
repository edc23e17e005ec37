"""The game behind Shapley values: what a network gives for rows whose columns are partly those of a background row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.explain.first_layer import FirstLayer, first_layer
from glia.explain.subject import Subject

Floats = NDArray[np.float64]
CHUNK = 1 << 20
"""Values of the widest layer that go through a network at once: 4 MB, which caches hold."""
SUMS = 1 << 23
"""Most values of first-layer sums by column that are kept at once: 32 MB."""
AGREES = 1e-4
"""How far the short way may be off, relative to the largest output, before the network is run as a whole."""


@dataclass
class Game:
    """Coalitions of players (original columns, or groups of them) for rows against background rows.

    Parameters
    ----------
    subject : Subject
        Rows to explain, N of them, of vectors (N, D).
    background : Tensor of shape (B, D)
        What a column is when it is not in the coalition: the interventional (marginal) game of arXiv 1910.13413.
    names : tuple of str
        Of the P players.
    holds : bool Tensor of shape (P, D)
        Positions of the prepared rows that belong to each player.
    layer : FirstLayer, optional
        The short way through the network.
    evaluations : int
        Rows that went through the network so far.
    """

    subject: Subject
    background: Tensor
    names: tuple[str, ...]
    holds: Tensor
    layer: FirstLayer | None = None
    evaluations: int = field(default=0)

    def __post_init__(self) -> None:
        self.full = self._score(self.subject.x)  # (N, O)
        self.empty = self._score(self.background)  # (B, O)
        self.base = self.empty.mean(axis=0)  # (O,)
        if self.layer is not None and not self._agrees(self.layer):
            self.layer = None

    @property
    def players(self) -> int:
        """P."""
        return len(self.names)

    def row_blocks(self, each: int, most: int = 1 << 24) -> Iterator[slice]:
        """Yield slices of rows so that ``each`` values per row stay below ``most``."""
        step = max(1, most // max(each, 1))
        if self.layer is not None:
            step = min(step, max(1, SUMS // (self.players * self.layer.width)))
        yield from (slice(i, min(i + step, len(self.subject.x))) for i in range(0, len(self.subject.x), step))

    def mean_values(self, masks: Tensor, rows: slice) -> Floats:
        """Return the game's values, means over the background, (n, M, O), for coalitions (M, P) that all rows share."""
        count, outputs = len(self.subject.x[rows]), self.full.shape[1]
        total = np.zeros((count, len(masks), outputs))
        for _, at, values in self._values(masks.unsqueeze(0), rows):
            total[:, at] += values.sum(axis=1)
        return total / len(self.background)

    def pair_values(self, masks: Tensor, rows: slice) -> Floats:
        """Return values against each background row by itself, (n, B, L, O), for its own coalitions (B, L, P)."""
        count, outputs = len(self.subject.x[rows]), self.full.shape[1]
        found = np.empty((count, *masks.shape[:2], outputs))
        for backs, at, values in self._values(masks, rows):
            found[:, backs, at] = values
        return found

    def _values(self, masks: Tensor, rows: slice) -> Iterator[tuple[slice, slice, Floats]]:
        """Yield (background slice, coalition slice, (n, b, l, O)); masks (B or 1, L, P)."""
        width = self.holds.shape[1] if self.layer is None else self.layer.width
        most = max(64, CHUNK // width)
        length = masks.shape[1]
        together = max(1, min(len(self.background), most // max(1, min(length, most))))
        if self.layer is not None:
            together = min(together, max(1, SUMS // (self.players * width)))
        step = max(1, most // together)
        own = None if self.layer is None else self._sums(self.layer, self.subject.x[rows])
        for b in range(0, len(self.background), together):
            backs = slice(b, min(b + together, len(self.background)))
            for start in range(0, length, step):
                at = slice(start, min(start + step, length))
                part = masks[backs if len(masks) > 1 else slice(None), at]
                if own is not None and self.layer is not None:
                    values = self._by_sums(self.layer, own, part, backs)
                else:
                    values = self._by_rows(part, backs, rows)
                yield backs, at, values

    @torch.no_grad()
    def _by_sums(self, layer: FirstLayer, own: Tensor, part: Tensor, backs: slice) -> Floats:
        """Put first-layer sums together: those of the rows (n, P, H) in the coalition, the background's outside."""
        inside = part.to(own.dtype)
        rest = self._rest(layer, 1 - inside, backs)  # (b, l, H), the same for all rows
        shape, apart = rest.shape[:2], len(inside) == len(rest)
        flat = inside.flatten(0, 1)  # (b · l or l, P)
        found = []
        for some in torch.split(own, max(1, CHUNK // rest.numel())):
            if apart:  # every background row has coalitions of its own
                total = torch.baddbmm(rest.flatten(0, 1), flat.expand(len(some), -1, -1), some)
            else:
                total = (rest + (flat @ some).unsqueeze(1)).flatten(1, 2)
            scores = self.subject.finish(layer.tail(total.flatten(0, 1))).double().cpu()
            found.append(scores.reshape(len(some), *shape, -1))
        self.evaluations += len(own) * shape[0] * shape[1]
        return np.asarray(torch.cat(found).numpy())

    def _rest(self, layer: FirstLayer, outside: Tensor, backs: slice) -> Tensor:
        sums = self._sums(layer, self.background[backs])  # (b, P, H)
        start: Tensor = layer.sums(self.background[:1])
        return torch.baddbmm(start, outside.expand(len(sums), -1, -1), sums)

    @torch.no_grad()
    def _sums(self, layer: FirstLayer, rows: Tensor) -> Tensor:
        return layer.by_player(rows, self.background[0], self.holds)

    @torch.no_grad()
    def _by_rows(self, part: Tensor, backs: slice, rows: slice) -> Floats:
        """Mix rows and run the whole network."""
        kept = part.to(self.holds.device).float() @ self.holds.float() > 0.5  # (b or 1, l, D)
        back = self.background[backs].unsqueeze(1)  # (b, 1, D)
        found = []
        for row in self.subject.x[rows]:
            mixed = torch.where(kept, row, back)
            scores = self.subject.score(mixed.flatten(0, 1)).double().cpu()
            found.append(scores.reshape(*mixed.shape[:2], -1))
            self.evaluations += mixed.shape[0] * mixed.shape[1]
        return np.asarray(torch.stack(found).numpy())

    @torch.no_grad()
    def _score(self, x: Tensor) -> Floats:
        self.evaluations += len(x)
        step = max(64, CHUNK // max(1, x[0].numel()))
        return np.asarray(torch.cat([self.subject.score(p).double().cpu() for p in torch.split(x, step)]).numpy())

    def _agrees(self, layer: FirstLayer) -> bool:
        """Whether the short way gives what the network gives, on rows mixed at random."""
        rng = torch.Generator().manual_seed(0)
        masks = (torch.rand(1, 16, self.players, generator=rng) < 0.5).to(self.holds.device)
        rows, backs = slice(0, 2), slice(0, min(4, len(self.background)))
        short = self._by_sums(layer, self._sums(layer, self.subject.x[rows]), masks, backs)
        whole = self._by_rows(masks, backs, rows)
        return bool(np.abs(short - whole).max() <= AGREES * max(1.0, float(np.abs(whole).max())))


def make_game(
    subject: Subject, background: Tensor, network: nn.Module, groups: Mapping[str, Sequence[str]] | None = None
) -> Game:
    """Return the game of a subject's columns, or of groups of them.

    Raises
    ------
    InputError
        If rows are no vectors, or a group names an unknown column or one that is in another group.
    """
    if not subject.groups:
        shape = tuple(subject.x.shape[1:])
        raise InputError(
            "this method needs rows of columns", f"rows of shape {shape}", "use method='gradient', or glia.explain.lime"
        )
    places = dict(zip(subject.feature_names, subject.groups, strict=True))
    members = _members(subject.feature_names, groups)
    holds = torch.zeros(len(members), subject.x.shape[1], dtype=torch.bool)
    for player, columns in enumerate(members.values()):
        holds[player, [i for column in columns for i in places[column]]] = True
    device = subject.x.device
    return Game(subject, background, tuple(members), holds.to(device), first_layer(network))


def _members(names: tuple[str, ...], groups: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    """Return player → its columns; a group stands where its first column stood."""
    owner: dict[str, str] = {}
    for group, columns in (groups or {}).items():
        for column in columns:
            if column not in names:
                raise InputError("grouped columns must be columns of the rows", repr(column), near(column, names))
            if column in owner:
                raise InputError("a column must be in one group at most", repr(column), "take it out of all but one")
            owner[column] = group
        if group in names and group not in columns:
            raise InputError("a group must not be called like another column", repr(group), "choose another name")
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(owner.get(name, name), []).append(name)
    return members
