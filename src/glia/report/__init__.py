"""Glia's report."""
