import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib import colormaps
from scipy.stats import binomtest

from glia.report.charts import (
    Bar,
    Series,
    agreement_chart,
    bar_chart,
    confusion_chart,
    histogram_chart,
    interval_chart,
    line_chart,
    miniature,
    pr_chart,
    reliability_chart,
    roc_chart,
)
from glia.report.charts.base import spread, thin, ticks
from glia.report.charts.colour import contrast, ink_on, viridis
from glia.report.charts.reliability import wilson

SVG = "{http://www.w3.org/2000/svg}"
BAD = '<script>alert("1")</script>&\x00\ud800]]>'


def charts(name):
    curve = {"class": name, "auc": 0.8, "ap": 0.7, "base": 0.3, "fpr": [0, 0.2, 1], "tpr": [0, 0.7, 1]}
    curve |= {"recall": [0, 0.5, 1], "precision": [1, 0.8, 0.3]}
    bins = [{"low": 0.5, "high": 0.6, "confidence": 0.55, "frequency": 0.5, "count": 40}]
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(700, 2)).tolist()
    return [
        line_chart("l", name, [Series(name, [1, 2, 3], [0.5, None, 0.1])], x_label=name, y_label=name, mark=(2, name)),
        bar_chart("b", name, [Bar(name, 0.4, 0.3, 0.5, "test"), Bar("x", -0.1)], x_label=name, note=name),
        interval_chart("i", name, [Bar(name, 0.4, 0.3, 0.5), Bar("y", 0.2, 0.1, 0.3)], x_label=name, zero=0.0),
        confusion_chart("c", name, [name, "b"], [[5, 1], [0, 7]]),
        roc_chart("r", name, [curve]),
        roc_chart("r9", name, [{**curve, "auc": 0.5 + i / 20} for i in range(9)]),
        pr_chart("p", name, [curve, curve]),
        reliability_chart("k", name, bins),
        histogram_chart("h", name, [0, 1, 2], [3, 4], x_label=name, mark=(1, name)),
        agreement_chart("a", name, [1.0, 2.0], [1.1, 1.7], unit=name),
        agreement_chart("a2", name, [p[0] for p in cloud], [p[1] for p in cloud]),
    ]


@pytest.mark.parametrize("name", ["plain", BAD])
def test_every_chart_is_well_formed_and_described(name):
    for chart in charts(name):
        root = ET.fromstring(str(chart.svg))
        assert root.tag == f"{SVG}svg"
        assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
        assert len(root[0].text) >= 5 and len(root[1].text) > 20
        assert root.get("role") == "img"
        assert not root.findall(f".//{SVG}script")
        assert chart.rows and all(len(row) == len(chart.columns) for row in chart.rows)
        assert "nan" not in str(chart.svg).lower()


def test_miniature_is_well_formed():
    root = ET.fromstring(str(miniature([1, 0, 3], BAD)))
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]


def test_bars_begin_at_zero_and_are_as_long_as_their_values():
    chart = bar_chart("b", "t", [Bar("a", 0.8), Bar("b", 0.4), Bar("c", -0.2)], x_label="x")
    rects = ET.fromstring(str(chart.svg)).findall(f".//{SVG}rect")
    a, b, c = [(float(r.get("x")), float(r.get("width"))) for r in rects]
    assert a[1] == pytest.approx(2 * b[1], abs=0.02) and a[1] == pytest.approx(4 * c[1], abs=0.04)
    assert a[0] == b[0] == pytest.approx(c[0] + c[1], abs=0.02)


def test_line_goes_through_its_points():
    chart = line_chart("l", "t", [Series("s", [0, 1, 2], [1.0, 3.0, 2.0])], x_label="x", y_label="y")
    found = re.search(r'<path d="M([\d. L]+)" class="line', str(chart.svg)).group(1)
    (x0, y0), (x1, y1), (x2, y2) = [tuple(map(float, p.split())) for p in found.split("L")]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y2 == pytest.approx((y0 + y1) / 2, abs=0.2) and y1 < y0


def test_wide_ranges_take_a_logarithmic_axis_and_say_so():
    steep = line_chart("l", "t", [Series("s", [0, 1], [1e-5, 1.0])], x_label="x", y_label="rate")
    level = line_chart("l", "t", [Series("s", [0, 1], [0.5, 1.0])], x_label="x", y_label="rate")
    assert "logarithmic axis" in steep.svg and "logarithmic" not in level.svg


def test_fifty_points_are_not_dotted():
    few = line_chart("l", "t", [Series("s", range(49), [float(i) for i in range(49)])], x_label="x", y_label="y")
    many = line_chart("l", "t", [Series("s", range(50), [float(i) for i in range(50)])], x_label="x", y_label="y")
    assert few.svg.count("<circle") == 49 and many.svg.count("<circle") == 0


def test_hexagons_hold_every_point():
    rng = np.random.default_rng(1)
    true, predicted = rng.normal(size=(2, 900)).tolist()
    svg = str(agreement_chart("a", "t", true, predicted).svg)
    assert sum(int(n) for n in re.findall(r"<title>(\d+) rows</title>", svg)) == 900


def test_viridis_is_matplotlibs():
    for i in range(41):
        ours = [int(viridis(i / 40)[c : c + 2], 16) for c in (1, 3, 5)]
        theirs = np.array(colormaps["viridis"](i / 40)[:3]) * 255
        assert np.abs(ours - theirs).max() <= (1 if i % 4 == 0 else 14)  # between tenths it is mixed


def test_ink_reads_on_every_shade():
    assert min(contrast(viridis(s), ink_on(viridis(s))) for s in np.linspace(0, 1, 201)) >= 4.5
    assert contrast("#ffffff", "#000000") == pytest.approx(21) and contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (3, 10), (50, 60), (7, 7)])
def test_wilson_is_scipys(hits, rows):
    oracle = binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    assert wilson(hits / rows, rows) == pytest.approx((oracle.low, oracle.high), abs=1e-6)


def test_ticks_are_round_and_inside():
    assert ticks(0, 1, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    for low, high in [(0.893, 0.907), (-3, 17), (1e-7, 3e-7), (1e6, 9e6)]:
        found = ticks(low, high)
        assert 2 <= len(found) <= 8 and low - 1e-12 <= found[0] and found[-1] <= high + 1e-9 * abs(high)


def test_labels_are_spread_in_order():
    placed = spread([10, 11, 12, 100], 15, 0, 110)
    assert all(b - a >= 15 - 1e-9 for a, b in itertools.pairwise(placed)) and placed[-1] <= 110
    assert spread([5, 105, 108], 15, 0, 110) == [5, 95, 110]


def test_thinned_rows_keep_their_ends():
    rows = [(i,) for i in range(1000)]
    assert len(thin(rows, 60)) == 60 and thin(rows, 60)[0] == (0,) and thin(rows, 60)[-1] == (999,)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: line_chart("k", "t", [Series("s", [1], [None])], x_label="x", y_label="y"),
        lambda: bar_chart("k", "t", [], x_label="x"),
        lambda: interval_chart("k", "t", [], x_label="x"),
        lambda: confusion_chart("k", "t", ["a"], [[1, 2]]),
        lambda: roc_chart("k", "t", []),
        lambda: reliability_chart("k", "t", []),
        lambda: histogram_chart("k", "t", [0, 1], [], x_label="x"),
        lambda: agreement_chart("k", "t", [], []),
    ],
)
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError):
        draw()
