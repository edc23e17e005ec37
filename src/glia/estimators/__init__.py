"""Glia's estimators."""
