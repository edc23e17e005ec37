"""Sequences and series: what users hand in, checked, and prepared as tensors."""

from glia.data.series.describe_sequences import SequencesResult, describe_arrays, describe_sequences
from glia.data.series.describe_steps import describe_steps
from glia.data.series.nested import from_nested, nested_frame
from glia.data.series.sequence_preparation import LONGEST, SequencePreparation
from glia.data.series.sequences import Sequences, as_sequences, sequences_of
from glia.data.series.series_table import SeriesTable, as_series
from glia.data.series.time_steps import Step
from glia.data.series.window_preparation import WindowPreparation
from glia.data.series.windows import Gatherer, Windows, describe_table, seasonal_scale

__all__ = [
    "LONGEST",
    "Gatherer",
    "SequencePreparation",
    "Sequences",
    "SequencesResult",
    "SeriesTable",
    "Step",
    "WindowPreparation",
    "Windows",
    "as_sequences",
    "as_series",
    "describe_arrays",
    "describe_sequences",
    "describe_steps",
    "describe_table",
    "from_nested",
    "nested_frame",
    "seasonal_scale",
    "sequences_of",
]
