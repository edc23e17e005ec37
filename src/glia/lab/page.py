"""The page of a lab run."""

from __future__ import annotations

import html

from glia.lab.result import LabResult


def render(result: LabResult) -> str:
    """Return a whole HTML page."""
    rows = "".join(
        f"<tr><td>{c.question}</td><td>{html.escape(c.claim.text)}</td><td>{html.escape(c.sentence())}</td></tr>"
        for c in result.claims
    )
    return f"<!doctype html><meta charset=utf-8><title>glia lab</title><h1>{html.escape(result.summary())}</h1><table>{rows}</table>"
