"""Glia's nn."""
