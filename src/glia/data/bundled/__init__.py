"""Small real data sets that come with Glia, each with its licence and source, or with scikit-learn.

``python -m glia.data.bundled adult adult.csv`` writes one out as a CSV file.
"""

from __future__ import annotations

from glia.data.bundled.sets import BundledSet, describe, get, load, names, write_csv

__all__ = ["BundledSet", "describe", "get", "load", "names", "write_csv"]
