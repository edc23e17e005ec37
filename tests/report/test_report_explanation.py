"""The page and the section of an explanation: whole, escaped, and with the figures of the result."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from glia.core.errors import InputError
from glia.explain.attribution import AttributionResult
from glia.report.charts.beeswarm import Swarm, beeswarm_chart
from glia.report.charts.waterfall import Step, waterfall_chart
from glia.report.explanation import explanation_record, explanation_section, render_explanation

EVIL = '<script>alert("x")</script>'


def result(rows=40, columns=6, outputs=1):
    rng = np.random.default_rng(0)
    shape = (rows, columns) if outputs == 1 else (rows, columns, outputs)
    values = rng.normal(size=shape)
    base = np.full((rows,) if outputs == 1 else (rows, outputs), -1.0)
    data = np.stack(
        [rng.normal(size=rows).astype(object) for _ in range(columns - 1)] + [np.array([EVIL] * rows, object)]
    )
    return AttributionResult(
        "shap", values, base + values.sum(axis=1), base, (EVIL, *(f"c{i}" for i in range(columns - 1))),
        tuple(f"o{i}" for i in range(outputs)), standard_error=np.abs(values) / 50, data=data.T,
        checks={"largest gap to the output": 1e-15, "largest standard error": 0.1},
        settings={"method": "permutation", "background": "100 of 150 rows of the data"}, seconds=1.5, evaluations=1000,
    )  # fmt: skip


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.scripts, self.open = 0, []

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_page_is_whole_and_escaped(outputs):
    record = json.loads(json.dumps(explanation_record(result(outputs=outputs), output=outputs - 1)))
    page = render_explanation({**record, "name": EVIL, "command": f"glia explain {EVIL}"})
    assert EVIL not in page and "&lt;script&gt;" in page
    parser = Text()
    parser.feed(page)
    charts = 2 + len(record["shown"])
    assert parser.scripts == 1 + charts  # the page's own and each chart's data
    assert "100 of 150 rows of the data" in page and "Do not rely" not in page
    assert ("o2" in page) == (outputs == 3)


def test_the_record_holds_the_results_figures():
    found = result()
    record = explanation_record(found)
    sizes = {feature["name"]: feature["size"] for feature in record["features"]}
    for i, name in enumerate(found.feature_names):
        assert sizes[name] == pytest.approx(np.abs(found.values[:, i]).mean())
    assert [f["size"] for f in record["features"]] == sorted(sizes.values(), reverse=True)
    rows = [one["row"] for one in record["shown"]]
    assert rows[0] == found.outputs.argmin() and rows[-1] == found.outputs.argmax() and len(rows) == 3
    for one in record["shown"]:
        assert one["base"] + sum(s["share"] for s in one["shares"]) == pytest.approx(one["output"])
    wide = explanation_record(result(rows=500, columns=60))
    assert len(wide["features"]) == 20 and len(wide["features"][0]["shares"]) == 200 and wide["columns"] == 60
    single = explanation_record(result(rows=1))
    assert single["features"][0]["low"] is None and render_explanation(single)


def test_the_section_stands_alone_and_may_be_absent():
    section = explanation_section(explanation_record(result()))
    assert section.strip().startswith("<section") and section.strip().endswith("</section>") and EVIL not in section
    assert explanation_section(None) == ""


def test_doubts_stand_at_the_top():
    doubtful = replace(result(), warnings=("standard errors are 40% of the values",))
    page = render_explanation(explanation_record(doubtful))
    assert page.index("Do not rely on it") < page.index("matters most") and "standard errors are 40%" in page


def test_images_have_no_section():
    values = np.zeros((2, 3, 4, 4))
    with pytest.raises(InputError, match="needs a table"):
        explanation_record(AttributionResult("shap", values, np.zeros(2)))


def test_a_waterfall_begins_at_the_base_and_ends_at_the_sum():
    chart = waterfall_chart("w", "t", [Step("a", 2.0, 0.1), Step("b", -3.0)], base=1.0, x_label="logit")
    assert "From the base 1 to 0: a +2 ± 0.10; b −3" in chart.description
    assert chart.rows == (("a", 2.0, 0.1), ("b", -3.0, None)) and chart.svg.count("<rect") == 2
    with pytest.raises(ValueError, match="at least one step"):
        waterfall_chart("w", "t", [], base=0.0, x_label="x")


def test_a_beeswarm_has_a_point_for_every_row():
    swarms = [Swarm("a", [0.0, 0.0, 0.0, 1.0], [0.0, 0.5, 1.0, None]), Swarm("b", [-1.0] * 4, [None] * 4)]
    chart = beeswarm_chart("s", "t", swarms, x_label="share")
    assert chart.svg.count("<circle") == 8 and chart.svg.count("#440154") >= 1
    places = [part.split('cy="')[1].split('"')[0] for part in chart.svg.split("<circle")[1:4]]
    assert len(set(places)) == 3  # equal shares do not cover each other
    assert "value of the feature" not in beeswarm_chart("s", "t", swarms[1:], x_label="share").svg
    with pytest.raises(ValueError, match="at least one feature"):
        beeswarm_chart("s", "t", [], x_label="x")
