"""Glia's testing."""
