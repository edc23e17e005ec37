"""Strips over sounds and sequences: which steps of which channels a network goes by, as charts and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.explain.attribution import AttributionResult
from glia.explain.checks import RemovalResult
from glia.explain.segments import Segments
from glia.report import words
from glia.report.charts import Chart
from glia.report.charts.heat_strip import Cell, Line, heat_strip_chart
from glia.report.heat_page import render_heat_page

STRETCHES, GROUPS = 48, 12
"""Most cells along a strip, and most lines of it."""


@dataclass(frozen=True)
class Strip:
    """One explained sound or sequence.

    Parameters
    ----------
    name : str
        Of its file, or its number or id.
    shares : ndarray (A, B)
        What each stretch of each group of channels adds to the output.
    edges : tuple of float
        Where stretches begin, and where the last one ends (A + 1), in ``unit``.
    channels : tuple of str
        Names of the groups (B).
    drawn : (places, values)
        The wave, or the channel that counts most, as people know it; ``label`` says which.
    unit : str
        "step" or "second".
    output, said, truth : str
        What is explained, what is predicted, and what is right, where it is known.
    asked : float, optional
        Of which step the answer is, where every step has one.
    """

    name: str
    shares: NDArray[np.float64]
    edges: tuple[float, ...]
    channels: tuple[str, ...]
    drawn: Line
    label: str
    unit: str
    output: str
    said: str
    truth: str = ""
    asked: float | None = None

    @property
    def strongest(self) -> tuple[float, float, str]:
        """From where to where, and in which channel, the largest share by size lies.

        Of steps the end is the last one; of seconds, where the stretch ends.
        """
        place, channel = np.unravel_index(int(np.abs(self.shares).argmax()), self.shares.shape)
        start, end = self.edges[int(place)], self.edges[int(place) + 1]
        return start, end - 1 if self.unit == "step" else end, self.channels[int(channel)]

    def chart(self, key: str) -> Chart:
        """Return the strip as a chart."""
        start, end, channel = self.strongest
        place = f"steps {start:,.0f} to {end:,.0f}" if self.unit == "step" else f"{start:.2f} to {end:.2f} s"
        if self.unit == "step" and end == start:
            place = f"step {start:,.0f}"
        where = place if len(self.channels) == 1 else f"{place} of {channel}"
        where += " counts most" if place.startswith("step ") else " count most"
        right = f", in truth {self.truth}" if self.truth and not self.said.startswith(self.truth) else ""
        title = f"{words.shorten(self.name, 40)}, {self.said}{right}: {where}"
        cells = [
            Cell(self.edges[i], self.edges[i + 1], j, float(share))
            for i, line in enumerate(self.shares) for j, share in enumerate(line)
        ]  # fmt: skip
        note = f"Explained: {self.output}. " if self.output else ""
        note += "" if self.asked is None else "Dashed: the step whose label is explained. "
        return heat_strip_chart(
            key, title, self.drawn, cells, self.channels, x_label="step" if self.unit == "step" else "seconds",
            y_label=self.label,
            note=f"{note}Orange speaks for it, blue against it.",
            mark=None if self.asked is None else self.asked + 0.5,
        )  # fmt: skip


def shares_of(result: AttributionResult, row: int, output: int, steps: int) -> tuple[NDArray[np.float64], Segments]:
    """Return a row's shares summed to stretches and groups of channels, (A, B), and these; of the first ``steps``."""
    values = result.values[row, ..., output] if result.several else result.values[row]
    grid = Segments.of(result)
    if grid is None:
        grid = Segments.even((steps, values.shape[1]), (STRETCHES, GROUPS))
    else:  # those of the longest sequence: of a shorter one, what lies behind it is left out
        inner = tuple(edge for edge in grid.first if edge < steps)
        grid = Segments((*inner, steps), grid.second)
    return grid.sums(values[None])[0].reshape(len(grid.first) - 1, -1), grid


def render_strips(
    strips: Sequence[Strip], about: Mapping[str, Any], removal: RemovalResult | None, inside: Sequence[Chart] = ()
) -> str:
    """Return the page as one HTML file that needs nothing else.

    Parameters
    ----------
    strips : sequence of Strip
    about : mapping
        As ``render_heat_page`` takes it; ``noun`` is what is explained, ``remark`` what else is to be known.
    removal : RemovalResult, optional
        What happens where stretches are taken out.
    inside : sequence of Chart
        Gates and attention, where the network has them.
    """
    return render_heat_page(
        about, removal, noun=str(about["noun"]),
        lead="Above what the network was given, below what each stretch of each channel adds: orange speaks for the "
        f"answer that is named, blue against it, stronger where it counts more. {about.get('remark', '')}".rstrip(),
        columns=("name", "predicted", "explained", "from", "to", "channel"),
        rows=tuple((one.name, one.said, one.output, *one.strongest) for one in strips),
        strips=[one.chart(f"strip-{number}") for number, one in enumerate(strips)], inside=inside,
    )  # fmt: skip
