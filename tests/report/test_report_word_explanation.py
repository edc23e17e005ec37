"""The section and the page of explained texts: what is shaded, escaped, and fits narrow windows."""

import json
import re
import shutil
import subprocess
from html import unescape

import numpy as np
import pytest

from glia.explain.words_result import WordsResult
from glia.report.word_explanation import render_words, told, within_budget, words_record, words_section

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
TEXTS = ("A <script>fine</script> film & more.", "dull\n\nand " + "long" * 60, "")
SPANS = (((0, 1), (3, 9), (10, 14), (16, 22), (24, 28), (31, 35)), ((0, 4), (6, 9), (10, 250)), ())
VALUES = (np.array([[0.0], [0.1], [2.0], [0.2], [-0.4], [0.0]]), np.array([[-1.5], [0.05], [-0.3]]), np.zeros((0, 1)))
OUTPUTS = np.array([[1.9], [-1.75], [0.0]])


def result(**changes):
    given = {"checks": {"deletion gain": 0.4, "insertion gain": 0.3}, "evaluations": 12, "seconds": 0.5, **changes}
    return WordsResult("occlusion", TEXTS, SPANS, VALUES, OUTPUTS, ("good",), "logit", (0, 0, 0), **given)


def record(**changes):
    return words_record(result(**changes), ["good", "bad", "bad"], ["good", "good", "bad"])


def test_the_record_shows_lowest_and_highest_and_no_text_without_words():
    found = record()
    assert [one["row"] for one in found["shown"]] == [1, 0]
    assert "".join(piece["text"] for piece in found["shown"][1]["pieces"]) == TEXTS[0]
    assert found["words"] == 9 and found["features"][0] == {
        "word": "fine", "output": "good", "mean": 2.0, "error": None, "count": 1, "size": 2.0,
    }  # fmt: skip
    assert json.dumps(found, allow_nan=False)


def test_words_are_shaded_by_their_share_and_escaped():
    section = str(words_section(record()))
    assert '<mark class="for l4" title="2">fine</mark>' in section
    assert '<mark class="against l3" title="−1.50">dull</mark>' in section
    assert "&lt;<mark" not in section and "&lt;script&gt;" in section and "<script>fine" not in section
    assert section.index("dull") < section.index("fine")  # the lowest output first
    assert ", rightly" in section and ", in truth good" in section
    assert words_section(None) == ""


def test_the_page_says_whether_to_rely_on_it():
    assert "Answers follow the marked words" in render_words({**record(), "name": "m.glia"})
    doubtful = record(checks={"deletion gain": -0.1}, warnings=("no further than any others",))
    page = render_words(doubtful)
    assert "Read with care" in page and "do not follow" in page and "no further than any others" in page
    assert "Not checked" in render_words(record(checks={}))


def test_texts_are_taken_until_the_budget_of_words_is_used_up():
    texts = ["a b c", "", "d e", "f g h i j", "k"]
    assert within_budget(texts, 10, 100) == [0, 2, 3, 4]
    assert within_budget(texts, 2, 100) == [0, 2]
    assert within_budget(texts, 10, 100, budget=5) == [0, 2]
    assert within_budget(["x " * 10_000, "y"], 10, 8, budget=9) == [0, 1]  # the network reads no more than that


def test_answers_in_words():
    assert told(np.array([1.23456, 2.0])) == ["1.235", "2"] and told(np.array(["a", "b"])) == ["a", "b"]
    assert told(np.array([[1.0, 2.5]])) == ["1, 2.5"] and told(np.array([0, 1])) == ["0", "1"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")
def test_the_page_opens_clean_at_500_and_1280_pixels(tmp_path):
    (tmp_path / "page.html").write_text(render_words({**record(), "name": "model.glia"}), encoding="utf-8")
    frames = "".join(f'<iframe src="page.html" width="{width}" height="900"></iframe>' for width in (500, 1280))
    look = """addEventListener("load", () => { document.getElementById("out").textContent = JSON.stringify(
      [...document.querySelectorAll("iframe")].map((f) => { const d = f.contentDocument, r = d.documentElement;
        const shade = f.contentWindow.getComputedStyle(d.querySelector("mark.for.l4"));
        return { wide: r.scrollWidth, window: r.clientWidth, marks: d.querySelectorAll("blockquote mark").length,
                 shade: shade.backgroundColor, line: shade.textDecorationLine, scripts: d.scripts.length }; })); });"""
    (tmp_path / "probe.html").write_text(f'<body><div id="out"></div>{frames}<script>{look}</script></body>')
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    flags += " --allow-file-access-from-files --enable-logging=stderr --virtual-time-budget=3000 --dump-dom"
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "probe.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = json.loads(unescape(re.search(r'<div id="out">(.*?)</div>', done.stdout, flags=re.DOTALL).group(1)))
    for seen, width in zip(found, (500, 1280), strict=True):
        assert seen["wide"] <= seen["window"] <= width
        assert seen["marks"] == 4 and seen["line"] == "underline" and seen["shade"] not in ("rgba(0, 0, 0, 0)", "")
