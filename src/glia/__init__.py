"""Glia: networks that can be trusted, from data to report."""

__version__ = "0.1.0"
