"""The page in a real browser, headless: no errors, no requests, nothing wider than the window."""

import json
import re
import shutil
import subprocess
from html import unescape
from itertools import product

import pytest
from report_runs import TASKS, run

from glia.report.html import render

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH"),
]
WIDTHS = (360, 1600)
FLAGS = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync
--disable-component-update --allow-file-access-from-files --enable-logging=stderr --virtual-time-budget=3000
--window-size=1700,1000 --dump-dom
"""
# The page lies in frames of the widths to be tried (a headless window cannot be made narrow); the outer page looks in.
PROBE = """<!doctype html><html><body><div id="out"></div>
FRAMES
<script>
addEventListener("load", () => {
  const seen = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, root = page.documentElement;
    for (const fold of page.querySelectorAll("details")) fold.open = true;
    const shown = "tbody tr:not([hidden]) th", table = page.querySelector("table.profile");
    const numbers = () => [...table.querySelectorAll(shown)].map((h) => h.firstChild.textContent);
    const before = numbers();
    table.querySelector(".sort")?.click();
    const after = numbers();
    const field = page.querySelector("input[type=search]");
    if (field) { field.value = "zzz nothing"; field.dispatchEvent(new Event("input")); }
    return {
      wide: root.scrollWidth, window: root.clientWidth, before, after, left: field ? numbers().length : -1,
      requests: frame.contentWindow.performance.getEntriesByType("resource").length,
      headings: [...page.querySelectorAll("h1,h2,h3")].map((h) => h.tagName + " " + h.textContent.trim()),
      small: [...page.querySelectorAll("svg.chart text")].filter((t) => t.getBoundingClientRect().height < 9).length,
      spilt: [...page.querySelectorAll("svg.chart")].flatMap((svg) => { const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll("text")].filter((t) => { const r = t.getBoundingClientRect();
          return r.left < box.left - 6 || r.right > box.right + 6; }).map((t) => t.textContent); }),
      tips: page.querySelectorAll("g.mark[data-tip]").length, titles: page.querySelectorAll("g.mark > title").length,
    };
  });
  document.getElementById("out").textContent = JSON.stringify(seen);
});
</script></body></html>"""


def test_pages_open_clean_at_360_and_1600_pixels(tmp_path):
    frames = ""
    for task in TASKS:
        (tmp_path / f"{task}.html").write_text(render(*run(task)), encoding="utf-8")
        frames += "".join(f'<iframe src="{task}.html" width="{w}" height="800"></iframe>' for w in WIDTHS)
    (tmp_path / "probe.html").write_text(PROBE.replace("FRAMES", frames), encoding="utf-8")
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "probe.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = json.loads(unescape(re.search(r'<div id="out">(.*?)</div>', done.stdout, flags=re.DOTALL).group(1)))
    for seen, (task, width) in zip(found, product(TASKS, WIDTHS), strict=True):
        assert seen["wide"] <= seen["window"] <= width, task
        assert seen["requests"] == 0
        assert seen["headings"][0].startswith("H1") and len([h for h in seen["headings"] if h.startswith("H2")]) >= 7
        assert seen["small"] == 0 and seen["spilt"] == [], task
        # the script did its part: sorted, filtered, tooltips taken over
        assert seen["after"] == sorted(seen["before"], key=_as_read) and seen["left"] == 0
        assert seen["tips"] > 10 and seen["titles"] == 0


def _as_read(name):
    return name.lower().replace("_", " ")
