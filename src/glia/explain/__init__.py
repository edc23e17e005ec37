"""Glia's explain."""
