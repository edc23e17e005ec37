"""A drawing of a network: its layers as boxes from top to bottom, and the ways between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, drawing, el, text
from glia.report.words import number, percent, shorten

MOST = 28
"""Boxes that are drawn; of deeper networks, blocks of layers are drawn as one."""
_BOX, _SMALL, _GAP, _LEFT, _LANE = 56.0, 26.0, 14.0, 8.0, 9.0
_SIGNS = {"sum": "+", "product": "×", "joined": "side by side"}
_FOLLOWS = ("Norm", "Dropout", "Pool", "Activation", "Flatten", "Identity", "ReLU", "SiLU", "GELU", "Tanh", "Sigmoid")
_FAMILIES = {"Conv": "valid", "Linear": "good", "LSTM": "s4", "GRU": "s4", "RNN": "s4", "Attention": "s4"}


@dataclass
class _Box:
    """What is drawn in one place: layers that follow one another, or a place where ways join."""

    layers: list[Mapping[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sign: str = ""
    title: str = ""
    top: float = 0.0

    @property
    def height(self) -> float:
        return _BOX if self.layers else _SMALL

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    def total(self, name: str) -> int:
        return sum(int(layer.get(name) or 0) for layer in self.layers)


def network_chart(network: Mapping[str, Any], key: str = "network") -> Chart | None:
    """Draw a network.

    Parameters
    ----------
    network : mapping
        Of a run's record: ``layers`` (``name``, ``type``, ``output``, ``parameters``, ``multiply_adds``, ``field``),
        ``inputs`` (name → names that it takes from), ``joins`` (name → how), ``shape`` of a row, ``members`` and
        ``others`` that are averaged.
    key : str
        Identifier of the figure.

    Returns
    -------
    Chart or None
        ``None`` where it is not known which layer takes from which.
    """
    inputs = {str(name): [str(one) for one in taken] for name, taken in (network.get("inputs") or {}).items()}
    layers = {str(layer["name"]): layer for layer in network.get("layers") or []}
    prefix = str(network.get("prefix") or "")
    layers = {name.removeprefix(prefix): layer for name, layer in layers.items() if name.startswith(prefix)}
    if not inputs or not layers:
        return None
    first = _Box(names=["the row"], sign=f"row of {_shape(network.get('shape') or ())}")
    boxes = _few([first, *_boxes(inputs, layers, network.get("joins") or {})])
    place = {name: i for i, box in enumerate(boxes) for name in box.names}
    ways = {
        (place[one], place[name])
        for name, taken in inputs.items()
        for one in taken
        if name in place and one in place and place[one] != place[name]
    }
    lanes = _lanes(sorted((a, b) for a, b in ways if b - a != 1))
    y = 2.0
    for box in boxes:
        box.top, y = y, y + box.height + _GAP
    right = WIDTH - 6 - _LANE * len(set(lanes.values())) - (6 if lanes else 0)
    parts = [*_arrows(boxes, ways, lanes, right), *(part for box in boxes for part in _drawn(box, right, boxes))]
    title, words = _titles(network, layers)
    described = f"{words} Boxes from top to bottom in the order in which they run; {len(lanes)} ways pass over others."
    columns = ("layer", "type", "output", "parameters", "multiply-adds", "takes from")
    rows = tuple(
        (name, one.get("type"), _shape(one.get("output") or ()), one.get("parameters"), one.get("multiply_adds"),
         ", ".join(inputs.get(name, [])))
        for name, one in layers.items()
    )  # fmt: skip
    data = {"inputs": inputs, "layers": [dict(layer) for layer in layers.values()]}
    svg = drawing(key, title, described, y - _GAP + 2, parts, "network")
    return Chart(key, title, described, svg, columns, rows, data, _note(boxes, bool(lanes)))


def _titles(network: Mapping[str, Any], layers: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Return the answer and the size."""
    work = {name: int(layer.get("multiply_adds") or 0) for name, layer in layers.items()}
    weights = {name: int(layer.get("parameters") or 0) for name, layer in layers.items()}
    members = int(network.get("members") or 1)
    others = int(network.get("others") or 0)
    beside = f" with {others} of another kind" if others else ""
    each = f", in each of {members} networks that are averaged{beside}" if members + others > 1 else ""
    size = f"{len(layers)} layers with {sum(weights.values()):,} parameters{each}."
    if not sum(work.values()) or not sum(weights.values()):
        return f"The network has {len(layers)} layers", size
    busy, large = max(work, key=work.__getitem__), max(weights, key=weights.__getitem__)
    one, other = percent(work[busy] / sum(work.values()), 0), percent(weights[large] / sum(weights.values()), 0)
    if busy == large:
        return f"{shorten(busy, 30)} does {one} of the work and holds {other} of the parameters", size
    return f"{shorten(busy, 30)} does {one} of the work; {shorten(large, 30)} holds {other} of the parameters", size


def _boxes(
    inputs: Mapping[str, Sequence[str]], layers: Mapping[str, Mapping[str, Any]], joins: Mapping[str, str]
) -> list[_Box]:
    """Return a box for each layer with weights and what merely follows it, and for each place where ways join."""
    readers: dict[str, int] = {}
    for taken in inputs.values():
        for one in taken:
            readers[one] = readers.get(one, 0) + 1
    boxes: list[_Box] = []
    for name, taken in inputs.items():
        if name in joins:
            boxes.append(_Box(names=[name], sign=_SIGNS.get(joins[name], joins[name])))
            continue
        layer = layers.get(name)
        if layer is None:
            continue
        kind = str(layer.get("type"))
        before = boxes[-1] if boxes else None
        follows = not int(layer.get("multiply_adds") or 0) and (
            not int(layer.get("parameters") or 0) or any(word in kind for word in _FOLLOWS)
        )
        if follows and before and before.layers and list(taken) == before.names[-1:] and readers[taken[0]] == 1:
            before.layers.append(layer)
            before.names.append(name)
        else:
            boxes.append(_Box([layer], [name]))
    return boxes


def _few(boxes: list[_Box]) -> list[_Box]:
    """Return at most ``MOST`` boxes where names tell which layers form a block."""
    deepest = max(name.count(".") for box in boxes for name in box.names)
    found = boxes
    for depth in range(deepest, 0, -1):
        if len(found) <= MOST:
            return found
        found = []
        for box in boxes:
            group = ".".join(box.names[0].split(".")[:depth]) if box.layers else None
            last = found[-1] if found else None
            if last is not None and last.layers and (group is None or group == last.title):
                last.layers += box.layers
                last.names += box.names
            else:
                found.append(_Box(list(box.layers), list(box.names), box.sign, group or ""))
    return found


def _lanes(ways: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return the lane beside the boxes for each way that does not lead to the next one; in a lane none overlap."""
    ends: list[int] = []
    found: dict[tuple[int, int], int] = {}
    for start, stop in sorted(ways, key=lambda way: (way[1] - way[0], way)):
        lane = next((i for i in range(len(ends) + 1) if i == len(ends) or _free(found, i, start, stop)), len(ends))
        if lane == len(ends):
            ends.append(stop)
        found[start, stop] = lane
    return found


def _free(found: Mapping[tuple[int, int], int], lane: int, start: int, stop: int) -> bool:
    return all(stop <= a or start >= b for (a, b), used in found.items() if used == lane)


def _arrows(
    boxes: Sequence[_Box], ways: set[tuple[int, int]], lanes: Mapping[tuple[int, int], int], right: float
) -> Iterator[Markup]:
    centre = (_LEFT + right) / 2
    for a, b in sorted(ways):
        one, other = boxes[a], boxes[b]
        named = {"data_from": one.names[-1], "data_to": other.names[0]}
        if (a, b) not in lanes:
            top, end = one.top + one.height, other.top
            path = f"M{centre:g} {top:g}V{end - 1:g}m-4 -5l4 5l4 -5"
        else:
            x = right + 8 + _LANE * lanes[a, b]
            start, end = one.middle + 4, other.middle - 4
            path = (
                f"M{_edge(one, right):g} {start:g}H{x - 5:g}q5 0 5 5V{end - 5:g}q0 5 -5 5H{_edge(other, right) + 1:g}"
                "m5 -4l-5 4l5 4"
            )
        yield el("path", d=path, class_="way", **named)


def _edge(box: _Box, right: float) -> float:
    """Return where a box ends on the right."""
    return right if box.layers else (_LEFT + right) / 2 + _half(box)


def _half(box: _Box) -> float:
    return max(13.0, 4.2 * len(box.sign) + 8)


def _drawn(box: _Box, right: float, boxes: Sequence[_Box]) -> Iterator[Markup]:
    centre = (_LEFT + right) / 2
    if not box.layers:
        half = _half(box)
        yield el(
            "rect", x=centre - half, y=box.top, width=2 * half, height=box.height, rx=box.height / 2, class_="join"
        )
        yield text(centre, box.top + 17, box.sign, "label", "middle")
        return
    kinds = [str(layer.get("type")) for layer in box.layers]
    main = next((kind for kind in kinds if not any(word in kind for word in _FOLLOWS)), kinds[0])
    family = next((kind for word, kind in _FAMILIES.items() if word in main), "baseline")
    head = f"{box.title}: {len(kinds)} layers" if box.title and len(kinds) > 1 else " · ".join(dict.fromkeys(kinds))
    last = box.layers[-1]
    field_ = next((one["field"] for one in reversed(box.layers) if one.get("field")), None)
    sees = f" · sees {_shape(field_)}" if field_ else ""
    work, most = box.total("multiply_adds"), sum(one.total("multiply_adds") for one in boxes)
    size = f"{_many(box.total('parameters'))} parameters · {_many(work)} multiply-adds"
    marks = [
        el("rect", x=_LEFT, y=box.top, width=right - _LEFT, height=box.height, rx=3.0, class_="box"),
        el("rect", x=_LEFT, y=box.top, width=4.0, height=box.height, class_=f"bar {family}"),
        text(_LEFT + 12, box.top + 17, shorten(head, 41), "label strong"),
        text(_LEFT + 12, box.top + 32, _shape(last.get("output") or ()) + sees),
        text(_LEFT + 12, box.top + 47, size),
    ]
    if work:
        wide = (right - _LEFT - 4) * work / most
        marks.append(
            el("rect", x=_LEFT + 4, y=box.top + box.height - 3, width=wide, height=3.0, class_=f"bar {family}")
        )
    for layer in box.layers:
        yield el(
            "g",
            el("title", _words(layer)),
            *(marks if layer is box.layers[0] else ()),
            class_="layer",
            data_name=layer.get("name"),
            data_kind=layer.get("type"),
            data_output="×".join(map(str, layer.get("output") or ())),
            data_parameters=int(layer.get("parameters") or 0),
            data_multiply_adds=int(layer.get("multiply_adds") or 0),
            data_sees="×".join(map(str, layer.get("field") or ())) or None,
        )


def _words(layer: Mapping[str, Any]) -> str:
    weights, work = int(layer.get("parameters") or 0), int(layer.get("multiply_adds") or 0)
    output = _shape(layer.get("output") or ())
    return f"{layer.get('name')}, {layer.get('type')}: {output}, {weights:,} parameters, {work:,} multiply-adds"


def _note(boxes: Sequence[_Box], skips: bool) -> str:
    said = ["The bar at the foot of a box is its share of the multiply-adds for one row."]
    if skips:
        said.append("Lines beside the boxes pass over those between.")
    if any(box.title and len(box.layers) > 1 for box in boxes):
        said.append("Blocks of layers are drawn as one.")
    return " ".join(said)


def _shape(sizes: Sequence[Any]) -> str:
    return " × ".join(f"{size:,}" if isinstance(size, int) else str(size) for size in sizes) or "one value"


def _many(value: int) -> str:
    """Return a count in few characters: 1,234, 56.7 k, 8.9 M."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if value >= size:
            return f"{number(value / max(size, 1000) if letter != 'k' else value / 1000, 3)} {letter}"
    return f"{value:,}"
