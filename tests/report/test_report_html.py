import copy
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from report_runs import every_task, run

from glia.report.charts.colour import contrast
from glia.report.evidence import curves, data_profile
from glia.report.html import render
from glia.report.verdict import verdict

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(2)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "a\x00b\x1b\ud800\u202egnp",
    "javascript:alert(3)",
    "' onmouseover='alert(4)",
]
FIXED = {"task", "outcome", "primary", "metric", "severity", "measure", "role"}


class Page(HTMLParser):
    """What a page is made of: tags with attributes, headings, the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.scripts: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "", ""))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif inside != "style":
            self.text.append(data)
        if any(re.fullmatch("h[1-6]", tag) for tag in self._open):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)


@every_task
def test_a_real_run_renders_whole(task):
    record, history = run(task)
    page = render(record, history)
    seen = Page(page)
    assert verdict(record).replace(" %", "\u00a0%") in "".join(seen.text)
    assert len(page) < 2_000_000
    levels = [level for level, _ in seen.headings]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    wanted = ["Is a network needed?", "What does it get wrong?", "What does it look at?", "How did it learn?"]
    wanted += ["What was it given?", "The same run, again"]
    shown = [" ".join(text.split()) for level, text in seen.headings if level == 2]
    assert [text for text in shown if text in wanted] == wanted and shown[0].startswith("Verdict")
    ids = [attrs["id"] for _, attrs in seen.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    links = [attrs["href"][1:] for tag, attrs in seen.tags if tag == "a"]
    assert set(links) <= set(ids)


def test_the_first_paragraph_of_main_is_the_verdict():
    record, history = run("regression")
    main = render(record, history).partition("<main>")[2]
    assert re.search(r"<p class=\"answer\">(Do not use this network: [^<]+)</p>", main).start() < main.index(
        '<p class="advice'
    )


@every_task
def test_every_drawing_is_well_formed_and_every_figure_has_its_data(task):
    page = render(*run(task))
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    pictured = [ET.fromstring(svg) for svg in drawings]
    for root in pictured:
        if root.get("role") == "img":
            assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
        else:
            assert root.get("aria-hidden") == "true"
    seen = Page(page)
    blocks = [text for kind, text in seen.scripts if kind == "application/json"]
    assert len(blocks) == page.count("<figure") == page.count('<details class="numbers">') >= 6
    assert all(json.loads(text) for text in blocks)


@every_task
def test_nothing_is_fetched(task):
    page = render(*run(task))
    assert set(re.findall(r"https?://[^\s\"'<>)]+", page)) == {"http://www.w3.org/2000/svg"}
    for tag, attrs in Page(page).tags:
        assert tag not in ("img", "iframe", "object", "embed", "form", "base", "audio", "video", "source")
        assert "src" not in attrs and "style" not in attrs
        assert (attrs.get("href") or "#").startswith(("#", "data:image/svg+xml,"))
    assert "@import" not in page and "url(" not in page and "default-src &#39;none&#39;" not in page
    assert "content=\"default-src 'none'" in page


def evil(value, i=0):
    if isinstance(value, dict):
        return {k: v if k in FIXED else evil(v, i + n) for n, (k, v) in enumerate(value.items())}
    if isinstance(value, list):
        return [evil(v, i + n) for n, v in enumerate(value)]
    return EVIL[i % len(EVIL)] + value[:20] if isinstance(value, str) else value


@pytest.mark.parametrize("shift", range(len(EVIL)))
def test_hostile_strings_stay_strings(shift):
    record, history = run("multiclass" if shift % 2 else "regression")
    hostile = evil(copy.deepcopy(record), shift)
    hostile["schema"]["warnings"] = [{"code": "x", "column": e, "message": e, "severity": e} for e in EVIL]
    hostile["settings"] = {e: {e: e} for e in EVIL}
    hostile["choices"] = {e: {"value": e, "why": e} for e in EVIL}
    hostile["metrics"]["test"] |= {e: {"value": 0.5} for e in EVIL}
    hostile["weak_groups"] = [{"text": e, "rows": 9, "difference": {"value": 1, "low": 0.5, "high": 2}} for e in EVIL]
    page = render(hostile, history)
    page.encode("utf-8")
    clean, seen = Page(render(record, history)), Page(page)
    assert {tag for tag, _ in seen.tags} - {tag for tag, _ in clean.tags} <= {
        "li",
        "ul",
        "code",
        "b",
        "details",
        "summary",
    }
    assert [text for kind, text in seen.scripts if not kind] == [text for kind, text in clean.scripts if not kind]
    assert not [name for _, attrs in seen.tags for name in attrs if name.startswith("on")]
    assert (
        "\x00" not in page and "\u202e" not in page and "49" not in re.findall(r"<li class=\"warning.*?</li>", page)[0]
    )
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ET.fromstring(svg)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_every_section_may_be_absent_or_none(task):
    record, history = run(task)
    for key in record:
        for changed in ({k: v for k, v in record.items() if k != key}, record | {key: None}):
            assert "</html>" in render(changed, history)
    assert "</html>" in render(record, [])


def test_every_entry_of_a_section_may_be_absent():
    record, history = run("regression")
    small = {k: v for k, v in record.items() if k not in ("profile", "hardest")}
    for key, section in small.items():
        for inner in section if isinstance(section, dict) else ():
            assert "</html>" in render(small | {key: {k: v for k, v in section.items() if k != inner}}, history)


def test_an_empty_record_still_is_a_page():
    page = render({}, [])
    assert "Nothing was measured on test rows" in page and "<figure" not in page


def test_multilabel_runs_have_a_figure_of_what_is_overlooked():
    y = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
    record = {"task": "multilabel", "curves": curves("multilabel", y, y * [[0], [1], [1], [1]], y * 0.8, ["a", "b"])}
    assert "a is overlooked most, in 50.0\u00a0% of the rows that have it" in render(record, [])


def test_three_hundred_columns_stay_below_two_megabytes():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"column {i} with a name": rng.normal(size=400) for i in range(150)})
    frame = frame.hstack([pl.Series(f"category {i}", rng.choice(list("abcdefgh"), 400)) for i in range(150)])
    record, history = run("binary")
    wide = record | {"profile": data_profile(frame), "schema": None}
    page = render(wide, history)
    assert len(page.encode()) < 2_000_000 and "270 more columns" in page


def variables(css: str) -> tuple[dict[str, str], dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)[:2]
    read = [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6});", block)) for block in (light, dark)]
    return read[0], read[0] | read[1]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_reads_on_its_ground(mode):
    colours = variables(files("glia.report").joinpath("static/report.css").read_text())[mode]
    texts = [name for name in colours if name.endswith("-text") or name in ("ink", "quiet", "link")]
    assert len(texts) >= 15
    for name in texts:
        assert contrast(colours[name], colours["ground"]) >= 4.5, name
    for name in ("ink", "quiet"):
        assert contrast(colours[name], colours["raised"]) >= 4.5, name
    # negative control: the marks' own pale colour would fail, hence the variants for text
    if mode == 0:
        assert contrast(colours["train"], colours["ground"]) < 4.5
        assert [colours[k] for k in ("train", "valid", "test")] == ["#56b4e9", "#0072b2", "#000000"]


def test_titles_are_answers():
    record, history = run("binary")
    assert re.search(r"<h3>Error (stops falling|rises again|was still falling)", render(record, history))
    flat = [
        {"epoch": e, "train/loss": 1 / e, "valid/loss": abs(e - 4) * 0.001 + 0.5 + (0.5 if e == 1 else 0)}
        for e in range(1, 9)
    ]
    assert "Error stops falling after epoch 4" in render({}, flat)
    learnt = [{"epoch": e, "train/loss": 1 / e, "valid/loss": 1 + abs(e - 3)} for e in range(1, 9)]
    assert "Error rises again after epoch 3" in render({}, learnt)
    falling = [{"epoch": e, "train/loss": 1 / e, "valid/loss": 2 / e} for e in range(1, 9)]
    assert "Error was still falling at the last epoch (8)" in render({}, falling)
