"""Glia's objectives."""
