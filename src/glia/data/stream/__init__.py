"""Streams: data larger than memory. Files are surveyed once, then read block by block in random order."""

from glia.data.stream.mapped import MappedBlocks, is_mapped, must_map, open_array
from glia.data.stream.memory import Budget, parse_size
from glia.data.stream.prefetch import Prefetch
from glia.data.stream.shuffle import Blocks, pools
from glia.data.stream.statistics import ColumnSummary, StreamStatistics
from glia.data.stream.stream import Stream, must_stream
from glia.data.stream.survey import Parts, Survey

__all__ = [
    "Blocks",
    "Budget",
    "ColumnSummary",
    "MappedBlocks",
    "Parts",
    "Prefetch",
    "Stream",
    "StreamStatistics",
    "Survey",
    "is_mapped",
    "must_map",
    "must_stream",
    "open_array",
    "parse_size",
    "pools",
]
