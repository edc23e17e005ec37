"""What a record says of a network: its layers, and which takes from which."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from glia.nn import NetworkDescription, architecture, describe_network
from glia.nn.ensemble import MeanNetwork
from glia.report.charts import network_chart
from glia.report.page import static

_SVG = "http://www.w3.org/2000/svg"


def layers_record(description: NetworkDescription) -> list[dict[str, Any]]:
    """Return the layers with their figures as plain JSON data."""
    return [
        {
            "name": one.name,
            "type": one.kind,
            "output": list(one.output_shape),
            "parameters": one.parameters,
            "multiply_adds": one.multiply_adds,
            "field": None if one.receptive_field is None else list(one.receptive_field),
        }
        for one in description.layers
    ]


def ways_record(estimator: Any) -> dict[str, Any]:
    """Return which layer takes from which; of a mean of networks in the first one, whose names begin with ``prefix``.

    Empty where the network does not run on rows of zeros.
    """
    network = estimator.network_
    try:
        found = architecture(network, estimator.layout_.shape)
    except (RuntimeError, TypeError, ValueError):  # a drawing is not worth a run
        return {}
    return {
        "inputs": {name: list(taken) for name, taken in found.inputs.items()},
        "joins": dict(found.joins),
        "shape": list(found.shape),
        "members": found.members,
        "others": found.others,
        "prefix": "networks.0." if isinstance(network, MeanNetwork) else "",
    }


def network_record(estimator: Any) -> dict[str, Any]:
    """Return what a record says of a fitted estimator's network: its name, size, layers and their ways."""
    description = describe_network(estimator.network_, estimator.layout_.shape)
    return {
        "name": type(estimator.network_).__name__,
        "parameters": description.parameters,
        "multiply_adds": description.multiply_adds,
        "layers": layers_record(description),
        "text": repr(estimator.spec_),
        **ways_record(estimator),
    }


def network_svg(estimator: Any) -> str:
    """Return the drawing of a fitted estimator's network as a file of its own, readable in light and dark.

    An empty text where its layers' ways are not known.
    """
    chart = network_chart(network_record(estimator))
    if chart is None:
        return ""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(str(chart.svg))  # our own text
    style = ElementTree.Element(f"{{{_SVG}}}style")
    style.text = static("report.css") + "\nsvg.chart { height: auto; background: var(--ground); max-width: 640px; }"
    root.insert(0, style)
    _, _, width, height = root.get("viewBox", "").split()
    root.set("viewBox", f"-10 -10 {float(width) + 20:g} {float(height) + 20:g}")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
