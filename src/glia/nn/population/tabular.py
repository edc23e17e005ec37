"""The way of a prepared table into all members at once: what is the same for all is computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.embeddings import CodeEmbedding, TabularInput
from glia.nn.numeric_embeddings import Periodic
from glia.nn.population.linear import SplitRows, stacked


class StackedEmbedding(nn.Module):
    """K tables of vectors: whole numbers (…) → (K, …, dim)."""

    def __init__(self, tables: Sequence[Any]) -> None:
        super().__init__()
        self.weight = stacked([table.weight for table in tables])

    def forward(self, rows: Tensor) -> Tensor:
        """Look the same rows up in every member's table."""
        found = self.weight.index_select(1, rows.reshape(-1))
        return found.view(len(self.weight), *rows.shape, self.weight.shape[-1])


class StackedCodes(nn.Module):
    """Learned vectors of category codes of every member: (B, columns) → (K, B, Σdims)."""

    def __init__(self, stages: Sequence[CodeEmbedding]) -> None:
        super().__init__()
        self.counts = stages[0].counts
        groups = zip(*(stage.tables for stage in stages), strict=True)
        self.tables = nn.ModuleList(StackedEmbedding(group) for group in groups)
        for name in ("where", "first", "last"):
            self.register_buffer(name, getattr(stages[0], name).clone(), persistent=False)
        self.where: Tensor
        self.first: Tensor
        self.last: Tensor

    def forward(self, codes: Tensor) -> Tensor:
        """Map (B, columns) to (K, B, Σdims), as ``CodeEmbedding`` does for one member."""
        rows = codes.index_select(-1, self.where).long().clamp_min(0)
        rows = torch.minimum(rows, self.last) + self.first
        groups = torch.split(rows, self.counts, -1)
        parts = [table(own).flatten(-2) for table, own in zip(self.tables, groups, strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


class StackedPeriodic(nn.Module):
    """Sines and cosines with every member's own frequencies: (B, F) → (K, B, F·dim)."""

    def __init__(self, stages: Sequence[Periodic]) -> None:
        super().__init__()
        self.frequencies = stacked([stage.frequencies for stage in stages])
        self.weight = stacked([stage.weight for stage in stages])
        self.bias = stacked([stage.bias for stage in stages])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, F) to (K, B, F·dim)."""
        angle = 2.0 * math.pi * self.frequencies.unsqueeze(1) * x.unsqueeze(-1)  # (K, B, F, frequencies)
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1)
        mixed = torch.einsum("kbfw,kfwd->kbfd", waves, self.weight) + self.bias.unsqueeze(1)
        return torch.relu(mixed).flatten(-2)


class StackedTabular(nn.Module):
    """First stage over a prepared table: (B, D) → (B, D′) where nothing in it learns, else ``SplitRows``.

    Columns that pass and bins of numbers are the same for all members and are computed once.
    """

    def __init__(self, stages: Sequence[TabularInput], numeric: nn.Module | None, learns: bool) -> None:
        super().__init__()
        codes = [stage.categorical for stage in stages if stage.categorical is not None]
        self.numeric, self.learns = numeric, learns
        self.categorical = StackedCodes(codes) if codes else None
        self.changes_nothing = stages[0].changes_nothing
        for name in ("passing", "embedded", "codes"):
            self.register_buffer(name, getattr(stages[0], name).clone(), persistent=False)
        self.passing: Tensor
        self.embedded: Tensor
        self.codes: Tensor

    def forward(self, x: Tensor) -> Tensor | SplitRows:
        """Map (B, D) to the first layer's input."""
        if self.changes_nothing:
            return x
        shared: list[Tensor] = []
        own: list[Tensor] = []
        if len(self.passing):
            shared.append(x.index_select(-1, self.passing))
        if self.numeric is not None:
            (own if self.learns else shared).append(self.numeric(x.index_select(-1, self.embedded)))
        if self.categorical is not None:
            own.append(self.categorical(x.index_select(-1, self.codes)))
        if not own:
            return torch.cat(shared, dim=-1)
        learned = own[0] if len(own) == 1 else torch.cat(own, dim=-1)
        return SplitRows(torch.cat(shared, dim=-1), learned) if shared else learned
