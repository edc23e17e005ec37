"""The page of a diagnosis: whole, escaped, and readable at 360 and at 1,600 pixels."""

import copy
import json
import re
import shutil
import subprocess
from functools import cache
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia.diagnose import diagnose
from glia.report.doctor_page import render_doctor

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
FLAGS = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync
--disable-component-update --allow-file-access-from-files --enable-logging=stderr --virtual-time-budget=3000
--window-size=1700,1000 --dump-dom
"""
PROBE = """<!doctype html><html><body><div id="out"></div>FRAMES<script>
addEventListener("load", () => {
  const seen = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, root = page.documentElement;
    for (const fold of page.querySelectorAll("details")) fold.open = true;
    return { wide: root.scrollWidth, window: root.clientWidth,
      requests: frame.contentWindow.performance.getEntriesByType("resource").length,
      spilt: [...page.querySelectorAll("svg.chart")].flatMap((svg) => { const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll("text")].filter((t) => { const r = t.getBoundingClientRect();
          return r.left < box.left - 6 || r.right > box.right + 6; }).map((t) => t.textContent); }) };
  });
  document.getElementById("out").textContent = JSON.stringify(seen);
});
</script></body></html>"""


@cache
def record():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5)).astype(np.float32)
    y = (x[:, 0] ** 2 + x[:, 1] ** 2 > 1.4).astype(int)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    nn.init.constant_(network[0].bias, -50.0)
    found = diagnose(
        glia.wrap(network, "binary"),
        x[:200],
        y[:200],
        held_out=(x[200:], y[200:]),
        lr=0.003,
        prove_remedies=True,
        seeds=3,
    )
    files = {"report": "run/doctor.html"}
    return {**found.to_dict(), "name": "rows <b>", "command": "glia doctor run --prove", "files": files}


def healthy():
    data = copy.deepcopy(record())
    return {**data, "verdicts": [], "first": "healthy", "summary": "Nothing is wrong."}


def test_the_page_has_the_verdict_the_signs_the_remedy_and_the_proof():
    page = render_doctor(record())
    HTMLParser().feed(page)
    assert "Units are dead" in page and "leaky_relu" in page and "dead units of 1" in page
    assert page.index("Units are dead") < page.index("What has it learned") < page.index("What happens in the layers")
    assert "With the remedy, fresh networks do better" in page
    assert "rows &lt;b&gt;" in page and "rows <b>" not in page
    assert len(page) < 2_000_000


def test_a_page_without_findings_says_so():
    page = render_doctor(healthy())
    assert "Nothing is wrong, as far as these signs show" in page and "What was found" not in page


@pytest.mark.parametrize(
    "gone", ["landscape", "noise", "range_test", "trial", "updates", "held", "calibration", "reference_error"]
)
def test_what_was_not_measured_is_left_out(gone):
    data = copy.deepcopy(record())
    data["measures"][gone] = None
    assert render_doctor(data)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")
def test_pages_open_clean_at_360_and_1600_pixels(tmp_path):
    frames = ""
    for name, data in (("ill", record()), ("healthy", healthy())):
        (tmp_path / f"{name}.html").write_text(render_doctor(data), encoding="utf-8")
        frames += "".join(f'<iframe src="{name}.html" width="{w}" height="800"></iframe>' for w in (360, 1600))
    (tmp_path / "probe.html").write_text(PROBE.replace("FRAMES", frames), encoding="utf-8")
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "probe.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = json.loads(unescape(re.search(r'<div id="out">(.*?)</div>', done.stdout, flags=re.DOTALL).group(1)))
    assert len(found) == 4
    for seen in found:
        assert seen["wide"] <= seen["window"] and seen["requests"] == 0 and seen["spilt"] == []
