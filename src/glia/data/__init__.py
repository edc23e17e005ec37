"""Glia's data."""
