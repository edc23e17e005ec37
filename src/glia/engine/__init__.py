"""Glia's engine."""
