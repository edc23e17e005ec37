"""The drawing of a network, read back from its SVG: every layer with its figures, every way, nothing on another."""

from itertools import pairwise
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from glia.core.layout import Layout
from glia.nn import MLP, TCN, ConvNet, PictureAndTable, ResNet, VisionTransformer, architecture, describe_network
from glia.nn.ensemble import MeanNetwork
from glia.report.charts import network_chart
from glia.report.charts.network import MOST
from glia.report.network_record import layers_record, network_svg, ways_record

SVG = "{http://www.w3.org/2000/svg}"
CASES = [
    (ConvNet((4, 8)), (3, 16, 16)),
    (ResNet(10, 4), (3, 16, 16)),
    (ResNet(50, 4), (3, 32, 32)),
    (VisionTransformer(), (1, 16, 16)),
    (PictureAndTable((1, 8, 8)), (70,)),
    (MLP((16, 16), norm="batch", dropout=0.1), (5,)),
    (MLP((8, 8), residual=True), (5,)),
    (TCN(), (20, 3)),
]


def fitted(spec, shape):
    return SimpleNamespace(network_=spec.build(Layout(shape), 3), layout_=Layout(shape), spec_=spec)


def drawn(estimator):
    description = describe_network(estimator.network_, estimator.layout_.shape)
    return network_chart({"layers": layers_record(description), **ways_record(estimator)}), description


@pytest.mark.parametrize(("spec", "shape"), CASES, ids=lambda value: type(value).__name__)
def test_every_layer_and_way_is_in_the_drawing(spec, shape):
    estimator = fitted(spec, shape)
    chart, description = drawn(estimator)
    root = ElementTree.fromstring(str(chart.svg))
    found = {
        one.get("data-name"): (
            one.get("data-kind"), one.get("data-output"), int(one.get("data-parameters")),
            int(one.get("data-multiply-adds")), one.get("data-sees") or "",
        )
        for one in root.iter(f"{SVG}g") if one.get("class") == "layer"
    }  # fmt: skip
    assert found == {
        one.name: (
            one.kind, "×".join(map(str, one.output_shape)), one.parameters, one.multiply_adds,
            "×".join(map(str, one.receptive_field or ())),
        )
        for one in description.layers
    }  # fmt: skip
    assert sum(figures[2] for figures in found.values()) == sum(p.numel() for p in estimator.network_.parameters())
    boxes = [one for one in root.iter(f"{SVG}rect") if one.get("class") in ("box", "join")]
    assert len(boxes) <= MOST or not any("." in name for name in found)
    sides = [(float(one.get("y")), float(one.get("y")) + float(one.get("height"))) for one in boxes]
    assert all(low < high for (_, low), (high, _) in pairwise(sides))  # in their order, apart
    height = float(root.get("viewBox").split()[3])
    assert sides[-1][1] <= height and all(float(one.get("x")) + float(one.get("width")) <= 400 for one in boxes)
    ways = [(one.get("data-from"), one.get("data-to")) for one in root.iter(f"{SVG}path")]
    if (len(boxes) < MOST and type(spec).__name__ not in ("ResNet", "VisionTransformer")) or spec == CASES[1][0]:
        known = architecture(estimator.network_, shape).inputs
        assert set(ways) <= {(one, name) for name, taken in known.items() for one in taken}
        joined = [name for name, taken in known.items() if len(taken) > 1]
        assert all(sum(to == name for _, to in ways) == len(known[name]) for name in joined)
    assert chart.title and all(row[0] in found for row in chart.rows)


def test_deep_networks_are_drawn_block_by_block():
    chart, description = drawn(fitted(ResNet(50, 4), (3, 32, 32)))
    assert len(description.layers) > 100 and "Blocks of layers are drawn as one." in chart.note
    shown = "".join(ElementTree.fromstring(str(chart.svg)).itertext())
    assert "layer3.5: 6 layers" in shown


def test_a_mean_of_networks_is_drawn_once():
    members = [MLP((8,)).build(Layout((5,)), 1) for _ in range(3)]
    estimator = SimpleNamespace(network_=MeanNetwork(members, "binary"), layout_=Layout((5,)))
    chart, _ = drawn(estimator)
    assert "in each of 3 networks that are averaged" in chart.description and len(chart.rows) == 3
    members.append(MLP((6, 6)).build(Layout((5,)), 1))
    chart, _ = drawn(SimpleNamespace(network_=MeanNetwork(members, "binary"), layout_=Layout((5,))))
    assert "in each of 3 networks that are averaged with 1 of another kind" in chart.description
    assert network_chart({"layers": [{"name": "a", "type": "Linear"}]}) is None  # a record from before


def test_a_file_of_its_own_is_readable_in_light_and_dark():
    root = ElementTree.fromstring(network_svg(fitted(ConvNet((4, 8)), (3, 16, 16))))
    style = root.find(f"{SVG}style").text
    assert "prefers-color-scheme: dark" in style and "--ground" in style and root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text and root.find(f"{SVG}desc").text
