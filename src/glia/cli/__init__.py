"""Glia's cli."""
